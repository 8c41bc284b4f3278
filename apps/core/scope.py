"""The one way to a tenant's rows.

`tenant_scope` opens a transaction and, in one statement, takes a shared lock on the tenant (a move takes it
exclusively), finds its cell and sets search path and tenant id, both local to the transaction. Row-level security does
the rest: inside, other tenants' rows do not exist; outside, a query on a cell's table raises.

A scope never opens inside another tenant's. Keep it closed during network calls.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, cast

from django.db import connection, transaction
from django.http import HttpResponseBase
from rest_framework.response import Response

from apps.core.errors import NotFound

_OPEN = "SELECT public.tenant_scope_open(%s)"
_CLOSE = "SELECT set_config('search_path', '\"$user\", public', true), set_config('app.tenant_id', '', true)"


class ScopeConflict(RuntimeError):
    """Another tenant's scope is open: a mistake in the code, never of the caller."""


class TenantUnknown(NotFound):
    code = "tenant_not_found"


@contextmanager
def tenant_scope(tenant_id: int) -> Iterator[None]:
    """Raises TenantUnknown, ScopeConflict. Inside the same tenant's scope it does nothing more."""
    held = _backend().open_tenant_id
    if held == tenant_id:
        yield
        return
    if held is not None:
        raise ScopeConflict(f"the scope of tenant {held} is open; tenant {tenant_id} was asked for")
    nested = connection.in_atomic_block
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_OPEN, [tenant_id])
            row = cursor.fetchone()
        if row is None or row[0] is None:
            raise TenantUnknown(f"there is no tenant {tenant_id}")
        _backend().open_tenant_id = tenant_id
        try:
            yield
        finally:
            _backend().open_tenant_id = None
        # A released savepoint keeps what was set in it, a rolled back one does not.
        if nested and not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute(_CLOSE)


def scoped(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Runs a view inside the scope of `request.tenant.id`; what answers with 4xx or 5xx leaves no rows.

    Templates render inside, because they may still read. What sets `request.tenant` stands above this decorator.
    """

    @wraps(view)
    def wrapper(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with tenant_scope(request.tenant.id):
            response = view(request, *args, **kwargs)
            render = getattr(response, "render", None)
            if callable(render) and not isinstance(response, Response):
                response = cast("HttpResponseBase", render())
            if response.status_code >= 400:
                transaction.set_rollback(True)
            return response

    return wrapper


def _backend() -> Any:
    """The database wrapper behind Django's proxy, which does not take attributes."""
    return connection._connections[connection._alias]  # type: ignore[attr-defined]  # noqa: SLF001
