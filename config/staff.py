"""The staff pages' sections, in the words of those who use them, and what they look like."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def sheet(_: HttpRequest) -> str:
    return static("staff/staff.css")


def script(_: HttpRequest) -> str:
    return static("staff/staff.js")


def _section(title: str, *items: tuple[str, str, str]) -> dict[str, Any]:
    return {
        "title": title,
        "separator": True,
        "items": [{"title": name, "icon": icon, "link": reverse_lazy(f"admin:{page}")} for name, icon, page in items],
    }


SIDEBAR = {
    "show_search": True,
    "command_search": True,
    "show_all_applications": False,
    "navigation": [
        _section(
            "Customers",
            ("Organisations", "apartment", "tenants_tenant_changelist"),
            ("People", "person", "tenants_user_changelist"),
            ("Memberships", "group", "tenants_membership_changelist"),
            ("E-mail addresses", "mail", "account_emailaddress_changelist"),
        ),
        _section(
            "Of the organisation that was picked",
            ("Rules", "rule", "limits_rule_changelist"),
            ("Overrides", "tune", "limits_override_changelist"),
            ("Shards", "grid_view", "limits_sharding_changelist"),
            ("API keys", "key", "apikeys_apikey_changelist"),
            ("Channels", "notifications", "notifications_channel_changelist"),
            ("Deliveries", "send", "notifications_delivery_changelist"),
            ("Audit log", "history", "tenants_audit_auditentry_changelist"),
        ),
        _section(
            "Money",
            ("Business", "monitoring", "billing_business"),
            ("Plans", "sell", "plans_plan_changelist"),
            ("Plans of organisations", "assignment", "plans_tenantplan_changelist"),
            ("Accounts at Stripe", "account_balance", "billing_account_changelist"),
            ("Credits and refunds", "redeem", "billing_giving_changelist"),
        ),
        _section(
            "Running it",
            ("Capacity", "speed", "billing_capacity"),
            ("Announcements", "campaign", "notifications_house_announcement_changelist"),
            ("Cells", "database", "tenants_cell_changelist"),
        ),
    ],
}
