"""Test cards: what each number does. Nothing else is accepted, and no number is stored."""

from dataclasses import dataclass

from apps.billing.sandbox.errors import ApiError, declined, invalid

PAYS = "pays"
ATTACHES_THEN_FAILS = "attaches, then fails"
AUTHENTICATES_ONCE = "authenticates once"
AUTHENTICATES = "authenticates always"
FUNDS = "insufficient funds"
DECLINES = "declines"
EXPIRED = "expired"
CVC = "incorrect cvc"

NUMBERS = {
    "4242424242424242": ("visa", PAYS),
    "5555555555554444": ("mastercard", PAYS),
    "378282246310005": ("amex", PAYS),
    "4000000000000341": ("visa", ATTACHES_THEN_FAILS),
    "4000002500003155": ("visa", AUTHENTICATES_ONCE),
    "4000002760003184": ("visa", AUTHENTICATES),
    "4000000000009995": ("visa", FUNDS),
    "4000000000000002": ("visa", DECLINES),
    "4000000000000069": ("visa", EXPIRED),
    "4000000000000127": ("visa", CVC),
}
NAMES = {
    "pm_card_visa": "4242424242424242",
    "pm_card_mastercard": "5555555555554444",
    "pm_card_amex": "378282246310005",
    "pm_card_chargeCustomerFail": "4000000000000341",
    "pm_card_authenticationRequiredOnSetup": "4000002500003155",
    "pm_card_authenticationRequired": "4000002760003184",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_visa_chargeDeclined": "4000000000000002",
    "pm_card_chargeDeclinedExpiredCard": "4000000000000069",
    "pm_card_chargeDeclinedIncorrectCvc": "4000000000000127",
}
# code, decline code, sentence
REASONS = {
    ATTACHES_THEN_FAILS: ("card_declined", "generic_decline", "Your card was declined."),
    DECLINES: ("card_declined", "generic_decline", "Your card was declined."),
    FUNDS: ("card_declined", "insufficient_funds", "Your card has insufficient funds."),
    EXPIRED: ("expired_card", None, "Your card has expired."),
    CVC: ("incorrect_cvc", None, "Your card's security code is incorrect."),
}


@dataclass(frozen=True)
class Card:
    brand: str
    behaviour: str
    last4: str


def card_read(number: str) -> Card:
    """Raises ApiError for anything but a test card."""
    digits = number.replace(" ", "").replace("-", "")
    if digits not in NUMBERS:
        raise ApiError(
            "Your card was declined. This is test mode: use a test card, such as 4242 4242 4242 4242.",
            status=402,
            kind="card_error",
            code="card_declined",
            decline_code="test_mode_live_card",
        )
    brand, behaviour = NUMBERS[digits]
    return Card(brand, behaviour, digits[-4:])


def card_named(name: str) -> Card:
    """`pm_card_visa`, or `tok_visa` for the same. Raises ApiError."""
    known = name.replace("tok_", "pm_card_", 1)
    if known not in NAMES:
        raise invalid(f"No such token: '{name}'", param="card[token]", code="resource_missing")
    return card_read(NAMES[known])


def attach_error(behaviour: str) -> ApiError | None:
    """Why the bank refuses even to keep the card, if it does."""
    if behaviour == ATTACHES_THEN_FAILS or behaviour not in REASONS:
        return None
    code, decline_code, message = REASONS[behaviour]
    return declined(code=code, decline_code=decline_code, message=message)


def needs_authentication(behaviour: str, *, authenticated: bool) -> bool:
    return behaviour == AUTHENTICATES or (behaviour == AUTHENTICATES_ONCE and not authenticated)
