from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "apps.billing"

    def ready(self) -> None:
        from apps.billing.erasing import holdings_register
        from apps.billing.health import collector_register

        collector_register()
        holdings_register()
