"""Payment intents and setup intents over the API, and the bank's page where the customer says yes or no."""

from apps.billing.sandbox.cards import attach_error, needs_authentication
from apps.billing.sandbox.clock import now_of
from apps.billing.sandbox.collect import attempt, failed, open_error
from apps.billing.sandbox.customers import alive
from apps.billing.sandbox.errors import ApiError, invalid, missing
from apps.billing.sandbox.events import emit
from apps.billing.sandbox.html import document, notice
from apps.billing.sandbox.ids import new_id, word
from apps.billing.sandbox.methods import method_attach, method_found, method_of
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.payments import ACTION, FAILED, SUCCEEDED, authentication_fail
from apps.billing.sandbox.render import listing, render
from apps.billing.sandbox.routes import Page, Request, page, route
from apps.billing.sandbox.store import Obj, Session

UNUSED = (
    "application", "automatic_payment_methods", "cancellation_reason", "customer_account", "description",
    "flow_directions", "last_setup_error", "latest_attempt", "mandate", "next_action", "on_behalf_of",
    "payment_method", "payment_method_options", "single_use_mandate",
)  # fmt: skip
IGNORED = (
    "payment_method_types", "automatic_payment_methods", "payment_method_options", "mandate_data", "use_stripe_sdk",
    "off_session", "setup_future_usage",
)  # fmt: skip


@route("GET", "/v1/payment_intents")
def payment_intent_list(request: Request) -> Obj:
    equal = request.params.equal("customer")
    return listing(request.tx, request.params, "payment_intent", url="/v1/payment_intents", equal=equal)


@route("GET", "/v1/payment_intents/{id}")
def payment_intent_retrieve(request: Request) -> Obj:
    request.params.ignore("client_secret")
    return request.tx.get(request.args["id"], "payment_intent")


@route("POST", "/v1/payment_intents/{id}/confirm")
def payment_intent_confirm(request: Request) -> Obj:
    """Tries again, with another card if one is named. Raises ApiError 402 when it is declined."""
    tx, params = request.tx, request.params
    intent = tx.get(request.args["id"], "payment_intent")
    params.ignore("return_url", *IGNORED)
    if intent["status"] in ("succeeded", "canceled"):
        raise invalid(f"You cannot confirm this PaymentIntent because it is {intent['status']}.",
                      code="payment_intent_unexpected_state")  # fmt: skip
    invoice = tx.get(intent["_invoice"], "invoice")
    ident = params.text("payment_method")
    customer = tx.get(intent["customer"], "customer")
    method = method_of(tx, ident, customer, param="payment_method") if ident else None
    outcome = attempt(tx, invoice, method=method)
    error = open_error(tx, invoice, outcome)
    if error and outcome != ACTION:
        raise error
    return intent


@route("POST", "/v1/setup_intents")
def setup_intent_create(request: Request) -> Obj:
    tx, params = request.tx, request.params
    params.ignore(*IGNORED)
    ident = params.text("customer")
    customer = alive(tx, ident, param="customer") if ident else None
    intent = setup_intent_add(tx, customer, metadata=params.metadata())
    intent["description"] = params.text("description")
    intent["usage"] = params.choice("usage", ("off_session", "on_session"), "off_session")
    return_url, method = params.text("return_url"), params.text("payment_method")
    if method:
        intent |= {"payment_method": method_found(tx, method)["id"], "status": "requires_confirmation"}
    tx.save(intent)
    if params.boolean("confirm"):
        setup_confirm(tx, intent, return_url=return_url)
    return intent


@route("GET", "/v1/setup_intents")
def setup_intent_list(request: Request) -> Obj:
    equal = request.params.equal("customer", "payment_method")
    return listing(request.tx, request.params, "setup_intent", url="/v1/setup_intents", equal=equal)


@route("GET", "/v1/setup_intents/{id}")
def setup_intent_retrieve(request: Request) -> Obj:
    request.params.ignore("client_secret")
    return request.tx.get(request.args["id"], "setup_intent")


@route("POST", "/v1/setup_intents/{id}/confirm")
def setup_intent_confirm(request: Request) -> Obj:
    tx, params = request.tx, request.params
    params.ignore(*IGNORED)
    intent = tx.get(request.args["id"], "setup_intent")
    method = params.text("payment_method")
    if method:
        intent["payment_method"] = method_found(tx, method)["id"]
    setup_confirm(tx, intent, return_url=params.text("return_url"))
    return intent


@route("POST", "/v1/setup_intents/{id}/cancel")
def setup_intent_cancel(request: Request) -> Obj:
    tx, intent = request.tx, request.tx.get(request.args["id"], "setup_intent")
    if intent["status"] in ("succeeded", "canceled"):
        raise invalid(f"You cannot cancel this SetupIntent because it is {intent['status']}.")
    intent |= {"status": "canceled", "cancellation_reason": _reason(request.params)}
    tx.save(intent)
    emit(tx, "setup_intent.canceled", intent)
    return intent


def setup_intent_add(tx: Session, customer: Obj | None, *, metadata: dict[str, str]) -> Obj:
    ident = new_id("setup_intent")
    intent = dict.fromkeys(UNUSED) | {
        "id": ident,
        "object": "setup_intent",
        "attach_to_self": False,
        "client_secret": f"{ident}_secret_{word(25)}",
        "created": now_of(tx, customer) if customer else int(tx.real_now),
        "customer": customer["id"] if customer else None,
        "livemode": False,
        "metadata": metadata,
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
        "usage": "off_session",
    }
    tx.add(intent)
    emit(tx, "setup_intent.created", intent)
    return intent


def setup_confirm(tx: Session, intent: Obj, *, authenticated: bool = False, return_url: str | None = None) -> None:
    """Raises ApiError 402 when the bank does not keep the card."""
    if not intent["payment_method"] or intent["status"] in ("succeeded", "canceled"):
        raise invalid("You cannot confirm this SetupIntent: it has no payment method, or is done.",
                      code="setup_intent_unexpected_state")  # fmt: skip
    method = tx.get(intent["payment_method"], "payment_method")
    error = attach_error(method["_behaviour"])
    if error:
        intent |= {"last_setup_error": error.body, "payment_method": None, "status": "requires_payment_method"}
        tx.save(intent)
        emit(tx, "setup_intent.setup_failed", intent)
        raise error
    if not authenticated and needs_authentication(method["_behaviour"], authenticated=method["_authenticated"]):
        target = {"url": f"{tx.url}/authenticate/{intent['id']}", "return_url": return_url}
        intent |= {"status": "requires_action", "next_action": {"type": "redirect_to_url", "redirect_to_url": target}}
        tx.save(intent)
        emit(tx, "setup_intent.requires_action", intent)
        return
    if intent["customer"]:
        method_attach(tx, method["id"], tx.get(intent["customer"], "customer"))
    method["_authenticated"] = method["_authenticated"] or authenticated
    tx.save(method)
    intent |= {"status": "succeeded", "next_action": None, "last_setup_error": None}
    tx.save(intent)
    emit(tx, "setup_intent.succeeded", intent)


@page("GET", "/authenticate/{id}")
def authenticate_page(request: Request) -> Page:
    intent = _waiting(request)
    return authentication_form(f"/authenticate/{intent['id']}")


@page("POST", "/authenticate/{id}")
def authenticate(request: Request) -> Page:
    tx, intent = request.tx, _waiting(request)
    yes = request.params.text("answer") == "yes"
    target = (intent["next_action"].get("redirect_to_url") or {}).get("return_url")
    if intent["object"] == "setup_intent":
        if yes:
            setup_confirm(tx, intent, authenticated=True)
        else:
            _setup_refused(tx, intent)
    else:
        yes = _payment_answered(tx, intent, yes=yes)
    if target:
        return Page(status=303, location=target)
    return notice("Thank you" if yes else "Not confirmed", "You can close this page." if yes else "Nothing was paid.")


def authentication_form(action: str) -> Page:
    form = (
        f'<form method="post" action="{action}"><p>Your bank asks: was this you?</p>'
        '<button name="answer" value="yes">Yes, complete</button>'
        '<button name="answer" value="no" class="quiet">No, fail</button></form>'
    )
    return document("Your bank wants to be sure", form)


def _waiting(request: Request) -> Obj:
    intent = request.tx.maybe(request.args["id"])
    if intent is None or intent["object"] not in ("payment_intent", "setup_intent"):
        raise missing("payment_intent", request.args["id"])
    if intent["status"] != "requires_action":
        raise ApiError("There is nothing to confirm any more.")
    return intent


def _payment_answered(tx: Session, intent: Obj, *, yes: bool) -> bool:
    invoice = tx.get(intent["_invoice"], "invoice")
    if invoice["status"] not in ("open", "uncollectible"):
        raise ApiError("The invoice takes no payment any more.")
    if yes:
        method = tx.get(intent["payment_method"], "payment_method")
        return attempt(tx, invoice, method=method, authenticated=True) == SUCCEEDED
    authentication_fail(tx, intent)
    failed(tx, invoice, FAILED, automatic=False)
    return False


def _setup_refused(tx: Session, intent: Obj) -> None:
    method = tx.get(intent["payment_method"], "payment_method")
    error = {
        "code": "setup_intent_authentication_failure",
        "message": "The provided payment method has failed authentication.",
        "payment_method": render(tx, method),
        "type": "invalid_request_error",
    }
    intent |= {
        "last_setup_error": error, "next_action": None, "payment_method": None, "status": "requires_payment_method",
    }  # fmt: skip
    tx.save(intent)
    emit(tx, "setup_intent.setup_failed", intent)


def _reason(params: Params) -> str:
    return params.choice("cancellation_reason", ("abandoned", "requested_by_customer", "duplicate"), "abandoned")
