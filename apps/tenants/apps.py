from django.apps import AppConfig


class TenantsConfig(AppConfig):
    name = "apps.tenants"
    verbose_name = "Tenants"

    def ready(self) -> None:
        from apps.tenants import checks  # noqa: F401 - registers them
        from apps.tenants.privacy.erasing import holdings_register

        holdings_register()
