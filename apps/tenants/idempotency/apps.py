from django.apps import AppConfig


class IdempotencyConfig(AppConfig):
    """The part of the room that lives in cells: what was answered, for who asks again."""

    name = "apps.tenants.idempotency"
    label = "tenants_idempotency"
