"""What we sell, brought to Stripe."""

from apps.billing.accounts import priced
from apps.billing.gateways.catalogue import Done
from apps.billing.gateways.stripe import StripeGateway
from apps.plans.selectors import plans_sold


def catalogue_sync(gateway: StripeGateway) -> list[str]:
    """Every plan with a price of its own is there as it is now, and what is not a plan's price any more is sold no
    more. Returns what had to be done, in words. Raises StripeUnknown, StripeRefused.
    """
    words, kept = [], set()
    gateway.meter_ensure()
    for plan in plans_sold():
        if plan.price_cents and not plan.price_is_from:
            done = Done()
            gateway.catalogue.product_ensure(priced(plan), done)
            made = gateway.catalogue.plan_ensure(priced(plan))
            kept.update(made.prices)
            words += done.words + made.words
    return words + [f"price {key} is sold no more" for key in gateway.catalogue.others_retire(kept)]
