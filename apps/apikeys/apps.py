from django.apps import AppConfig


class ApikeysConfig(AppConfig):
    name = "apps.apikeys"
    verbose_name = "API keys"

    def ready(self) -> None:
        from apps.apikeys.erasing import holdings_register

        holdings_register()
