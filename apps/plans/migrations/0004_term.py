import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("plans", "0003_quota")]

    operations = [
        migrations.CreateModel(
            name="Term",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("tenant_id", models.BigIntegerField()),
                ("starts_at", models.DateTimeField()),
                (
                    "plan",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="plans.plan"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("tenant_id", "starts_at"), name="plans_term_one_an_hour")
                ],
            },
        ),
        # What is known of tenants that are there: the plan they are on, since they took it.
        migrations.RunSQL(
            "INSERT INTO public.plans_term (tenant_id, starts_at, plan_id)"
            " SELECT tenant_id, date_trunc('hour', since_at, 'UTC'), plan_id FROM public.plans_tenantplan",
            migrations.RunSQL.noop,
        ),
    ]
