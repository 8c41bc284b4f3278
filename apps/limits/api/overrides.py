"""/api/v1/rate-limits/{rule_id}/overrides: other limits for single values, prefixes and networks."""

from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.etags import condition_require, condition_verify, etag_of, is_known
from apps.core.openapi import IF_MATCH, IF_NONE_MATCH, operation
from apps.core.paging import PAGE, page_asked
from apps.limits import override_services as services
from apps.limits.api import rule_schema as schema
from apps.limits.api.rules import TAG, pointers
from apps.limits.rules_json import override_json, override_read
from apps.limits.selectors import OverrideInfo, override_get, overrides_page, rule_get
from apps.tenants.permissions import Permission
from apps.tenants.principals import AdminView
from apps.tenants.services import revision_lock


class OverridesView(AdminView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.RULES_EDIT}

    @operation(
        "overrides_list", "Overrides of a rule", tag=TAG, good=schema.OVERRIDES_PAGE, also=(404,), parameters=PAGE,
        description="By id, those that are over too.",
    )  # fmt: skip
    def get(self, request: Request, rule_id: int) -> Response:
        page = page_asked(request.query_params)
        with self.scope():
            rule_get(tenant_id=self.tenant_id, rule_id=rule_id)
            rows = overrides_page(tenant_id=self.tenant_id, rule_id=rule_id, after_id=page.cursor, limit=page.limit + 1)
        shown, following = page.cut(rows, [row.id for row in rows])
        return Response({"overrides": [override_json(row) for row in shown], "next": following})

    @operation(
        "override_create", "Add an override", tag=TAG, good=schema.OVERRIDE, status=201, also=(404, 409),
        body=schema.OVERRIDE_REQUEST, example=schema.OVERRIDE_EXAMPLE,
        description="One for the same values is replaced.",
    )  # fmt: skip
    def post(self, request: Request, rule_id: int) -> Response:
        spec = override_read(request.data)
        with self.scope(), pointers():
            made = services.override_put(tenant_id=self.tenant_id, rule_id=rule_id, spec=spec)
        return _told(made, status=201, headers={"Location": f"{request.path}/{made.id}"})


class OverrideView(AdminView):
    permissions = {"GET": Permission.VIEW, "PUT": Permission.RULES_EDIT, "DELETE": Permission.RULES_EDIT}

    @operation("override", "An override", tag=TAG, good=schema.OVERRIDE, also=(404,), parameters=[IF_NONE_MATCH])
    def get(self, request: Request, rule_id: int, override_id: int) -> Response:
        with self.scope():
            held = override_get(tenant_id=self.tenant_id, rule_id=rule_id, override_id=override_id)
        etag = etag_of(override_json(held))
        return Response(status=304, headers={"ETag": etag}) if is_known(request, etag) else _told(held)

    @operation(
        "override_replace", "Replace an override", tag=TAG, good=schema.OVERRIDE, also=(404, 409),
        body=schema.OVERRIDE_REQUEST, example=schema.OVERRIDE_EXAMPLE, parameters=[IF_MATCH],
    )  # fmt: skip
    def put(self, request: Request, rule_id: int, override_id: int) -> Response:
        spec = override_read(request.data)
        with self.scope(), pointers():
            self._held(rule_id, override_id)
            changed = services.override_put(
                tenant_id=self.tenant_id, rule_id=rule_id, spec=spec, override_id=override_id
            )
        return _told(changed)

    @operation(
        "override_delete", "Delete an override", tag=TAG, good=None, status=204, also=(404,), parameters=[IF_MATCH]
    )
    def delete(self, request: Request, rule_id: int, override_id: int) -> Response:
        with self.scope():
            self._held(rule_id, override_id)
            services.override_delete(tenant_id=self.tenant_id, rule_id=rule_id, override_id=override_id)
        return Response(status=204)

    def _held(self, rule_id: int, override_id: int) -> None:
        """Locks it as the caller knows it. Raises NotFound, PreconditionRequired, PreconditionFailed."""
        condition_require(self.request)
        revision_lock(tenant_id=self.tenant_id)
        held = override_get(tenant_id=self.tenant_id, rule_id=rule_id, override_id=override_id)
        condition_verify(self.request, etag_of(override_json(held)))


def _told(held: OverrideInfo, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    told = override_json(held)
    return Response(told, status=status, headers={"ETag": etag_of(told)} | (headers or {}))
