"""The hosted checkout: what is bought, what is due today, and a card field that is filled in already."""

from datetime import UTC, datetime
from html import escape

from apps.billing.sandbox.cards import needs_authentication
from apps.billing.sandbox.checkout import bought, quote
from apps.billing.sandbox.clock import timer_at
from apps.billing.sandbox.collect import attempt, open_error
from apps.billing.sandbox.customers import customer_add
from apps.billing.sandbox.errors import ApiError
from apps.billing.sandbox.events import emit, updating
from apps.billing.sandbox.forms import FILLED_IN, card_fields, card_from, cards_known, text_field
from apps.billing.sandbox.html import document, money, notice, redirect, table
from apps.billing.sandbox.intents import authentication_form, setup_confirm
from apps.billing.sandbox.methods import method_attach
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.routes import Page, Request, page
from apps.billing.sandbox.store import Obj, Session
from apps.billing.sandbox.taxids import TYPES, tax_id_add


@page("GET", "/checkout/{id}")
def checkout_show(request: Request) -> Page:
    session = request.tx.get(request.args["id"], "checkout.session")
    return _over(session) or _form(request.tx, session, card=request.params.text("card") or FILLED_IN)


@page("POST", "/checkout/{id}")
def checkout_pay(request: Request) -> Page:
    tx, params = request.tx, request.params
    session = tx.get(request.args["id"], "checkout.session")
    over = _over(session)
    if over:
        return over
    try:
        with tx.all_or_nothing():
            method = card_from(tx, params) if params.given("number") else None
            typed = {name: params.text(name) for name in ("email", "name", "tax_type", "tax_value")}
            asks = method and needs_authentication(method["_behaviour"], authenticated=False)
            if method and asks:
                session |= {"_method": method["id"], "_typed": typed}
                tx.save(session)
                return authentication_form(f"/checkout/{session['id']}/authenticate")
            _complete(tx, session, method, typed, authenticated=False)
    except ApiError as error:
        session = tx.get(session["id"], "checkout.session")
        return _form(tx, session, card=params.text("number") or FILLED_IN, problem=str(error))
    return _over(session) or redirect(session["success_url"])


@page("POST", "/checkout/{id}/authenticate")
def checkout_authenticate(request: Request) -> Page:
    tx, session = request.tx, request.tx.get(request.args["id"], "checkout.session")
    over = _over(session)
    if over:
        return over
    method = tx.get(session["_method"] or "", "payment_method")
    if request.params.text("answer") != "yes":
        return _form(tx, session, card=FILLED_IN, problem="Your bank did not confirm that it was you.")
    try:
        with tx.all_or_nothing():
            method["_authenticated"] = True
            tx.save(method)
            _complete(tx, session, method, session["_typed"], authenticated=True)
    except ApiError as error:
        return _form(tx, tx.get(session["id"], "checkout.session"), card=FILLED_IN, problem=str(error))
    return _over(session) or redirect(session["success_url"])


def _complete(
    tx: Session, session: Obj, method: Obj | None, typed: dict[str, str | None], *, authenticated: bool
) -> None:
    """Raises ApiError; the caller takes everything back then."""
    customer = tx.maybe(session["customer"], "customer")
    if customer is None:
        email = session["customer_email"] or typed["email"]
        customer = customer_add(tx, Params({"email": email or "", "name": typed["name"] or ""}))
        session["customer"] = customer["id"]
    if session["tax_id_collection"]["enabled"] and typed["tax_type"] and typed["tax_value"]:
        tax_id_add(tx, customer, kind=typed["tax_type"], value=typed["tax_value"])
    if session["mode"] == "setup":
        _setup(tx, session, customer, method, authenticated=authenticated)
    else:
        _buy(tx, session, customer, method, authenticated=authenticated)
    session |= {
        "status": "complete",
        "url": None,
        "customer_details": {
            "address": customer["address"], "business_name": None, "email": customer["email"] or typed["email"],
            "individual_name": None, "name": customer["name"] or typed["name"], "phone": customer["phone"],
            "tax_exempt": customer["tax_exempt"], "tax_ids": [],
        },
    }  # fmt: skip
    timer_at(tx, session, "session_expire", None)
    tx.save(session)
    emit(tx, "checkout.session.completed", session)


def _setup(tx: Session, session: Obj, customer: Obj, method: Obj | None, *, authenticated: bool) -> None:
    if method is None:
        raise ApiError("A card is needed here.", status=402)
    intent = tx.get(session["setup_intent"], "setup_intent")
    intent |= {"payment_method": method["id"], "customer": customer["id"]}
    setup_confirm(tx, intent, authenticated=authenticated)


def _buy(tx: Session, session: Obj, customer: Obj, method: Obj | None, *, authenticated: bool) -> None:
    if method:
        method_attach(tx, method["id"], customer)
    elif session["payment_method_collection"] == "always" or session["amount_total"]:
        raise ApiError("A card is needed here.", status=402)
    subscription = bought(tx, session, customer, method)
    invoice = tx.maybe(subscription["latest_invoice"], "invoice")
    if invoice and invoice["status"] == "open":
        outcome = attempt(tx, invoice, method=method, authenticated=authenticated)
        error = open_error(tx, invoice, outcome)
        if error:
            raise error
    due = invoice["amount_paid"] if invoice else 0
    session |= {
        "subscription": subscription["id"],
        "invoice": invoice["id"] if invoice else None,
        "payment_status": "paid" if due else "no_payment_required",
    }
    with updating(tx, customer, "customer.updated"):
        customer["name"] = customer["name"] or (method["billing_details"]["name"] if method else None)


def _over(session: Obj) -> Page | None:
    if session["status"] == "complete":
        return redirect(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"]))
    if session["status"] == "expired":
        return notice("This checkout has expired", "Go back to the shop and start again.", status=410)
    return None


def _form(tx: Session, session: Obj, *, card: str, problem: str | None = None) -> Page:
    due = quote(tx, session) if session["mode"] == "subscription" else None
    path = f"/checkout/{session['id']}"
    customer = tx.maybe(session["customer"], "customer")
    email = customer["email"] if customer else session["customer_email"]
    fields = text_field("email", "E-mail", email, kind="email", required=True) if not email else ""
    fields += card_fields(card) + text_field("name", "Name on the card", customer["name"] if customer else None)
    if session["tax_id_collection"]["enabled"]:
        options = "".join(f'<option value="{kind}">{escape(label)}</option>' for kind, label in TYPES.items())
        fields += f'<label for="tax_type">Tax ID</label><select id="tax_type" name="tax_type">{options}</select>'
        fields += text_field("tax_value", "Tax ID number (may stay empty)", None)
    button = "Save card" if due is None else "Start trial" if due["trial_end"] else "Subscribe"
    if due and due["total"]:
        button = f"Pay {money(due['total'], due['currency'])} and subscribe"
    said = f'<p class="bad" role="alert">{escape(problem)}</p>' if problem else ""
    back = f'<a class="button quiet" href="{escape(session["cancel_url"])}">Cancel</a>' if session["cancel_url"] else ""
    form = f'{said}<form method="post" action="{path}">{fields}<button>{escape(button)}</button>{back}</form>'
    title = "Save a card" if due is None else "Subscribe"
    return document(title, *([_bill(due)] if due else []), form, cards_known(path))


def _bill(due: Obj) -> str:
    rows = [(escape(line["text"] or ""), money(line["amount"], due["currency"])) for line in due["lines"]]
    if due["subtotal"] != due["total"]:
        rows.append(("Discounts and credit", money(due["total"] - due["subtotal"], due["currency"])))
    rows.append(("Due today", money(due["total"], due["currency"])))
    until = ""
    if due["trial_end"]:
        until = f'<p class="soft">Free until {datetime.fromtimestamp(due["trial_end"], UTC):%-d %B %Y}.</p>'
    return table(rows, last_is_sum=True) + until
