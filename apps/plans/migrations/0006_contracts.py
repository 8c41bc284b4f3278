"""Plans that are not on the price list: contracts for one tenant, and the trial."""

import django.db.models.deletion
from django.db import migrations, models

TRIAL = {
    "name": "Professional trial",
    "price_cents": 0,
    "included_checks": 100_000,
    "rule_types": ["global", "ip", "route", "user", "custom"],
    "retention_days": 90,
    "webhooks": True,
    "support": "E-mail and chat, 12 h",
    "is_listed": False,
    "lasts_days": 14,
}


def seed(apps, schema_editor):
    apps.get_model("plans", "Plan").objects.get_or_create(code="trial", defaults=TRIAL)


class Migration(migrations.Migration):
    dependencies = [("plans", "0005_sold_under"), ("tenants", "0001_initial")]

    operations = [
        migrations.AddField(
            "plan",
            "is_listed",
            models.BooleanField(default=True, help_text="Everybody sees it and may buy it."),
        ),
        migrations.AddField(
            "plan",
            "lasts_days",
            models.PositiveIntegerField(blank=True, help_text="A trial ends after so long.", null=True),
        ),
        migrations.CreateModel(
            "Contract",
            [
                (
                    "plan",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="contract",
                        serialize=False,
                        to="plans.plan",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="tenants.tenant"
                    ),
                ),
                (
                    "term_months",
                    models.PositiveIntegerField(help_text="It cannot be left before so many months are over."),
                ),
            ],
        ),
        migrations.RunPython(seed, migrations.RunPython.noop),
    ]
