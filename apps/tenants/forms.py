"""The forms of people and organisations. They only parse; the services decide what is valid."""

from typing import Any
from zoneinfo import available_timezones

from allauth.account import forms as account_forms
from django import forms
from django.utils.functional import lazy

_LABELS = {
    "login": "E-mail",
    "email": "E-mail",
    "oldpassword": "Current password",
    "password1": "New password",
    "password2": "New password, again",
}


def _zones() -> list[tuple[str, str]]:
    """UTC first, then Region/City; the legacy names without a slash are left out."""
    return [("UTC", "UTC")] + [
        (name, name.replace("_", " "))
        for name in sorted(available_timezones())
        if "/" in name and not name.startswith("Etc/")
    ]


class PlainFields:
    """Mixed into allauth's forms: labels in our words above the fields, nothing repeated inside them."""

    fields: dict[str, forms.Field]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs.pop("placeholder", None)
            field.label = _LABELS.get(name, field.label)
            if name in ("login", "password", "oldpassword"):
                field.help_text = ""  # the page says where to go when it is forgotten


class LoginForm(PlainFields, account_forms.LoginForm):  # type: ignore[misc]
    pass


class AddEmailForm(PlainFields, account_forms.AddEmailForm):  # type: ignore[misc]
    pass


class ResetPasswordForm(PlainFields, account_forms.ResetPasswordForm):  # type: ignore[misc]
    pass


class ResetPasswordKeyForm(PlainFields, account_forms.ResetPasswordKeyForm):  # type: ignore[misc]
    pass


class ChangePasswordForm(PlainFields, account_forms.ChangePasswordForm):  # type: ignore[misc]
    pass


class ReauthenticateForm(PlainFields, account_forms.ReauthenticateForm):  # type: ignore[misc]
    pass


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
