"""Every kind of notice there is, in one table. Its texts are a folder of templates/mail, named like the code with _ for
“.”: subject.txt (the fact and the number), line.txt (one sentence, for chats, SMS and the inbox), text.txt, body.html.

`fields` are what its texts need; whoever notifies gives exactly these. `roles` hear of it by default, by `media`;
webhooks and whatever else a tenant connects get it where `media` names them. `path` is a URL's name under
/t/<slug>/, where the one button leads. What is not mutable is sent whatever the preferences say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from apps.core.errors import NotFound

QUOTA_WARNING = "quota.warning"
QUOTA_EXCEEDED = "quota.exceeded"
LIMIT_VIOLATIONS = "limit.violations"
LIMIT_NEAR = "limit.near"
SERVICE_DEGRADED = "service.degraded"
SYSTEM_ALERT = "system.alert"
SYSTEM_UPDATE = "system.update"
PAYMENT_FAILED = "billing.payment_failed"
RECEIPT = "billing.receipt"
RENEWAL = "billing.renewal"
TRIAL_ENDING = "billing.trial_ending"
CREDIT = "billing.credit"
SPEND_ALERT = "billing.spend"
PLAN_CHANGED = "billing.plan_changed"
KEY_EXPIRING = "key.expiring"
KEY_LEAKED = "key.leaked"
MEMBER_INVITED = "member.invited"
USAGE_WEEKLY = "usage.weekly"
CHANNEL_DISABLED = "channel.disabled"
CHANNEL_TEST = "channel.test"
CHANNEL_CODE = "channel.code"
TESTS = (CHANNEL_TEST, CHANNEL_CODE)  # of one channel, which need not be confirmed for them


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"  # quiet hours do not hold it


_EVERYBODY = frozenset({"owner", "admin", "developer", "billing", "viewer"})
_MAKERS = frozenset({"owner", "admin", "developer"})
_MANAGERS = frozenset({"owner", "admin"})
_PAYERS = frozenset({"owner", "billing"})
_CHATS = frozenset({"email", "inbox", "slack", "teams", "webhook"})
_LOUD = _CHATS | {"pagerduty", "sms"}
_MAIL = frozenset({"email", "inbox", "webhook"})
_SHOWN = frozenset({"inbox", "slack", "teams", "webhook"})


@dataclass(frozen=True, slots=True)
class Kind:
    code: str
    severity: Severity
    label: str
    about: str
    roles: frozenset[str]
    media: frozenset[str]
    fields: Mapping[str, type]
    path: str
    word: str
    example: Mapping[str, Any]
    is_mutable: bool = True
    is_listed: bool = True  # in matrix, inbox and catalogue

    @property
    def folder(self) -> str:
        return self.code.replace(".", "_")


def _quota(code: str, severity: Severity, label: str, about: str, media: frozenset[str], threshold: int) -> Kind:
    return Kind(
        code, severity, label, about, _EVERYBODY - {"viewer"}, media,
        {"threshold": int, "used": int, "included": int, "plan": str, "ends_on": str, "days_left": int, "after": str},
        "limits:plan", "See usage and plans",
        {"threshold": threshold, "used": threshold * 10_000 + 3_114, "included": 1_000_000, "plan": "Startup",
         "ends_on": "30 November 2026", "days_left": 6, "after": "Every further 100,000 checks cost $5."},
    )  # fmt: skip


_TABLE = (
    _quota(
        QUOTA_WARNING, Severity.WARNING, "Quota at 80 and 90 %", "When 80 and 90 % of a period's checks are used.",
        _CHATS, 90,
    ),
    _quota(
        QUOTA_EXCEEDED, Severity.CRITICAL, "Quota used up", "When all included checks of a period are used.", _LOUD, 100
    ),
    Kind(
        LIMIT_VIOLATIONS, Severity.WARNING, "Many denials", "When a rule, or one caller, is denied unusually often.",
        _MAKERS, _CHATS, {"rule": str, "rule_id": int, "denied": int, "minutes": int, "caller": str},
        "analytics:offenders", "See who is hitting you",
        {"rule": "user-rpm", "rule_id": 4_711, "denied": 5_204, "minutes": 10, "caller": "u_911"},
    ),
    Kind(
        LIMIT_NEAR, Severity.INFO, "Close to a limit", "When a caller has used most of a rule's limit for a while.",
        _MAKERS, frozenset({"inbox", "webhook"}), {"rule": str, "rule_id": int, "percent": int, "caller": str},
        "limits:rules", "See the rules", {"rule": "user-rpm", "rule_id": 4_711, "percent": 92, "caller": "u_911"},
        is_listed=False,  # until somebody says it: rollups do not know how full a caller's counters are
    ),
    Kind(
        SERVICE_DEGRADED, Severity.CRITICAL, "Degraded answers",
        "When checks were answered without our store, by each rule's failure policy.",
        _MAKERS, _LOUD, {"checks": int, "degraded": int, "minutes": int}, "analytics:overview", "Open the overview",
        {"checks": 88_310, "degraded": 1_204, "minutes": 3},
    ),
    Kind(
        SYSTEM_ALERT, Severity.CRITICAL, "Incidents of ours", "When something of ours does not work as it should.",
        _EVERYBODY, _CHATS, {"title": str, "body": str, "state": str}, "analytics:overview", "Open the overview",
        {"title": "Checks in eu-1 answer slowly", "body": "We see p99 of 40 ms since 10:02 UTC and are moving load.",
         "state": "investigating"},
    ),
    Kind(
        SYSTEM_UPDATE, Severity.INFO, "Incidents that end, and maintenance",
        "When an incident of ours is being watched or is over, and before planned work.",
        _EVERYBODY, _CHATS, {"title": str, "body": str, "state": str}, "analytics:overview", "Open the overview",
        {"title": "Checks in eu-1 answer slowly", "body": "p99 is back at 3 ms since 10:31 UTC.", "state": "resolved"},
    ),
    Kind(
        PAYMENT_FAILED, Severity.CRITICAL, "Payment failed", "When a payment did not go through.", _PAYERS, _MAIL,
        {"amount": str, "reason": str, "retry_on": str, "after": str}, "billing:invoices", "Update the card",
        {"amount": "$199.00", "reason": "The card was declined.", "retry_on": "1 December 2026",
         "after": "After three failed tries the plan changes to Free."}, is_mutable=False,
    ),
    Kind(
        RECEIPT, Severity.INFO, "Receipts", "When an invoice was paid.", _PAYERS, _MAIL,
        {"amount": str, "number": str, "period": str}, "billing:invoices", "Open the invoices",
        {"amount": "$199.00", "number": "RL-2026-0042", "period": "1 to 30 November 2026"},
    ),
    Kind(
        RENEWAL, Severity.INFO, "Renewals", "Before a plan renews.", _PAYERS, _MAIL,
        {"plan": str, "amount": str, "renews_on": str}, "billing:bill", "Open the bill",
        {"plan": "Professional", "amount": "$199.00", "renews_on": "1 December 2026"},
    ),
    Kind(
        TRIAL_ENDING, Severity.WARNING, "A trial that ends", "Three days before a trial is over.", _PAYERS, _MAIL,
        {"plan": str, "ends_on": str, "then": str, "rules": list, "retention_days": int, "webhooks": bool},
        "billing:plans", "See the plans",
        {"plan": "Professional trial", "ends_on": "1 December 2026", "then": "Free", "rules": ["burst-guard"],
         "retention_days": 7, "webhooks": True},
    ),
    Kind(
        CREDIT, Severity.INFO, "Credits and refunds", "When we give you money back.", _PAYERS, _MAIL,
        {"amount": str, "reason": str, "invoice": str}, "billing:invoices", "Open the invoices",
        {"amount": "$12.50", "reason": "an hour of 503s on 3 March", "invoice": ""},
    ),
    Kind(
        SPEND_ALERT, Severity.WARNING, "Spend alerts",
        "When checks beyond the included ones cost as much as you asked to hear of.", _PAYERS | _MANAGERS, _CHATS,
        {"threshold": str, "amount": str, "checks": int, "plan": str, "ends_on": str}, "billing:bill", "Open the bill",
        {"threshold": "$50.00", "amount": "$51.25", "checks": 1_025_000, "plan": "Startup",
         "ends_on": "30 November 2026"},
    ),
    Kind(
        PLAN_CHANGED, Severity.INFO, "Plan changes", "When the plan changes.", _PAYERS | _MANAGERS, _MAIL,
        {"before": str, "plan": str, "starts_on": str}, "limits:plan", "Open the plan",
        {"before": "Startup", "plan": "Professional", "starts_on": "28 November 2026"},
    ),
    Kind(
        KEY_EXPIRING, Severity.WARNING, "Keys that end soon", "14, 3 and 1 days before an API key ends.", _MAKERS,
        _CHATS, {"name": str, "masked": str, "key_id": int, "ends_on": str, "days_left": int},
        "apikeys:keys", "Open the keys",
        {"name": "api-production", "masked": "rl_live_8fK2…x9Qa", "key_id": 812, "ends_on": "1 December 2026",
         "days_left": 3},
    ),
    Kind(
        KEY_LEAKED, Severity.CRITICAL, "Leaked keys", "When one of your API keys was found in public and was revoked.",
        _MAKERS, _LOUD, {"name": str, "masked": str, "key_id": int, "found_at": str}, "apikeys:keys", "Make a new key",
        {"name": "api-production", "masked": "rl_live_8fK2…x9Qa", "key_id": 812,
         "found_at": "https://github.com/acme/app/blob/main/.env"}, is_mutable=False,
    ),
    Kind(
        MEMBER_INVITED, Severity.INFO, "Invitations", "When somebody is invited to the organisation.", _MANAGERS,
        frozenset({"inbox", "webhook"}), {"email": str, "role": str, "by": str}, "tenants:team", "Open the team",
        {"email": "sam@example.com", "role": "developer", "by": "mina@example.com"},
    ),
    Kind(
        USAGE_WEEKLY, Severity.INFO, "Weekly summary", "Every Monday: the week's checks and denials.",
        frozenset({"owner"}), frozenset({"email"}),
        {"week": str, "checks": int, "denied": int, "before": int, "rules": list},
        "analytics:traffic", "Open the traffic",
        {"week": "16 to 22 November 2026", "checks": 6_204_118, "denied": 88_310, "before": 5_910_022,
         "rules": [["user-rpm", 61_204], ["login-by-ip", 20_118]]},
    ),
    Kind(
        CHANNEL_DISABLED, Severity.WARNING, "Channels that were switched off",
        "When a channel failed so often that it was switched off.", _MANAGERS, frozenset({"email", "inbox"}),
        {"channel": str, "label": str, "failures": int, "reason": str}, "notifications:channels", "Open the channels",
        {"channel": "Production", "label": "https://example.com/hooks", "failures": 10, "reason": "HTTP 500"},
        is_mutable=False,
    ),
    Kind(
        CHANNEL_TEST, Severity.CRITICAL, "Test", "When somebody asks for a test message.", frozenset(), frozenset(),
        {"channel": str, "by": str}, "notifications:channels", "Open the channels",
        {"channel": "Production", "by": "mina@example.com"}, is_mutable=False, is_listed=False,
    ),
    Kind(
        CHANNEL_CODE, Severity.CRITICAL, "Code", "When an address has to be confirmed.", frozenset(), frozenset(),
        {"channel": str, "by": str}, "notifications:channels", "Enter the code",
        {"channel": "Night shift", "by": "mina@example.com"}, is_mutable=False, is_listed=False,
    ),
)  # fmt: skip

KINDS = {kind.code: kind for kind in _TABLE}
LISTED = [kind for kind in _TABLE if kind.is_listed]


class ContextWrong(TypeError):
    """A room notifies with other fields than the kind has: a mistake in the code."""


def kind_get(code: str) -> Kind:
    """Raises NotFound."""
    try:
        return KINDS[code]
    except KeyError:
        raise NotFound(f"there is no kind of notice “{code}”") from None


def context_verify(kind: Kind, context: Mapping[str, Any]) -> None:
    """Raises ContextWrong."""
    missing, surplus = kind.fields.keys() - context.keys(), context.keys() - kind.fields.keys()
    wrong = [name for name, type_ in kind.fields.items() if name in context and not isinstance(context[name], type_)]
    if missing or surplus or wrong:
        raise ContextWrong(
            f"{kind.code}: missing {sorted(missing)}, surplus {sorted(surplus)}, of a wrong type {wrong}"
        )
