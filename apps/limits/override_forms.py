"""The forms of a rule's overrides. What is valid, overrides.py and override_services.py decide."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils import timezone

from apps.core.errors import Invalid
from apps.core.forms import errors_take
from apps.limits.forms import number
from apps.limits.override_lines import MAX_BYTES, LinesInvalid, overrides_read
from apps.limits.overrides import MAX_NOTE, OverrideSpec, override_verify
from apps.limits.selectors import OverrideInfo, RuleInfo
from apps.limits.sentences import dimension_words

EFFECTS = [("limit", "limit to"), ("blocked", "block"), ("unlimited", "let pass without counting")]
_HELP = {
    "ip": "An address, a block such as 203.0.113.0/24, or * for any.",
    "user": "An exact id, a beginning such as vip-*, or * for any.",
}
_HELP_REST = "An exact value, a beginning such as abc*, or * for any."


class OverrideForm(forms.Form):
    """One field `value_<n>` per dimension of the rule."""

    effect = forms.ChoiceField(choices=EFFECTS, label="Effect", initial="limit")
    limit = forms.IntegerField(required=False, label="Limit", widget=number())
    burst = forms.IntegerField(required=False, min_value=1, label="Burst", widget=number(placeholder="as the limit"))
    expires_at = forms.DateTimeField(
        required=False,
        label="Until",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    note = forms.CharField(
        required=False, max_length=MAX_NOTE, label="Note", help_text="Why, for whoever reads this at night."
    )

    def __init__(self, rule: RuleInfo, *args: Any, now: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rule, self._now = rule, now
        self._names = {f"values.{position}": f"value_{position}" for position in range(len(rule.key))}
        for position, dimension in enumerate(rule.key):
            self.fields[f"value_{position}"] = forms.CharField(
                label=dimension_words(dimension).capitalize() if "." not in dimension else dimension_words(dimension),
                max_length=300,
                strip=True,
                help_text=_HELP.get(dimension, _HELP_REST),
                widget=forms.TextInput(attrs={"class": "mono", "spellcheck": "false", "autocapitalize": "none"}),
            )
        if rule.algorithm != "token_bucket":
            del self.fields["burst"]
        self.fields["expires_at"].help_text = f"Empty: for good. In the zone {timezone.get_current_timezone_name()}."

    @property
    def value_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self._names.values()]

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if data.get("effect") == "limit" and "limit" in data and not data["limit"]:
            self.add_error("limit", "Say how many; to allow nothing, choose “block”.")
        if data.get("expires_at") and data["expires_at"] <= self._now:
            self.add_error("expires_at", "This lies in the past.")
        if not self.errors:
            try:
                override_verify(self.spec(), self._rule)
            except Invalid as error:
                self.refuse(error)
        return data

    def refuse(self, error: Invalid) -> None:
        """What the service says, beside its field."""
        errors_take(self, error, self._names)

    def spec(self) -> OverrideSpec:
        data = self.cleaned_data
        limit = {"limit": data["limit"], "blocked": 0, "unlimited": None}[data["effect"]]
        burst = (data.get("burst") or 0) if data["effect"] == "limit" else 0
        values = tuple(data[name] for name in self._names.values())
        return OverrideSpec(values, limit, burst, data["expires_at"], data["note"])


def override_initial(held: OverrideInfo) -> dict[str, Any]:
    """The form's values for an override as it is."""
    effect = "unlimited" if held.limit is None else "limit" if held.limit else "blocked"
    values = {f"value_{position}": value for position, value in enumerate(held.values)}
    return {
        "effect": effect, "limit": held.limit or None, "burst": held.burst or None, "expires_at": held.expires_at,
        "note": held.note, **values,
    }  # fmt: skip


class ImportForm(forms.Form):
    """`read()` is there after `is_valid`."""

    lines = forms.CharField(
        required=False,
        strip=False,
        label="Lines",
        widget=forms.Textarea(attrs={"rows": 10, "class": "mono", "spellcheck": "false"}),
    )
    file = forms.FileField(required=False, label="Or a CSV file", help_text="In UTF-8.")
    prune = forms.BooleanField(required=False, label="Replace the whole list")

    def __init__(self, rule: RuleInfo, *args: Any, zone: ZoneInfo, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rule, self._zone = rule, zone
        self.problems: list[tuple[int, str]] = []
        self._read: list[tuple[int, OverrideSpec]] = []

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        try:
            text = self._text(data)
            self._read = overrides_read(text, dimensions=len(self._rule.key), zone=self._zone)
        except UnicodeDecodeError:
            self.add_error("file", "This file is not UTF-8.")
        except LinesInvalid as error:
            self.refuse(error.problems)
        else:
            if not self._read and not data.get("prune"):
                self.add_error("lines", "There is no line here.")
        return data

    def specs(self) -> list[OverrideSpec]:
        return [spec for _, spec in self._read]

    def line_of(self, position: int) -> int:
        return self._read[position][0]

    def refuse(self, problems: Any) -> None:
        """(line, sentence) each."""
        self.problems = sorted(problems)
        count = len(self.problems)
        self.add_error("lines", f"{count:,} line{'' if count == 1 else 's'} cannot be taken; nothing was saved.")

    def _text(self, data: dict[str, Any]) -> str:
        file = data.get("file")
        if file is None:
            return str(data.get("lines") or "")
        if file.size > MAX_BYTES:
            raise LinesInvalid([(1, f"more than {MAX_BYTES:,} bytes")])
        return str(file.read().decode("utf-8-sig"))
