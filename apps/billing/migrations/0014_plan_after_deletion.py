from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0013_deletion")]

    operations = [
        migrations.AddField(
            model_name="account",
            name="plan_after_deletion",
            field=models.CharField(
                blank=True, db_default="", max_length=32,
                help_text="The plan that was to begin, should it be taken back.",
            ),
        ),
    ]  # fmt: skip
