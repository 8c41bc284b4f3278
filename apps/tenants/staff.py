"""How staff look into a tenant: they pick one, and every admin page about a cell's rows runs inside its scope.

No policy is bypassed: without a picked tenant those pages cannot even be built.
"""

from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from apps.core.errors import ApplicationError, NotFound
from apps.core.scope import tenant_scope
from apps.tenants.selectors import TenantInfo, tenant_get

_SESSION_KEY = "staff_tenant_id"


def staff_tenant_pick(request: HttpRequest, tenant_id: int) -> None:
    request.session[_SESSION_KEY] = tenant_id


def staff_tenant(request: HttpRequest) -> TenantInfo | None:
    try:
        return tenant_get(request.session.get(_SESSION_KEY, 0))
    except NotFound:
        return None


def staff_badge(request: HttpRequest) -> list[str] | None:
    """Unfold's ENVIRONMENT: stands on every staff page, so that nobody forgets whose rows these are."""
    tenant = staff_tenant(request) if request.user.is_authenticated else None
    return [f"tenant {tenant.slug}", "warning"] if tenant else None


class ReadOnly:
    """Mixed in before unfold's ModelAdmin: rows are looked at here and changed elsewhere, or never."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ScopedAdmin(ModelAdmin):  # type: ignore[type-arg]
    """Mixed in before unfold's ModelAdmin. `self.tenant_of(request)` is the picked tenant inside every view."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return self._scoped(request, super().changelist_view, extra_context=extra_context)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return self._scoped(
            request, super().changeform_view, object_id=object_id, form_url=form_url, extra_context=extra_context
        )

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        return self._scoped(request, super().delete_view, object_id=object_id, extra_context=extra_context)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        return self._scoped(request, super().history_view, object_id=object_id, extra_context=extra_context)

    def tenant_of(self, request: HttpRequest) -> TenantInfo:
        tenant = staff_tenant(request)
        if tenant is None:
            raise NotFound("no tenant is picked")
        return tenant

    def _scoped(self, request: HttpRequest, view: Any, *, extra_context: Any, **arguments: Any) -> HttpResponse:
        tenant = staff_tenant(request)
        if tenant is None:
            messages.info(request, "Pick a tenant first: tick it in the list and run “Open keys and rules”.")
            return HttpResponseRedirect(reverse("admin:tenants_tenant_changelist"))
        title = f"{self.opts.verbose_name_plural} of {tenant.slug}".capitalize()
        try:
            with tenant_scope(tenant.id):
                response = view(request, extra_context={"title": title, **(extra_context or {})}, **arguments)
                if hasattr(response, "render"):
                    response.render()
                if response.status_code >= 400:
                    transaction.set_rollback(True)
        except ApplicationError as error:
            messages.error(request, error.detail)
            return HttpResponseRedirect(request.get_full_path())
        return response  # type: ignore[no-any-return]
