"""The one account there is, its events and its webhook endpoints."""

from apps.billing.sandbox.errors import missing
from apps.billing.sandbox.events import API_VERSION
from apps.billing.sandbox.ids import new_id, word
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.render import Extra, listing
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.settings import Settings
from apps.billing.sandbox.store import Obj, Session

ACCOUNT = "acct_1Sandbox000000000"
COUNTRY = "US"
NAME = "Ratelimiter (test mode)"
OWN_ENDPOINT = "we_1FromTheEnvironment000000"


@route("GET", "/v1/account")
def account_retrieve(_: Request) -> Obj:
    return account()


@route("GET", "/v1/accounts")
def account_list(request: Request) -> Obj:
    request.params.ignore("limit", "starting_after", "ending_before", "created")
    return {"object": "list", "url": "/v1/accounts", "has_more": False, "data": [account()]}


@route("GET", "/v1/accounts/{id}")
def account_by_id(request: Request) -> Obj:
    if request.args["id"] != ACCOUNT:
        raise missing("account", request.args["id"])
    return account()


def account() -> Obj:
    return {
        "id": ACCOUNT,
        "object": "account",
        "business_profile": {"name": NAME, "mcc": None, "support_email": None, "support_phone": None, "url": None},
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "country": COUNTRY,
        "created": 1_700_000_000,
        "default_currency": "usd",
        "details_submitted": True,
        "email": None,
        "metadata": {},
        "payouts_enabled": True,
        "settings": {
            "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
            "card_payments": {
                "statement_descriptor_prefix": None,
                "statement_descriptor_prefix_kana": None,
                "statement_descriptor_prefix_kanji": None,
            },
            "dashboard": {"display_name": NAME, "timezone": "Etc/UTC"},
            "payments": {"statement_descriptor": "RATELIMITER"},
        },
        "type": "standard",
    }


@route("GET", "/v1/events")
def event_list(request: Request) -> Obj:
    params = request.params
    extra: Extra = []
    kind, kinds = params.text("type"), params.texts("types")
    if kind and kind.endswith("*"):
        extra.append(("json_extract(data, '$.type') GLOB ?", [kind]))
    elif kind or kinds:
        names = [kind] if kind else kinds
        extra.append((f"json_extract(data, '$.type') IN ({','.join('?' * len(names))})", list(names)))
    if params.given("delivery_success"):
        waiting = "EXISTS (SELECT 1 FROM delivery WHERE event = object.id)"
        extra.append((f"{'NOT ' * params.boolean('delivery_success')}{waiting}", []))
    return listing(request.tx, params, "event", url="/v1/events", extra=extra)


@route("GET", "/v1/events/{id}")
def event_retrieve(request: Request) -> Obj:
    return request.tx.get(request.args["id"], "event")


@route("POST", "/v1/webhook_endpoints")
def endpoint_create(request: Request) -> Obj:
    """The secret is in this answer and in no other."""
    params = request.params
    params.ignore("connect", "api_version")
    made = _endpoint(
        new_id("webhook_endpoint"),
        url=_url(params),
        enabled=params.texts("enabled_events") or ["*"],
        secret=f"whsec_{word(32)}",
    )
    made |= {"description": params.text("description"), "metadata": params.metadata()}
    request.tx.add(made)
    return made | {"secret": made["_secret"]}


@route("GET", "/v1/webhook_endpoints")
def endpoint_list(request: Request) -> Obj:
    return listing(request.tx, request.params, "webhook_endpoint", url="/v1/webhook_endpoints")


@route("GET", "/v1/webhook_endpoints/{id}")
def endpoint_retrieve(request: Request) -> Obj:
    return request.tx.get(request.args["id"], "webhook_endpoint")


@route("POST", "/v1/webhook_endpoints/{id}")
def endpoint_update(request: Request) -> Obj:
    endpoint, params = request.tx.get(request.args["id"], "webhook_endpoint"), request.params
    if params.has("url"):
        endpoint["url"] = _url(params)
    if params.has("enabled_events"):
        endpoint["enabled_events"] = params.texts("enabled_events")
    if params.has("disabled"):
        endpoint["status"] = "disabled" if params.boolean("disabled") else "enabled"
    if params.has("description"):
        endpoint["description"] = params.text("description")
    endpoint["metadata"] = params.metadata(endpoint["metadata"])
    request.tx.save(endpoint)
    return endpoint


@route("DELETE", "/v1/webhook_endpoints/{id}")
def endpoint_delete(request: Request) -> Obj:
    endpoint = request.tx.get(request.args["id"], "webhook_endpoint")
    request.tx.remove(endpoint["id"])
    request.tx.connection.execute("DELETE FROM delivery WHERE endpoint = ?", (endpoint["id"],))
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


def own_endpoint_set(tx: Session, settings: Settings) -> None:
    """The endpoint that the environment names, if it does; kept over restarts under one id."""
    held = tx.maybe(OWN_ENDPOINT)
    if settings.webhook_url is None:
        if held:
            tx.remove(OWN_ENDPOINT)
        return
    assert settings.webhook_secret
    made = _endpoint(OWN_ENDPOINT, url=settings.webhook_url, enabled=["*"], secret=settings.webhook_secret)
    if held:
        held |= made
        tx.save(held)
    else:
        tx.add(made)


def _endpoint(ident: str, *, url: str, enabled: list[str], secret: str) -> Obj:
    return {
        "id": ident,
        "object": "webhook_endpoint",
        "api_version": API_VERSION,
        "application": None,
        "created": 1_700_000_000,
        "description": None,
        "enabled_events": enabled,
        "livemode": False,
        "metadata": {},
        "status": "enabled",
        "url": url,
        "_secret": secret,
    }


def _url(params: Params) -> str:
    params.required("url")
    return params.url("url") or ""
