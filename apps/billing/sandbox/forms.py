"""Form fields that hosted pages share."""

from html import escape

from apps.billing.sandbox.cards import NUMBERS, REASONS, Card, card_read
from apps.billing.sandbox.errors import ApiError
from apps.billing.sandbox.methods import method_add
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.store import Obj, Session

FILLED_IN = "4242424242424242"
SAYS = {
    "pays": "pays",
    "attaches, then fails": "can be kept, then every charge fails",
    "authenticates once": "the bank asks once",
    "authenticates always": "the bank asks at every payment",
}


def card_fields(number: str = FILLED_IN) -> str:
    """A number of the address's `?card=` or the card that pays; nothing here has to be typed."""
    whole = _card_field("number", "Card number", _spaced(number), pattern="[0-9 \\-]{12,25}")
    expiry = _card_field("expiry", "Expires", "12 / 34", pattern="[0-9]{1,2} ?/ ?[0-9]{2,4}")
    cvc = _card_field("cvc", "CVC", "123", pattern="[0-9]{3,4}")
    return f'{whole}<div class="row"><div>{expiry}</div><div>{cvc}</div></div>'


def text_field(name: str, label: str, value: str | None, *, kind: str = "text", required: bool = False) -> str:
    more = " required" if required else ""
    return (
        f'<label for="{name}">{escape(label)}</label>'
        f'<input id="{name}" name="{name}" type="{kind}" autocomplete="off" value="{escape(value or "")}"{more}>'
    )


def cards_known(path: str) -> str:
    """The test cards, each a link that fills it in."""
    links = "".join(
        f'<li><a href="{escape(path)}?card={number}">{_spaced(number)}</a> {escape(_says(behaviour))}</li>'
        for number, (_, behaviour) in NUMBERS.items()
    )
    return f"<details><summary>Test cards</summary><ul>{links}</ul></details>"


def card_from(tx: Session, params: Params) -> Obj:
    """The payment method of a card form, not on any customer yet. Raises ApiError."""
    card = card_typed(params)
    month, _, year = (params.text("expiry") or "").replace(" ", "").partition("/")
    params.ignore("cvc")
    if not (month.isdecimal() and year.isdecimal()):
        raise ApiError("Your card's expiration date is incomplete: month / year, as in 12 / 34.", status=402)
    method = method_add(tx, card, exp_month=int(month), exp_year=int(year))
    method["billing_details"] |= {"name": params.text("name"), "email": params.text("email")}
    tx.save(method)
    return method


def card_typed(params: Params) -> Card:
    return card_read(params.text("number") or "")


def _card_field(name: str, label: str, value: str, *, pattern: str) -> str:
    return (
        f'<label for="{name}">{label}</label><input id="{name}" name="{name}" inputmode="numeric" autocomplete="off" '
        f'required pattern="{pattern}" value="{escape(value)}">'
    )


def _says(behaviour: str) -> str:
    return SAYS.get(behaviour) or REASONS[behaviour][2]


def _spaced(number: str) -> str:
    digits = "".join(letter for letter in number if letter.isdecimal())
    return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))
