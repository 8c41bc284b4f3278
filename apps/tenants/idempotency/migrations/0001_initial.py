import django.db.models.functions.datetime
from django.db import migrations, models

import apps.core.models
from apps.core.rls import protect


class Migration(migrations.Migration):
    initial = True

    dependencies = [("tenants", "0003_audit")]

    operations = [
        migrations.CreateModel(
            name="IdempotentAnswer",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        db_default=apps.core.models.NextRowId(), editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("tenant_id", models.BigIntegerField(editable=False)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("principal_kind", models.CharField(max_length=8)),
                ("principal_id", models.BigIntegerField()),
                ("key", models.CharField(max_length=255)),
                ("fingerprint", models.CharField(max_length=64)),
                ("status", models.SmallIntegerField()),
                ("sealed", models.TextField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant_id", "principal_kind", "principal_id", "key"),
                        name="tenants_idempotency_answer_once",
                    )
                ],
            },
        ),
        protect("tenants_idempotency_idempotentanswer"),
    ]
