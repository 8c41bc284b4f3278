"""A Django of its own around dj-stripe, on SQLite: takes all over from the stand-in, then a webhook. Prints JSON.

Run by test_djstripe.py as a process, because our own settings decide about dj-stripe for themselves.
"""

import json
import sys
import time

import django
import stripe
from django.conf import settings
from django.core.management import call_command
from django.test import Client

from apps.billing.sandbox.delivery import signature

NAMES = (
    "Account", "Product", "Price", "Coupon", "Customer", "PaymentMethod", "Subscription", "Invoice",
    "InvoiceItem", "PaymentIntent", "SetupIntent", "Charge", "Refund", "Event", "WebhookEndpoint",
    "Session",
)  # fmt: skip


def main(url, key, secret):
    settings.configure(
        SECRET_KEY="only-for-this-test-" + "0" * 40,
        USE_TZ=True,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.admin",
            "django.contrib.messages",
            "djstripe",
        ],
        MIGRATION_MODULES={"djstripe": None},
        ROOT_URLCONF="djstripe.urls",
        ALLOWED_HOSTS=["*"],
        STRIPE_TEST_SECRET_KEY=key,
        STRIPE_SECRET_KEY=key,
        STRIPE_LIVE_MODE=False,
        STRIPE_API_HOST=url,
        DJSTRIPE_FOREIGN_KEY_TO_FIELD="id",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()
    from djstripe import models

    call_command("migrate", run_syncdb=True, verbosity=0)
    call_command("djstripe_sync_models", *NAMES, fail_on_error=True, stdout=sys.stderr)
    counts = {name: getattr(models, name).objects.count() for name in NAMES}
    endpoint = models.WebhookEndpoint.objects.get(url="http://127.0.0.1:9/never")
    endpoint.secret = secret
    endpoint.save()
    event = stripe.Event.list(limit=1, type="invoice.paid", api_key=key).data[0]
    body = json.dumps(event.to_dict(), default=str).encode()
    answers = []
    for signed in (signature(secret, body, int(time.time())), signature("whsec_other", body, int(time.time()))):
        path = f"/webhook/{endpoint.djstripe_uuid}/"
        answer = Client().post(path, body, "application/json", HTTP_STRIPE_SIGNATURE=signed)
        answers.append(answer.status_code)
    print(json.dumps({"counts": counts, "answers": answers}))


if __name__ == "__main__":
    main(*sys.argv[1:])
