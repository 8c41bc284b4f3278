"""Connecting a channel and changing it: what every channel has, and what its medium asks for."""

from typing import Any

from django import forms

from apps.notifications.channels.base import Medium
from apps.notifications.kinds import LISTED

_TIME = forms.TimeInput(attrs={"type": "time"}, format="%H:%M")


class ChannelForm(forms.Form):
    name = forms.CharField(max_length=80, label="Name", help_text="How you call it, such as “On call”.")
    kinds = forms.MultipleChoiceField(
        choices=[(kind.code, kind.label) for kind in LISTED], required=False, label="Hears of",
        widget=forms.CheckboxSelectMultiple,
    )  # fmt: skip
    quiet_from = forms.CharField(required=False, max_length=5, label="Quiet from", widget=_TIME)
    quiet_until = forms.CharField(required=False, max_length=5, label="Quiet until", widget=_TIME)

    def __init__(self, *args: Any, medium: Medium, is_new: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked = medium.fields if is_new else ()
        for field in self.asked:
            self.fields[field.name] = forms.CharField(
                max_length=2_000, label=field.label, help_text=field.help,
                widget=forms.TextInput(attrs={"placeholder": field.placeholder, "autocomplete": "off"}),
            )  # fmt: skip
        if not medium.is_quietable:
            del self.fields["quiet_from"], self.fields["quiet_until"]
        if is_new:
            self.initial.setdefault("kinds", [kind.code for kind in LISTED if medium.code in kind.media])

    def values(self) -> dict[str, str]:
        """What the medium asked for."""
        return {field.name: self.cleaned_data[field.name] for field in self.asked}

    def asked_fields(self) -> list[forms.BoundField]:
        return [self[field.name] for field in self.asked]


class CodeForm(forms.Form):
    code = forms.CharField(
        max_length=12, label="Code", help_text="Six digits, valid for 15 minutes.",
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "one-time-code"}),
    )  # fmt: skip


class UrlForm(forms.Form):
    url = forms.CharField(max_length=2_000, label="New URL", help_text="The keys stay; it is tested anew.")
