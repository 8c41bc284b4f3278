"""Billing portal sessions over the API. `portalpages` shows the portal."""

from apps.billing.sandbox.customers import alive
from apps.billing.sandbox.errors import invalid
from apps.billing.sandbox.events import emit
from apps.billing.sandbox.ids import new_id
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.routes import Request, route
from apps.billing.sandbox.store import Obj, Session

CONFIGURATION = "bpc_1Sandbox000000000"
FLOWS = ("payment_method_update", "subscription_cancel", "subscription_update")


@route("POST", "/v1/billing_portal/sessions")
def portal_session_create(request: Request) -> Obj:
    tx, params = request.tx, request.params
    customer = alive(tx, params.required("customer"), param="customer")
    params.ignore("configuration", "locale")
    ident = new_id("billing_portal.session")
    session = {
        "id": ident,
        "object": "billing_portal.session",
        "configuration": CONFIGURATION,
        "created": int(tx.real_now),
        "customer": customer["id"],
        "customer_account": None,
        "flow": _flow(tx, params) if params.given("flow_data") else None,
        "livemode": False,
        "locale": None,
        "on_behalf_of": None,
        "return_url": params.url("return_url"),
        "url": f"{tx.url}/portal/{ident}",
    }
    tx.add(session)
    emit(tx, "billing_portal.session.created", session)
    return session


@route("GET", "/v1/billing_portal/configurations")
def configuration_list(request: Request) -> Obj:
    request.params.ignore("limit", "active", "is_default", "starting_after", "ending_before")
    return {"object": "list", "url": request.path, "has_more": False, "data": [_configuration()]}


@route("POST", "/v1/billing_portal/configurations")
def configuration_create(request: Request) -> Obj:
    """There is one configuration; what is asked for is accepted and has no effect."""
    request.params.ignore("features", "business_profile", "default_return_url", "metadata", "login_page", "name")
    return _configuration()


@route("GET", "/v1/billing_portal/configurations/{id}")
def configuration_retrieve(request: Request) -> Obj:
    if request.args["id"] != CONFIGURATION:
        raise invalid(f"No such configuration: '{request.args['id']}'", code="resource_missing")
    return _configuration()


def _flow(tx: Session, params: Params) -> Obj:
    data = params.child("flow_data")
    kind = data.choice("type", FLOWS, data.required("type"))
    after = data.child("after_completion")
    after_kind = after.choice("type", ("redirect", "hosted_confirmation", "portal_homepage"), "portal_homepage")
    target = after.child("redirect").url("return_url") if after_kind == "redirect" else None
    subscription = None
    if kind.startswith("subscription_"):
        ident = data.child(kind).required("subscription")
        subscription = {
            "subscription": tx.get(ident, "subscription", param=f"flow_data[{kind}]")["id"],
            "retention": None,
        }
    return {
        "after_completion": {
            "hosted_confirmation": None,
            "redirect": {"return_url": target} if target else None,
            "type": after_kind,
        },
        "subscription_cancel": subscription if kind == "subscription_cancel" else None,
        "subscription_update": subscription if kind == "subscription_update" else None,
        "subscription_update_confirm": None,
        "type": kind,
    }


def _configuration() -> Obj:
    return {
        "id": CONFIGURATION,
        "object": "billing_portal.configuration",
        "active": True,
        "application": None,
        "business_profile": {"headline": None, "privacy_policy_url": None, "terms_of_service_url": None},
        "created": 1_700_000_000,
        "default_return_url": None,
        "features": {
            "customer_update": {"allowed_updates": ["email", "name"], "enabled": True},
            "invoice_history": {"enabled": True},
            "payment_method_update": {"enabled": True, "payment_method_configuration": None},
            "subscription_cancel": {
                "cancellation_reason": {"enabled": False, "options": []}, "enabled": True, "mode": "at_period_end",
                "proration_behavior": "none",
            },
            "subscription_update": {
                "billing_cycle_anchor": None, "default_allowed_updates": [], "enabled": False,
                "proration_behavior": "none", "schedule_at_period_end": {"conditions": []},
                "trial_update_behavior": "end_trial",
            },
        },
        "is_default": True,
        "livemode": False,
        "login_page": {"enabled": False, "url": None},
        "metadata": {},
        "name": None,
        "updated": 1_700_000_000,
    }  # fmt: skip
