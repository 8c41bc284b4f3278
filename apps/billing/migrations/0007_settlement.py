from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("billing", "0006_changing")]

    operations = [
        migrations.AddField(
            "account",
            "settle_at",
            models.DateTimeField(
                blank=True, null=True, help_text="When a period may have ended that is unsettled."
            ),
        ),
        migrations.CreateModel(
            "Settlement",
            [
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("tenant_id", models.BigIntegerField()),
                ("period_at", models.DateTimeField()),
                ("billed_cents", models.BigIntegerField()),
                ("charged_cents", models.BigIntegerField()),
                ("made_at", models.DateTimeField(db_default=Now())),
                (
                    "done_at",
                    models.DateTimeField(
                        blank=True, null=True, help_text="When Stripe had the correction, if one was needed."
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=["tenant_id", "period_at"], name="billing_settlement_one_a_period"
                    )
                ]
            },
        ),
    ]
