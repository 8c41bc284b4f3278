"""The sentence editor's form. It turns text into a RuleSpec and back; what is valid, specs and services decide."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.functional import lazy

from apps.core.errors import Invalid
from apps.core.forms import errors_take
from apps.limits.algorithms import ALGORITHMS
from apps.limits.attribute_lines import attribute_read, attribute_write
from apps.limits.models import LEASED
from apps.limits.sentences import FAILURE_WORDS, window_parts
from apps.limits.specs import RuleSpec, spec_verify, zones

TYPE_WORDS = {
    "global": "everyone together",
    "ip": "each IP address",
    "route": "each route",
    "user": "each user",
    "custom": "each combination of…",
}
ACTION_WORDS = {"limit": "Limit", "allow": "Always let pass", "deny": "Always refuse"}
UNIT_WORDS = [("second", "s"), ("minute", "min"), ("hour", "h"), ("day", "d")]
CALENDAR_UNITS = {"calendar_day": "day", "calendar_month": "month"}
_UNIT_MS = {"second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
STAND_INS: dict[str, Any] = {
    "name": "name", "type": "global", "key": "", "limit": 1, "window_count": 1, "window_unit": "minute", "burst": None,
    "algorithm": "sliding_window", "mode": "enforce", "on_failure": "local", "routes": [], "ips": [], "users": [],
    "attributes": {}, "priority": 0, "namespace": "default", "enabled": True, "action": "limit", "zone": "UTC",
    "anchor": 1, "breaches": None, "within_count": None, "within_unit": "minute", "block_count": None,
    "block_unit": "minute", "lease": None,
}  # fmt: skip
# Where the services' field names are not this form's.
FIELD_NAMES = {
    "window": "window_count",
    "window_ms": "window_count",
    "calendar_zone": "zone",
    "calendar_anchor": "anchor",
    "calendar_unit": "window_unit",
    "escalation_breaches": "breaches",
    "escalation_within_ms": "within_count",
    "escalation_block_ms": "block_count",
    "match.routes": "routes",
    "match.ips": "ips",
    "match.users": "users",
    "match.attributes": "attributes",
}


class LockedSelect(forms.Select):
    """Choices that the plan does not include are there to be seen, and name the plan that includes them."""

    locked: Mapping[str, str] = {}

    def create_option(self, name: str, value: Any, label: int | str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, label, *args, **kwargs)
        plan = self.locked.get(str(value))
        if plan:
            option["label"] = f"{label} ({plan} plan)"
            option["attrs"]["disabled"] = True
        return option


class LinesField(forms.CharField):
    """One entry a line."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.Textarea(attrs={"rows": 3, "class": "mono", "spellcheck": "false"})
        super().__init__(required=False, widget=widget, **kwargs)

    def clean(self, value: Any) -> list[str]:
        text = super().clean(value)
        return [line.strip() for line in text.splitlines() if line.strip()]


class AttributesField(LinesField):
    """`plan is pro`, `plan in pro, team`, `path starts with /v1`, one a line."""

    def clean(self, value: Any) -> Any:
        conditions: dict[str, Any] = {}
        for line in super().clean(value):
            name, condition = attribute_read(line)
            if name in conditions:
                raise forms.ValidationError(f"“{name}” stands here twice; list the values in one line.")
            conditions[name] = condition
        return conditions


def _zone_choices() -> list[tuple[str, str]]:
    """UTC first, then Region/City; the legacy names without a slash are left out."""
    cities = sorted(name for name in zones() if "/" in name and not name.startswith("Etc/"))
    return [("UTC", "UTC"), *((name, name.replace("_", " ")) for name in cities)]


def number(**attributes: Any) -> forms.NumberInput:
    return forms.NumberInput(attrs={"inputmode": "numeric", "min": 1, **attributes})


class RuleForm(forms.Form):
    name = forms.CharField(max_length=64, label="Name", help_text="Stands in headers and answers: a-z, 0-9, - and _.")
    action = forms.ChoiceField(
        required=False, choices=list(ACTION_WORDS.items()), label="What it does", initial="limit"
    )
    type = forms.ChoiceField(choices=list(TYPE_WORDS.items()), label="Counted for", widget=LockedSelect)
    key = forms.CharField(
        required=False,
        label="Count each combination of",
        help_text="Separated by commas: ip, route, user, attributes.<name>. For example: user, attributes.model",
    )
    limit = forms.IntegerField(required=False, label="Limit", widget=number())
    window_count = forms.IntegerField(required=False, label="Window", min_value=1, widget=number())
    window_unit = forms.ChoiceField(
        choices=[*UNIT_WORDS, ("calendar_day", "calendar day"), ("calendar_month", "calendar month")],
        label="Unit",
        initial="minute",
    )
    zone = forms.ChoiceField(required=False, choices=lazy(_zone_choices, list), label="Time zone", initial="UTC")
    anchor = forms.IntegerField(required=False, min_value=1, max_value=31, label="Day of the month", widget=number())
    algorithm = forms.ChoiceField(
        choices=[(words.code, words.title) for words in ALGORITHMS], label="Counted by", widget=forms.RadioSelect
    )
    burst = forms.IntegerField(
        required=False, min_value=1, label="Burst",
        widget=number(placeholder="as the limit"),
    )  # fmt: skip
    mode = forms.ChoiceField(
        choices=[("enforce", "deny"), ("shadow", "only record it (shadow)")], label="When exceeded"
    )
    on_failure = forms.ChoiceField(choices=list(FAILURE_WORDS.items()), label="If our store cannot be reached")
    breaches = forms.IntegerField(required=False, min_value=1, label="Denials", widget=number())
    within_count = forms.IntegerField(required=False, min_value=1, label="Within", widget=number())
    within_unit = forms.ChoiceField(required=False, choices=UNIT_WORDS, label="Unit of within", initial="minute")
    block_count = forms.IntegerField(required=False, min_value=1, label="Block for", widget=number())
    block_unit = forms.ChoiceField(required=False, choices=UNIT_WORDS, label="Unit of the block", initial="minute")
    routes = LinesField(
        label="Only on these routes",
        help_text="“POST /v1/chat” or “/v1/chat”; * is one segment, a closing /** any rest.",
    )
    ips = LinesField(label="Only from these addresses", help_text="Addresses or blocks such as 203.0.113.0/24.")
    users = LinesField(label="Only for these users", help_text="Exact ids.")
    attributes = AttributesField(
        label="Only with these attributes",
        help_text="“plan is pro”, “plan in pro, team” or “plan starts with pr”; all lines must hold.",
    )
    priority = forms.IntegerField(
        required=False, label="Priority", help_text="Higher goes first when more than 10 rules fit. 0 if left empty."
    )
    namespace = forms.CharField(
        required=False,
        max_length=64,
        label="Namespace",
        help_text="A separate group of rules; “default” if left empty.",
    )
    lease = forms.IntegerField(
        required=False, min_value=1, label="Lease", widget=number(placeholder="none"),
        help_text="Units that a door process may take ahead for one busy key, so that most of its checks need not ask "
        "our store. At most a tenth of the limit, for limits of 100 and more, and only where every rule that a check "
        "meets has a lease. In a window never more than the limit passes; of a token bucket, at most lease × number "
        "of door processes units a key may be used later than they were taken.",
    )  # fmt: skip
    enabled = forms.BooleanField(required=False, label="Enabled")

    def clean(self) -> dict[str, Any]:
        """Says everything at once: what cannot be read, and what can be read but cannot be a rule."""
        if self.cleaned_data.get("action") in ("", "limit"):
            self._require("limit", *(() if self._calendar_unit() else ("window_count",)))
        unread = set(self.errors)
        if unread & {"limit", "window_count", "window_unit", "algorithm"}:
            unread |= {"burst", "lease"}  # nobody can say whether they fit
        try:
            spec_verify(self.spec())
        except Invalid as error:
            fields = error.fields.items()
            readable = {field: text for field, text in fields if FIELD_NAMES.get(field, field) not in unread}
            if readable:
                errors_take(self, Invalid(error.detail, fields=readable), FIELD_NAMES)
        return self.cleaned_data

    def spec(self, *, ipv6_prefix: int = 64) -> RuleSpec:
        """What could not be read stands in as the starting value; after `is_valid` there is no such thing."""
        data = STAND_INS | {name: value for name, value in self.cleaned_data.items() if value is not None}
        data["action"] = data["action"] or "limit"
        match = {part: data[part] for part in ("routes", "ips", "users", "attributes") if data[part]}
        common = {
            "name": data["name"],
            "namespace": data["namespace"] or "default",
            "match": match,
            "priority": data["priority"] or 0,
            "enabled": data["enabled"],
            "ipv6_prefix": ipv6_prefix,
            "action": data["action"],
        }
        return RuleSpec(**common | (self._counting(data) if data["action"] == "limit" else {}))

    def _counting(self, data: dict[str, Any]) -> dict[str, Any]:
        """What only a rule that limits has; what its algorithm has no use for stays out."""
        is_custom = data["type"] == "custom"
        unit = self._calendar_unit()
        counting = {
            "type": data["type"],
            "key": tuple(part.strip() for part in data["key"].split(",") if part.strip()) if is_custom else None,
            "limit": data["limit"],
            "window_ms": 0 if unit else data["window_count"] * _UNIT_MS[data["window_unit"]],
            "algorithm": data["algorithm"],
            "burst": (data["burst"] or 0) if data["algorithm"] == "token_bucket" else 0,
            "mode": data["mode"],
            "on_failure": data["on_failure"],
            "lease": (data["lease"] or 0) if data["algorithm"] in LEASED else 0,
        }
        if unit:
            anchor = data["anchor"] if unit == "month" else 1
            counting |= {"calendar_unit": unit, "calendar_zone": data["zone"] or "UTC", "calendar_anchor": anchor}
        if data["breaches"] and data["algorithm"] != "concurrency":
            counting |= {
                "escalation_breaches": data["breaches"],
                "escalation_within_ms": (data["within_count"] or 0) * _UNIT_MS[data["within_unit"] or "minute"],
                "escalation_block_ms": (data["block_count"] or 0) * _UNIT_MS[data["block_unit"] or "minute"],
            }
        return counting

    def _calendar_unit(self) -> str:
        return CALENDAR_UNITS.get(self.cleaned_data.get("window_unit", ""), "")

    def _require(self, *names: str) -> None:
        for name in names:
            if name in self.cleaned_data and self.cleaned_data[name] is None:
                self.add_error(name, "This field is required.")


def rule_initial(rule: Any) -> dict[str, Any]:
    """The form's values for a rule as it is."""
    names = ("name", "action", "type", "algorithm", "mode", "on_failure", "priority", "namespace", "enabled")
    initial = {name: getattr(rule, name) for name in names}
    lines = {part: "\n".join(rule.match.get(part, ())) for part in ("routes", "ips", "users")}
    attributes = rule.match.get("attributes", {})
    return {
        **initial,
        **lines,
        "attributes": "\n".join(attribute_write(name, condition) for name, condition in attributes.items()),
        "key": ", ".join(rule.key) if rule.type == "custom" else "",
        "limit": rule.limit or None,
        "burst": rule.burst or None,
        "lease": rule.lease or None,
        **_window_initial(rule),
        **_escalation_initial(rule),
    }


def _window_initial(rule: Any) -> dict[str, Any]:
    if rule.calendar_unit:
        unit = f"calendar_{rule.calendar_unit}"
        return {"window_unit": unit, "zone": rule.calendar_zone, "anchor": rule.calendar_anchor}
    if rule.is_gate:
        return {"window_count": 1, "window_unit": "minute", "zone": "UTC"}
    count, unit = window_parts(rule.window_ms)
    return {"window_count": count, "window_unit": unit, "zone": "UTC"}


def _escalation_initial(rule: Any) -> dict[str, Any]:
    if not rule.escalation_breaches:
        return {"within_unit": "minute", "block_unit": "minute"}
    within_count, within_unit = window_parts(rule.escalation_within_ms)
    block_count, block_unit = window_parts(rule.escalation_block_ms)
    return {
        "breaches": rule.escalation_breaches, "within_count": within_count, "within_unit": within_unit,
        "block_count": block_count, "block_unit": block_unit,
    }  # fmt: skip
