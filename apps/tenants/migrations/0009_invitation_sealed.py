"""Addresses of those who are invited are sealed; that nobody is asked twice is told by a keyed digest."""

from django.db import migrations, models

import apps.core.sealing
from apps.core.sealing import blind_index, seal, unseal


def addresses_seal(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT id, email FROM public.tenants_invitation")
        for row_id, email in cursor.fetchall():
            cursor.execute(
                "UPDATE public.tenants_invitation SET email = %s, email_digest = %s WHERE id = %s",
                [seal(email), blind_index("invitation", email.lower()), row_id],
            )


def addresses_open(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT id, email FROM public.tenants_invitation")
        for row_id, email in cursor.fetchall():
            cursor.execute("UPDATE public.tenants_invitation SET email = %s WHERE id = %s", [unseal(email), row_id])


class Migration(migrations.Migration):
    dependencies = [("tenants", "0008_login_sessions")]

    operations = [
        migrations.RemoveConstraint("invitation", "tenants_invitation_one_open"),
        migrations.AlterField("invitation", "email", apps.core.sealing.SealedTextField()),
        migrations.AddField(
            "invitation",
            "email_digest",
            models.CharField(
                max_length=64, default="", help_text="So that nobody is asked twice: core.sealing.blind_index."
            ),
            preserve_default=False,
        ),
        migrations.RunPython(addresses_seal, addresses_open),
        migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE", migrations.RunSQL.noop),
        migrations.AddConstraint(
            "invitation",
            models.UniqueConstraint(
                fields=["tenant", "email_digest"],
                name="tenants_invitation_one_open",
                condition=models.Q(accepted_at__isnull=True, revoked_at__isnull=True),
            ),
        ),
    ]
