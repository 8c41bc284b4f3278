"""How the way from usage to money is doing, for Prometheus."""

from apps.core.gauges import gauges_read, gauges_register

VIEW = "billing_health"
MEANINGS = {
    "unposted_s": ("unposted_seconds", "Age of the last hour that the ledger has"),
    "differing": ("differing_hours", "Hours of tenants whose ledger differed from the rollups when last compared"),
    "uncompared_s": ("uncompared_seconds", "Since ledger and rollups were compared"),
    "untold": ("untold_units", "Checks beyond the included ones that Stripe is not known to have heard of"),
    "untold_s": ("untold_seconds", "Age of the oldest of them"),
    "refused": ("refused_rows", "Rows of overage that Stripe refused, of the last 40 days; settling bills them"),
    "unsettled": ("unsettled_periods", "Periods whose correction Stripe has not confirmed"),
    "unsent": ("unsent_happenings", "What billing-events has not been told yet"),
}


def billing_health() -> dict[str, float]:
    """Raises django.db.Error."""
    return gauges_read(VIEW, MEANINGS)


def collector_register() -> None:
    gauges_register("ratelimiter_billing", VIEW, MEANINGS)
