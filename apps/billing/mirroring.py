"""Stripe's own picture of our customers, kept beside ours, and who owes what could not be collected.

News only say where to look: everything of the customer is asked for and written down, so any order and any repetition
of news ends the same. Of two who ask at once the later question decides.
"""

from datetime import datetime, timedelta

from django.db import transaction

from apps.billing.gateways import mirror
from apps.billing.gateways.stripe import StripeGateway
from apps.billing.models import Account, Dunning, Mirrored

UNSEEN = timedelta(hours=1)  # then Stripe is asked even without news
ASKED_AT_MOST = 50  # times in between, for products and the like that nobody has seen before


def mirror_sync(gateway: StripeGateway, *, customer: str, now: datetime) -> bool:
    """False for a customer who is not ours. `now` is taken before asking. Raises what the gateway raises."""
    account = Account.objects.filter(customer=customer).first()
    if account is None:
        return False
    seen = mirror.customer_ask(gateway, customer)
    for _ in range(ASKED_AT_MOST):
        try:
            _write(account.tenant_id, seen, now)
        except mirror.AnswerMissing as missing:
            seen.answers[missing.path] = gateway.answer(missing.path)
        else:
            return True
    raise RuntimeError(f"{customer} refers to more than {ASKED_AT_MOST} things that are not known")


@transaction.atomic
def mirror_forget(*, customer: str) -> None:
    mirror.customer_forget(customer)
    Mirrored.objects.filter(customer=customer).delete()


def mirrored_since(customer: str, moment: datetime) -> bool:
    """Whether Stripe was asked after it: then what was news at that moment is written down."""
    return Mirrored.objects.filter(customer=customer, asked_at__gt=moment).exists()


def mirrors_unseen(*, now: datetime, at_most: int = 100) -> list[str]:
    """Customers who were not looked at for a while."""
    looked_at = Mirrored.objects.filter(asked_at__gt=now - UNSEEN)
    unseen = Account.objects.exclude(customer__in=looked_at.values("customer")).order_by("tenant_id")
    return list(unseen.values_list("customer", flat=True)[:at_most])


@transaction.atomic
def _write(tenant_id: int, seen: mirror.Seen, now: datetime) -> None:
    customer = seen.customer["id"]
    Mirrored.objects.get_or_create(customer=customer)
    held = Mirrored.objects.select_for_update().get(customer=customer)
    if held.asked_at is not None and held.asked_at > now:
        return
    mirror.customer_write(seen)
    held.asked_at = now
    held.save()
    owed = seen.owed()
    if owed is None:
        Dunning.objects.filter(tenant_id=tenant_id).delete()
    else:
        facts = {
            "invoice": owed.invoice, "number": owed.number, "cents": owed.cents, "since_at": owed.since_at,
            "retried_at": owed.retried_at, "url": owed.url,
        }  # fmt: skip
        Dunning.objects.update_or_create(tenant_id=tenant_id, defaults=facts)
