"""What Stripe sends. Only its signature and its customer are looked at; the rest is asked for."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from apps.core.enqueue import enqueue

MAX_AGE_S = 300
MAX_BYTES = 256 * 1024


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """400 for what is not signed with our secret within five minutes. Nothing of it is kept, so that whoever sends
    nonsense fills no table.
    """
    import stripe  # takes a third of a second, which no other page needs to wait for

    if not settings.STRIPE_WEBHOOK_SECRET:
        return HttpResponse("no secret is set", status=503, content_type="text/plain")
    if int(request.headers.get("Content-Length") or 0) > MAX_BYTES:
        return HttpResponse("too large", status=413, content_type="text/plain")
    try:
        event = stripe.Webhook.construct_event(
            request.body, request.headers.get("Stripe-Signature", ""), settings.STRIPE_WEBHOOK_SECRET, MAX_AGE_S
        )
    except (ValueError, stripe.SignatureVerificationError):
        return HttpResponse("the signature does not hold", status=400, content_type="text/plain")
    for customer in _customers(event.data):
        enqueue("billing.account_sync", customer=customer)
        enqueue("billing.mirror_sync", customer=customer, heard_at=timezone.now().isoformat())
    return HttpResponse("", content_type="text/plain")


def _customers(data: Any) -> set[str]:
    """Whose it is, and whose it was: a card that is taken away is nobody's."""
    concerned, before = data.object, getattr(data, "previous_attributes", None)
    if concerned.object == "customer":
        return {str(concerned.id)}
    found = {getattr(concerned, "customer", None), getattr(before, "customer", None)}
    return {str(customer) for customer in found if customer}
