"""The plans of the price list."""

from django.db import migrations

PLANS = [
    {
        "code": "free",
        "name": "Free",
        "price_cents": 0,
        "included_checks": 100_000,
        "rule_types": ["global"],
        "retention_days": 7,
        "support": "Community",
    },
    {
        "code": "startup",
        "name": "Startup",
        "price_cents": 4_900,
        "included_checks": 1_000_000,
        "overage_cents": 500,
        "rule_types": ["global", "ip", "route", "user"],
        "retention_days": 30,
        "support": "E-mail, 48 h",
        "sla_percent": "99",
    },
    {
        "code": "professional",
        "name": "Professional",
        "price_cents": 19_900,
        "included_checks": 10_000_000,
        "overage_cents": 300,
        "rule_types": ["global", "ip", "route", "user", "custom"],
        "retention_days": 90,
        "webhooks": True,
        "support": "E-mail and chat, 12 h",
        "sla_percent": "99.9",
    },
    {
        "code": "enterprise",
        "name": "Enterprise",
        "price_cents": 199_900,
        "price_is_from": True,
        "included_checks": 100_000_000,
        "overage_is_negotiated": True,
        "rule_types": ["global", "ip", "route", "user", "custom"],
        "retention_days": 365,
        "webhooks": True,
        "custom_integrations": True,
        "support": "Account manager, 4 h",
        "sla_percent": "99.95",
    },
]


def seed(apps, schema_editor):
    plan = apps.get_model("plans", "Plan")
    for values in PLANS:
        plan.objects.get_or_create(code=values["code"], defaults=values)


class Migration(migrations.Migration):
    dependencies = [("plans", "0001_initial")]
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
