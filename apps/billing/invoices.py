"""A tenant's invoices and cards as Stripe has them, and what it owes. Only read here."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from apps.billing.models import PAYING, Account, Card, Contact, Dunning, Invoice

SOON = timedelta(days=45)  # before a card's end it is said


@dataclass(frozen=True, slots=True)
class InvoiceInfo:
    """`status` is Stripe's word: open, paid, void or uncollectible. Money in cents."""

    id: str
    number: str
    status: str
    made_at: datetime
    period_starts_at: datetime | None
    period_ends_at: datetime | None
    total_cents: int
    paid_cents: int
    remaining_cents: int
    credited_cents: int
    page_url: str
    pdf_url: str


@dataclass(frozen=True, slots=True)
class CardInfo:
    """Good until the end of `last_day`."""

    brand: str
    last4: str
    last_day: date
    is_over: bool
    ends_soon: bool


@dataclass(frozen=True, slots=True)
class ContactInfo:
    """Whom Stripe writes to, and the tax ids on invoices."""

    email: str
    tax_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Owing:
    """What could not be collected. `retried_at` is None when it is not tried again by itself; `has_ended` when
    there is no paid plan any more.
    """

    number: str
    cents: int
    since_at: datetime
    retried_at: datetime | None
    url: str
    has_ended: bool


def invoices_of(tenant_id: int, *, at_most: int = 120) -> list[InvoiceInfo]:
    """The newest first, without drafts. Inside the tenant's scope."""
    rows = Invoice.objects.filter(tenant_id=tenant_id).order_by("-made_at", "-id")
    return [
        InvoiceInfo(
            row.id, row.number, row.status, row.made_at, row.period_starts_at, row.period_ends_at, row.total_cents,
            row.paid_cents, row.remaining_cents, row.credited_cents, row.page_url, row.pdf_url,
        )
        for row in rows[:at_most]
    ]  # fmt: skip


def card_of(tenant_id: int, *, now: datetime) -> CardInfo | None:
    """The one that is charged. Inside the tenant's scope."""
    row = Card.objects.filter(tenant_id=tenant_id, is_default=True).first()
    if row is None:
        return None
    last_day = date(row.exp_year, row.exp_month, monthrange(row.exp_year, row.exp_month)[1])
    is_over = last_day < now.date()
    return CardInfo(row.brand, row.last4, last_day, is_over, not is_over and last_day <= (now + SOON).date())


def contact_of(tenant_id: int) -> ContactInfo | None:
    """Inside the tenant's scope."""
    row = Contact.objects.filter(tenant_id=tenant_id).first()
    return ContactInfo(row.email, tuple(row.tax_ids)) if row else None


def owing_of(tenant_id: int) -> Owing | None:
    """One query for who owes nothing, because every page asks."""
    owed = Dunning.objects.filter(tenant_id=tenant_id).first()
    if owed is None:
        return None
    is_paying = Account.objects.filter(tenant_id=tenant_id, status__in=PAYING).exists()
    return Owing(owed.number, owed.cents, owed.since_at, owed.retried_at, owed.url, not is_paying)
