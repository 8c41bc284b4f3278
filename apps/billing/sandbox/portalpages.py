"""The hosted billing portal: the card, subscriptions to cancel or keep, invoices to see and pay, name, e-mail, VAT."""

from datetime import UTC, datetime
from html import escape

from apps.billing.sandbox.canceling import ENDED, cancel_at_set
from apps.billing.sandbox.cards import needs_authentication
from apps.billing.sandbox.customers import alive
from apps.billing.sandbox.errors import ApiError, missing
from apps.billing.sandbox.events import updating
from apps.billing.sandbox.forms import FILLED_IN, card_fields, card_from, cards_known, text_field
from apps.billing.sandbox.html import document, money, redirect, table
from apps.billing.sandbox.intents import authentication_form
from apps.billing.sandbox.invoices import pay_now
from apps.billing.sandbox.lines import metered, price_text, product_name
from apps.billing.sandbox.methods import default_set, method_attach
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.payments import intent_of
from apps.billing.sandbox.routes import Page, Request, page
from apps.billing.sandbox.store import Obj, Session
from apps.billing.sandbox.subscriptions import period_of
from apps.billing.sandbox.taxids import tax_id_only

SHOWN_INVOICES = 24


@page("GET", "/portal/{id}")
def portal_show(request: Request) -> Page:
    session, customer = _opened(request)
    return _home(request.tx, session, customer, card=request.params.text("card") or FILLED_IN)


@page("POST", "/portal/{id}/card")
def portal_card(request: Request) -> Page:
    """The new card pays from now on, for every subscription."""
    tx, (session, customer) = request.tx, _opened(request)
    try:
        with tx.all_or_nothing():
            method = card_from(tx, request.params)
            if needs_authentication(method["_behaviour"], authenticated=False):
                session["_method"] = method["id"]
                tx.save(session)
                return authentication_form(f"/portal/{session['id']}/authenticate")
            _card_take(tx, customer, method)
    except ApiError as error:
        customer = tx.get(customer["id"], "customer")
        number = request.params.text("number") or FILLED_IN
        return _home(tx, session, customer, card=number, problem=str(error))
    return _after(session)


@page("POST", "/portal/{id}/authenticate")
def portal_authenticate(request: Request) -> Page:
    tx, (session, customer) = request.tx, _opened(request)
    if request.params.text("answer") != "yes":
        return _home(tx, session, customer, card=FILLED_IN, problem="Your bank did not confirm that it was you.")
    method = tx.get(session.get("_method") or "", "payment_method")
    method["_authenticated"] = True
    tx.save(method)
    _card_take(tx, customer, method)
    return _after(session)


@page("POST", "/portal/{id}/cancel")
def portal_cancel(request: Request) -> Page:
    return _cancel_set(request, "true")


@page("POST", "/portal/{id}/keep")
def portal_keep(request: Request) -> Page:
    return _cancel_set(request, "false")


@page("POST", "/portal/{id}/pay")
def portal_pay(request: Request) -> Page:
    tx, (session, customer) = request.tx, _opened(request)
    invoice = tx.get(request.params.required("invoice"), "invoice")
    if invoice["customer"] != customer["id"]:
        raise missing("invoice", invoice["id"])
    problem = pay_now(tx, invoice)
    if problem is None:
        return redirect(f"/portal/{session['id']}")
    intent = intent_of(tx, invoice)
    if intent and intent["status"] == "requires_action":
        intent["next_action"]["redirect_to_url"]["return_url"] = f"{tx.url}/portal/{session['id']}"
        tx.save(intent)
        return redirect(f"/authenticate/{intent['id']}")
    return _home(tx, session, customer, card=FILLED_IN, problem=str(problem))


@page("POST", "/portal/{id}/details")
def portal_details(request: Request) -> Page:
    tx, (session, customer) = request.tx, _opened(request)
    with updating(tx, customer, "customer.updated"):
        customer["name"] = request.params.text("name")
        customer["email"] = request.params.text("email")
    tax_id_only(tx, customer, (request.params.text("tax_id") or "").strip())
    return redirect(f"/portal/{session['id']}")


def _opened(request: Request) -> tuple[Obj, Obj]:
    session = request.tx.get(request.args["id"], "billing_portal.session")
    return session, alive(request.tx, session["customer"])


def _card_take(tx: Session, customer: Obj, method: Obj) -> None:
    method_attach(tx, method["id"], customer)
    default_set(tx, customer, method)
    for subscription in tx.find("subscription", customer=customer["id"]):
        if subscription["status"] not in ENDED and subscription["default_payment_method"]:
            with updating(tx, subscription, "customer.subscription.updated"):
                subscription["default_payment_method"] = method["id"]


def _cancel_set(request: Request, wanted: str) -> Page:
    tx, (session, customer) = request.tx, _opened(request)
    subscription = tx.get(request.params.required("subscription"), "subscription")
    if subscription["customer"] != customer["id"] or subscription["status"] in ENDED:
        raise missing("subscription", subscription["id"])
    with updating(tx, subscription, "customer.subscription.updated"):
        said = Params({"cancel_at_period_end": wanted})
        cancel_at_set(tx, subscription, said, period_of(tx, subscription)[1])
    return _after(session)


def _after(session: Obj) -> Page:
    """Back to the shop where the session was for one thing only, else to the overview."""
    target = (session["flow"] or {}).get("after_completion", {}).get("redirect")
    return redirect(target["return_url"] if target else f"/portal/{session['id']}")


def _home(tx: Session, session: Obj, customer: Obj, *, card: str, problem: str | None = None) -> Page:
    path = f"/portal/{session['id']}"
    kind = (session["flow"] or {}).get("type")
    said = [f'<p class="bad" role="alert">{escape(problem)}</p>'] if problem else []
    parts = {
        "subscription_cancel": [_subscriptions(tx, customer, path)],
        "payment_method_update": [_card(tx, customer, path, card)],
    }.get(kind or "")
    if parts is None:
        parts = [
            _subscriptions(tx, customer, path), _card(tx, customer, path, card), _invoices(tx, customer, path),
            _details(tx, customer, path),
        ]  # fmt: skip
    back = session["return_url"]
    link = [f'<a class="button quiet" href="{escape(back)}">Back</a>'] if back else []
    return document("Your billing", *said, *parts, *link)


def _subscriptions(tx: Session, customer: Obj, path: str) -> str:
    rows = []
    for subscription in tx.find("subscription", newest_first=True, customer=customer["id"]):
        if subscription["status"] in ENDED:
            continue
        prices = [
            tx.get(item["price"], "price") for item in tx.find("subscription_item", subscription=subscription["id"])
        ]
        names = "<br>".join(
            f"{escape(product_name(tx, price))} {escape(price_text(price))}{' each' if metered(price) else ''}"
            for price in prices
        )
        end = _day(period_of(tx, subscription)[1])
        ends = bool(subscription["cancel_at_period_end"])
        action, label = ("keep", "Keep it") if ends else ("cancel", "Cancel")
        until = f"ends on {end}" if ends else f"{subscription['status'].replace('_', ' ')}, renews on {end}"
        form = (
            f'<form method="post" action="{path}/{action}">'
            f'<input type="hidden" name="subscription" value="{subscription["id"]}">'
            f'<button class="quiet">{label}</button></form>'
        )
        rows.append((f'{names}<br><span class="soft">{until}</span>', form))
    return "<h2>Subscriptions</h2>" + (table(rows) if rows else "<p>There is none.</p>")


def _card(tx: Session, customer: Obj, path: str, number: str) -> str:
    method = tx.maybe(customer["invoice_settings"]["default_payment_method"], "payment_method")
    held = "<p>No card is kept.</p>"
    if method:
        card = method["card"]
        until = f"{card['exp_month']:02}/{card['exp_year'] % 100:02}"
        held = f"<p>{escape(card['brand'].title())} ending in {card['last4']}, expires {until}</p>"
    form = f'<form method="post" action="{path}/card">{card_fields(number)}<button>Use this card</button></form>'
    return f"<h2>Card</h2>{held}{form}{cards_known(path)}"


def _invoices(tx: Session, customer: Obj, path: str) -> str:
    rows = []
    for invoice in tx.find("invoice", newest_first=True, customer=customer["id"])[:SHOWN_INVOICES]:
        if invoice["status"] == "draft":
            continue
        name = f'<a href="{escape(invoice["hosted_invoice_url"])}">{escape(invoice["number"])}</a>'
        state = escape(invoice["status"])
        if invoice["status"] == "open":
            state = (
                f'<form method="post" action="{path}/pay">'
                f'<input type="hidden" name="invoice" value="{invoice["id"]}"><button>Pay now</button></form>'
            )
        rows.append((name, _day(invoice["created"]), state, money(invoice["total"], invoice["currency"])))
    head = ("Invoice", "Date", "State", "Total")
    return "<h2>Invoices</h2>" + (table(rows, head=head) if rows else "<p>There is none.</p>")


def _details(tx: Session, customer: Obj, path: str) -> str:
    held = next(iter(tx.find("tax_id", customer=customer["id"])), None)
    fields = "".join(
        (
            text_field("name", "Name", customer["name"]),
            text_field("email", "E-mail", customer["email"], kind="email"),
            text_field("tax_id", "EU VAT number", held["value"] if held else None),
        )
    )
    button = '<button class="quiet">Save</button>'
    return f'<h2>Details</h2><form method="post" action="{path}/details">{fields}{button}</form>'


def _day(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%-d %b %Y}"
