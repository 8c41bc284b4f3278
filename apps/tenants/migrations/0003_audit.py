"""The heads of audit chains, and what keeps tables that are only appended to from anything else."""

import django.db.models.deletion
from django.db import migrations, models

# Grants say the same; this is for who gets a grant too many. The owner moves and deletes tenants.
APPEND_ONLY = """
CREATE FUNCTION public.append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT pg_has_role(current_user, (SELECT relowner FROM pg_catalog.pg_class WHERE oid = TG_RELID), 'USAGE') THEN
    RAISE insufficient_privilege USING MESSAGE = format('%s is only appended to', TG_TABLE_NAME);
  END IF;
  IF TG_OP = 'UPDATE' THEN RETURN NEW; END IF;
  IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
  RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('tenants', '0002_scope'),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditHead',
            fields=[
                ('tenant', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='+', serialize=False, to='tenants.tenant')),
                ('seq', models.BigIntegerField()),
                ('prev_hash', models.CharField(max_length=64)),
                ('hash', models.CharField(max_length=64)),
            ],
        ),
        migrations.RunSQL(APPEND_ONLY, "DROP FUNCTION public.append_only()"),
    ]
