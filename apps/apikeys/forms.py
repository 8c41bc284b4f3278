"""Making keys, and signing up: the form asks for what a first organisation needs, too."""

from datetime import timedelta
from typing import Any

from allauth.account.forms import SignupForm as AccountSignupForm
from django import forms
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest

from apps.apikeys.models import SCOPES
from apps.tenants.forms import PlainFields

_SCOPE_WORDS = {
    "check": "check: ask whether a request may pass",
    "refund": "refund: give back what a check took",
    "read": "read: read rules and usage",
    "admin": "admin: change rules and keys",
}
_EXPIRES = (("", "Never"), ("7", "In 7 days"), ("30", "In 30 days"), ("90", "In 90 days"), ("365", "In a year"))
_OVERLAPS = (
    ("0", "None: the old key ends now"), ("1", "1 hour"), ("24", "1 day"), ("168", "7 days"), ("720", "30 days"),
)  # fmt: skip


class SignupForm(PlainFields, AccountSignupForm):  # type: ignore[misc]
    """The user, the organisation and its first key appear together or not at all (see accounts.AccountAdapter)."""

    field_order = ["organisation", "email", "password1"]

    organisation = forms.CharField(
        max_length=80, label="Organisation", help_text="Your company, product or team; can be changed."
    )
    timezone = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput(attrs={"data-zone": ""}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].label = "Password"
        self.fields["password1"].help_text = "At least 10 characters, and not a common one."
        self.fields["organisation"].widget.attrs["autocomplete"] = "organization"

    @transaction.atomic
    def save(self, request: HttpRequest) -> AbstractBaseUser:
        user: AbstractBaseUser = super().save(request)
        return user


class KeyForm(forms.Form):
    name = forms.CharField(max_length=64, label="Name", help_text="Where it is used, such as “api-production”.")
    kind = forms.ChoiceField(
        choices=(("test", "Test"), ("live", "Live")), initial="test", label="Counts as", widget=forms.RadioSelect
    )
    scopes = forms.MultipleChoiceField(
        choices=[(scope, _SCOPE_WORDS[scope]) for scope in SCOPES],
        initial=["check"],
        label="May",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one."},
    )
    expires = forms.ChoiceField(choices=_EXPIRES, required=False, label="Ends", help_text="An ended key is refused.")

    def lifetime(self) -> timedelta | None:
        days = self.cleaned_data["expires"]
        return timedelta(days=int(days)) if days else None


class RotateForm(forms.Form):
    overlap = forms.ChoiceField(
        choices=_OVERLAPS, initial="24", label="Both work for", help_text="Time to put the new secret everywhere."
    )

    def duration(self) -> timedelta:
        return timedelta(hours=int(self.cleaned_data["overlap"]))
