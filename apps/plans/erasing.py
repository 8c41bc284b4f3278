"""What this room holds of a tenant."""

from django.db import connection

from apps.tenants.privacy.holdings import Elsewhere, Holding, When, elsewhere_declare, holdings_declare


def holdings_register() -> None:
    holdings_declare(
        Holding(table="public.plans_contract"),
        Holding(table="public.plans_renewal", not_exported="when doors are told of the next period"),
        Holding(table="public.plans_tenantplan"),
        Holding(table="public.plans_term", kept="bills are made of terms; a number, a plan and a time"),
    )
    elsewhere_declare(Elsewhere("the name of a plan by contract", When.WITHIN, contract_plans_rename))


def contract_plans_rename(tenant_id: int) -> None:
    """Terms that are kept name the plan, whose name may be the customer's. References are checked at the commit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT plan_id FROM public.plans_contract WHERE tenant_id = %s ORDER BY 1", [tenant_id])
        for number, (code,) in enumerate(cursor.fetchall(), 1):
            renamed = f"gone-{tenant_id}-{number}"
            cursor.execute(
                "UPDATE public.plans_plan SET code = %s, name = %s, is_listed = false WHERE code = %s",
                [renamed, f"Contract {tenant_id}.{number}", code],
            )
            for table in ("plans_term", "plans_tenantplan", "plans_contract"):
                cursor.execute(f"UPDATE public.{table} SET plan_id = %s WHERE plan_id = %s", [renamed, code])  # noqa: S608
