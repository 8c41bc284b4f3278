from django.apps import AppConfig


class PlansConfig(AppConfig):
    name = "apps.plans"
    verbose_name = "Plans"

    def ready(self) -> None:
        from apps.plans.erasing import holdings_register

        holdings_register()
