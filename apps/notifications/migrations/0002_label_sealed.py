"""Labels have people's addresses: they are sealed like the secret beside them. Backwards they are opened again."""

from django.db import migrations

import apps.core.sealing
from apps.core.sealing import seal, unseal


def _each(schema_editor, change):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT id, label FROM notifications_channel WHERE label <> ''")
        for row_id, label in cursor.fetchall():
            cursor.execute("UPDATE notifications_channel SET label = %s WHERE id = %s", [change(label), row_id])


def labels_seal(apps, schema_editor):
    _each(schema_editor, seal)


def labels_open(apps, schema_editor):
    _each(schema_editor, unseal)


class Migration(migrations.Migration):
    dependencies = [("notifications", "0001_initial")]

    operations = [
        migrations.AlterField("channel", "label", apps.core.sealing.SealedTextField(blank=True)),
        migrations.RunPython(labels_seal, labels_open),
    ]
