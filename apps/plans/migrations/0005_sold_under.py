from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("plans", "0004_term")]

    operations = [
        migrations.AddField(
            "term",
            "sold_under",
            models.CharField(
                blank=True, default="", help_text="The subscription. Empty: it was given.", max_length=64
            ),
            preserve_default=False,
        ),
    ]
