"""/api/v1/billing: the plan, the period's usage and what it costs so far, and invoices. Money in cents."""

from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from apps.billing.invoices import InvoiceInfo, invoices_of
from apps.billing.rating import Bill
from apps.billing.selectors import StatedBill, bill_of, forecast_of
from apps.core.openapi import operation, shape
from apps.plans.selectors import PlanInfo, plan_of
from apps.tenants.permissions import Permission
from apps.tenants.principals import AdminView

TAG = "billing"
_TEXT, _INTEGER, _MOMENT = {"type": "string"}, {"type": "integer"}, {"type": "string", "format": "date-time"}
_CENTS = {"type": "integer", "description": "US cents."}
_MAYBE = {"nullable": True}
PLAN = shape(
    code=_TEXT, name=_TEXT, price_cents=_CENTS, included_checks=_INTEGER,
    overage_cents=_CENTS | _MAYBE | {"description": "For 100,000 checks; null where there are none beyond."},
    rule_types={"type": "array", "items": _TEXT}, retention_days=_INTEGER,
)  # fmt: skip
LINE = shape(kind={"type": "string", "enum": ["base", "unused", "overage"]}, quantity=_INTEGER, amount_cents=_CENTS)
BILLING = shape(
    plan=PLAN,
    period=shape(starts_at=_MOMENT, ends_at=_MOMENT),
    usage=shape(
        checks=_INTEGER, included=_INTEGER, overage=_INTEGER,
        counted_until=_MOMENT | _MAYBE | {"description": "Usage is known up to here."},
    ),
    lines={"type": "array", "items": LINE}, total_cents=_CENTS,
    forecast_cents=_CENTS | _MAYBE | {"description": "At the period's end, at the pace of the last days."},
)  # fmt: skip
INVOICE = shape(
    id=_TEXT, number=_TEXT, status={"type": "string", "description": "open, paid, void or uncollectible"},
    made_at=_MOMENT, period_starts_at=_MOMENT | _MAYBE, period_ends_at=_MOMENT | _MAYBE, total_cents=_CENTS,
    paid_cents=_CENTS, remaining_cents=_CENTS, credited_cents=_CENTS, page_url=_TEXT, pdf_url=_TEXT,
)  # fmt: skip


class BillingView(AdminView):
    permissions = {"GET": Permission.BILLING_VIEW}

    @operation("billing", "Plan, usage and the bill so far", tag=TAG, good=BILLING)
    def get(self, request: Request) -> Response:
        now = timezone.now()
        with self.scope():
            stated = bill_of(self.tenant_id, now, now=now)
            forecast = forecast_of(self.tenant_id, stated, now=now)
            return Response(billing_json(plan_of(self.tenant_id), stated, forecast))


class InvoicesView(AdminView):
    permissions = {"GET": Permission.BILLING_VIEW}

    @operation(
        "invoices_list", "Invoices, newest first", tag=TAG, good=shape(invoices={"type": "array", "items": INVOICE}),
        description="The latest 120, without drafts.",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        with self.scope():
            return Response({"invoices": [invoice_json(one) for one in invoices_of(self.tenant_id)]})


def billing_json(plan: PlanInfo, stated: StatedBill, forecast: Bill | None) -> dict[str, Any]:
    bill = stated.bill
    return {
        "plan": {
            "code": plan.code, "name": plan.name, "price_cents": plan.price_cents,
            "included_checks": plan.included_checks, "overage_cents": plan.overage_cents,
            "rule_types": list(plan.rule_types), "retention_days": plan.retention_days,
        },
        "period": {"starts_at": bill.period.starts_at.isoformat(), "ends_at": bill.period.ends_at.isoformat()},
        "usage": {
            "checks": bill.used, "included": bill.period.included, "overage": bill.overage,
            "counted_until": stated.posted_until.isoformat() if stated.posted_until else None,
        },
        "lines": [
            {"kind": line.kind.value, "quantity": line.quantity, "amount_cents": line.amount_cents}
            for line in bill.lines
        ],
        "total_cents": bill.total_cents,
        "forecast_cents": forecast.total_cents if forecast else None,
    }  # fmt: skip


def invoice_json(one: InvoiceInfo) -> dict[str, Any]:
    return {
        "id": one.id, "number": one.number, "status": one.status, "made_at": one.made_at.isoformat(),
        "period_starts_at": one.period_starts_at.isoformat() if one.period_starts_at else None,
        "period_ends_at": one.period_ends_at.isoformat() if one.period_ends_at else None,
        "total_cents": one.total_cents, "paid_cents": one.paid_cents, "remaining_cents": one.remaining_cents,
        "credited_cents": one.credited_cents, "page_url": one.page_url, "pdf_url": one.pdf_url,
    }  # fmt: skip
