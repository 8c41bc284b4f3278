from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0005_renewal")]

    operations = [
        migrations.AddField(
            "account",
            "changing_until",
            models.DateTimeField(blank=True, null=True, help_text="While Stripe is asked to change the plan."),
        ),
    ]
