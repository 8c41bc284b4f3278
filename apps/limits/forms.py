"""The sentence editor's form. It turns text into a RuleSpec and back; what is valid, specs and services decide."""

import json
from collections.abc import Mapping
from typing import Any

from django import forms

from apps.core.errors import Invalid
from apps.core.forms import errors_take
from apps.limits.algorithms import ALGORITHMS
from apps.limits.sentences import FAILURE_WORDS, window_parts
from apps.limits.specs import RuleSpec, spec_verify

TYPE_WORDS = {
    "global": "everyone together",
    "ip": "each IP address",
    "route": "each route",
    "user": "each user",
    "custom": "each combination of…",
}
_UNIT_MS = {"second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
STAND_INS: dict[str, Any] = {
    "name": "name", "type": "global", "key": "", "limit": 1, "window_count": 1, "window_unit": "minute", "burst": None,
    "algorithm": "sliding_window", "mode": "enforce", "on_failure": "local", "routes": [], "ips": [], "users": [],
    "attributes": {}, "priority": 0, "namespace": "default", "enabled": True,
}  # fmt: skip
# Where the services' field names are not this form's.
FIELD_NAMES = {
    "window": "window_count",
    "window_ms": "window_count",
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


class RuleForm(forms.Form):
    name = forms.CharField(max_length=64, label="Name", help_text="Stands in headers and answers: a-z, 0-9, - and _.")
    type = forms.ChoiceField(choices=list(TYPE_WORDS.items()), label="Counted for", widget=LockedSelect)
    key = forms.CharField(
        required=False,
        label="Count each combination of",
        help_text="Separated by commas: ip, route, user, attributes.<name>. For example: user, attributes.model",
    )
    limit = forms.IntegerField(label="Limit", widget=forms.NumberInput(attrs={"inputmode": "numeric", "min": 1}))
    window_count = forms.IntegerField(
        label="Window", min_value=1, widget=forms.NumberInput(attrs={"inputmode": "numeric", "min": 1})
    )
    window_unit = forms.ChoiceField(
        choices=[("second", "s"), ("minute", "min"), ("hour", "h"), ("day", "d")], label="Unit", initial="minute"
    )
    algorithm = forms.ChoiceField(
        choices=[(words.code, words.title) for words in ALGORITHMS], label="Counted by", widget=forms.RadioSelect
    )
    burst = forms.IntegerField(
        required=False, min_value=1, label="Burst",
        widget=forms.NumberInput(attrs={"inputmode": "numeric", "min": 1, "placeholder": "as the limit"}),
    )  # fmt: skip
    mode = forms.ChoiceField(
        choices=[("enforce", "deny"), ("shadow", "only record it (shadow)")], label="When exceeded"
    )
    on_failure = forms.ChoiceField(choices=list(FAILURE_WORDS.items()), label="If our store cannot be reached")
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
    enabled = forms.BooleanField(required=False, label="Enabled")

    def clean(self) -> dict[str, Any]:
        """Says everything at once: what cannot be read, and what can be read but cannot be a rule."""
        unread = set(self.errors)
        if unread & {"limit", "window_count", "window_unit", "algorithm"}:
            unread.add("burst")  # nobody can say whether it fits
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
        data = STAND_INS | self.cleaned_data
        match = {part: data[part] for part in ("routes", "ips", "users", "attributes") if data[part]}
        is_custom = data["type"] == "custom"
        return RuleSpec(
            name=data["name"],
            type=data["type"],
            limit=data["limit"],
            window_ms=data["window_count"] * _UNIT_MS[data["window_unit"]],
            namespace=data["namespace"] or "default",
            match=match,
            key=tuple(part.strip() for part in data["key"].split(",") if part.strip()) if is_custom else None,
            algorithm=data["algorithm"],
            burst=(data["burst"] or 0) if data["algorithm"] == "token_bucket" else 0,
            mode=data["mode"],
            on_failure=data["on_failure"],
            priority=data["priority"] or 0,
            enabled=data["enabled"],
            ipv6_prefix=ipv6_prefix,
        )


def rule_initial(rule: Any) -> dict[str, Any]:
    """The form's values for a rule as it is."""
    count, unit = window_parts(rule.window_ms)
    initial = {
        name: getattr(rule, name)
        for name in ("name", "type", "limit", "algorithm", "mode", "on_failure", "priority", "namespace", "enabled")
    }
    lines = {part: "\n".join(rule.match.get(part, ())) for part in ("routes", "ips", "users")}
    attributes = rule.match.get("attributes", {})
    return {
        **initial,
        **lines,
        "attributes": "\n".join(attribute_write(name, condition) for name, condition in attributes.items()),
        "key": ", ".join(rule.key) if rule.type == "custom" else "",
        "window_count": count,
        "window_unit": unit,
        "burst": rule.burst or None,
    }


_OPERATORS = {" starts with ": "prefix", " in ": "in", " is ": "equals"}


def attribute_read(line: str) -> tuple[str, Any]:
    """(name, condition as apps.limits.matches takes it). Raises ValidationError naming the line."""
    try:
        name, operator, value = _condition_parts(line)
        values = _values_read(value) if operator == "in" else [_value_read(value)]
    except ValueError as error:
        raise forms.ValidationError(f"“{line}” is not a condition: {error}") from None
    return name, {operator: values if operator == "in" else values[0]}


def attribute_write(name: str, condition: Mapping[str, Any]) -> str:
    """What `attribute_read` reads back as the same condition."""
    if any(separator in f" {name} " for separator in _OPERATORS):
        name = _quoted(name)
    name = _value_write(name) if not name.startswith('"') else name
    if "equals" in condition:
        return f"{name} is {_value_write(condition['equals'])}"
    if "prefix" in condition:
        return f"{name} starts with {_value_write(condition['prefix'])}"
    return f"{name} in {', '.join(map(_value_write, condition['in']))}"


def _condition_parts(line: str) -> tuple[str, str, str]:
    """(name, operator, text of the value); the first separator outside of a quoted name divides."""
    line = line.strip()
    quoted_end = _quoted_end(line)
    found = [(at, separator) for separator in _OPERATORS if (at := line.find(separator, quoted_end)) >= 0]
    if not found:
        raise ValueError("write “plan is pro”, “plan in pro, team” or “plan starts with pr”.")
    at, separator = min(found)
    return _value_read(line[:at]), _OPERATORS[separator], line[at + len(separator) :]


def _quoted_end(text: str) -> int:
    return json.JSONDecoder().raw_decode(text)[1] if text.startswith('"') else 0


def _value_write(value: str) -> str:
    """In quotes, as JSON has them, where it would be misread without."""
    plain = value == value.strip() and value and value.isprintable() and not set(value) & set(',"\\')
    return value if plain else _quoted(value)


def _quoted(value: str) -> str:
    """On one line, whatever is in it."""
    return json.dumps(value, ensure_ascii=not value.isprintable())


def _value_read(text: str) -> str:
    text = text.strip()
    if not text:
        raise ValueError("a name or a value is missing.")
    return str(json.loads(text)) if text.startswith('"') else text


def _values_read(text: str) -> list[str]:
    """Divided by commas outside of quotes."""
    values = []
    while text := text.strip():
        end = _quoted_end(text)
        comma = text.find(",", end)
        part, text = (text, "") if comma < 0 else (text[:comma], text[comma + 1 :])
        if part.strip():
            values.append(_value_read(part))
    if not values:
        raise ValueError("a value is missing.")
    return values
