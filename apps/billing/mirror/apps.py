"""dj-stripe as we use it: its tables, without its webhooks and what belongs to those. Its checks would ask the database
whenever any command starts.
"""

from django.apps import AppConfig


class MirrorConfig(AppConfig):
    name = "djstripe"
    default_auto_field = "django.db.models.AutoField"

    def ready(self) -> None:
        from djstripe import _stripe_compat  # noqa: F401 - gives Stripe's objects what dj-stripe calls on them
