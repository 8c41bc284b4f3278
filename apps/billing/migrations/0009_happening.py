"""What is told on `billing-events`, and how far the ledger was told there."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0008_mirror")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE billing.posted ADD COLUMN relayed_number bigint NOT NULL DEFAULT 0",
            "ALTER TABLE billing.posted DROP COLUMN relayed_number",
        ),
        migrations.CreateModel(
            "Happening",
            [
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("tenant_id", models.BigIntegerField()),
                ("kind", models.CharField(max_length=32)),
                ("key", models.CharField(max_length=120)),
                ("facts", models.JSONField()),
                ("at", models.DateTimeField()),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("sent_at__isnull", True)), fields=["id"], name="billing_happening_unsent"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("tenant_id", "kind", "key"), name="billing_happening_once")
                ],
            },
        ),
    ]
