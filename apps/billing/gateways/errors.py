"""What can come of asking Stripe, told apart."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import stripe


class StripeUnknown(Exception):
    """Nobody knows whether it happened: no answer, or one that says nothing. Ask again later."""


class StripeRefused(Exception):
    """It did not happen, and asking again would not help."""


@contextlib.contextmanager
def told_apart() -> Iterator[None]:
    import stripe

    try:
        yield
    except (stripe.APIConnectionError, stripe.RateLimitError) as error:
        raise StripeUnknown(_said(error)) from error
    except stripe.StripeError as error:
        if error.http_status is None or error.http_status >= 500 or error.http_status == 409:
            raise StripeUnknown(_said(error)) from error
        raise StripeRefused(_said(error)) from error


def _said(error: "stripe.StripeError") -> str:
    """Stripe's own words: people read them."""
    return error.user_message or f"{type(error).__name__}: {error}"
