"""What a tenant may say about its plan."""

from django import forms


class SpendCapForm(forms.Form):
    spend_cap = forms.DecimalField(
        required=False,
        min_value=0,
        max_digits=9,
        decimal_places=2,
        label="Spend cap",
        help_text="US dollars a period for checks beyond the included ones. Empty: no cap.",
        widget=forms.NumberInput(attrs={"inputmode": "decimal", "min": 0, "step": "any", "placeholder": "no cap"}),
    )

    def cents(self) -> int | None:
        value = self.cleaned_data["spend_cap"]
        return None if value is None else int(value * 100)
