"""What one may write on these pages: that something was deployed, and whether identifiers are kept readable."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms

from apps.core.errors import Invalid

MAX_MARKER = 80


class MarkerForm(forms.Form):
    text = forms.CharField(
        max_length=MAX_MARKER, label="What was deployed", widget=forms.TextInput(attrs={"placeholder": "v2.14.0"})
    )
    at = forms.DateTimeField(
        label="When",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
        help_text="Left out: now.",
    )

    def __init__(self, data: Any = None, *, zone: ZoneInfo, now: datetime) -> None:
        super().__init__(data, auto_id="marker_%s")
        self._now = now
        self.fields["at"].help_text = f"In {zone.key}; left out: now."

    def moment(self) -> datetime:
        """Raises Invalid for a time to come."""
        at: datetime = self.cleaned_data["at"] or self._now
        if at > self._now:
            raise Invalid("The time is not valid.", fields={"at": "Must not be in the future."})
        return at


class PrivacyForm(forms.Form):
    pseudonymise = forms.BooleanField(
        required=False,
        label="Pseudonymise identifiers",
        help_text="Of addresses, users and attributes only a keyed digest is kept, and what was readable is"
        " forgotten. Routes stay readable.",
    )
