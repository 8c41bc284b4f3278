
import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0011_health'),
    ]

    operations = [
        migrations.CreateModel(
            name='Contact',
            fields=[
                ('id', models.TextField(primary_key=True, serialize=False)),
                ('tenant_id', models.BigIntegerField()),
                ('email', models.TextField()),
                ('tax_ids', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
            ],
            options={
                'db_table': 'billing_contact',
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='SpendAlert',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('tenant_id', models.BigIntegerField()),
                ('cents', models.PositiveIntegerField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('tenant_id', 'cents'), name='billing_spendalert_once'), models.CheckConstraint(condition=models.Q(('cents__gt', 0)), name='billing_spendalert_cents')],
            },
        ),
    ]
