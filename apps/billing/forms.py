"""What a tenant may say about its bills."""

from decimal import Decimal, InvalidOperation

from django import forms


class AlertsForm(forms.Form):
    alerts = forms.CharField(
        required=False,
        max_length=120,
        label="Tell me at",
        help_text="US dollars a period for checks beyond the included ones, up to five amounts: 10, 50, 200.",
        widget=forms.TextInput(attrs={"placeholder": "never"}),
    )

    def clean_alerts(self) -> list[int]:
        """Cents."""
        parts = [part.strip().lstrip("$") for part in self.cleaned_data["alerts"].replace(";", ",").split(",")]
        try:
            return [int(Decimal(part) * 100) for part in parts if part]
        except (InvalidOperation, ValueError, OverflowError):
            raise forms.ValidationError("Amounts in dollars, with commas between them: 10, 50, 200.") from None


class ContactForm(forms.Form):
    email = forms.EmailField(
        max_length=254,
        label="Invoices go to",
        help_text="Stripe sends invoices and receipts to this address, and writes it on them.",
    )
