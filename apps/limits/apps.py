from django.apps import AppConfig


class LimitsConfig(AppConfig):
    name = "apps.limits"
    verbose_name = "Limits"

    def ready(self) -> None:
        from apps.limits.erasing import holdings_register

        holdings_register()
