"""Deployments that must not run."""

from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from apps.core.guard import role_problem
from apps.core.models import CellRow


@register(Tags.database)
def role_check(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """tenants.E001: asked for with --database; every serving process asks again when it starts."""
    if not databases or settings.DATABASE_IS_OWNER:
        return []
    problem = role_problem()
    return [Error(problem, id="tenants.E001")] if problem else []


@register(Tags.models)
def cell_rows_check(**_: Any) -> list[CheckMessage]:
    """tenants.E002: a model in a cell that does not carry its tenant could not be protected."""
    labels = {config.label for config in apps.get_app_configs() if config.name in settings.TENANT_APPS}
    return [
        Error(f"{model._meta.label} lives in a cell and must be a core.models.CellRow.", id="tenants.E002")  # noqa: SLF001
        for model in apps.get_models()
        if model._meta.app_label in labels and not issubclass(model, CellRow)  # noqa: SLF001
    ]


@register(Tags.security)
def pepper_check(**_: Any) -> list[CheckMessage]:
    """tenants.E003: digests of a short pepper can be guessed."""
    if all(len(secret) >= 32 for _version, secret in settings.KEY_PEPPERS):
        return []
    return [Error("Every pepper of KEY_PEPPERS must have at least 16 bytes.", id="tenants.E003")]
