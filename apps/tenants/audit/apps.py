from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The part of the room that lives in cells: what was done, by whom."""

    name = "apps.tenants.audit"
    label = "tenants_audit"
    verbose_name = "Audit"
