"""Credits and refunds by staff: first a row that says who gives what and why, then Stripe, then the row again.

The row's reference makes it happen once, whoever is killed in between and however long it takes.
"""

from datetime import datetime, timedelta

from django.db import transaction

from apps.billing.gateways.errors import StripeRefused
from apps.billing.gateways.stripe import StripeGateway
from apps.billing.invoices import InvoiceInfo, invoices_of
from apps.billing.models import Account, Giving
from apps.billing.money import in_dollars
from apps.billing.notices import giving_say
from apps.core.enqueue import enqueue
from apps.core.errors import Invalid, NotFound
from apps.core.scope import tenant_scope
from apps.tenants.audit.writing import Target, audit_write

MAX_CENTS = 10_000_000
MAX_REASON = 200
OPEN_FOR = timedelta(minutes=5)  # then a sweep looks after it


@transaction.atomic
def give(*, tenant_id: int, kind: str, cents: int, reason: str, given_by: str, invoice_number: str = "") -> int:
    """Returns the row's id; Stripe is told after the commit. Raises Invalid, NotFound."""
    invoice = giving_verify(tenant_id=tenant_id, kind=kind, cents=cents, reason=reason, invoice_number=invoice_number)
    made = Giving.objects.create(
        tenant_id=tenant_id, kind=kind, invoice=invoice.id if invoice else "", cents=cents, reason=reason.strip(),
        given_by=given_by,
    )  # fmt: skip
    audit_write(
        tenant_id=tenant_id,
        action="billing.refund_given" if invoice else "billing.credit_given",
        target=Target(made.id, invoice.number if invoice else in_dollars(cents)),
        after={"cents": cents, "reason": made.reason, "given_by": given_by},
    )
    enqueue("billing.giving_carry", giving_id=made.id)
    return made.id


def giving_verify(
    *, tenant_id: int, kind: str, cents: int, reason: str, invoice_number: str = ""
) -> InvoiceInfo | None:
    """The invoice of a refund. Raises Invalid, NotFound."""
    if not Account.objects.filter(tenant_id=tenant_id).exists():
        raise NotFound("The organisation has never bought anything, so there is nobody to give to.")
    if not 1 <= cents <= MAX_CENTS:
        raise Invalid("The amount is not valid.", fields={"dollars": f"Between $0.01 and ${MAX_CENTS // 100:,}."})
    if not reason.strip() or len(reason) > MAX_REASON:
        raise Invalid("A reason is needed.", fields={"reason": f"Say why, in at most {MAX_REASON} characters."})
    if kind == Giving.Kind.CREDIT:
        return None
    with tenant_scope(tenant_id):
        found = next((one for one in invoices_of(tenant_id) if one.number == invoice_number.strip()), None)
    if found is None:
        text = "There is no such invoice."
        raise Invalid(text, fields={"invoice_number": text})
    left = (found.total_cents if found.status == "paid" else found.remaining_cents) - found.credited_cents
    if cents > left:
        text = f"Of this invoice an amount of {in_dollars(left)} is left to be given back."
        raise Invalid(text, fields={"dollars": text})
    return found


def giving_carry(gateway: StripeGateway, *, giving_id: int, now: datetime) -> None:
    """To Stripe. Raises StripeUnknown."""
    giving = Giving.objects.filter(id=giving_id, done_at__isnull=True, refused="").first()
    if giving is None:
        return
    reference = str(giving.reference)
    try:
        if giving.kind == Giving.Kind.CREDIT:
            customer = Account.objects.get(tenant_id=giving.tenant_id).customer
            made = gateway.credits.credit(customer, cents=giving.cents, reason=giving.reason, reference=reference)
        else:
            made = gateway.credits.refund(giving.invoice, cents=giving.cents, reason=giving.reason, reference=reference)
    except StripeRefused as error:
        Giving.objects.filter(id=giving.id).update(refused=str(error)[:MAX_REASON])
    else:
        _done(giving, made, now)


def _done(giving: Giving, stripe_id: str, now: datetime) -> None:
    number = ""
    with tenant_scope(giving.tenant_id):
        if Giving.objects.filter(id=giving.id, done_at__isnull=True).update(done_at=now, stripe_id=stripe_id):
            if giving.invoice:
                number = next((one.number for one in invoices_of(giving.tenant_id) if one.id == giving.invoice), "")
            giving_say(giving, number=number)


def givings_open(*, now: datetime, at_most: int = 100) -> list[int]:
    """Rows that nobody has carried to Stripe for a while."""
    rows = Giving.objects.filter(done_at__isnull=True, refused="", made_at__lte=now - OPEN_FOR).order_by("id")
    return list(rows.values_list("id", flat=True)[:at_most])
