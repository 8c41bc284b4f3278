"""The forms of people and organisations. They only parse; the services decide what is valid."""

from typing import Any
from zoneinfo import available_timezones

from allauth.account.forms import LoginForm as AccountLoginForm
from django import forms
from django.utils.functional import lazy


def _zones() -> list[tuple[str, str]]:
    """UTC first, then Region/City; the legacy names without a slash are left out."""
    return [("UTC", "UTC")] + [
        (name, name.replace("_", " "))
        for name in sorted(available_timezones())
        if "/" in name and not name.startswith("Etc/")
    ]


class LoginForm(AccountLoginForm):  # type: ignore[misc]
    """Labels stand above the fields, so nothing is repeated inside them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = "E-mail"
        self.fields["password"].help_text = ""
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)


class TenantForm(forms.Form):
    name = forms.CharField(max_length=80, label="Name", help_text="What your colleagues call it.")
    timezone = forms.ChoiceField(
        choices=lazy(_zones, list), label="Time zone", initial="UTC", help_text="Times on all pages are shown in it."
    )


class AccountForm(forms.Form):
    name = forms.CharField(
        max_length=80,
        required=False,
        label="Your name",
        help_text="Shown to your colleagues; the e-mail address otherwise.",
    )
