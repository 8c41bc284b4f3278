from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0012_spend_alert")]

    operations = [
        migrations.AddField(
            model_name="account",
            name="ended_by_deletion",
            field=models.BooleanField(
                db_default=False, default=False,
                help_text="It does not renew because the organisation is to be deleted.",
            ),
        ),
        migrations.CreateModel(
            name="KeptInvoice",
            fields=[
                ("id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("tenant_id", models.BigIntegerField()),
                ("number", models.CharField(max_length=64)),
                ("status", models.CharField(max_length=32)),
                ("made_at", models.DateTimeField()),
                ("period_starts_at", models.DateTimeField(null=True)),
                ("period_ends_at", models.DateTimeField(null=True)),
                ("total_cents", models.BigIntegerField()),
                ("paid_cents", models.BigIntegerField()),
                ("credited_cents", models.BigIntegerField()),
            ],
        ),
    ]  # fmt: skip
