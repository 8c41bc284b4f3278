
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0007_settlement'),
    ]

    operations = [
        migrations.CreateModel(
            name='Card',
            fields=[
                ('id', models.TextField(primary_key=True, serialize=False)),
                ('tenant_id', models.BigIntegerField()),
                ('brand', models.TextField()),
                ('last4', models.TextField()),
                ('exp_month', models.IntegerField()),
                ('exp_year', models.IntegerField()),
                ('is_default', models.BooleanField()),
            ],
            options={
                'db_table': 'billing_card',
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='Invoice',
            fields=[
                ('id', models.TextField(primary_key=True, serialize=False)),
                ('tenant_id', models.BigIntegerField()),
                ('number', models.TextField()),
                ('status', models.TextField()),
                ('made_at', models.DateTimeField()),
                ('period_starts_at', models.DateTimeField(null=True)),
                ('period_ends_at', models.DateTimeField(null=True)),
                ('total_cents', models.BigIntegerField()),
                ('remaining_cents', models.BigIntegerField()),
                ('credited_cents', models.BigIntegerField()),
                ('page_url', models.TextField()),
                ('pdf_url', models.TextField()),
            ],
            options={
                'db_table': 'billing_invoice',
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='Dunning',
            fields=[
                ('tenant_id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('invoice', models.CharField(max_length=64)),
                ('number', models.CharField(max_length=64)),
                ('cents', models.BigIntegerField()),
                ('since_at', models.DateTimeField()),
                ('retried_at', models.DateTimeField(help_text='Empty: it is not tried again by itself.', null=True)),
                ('url', models.URLField(help_text='Where it can be paid.', max_length=2000)),
            ],
        ),
        migrations.CreateModel(
            name='Mirrored',
            fields=[
                ('customer', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('asked_at', models.DateTimeField(db_index=True, null=True)),
            ],
        ),
    ]
