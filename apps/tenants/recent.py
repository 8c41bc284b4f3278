"""Which organisation somebody had open last, so that the next login leads there."""

from django.http import HttpRequest

from apps.tenants.access import TenantRequest

_SESSION_KEY = "tenant"


def tenant_remember(request: TenantRequest) -> None:
    """Writes the session only when it changes, and not for who belongs to one organisation only."""
    if len(request.places) > 1 and request.session.get(_SESSION_KEY) != request.tenant.slug:
        request.session[_SESSION_KEY] = request.tenant.slug


def tenant_recent(request: HttpRequest) -> str | None:
    """Its slug; the reader may have left it since."""
    slug: str | None = request.session.get(_SESSION_KEY)
    return slug
