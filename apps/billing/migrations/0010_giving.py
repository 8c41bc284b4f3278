
import django.db.models.functions.datetime
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0009_happening'),
    ]

    operations = [
        migrations.CreateModel(
            name='Giving',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('reference', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('tenant_id', models.BigIntegerField(db_index=True)),
                ('kind', models.CharField(choices=[('credit', 'credit for invoices to come'), ('refund', 'refund of an invoice')], max_length=8)),
                ('invoice', models.CharField(blank=True, max_length=64)),
                ('cents', models.PositiveIntegerField()),
                ('reason', models.CharField(max_length=200)),
                ('given_by', models.EmailField(help_text='Of the staff.', max_length=254)),
                ('made_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('done_at', models.DateTimeField(help_text='When Stripe had it.', null=True)),
                ('stripe_id', models.CharField(blank=True, max_length=64)),
                ('refused', models.CharField(blank=True, help_text='What Stripe said against it.', max_length=200)),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('done_at__isnull', True), ('refused', '')), fields=['made_at'], name='billing_giving_open')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('invoice', ''), ('kind', 'credit')), models.Q(('kind', 'refund'), models.Q(('invoice', ''), _negated=True)), _connector='OR'), name='billing_giving_has_its_invoice'), models.CheckConstraint(condition=models.Q(models.Q(('reason', ''), _negated=True), ('cents__gt', 0)), name='billing_giving_reason')],
            },
        ),
    ]
