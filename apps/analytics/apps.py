from django.apps import AppConfig


class AnalyticsConfig(AppConfig):
    name = "apps.analytics"

    def ready(self) -> None:
        from apps.analytics.erasing import holdings_register
        from apps.analytics.health import collector_register

        collector_register()
        holdings_register()
