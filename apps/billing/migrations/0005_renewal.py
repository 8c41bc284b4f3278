from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0004_account")]

    operations = [
        migrations.AddField(
            "account",
            "renews_at",
            models.DateTimeField(blank=True, null=True, help_text="When the period ends that it is in."),
        ),
        migrations.AddField(
            "account",
            "next_plan_code",
            models.CharField(blank=True, default="", max_length=32, help_text="The plan that begins at the renewal."),
            preserve_default=False,
        ),
    ]
