"""The forms of people and organisations. They only parse; the services decide what is valid."""

import struct
from typing import Any
from zoneinfo import available_timezones

from allauth.account import forms as account_forms
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.base import forms as mfa_forms
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn import forms as passkey_forms
from django import forms
from django.utils.functional import lazy

_LABELS = {
    "code": "Code",
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


class CodeForm(PlainFields, mfa_forms.AuthenticateForm):  # type: ignore[misc]
    pass


class CodeAgainForm(PlainFields, mfa_forms.ReauthenticateForm):  # type: ignore[misc]
    pass


class AppForm(PlainFields, ActivateTOTPForm):  # type: ignore[misc]
    pass


_MALFORMED = (ValueError, LookupError, TypeError, AttributeError, struct.error)


class WellFormed:
    """Mixed into allauth's forms of passkeys: what a browser would not send is refused; fido2 stumbles over it."""

    def clean_credential(self) -> Any:
        held = super()
        try:
            return held.clean_credential() if hasattr(held, "clean_credential") else self.cleaned_data["credential"]  # type: ignore[attr-defined]
        except _MALFORMED:
            raise get_mfa_adapter().validation_error("incorrect_code") from None

    def clean(self) -> Any:
        try:
            return super().clean()  # type: ignore[misc]
        except _MALFORMED:
            raise get_mfa_adapter().validation_error("incorrect_code") from None


class PasskeyAddForm(WellFormed, PlainFields, passkey_forms.AddWebAuthnForm):  # type: ignore[misc]
    pass


class PasskeyForm(WellFormed, passkey_forms.AuthenticateWebAuthnForm):  # type: ignore[misc]
    pass


class PasskeyLoginForm(WellFormed, passkey_forms.LoginWebAuthnForm):  # type: ignore[misc]
    pass


class PasskeyAgainForm(WellFormed, passkey_forms.ReauthenticateWebAuthnForm):  # type: ignore[misc]
    pass


class TenantForm(forms.Form):
    name = forms.CharField(max_length=80, label="Name", help_text="What your colleagues call it.")
    timezone = forms.ChoiceField(
        choices=lazy(_zones, list), label="Time zone", initial="UTC", help_text="Times on all pages are shown in it."
    )


ROLES = (
    ("developer", "Developer"), ("admin", "Admin"), ("billing", "Billing"), ("viewer", "Viewer"), ("owner", "Owner"),
)  # fmt: skip


class RoleForm(forms.Form):
    """Without owners where the one who chooses may make none."""

    role = forms.ChoiceField(choices=ROLES, label="Role")

    def __init__(self, *args: Any, with_owner: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = [choice for choice in ROLES if with_owner or choice[0] != "owner"]  # type: ignore[attr-defined]


class InviteForm(RoleForm):
    email = forms.EmailField(max_length=254, label="E-mail", widget=forms.EmailInput(attrs={"autocomplete": "off"}))

    field_order = ["email", "role"]


class JoinForm(forms.Form):
    name = forms.CharField(max_length=80, required=False, label="Your name")
    password = forms.CharField(
        max_length=1_000,
        label="Password",
        strip=False,
        help_text="At least 10 characters, and not a common one.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class OwnershipForm(forms.Form):
    password = forms.CharField(
        max_length=1_000,
        label="Your password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, members: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["member"] = forms.TypedChoiceField(coerce=int, choices=members, label="New owner")
        self.order_fields(["member", "password"])


class DeletionForm(forms.Form):
    name = forms.CharField(
        max_length=200, label="Name of the organisation", widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    password = forms.CharField(
        max_length=1_000,
        label="Your password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class AccountForm(forms.Form):
    name = forms.CharField(
        max_length=80,
        required=False,
        label="Your name",
        help_text="Shown to your colleagues; the e-mail address otherwise.",
    )
