from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.billing.catalogue import catalogue_sync
from apps.billing.gateways.errors import StripeRefused, StripeUnknown
from apps.billing.gateways.stripe import gateway


class Command(BaseCommand):
    help = "Bring Stripe's products, prices and meter to what our plans say. Can be run again."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.STRIPE_SECRET_KEY:
            raise CommandError("STRIPE_SECRET_KEY is not set, so there is nobody to tell.")
        try:
            words = catalogue_sync(gateway())
        except (StripeUnknown, StripeRefused) as error:
            raise CommandError(str(error)) from error
        self.stdout.write("\n".join(words) or "Stripe has all plans as they are.")
