"""/api/v1/tenants/current: the organisation that the credential belongs to."""

from typing import Any

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.bodies import body_read
from apps.core.openapi import closed, operation, shape
from apps.tenants.permissions import Permission
from apps.tenants.principals import AdminView
from apps.tenants.selectors import TenantInfo
from apps.tenants.services import tenant_update

TAG = "tenants"
_TEXT = {"type": "string"}
_NAME, _ZONE = {"type": "string", "minLength": 1, "maxLength": 80}, _TEXT | {"description": "IANA, as Europe/Berlin."}
TENANT = shape(
    id={"type": "integer"}, slug=_TEXT, name=_TEXT, timezone=_ZONE,
    revision={"type": "integer", "description": "Of its rules, and of all else that decides checks."},
    created_at={"type": "string", "format": "date-time"},
)  # fmt: skip


class TenantChanges(msgspec.Struct, forbid_unknown_fields=True):
    name: str | msgspec.UnsetType = msgspec.UNSET
    timezone: str | msgspec.UnsetType = msgspec.UNSET


class TenantView(AdminView):
    permissions = {"GET": Permission.VIEW, "PATCH": Permission.TENANT_EDIT}

    @operation("tenant", "The organisation", tag=TAG, good=TENANT)
    def get(self, request: Request) -> Response:
        return Response(tenant_json(self.tenant))

    @operation(
        "tenant_change", "Change name or time zone", tag=TAG, good=TENANT,
        body=closed(shape((), name=_NAME, timezone=_ZONE)), example={"timezone": "Europe/Berlin"},
    )  # fmt: skip
    def patch(self, request: Request) -> Response:
        wanted, held = body_read(request.data, TenantChanges), self.tenant
        with self.scope():
            changed = tenant_update(
                tenant_id=self.tenant_id, name=held.name if wanted.name is msgspec.UNSET else wanted.name,
                timezone=held.timezone if wanted.timezone is msgspec.UNSET else wanted.timezone,
            )  # fmt: skip
        return Response(tenant_json(changed))


def tenant_json(tenant: TenantInfo) -> dict[str, Any]:
    return {
        "id": tenant.id, "slug": tenant.slug, "name": tenant.name, "timezone": tenant.timezone,
        "revision": tenant.revision, "created_at": tenant.created_at.isoformat(),
    }  # fmt: skip
