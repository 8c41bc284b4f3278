"""/api/v1/rate-limits: rules, one by one and all at once, by the fields of the rules file."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.errors import ApplicationError, Invalid
from apps.core.etags import condition_require, condition_verify, etag_of, is_known
from apps.core.openapi import IF_MATCH, IF_MATCH_UNLESS_DRY, IF_NONE_MATCH, operation
from apps.core.paging import PAGE, page_asked, truth_asked
from apps.limits import services
from apps.limits.api import rule_schema as schema
from apps.limits.planning import rules_plan
from apps.limits.rules_json import override_json, patched, pointed, rule_json, rule_read, rules_read
from apps.limits.selectors import RuleInfo, overrides_all, rule_get, rules_of, rules_page
from apps.tenants.permissions import Permission
from apps.tenants.principals import AdminView
from apps.tenants.selectors import tenant_get
from apps.tenants.services import revision_lock

TAG = "rate-limits"


class RulesView(AdminView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.RULES_EDIT}

    @operation(
        "rules_list", "Rules", tag=TAG, good=schema.RULES_PAGE, parameters=[*PAGE, IF_NONE_MATCH],
        description="By id. The ETag is that of all rules together.",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        page, etag = page_asked(request.query_params), set_etag(self.tenant.revision)
        if is_known(request, etag):
            return Response(status=304, headers={"ETag": etag})
        with self.scope():
            rows = rules_page(tenant_id=self.tenant_id, after_id=page.cursor, limit=page.limit + 1)
        shown, following = page.cut(rows, [row.id for row in rows])
        return Response({"rules": [rule_json(row) for row in shown], "next": following}, headers={"ETag": etag})

    @operation(
        "rule_create", "Make a rule", tag=TAG, good=schema.RULE, status=201, body=schema.RULE_REQUEST, also=(409,),
        example=schema.RULE_EXAMPLE,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        spec = rule_read(request.data)
        with self.scope(), pointers():
            made = services.rule_create(tenant_id=self.tenant_id, spec=spec)
        return rule_told(made, status=201, headers={"Location": f"{request.path}/{made.id}"})


class RuleView(AdminView):
    permissions = {
        "GET": Permission.VIEW, "PUT": Permission.RULES_EDIT, "PATCH": Permission.RULES_EDIT,
        "DELETE": Permission.RULES_EDIT,
    }  # fmt: skip

    @operation("rule", "A rule", tag=TAG, good=schema.RULE, also=(404,), parameters=[IF_NONE_MATCH])
    def get(self, request: Request, rule_id: int) -> Response:
        with self.scope():
            rule = rule_get(tenant_id=self.tenant_id, rule_id=rule_id)
        etag = etag_of(rule_json(rule))
        return Response(status=304, headers={"ETag": etag}) if is_known(request, etag) else rule_told(rule)

    @operation(
        "rule_replace", "Replace a rule", tag=TAG, good=schema.RULE, body=schema.RULE_REQUEST, also=(404,),
        parameters=[IF_MATCH], example=schema.RULE_EXAMPLE,
        description="What is not said is as if it had never been. Its overrides stay. Another algorithm, window or "
        "key starts new counters.",
    )  # fmt: skip
    def put(self, request: Request, rule_id: int) -> Response:
        spec = rule_read(request.data)
        with self.scope(), pointers():
            self.held(rule_id)
            changed = services.rule_update(tenant_id=self.tenant_id, rule_id=rule_id, spec=spec)
        return rule_told(changed)

    @operation(
        "rule_change", "Change a rule", tag=TAG, good=schema.RULE, body=schema.RULE_PATCH, also=(404,),
        example={"limit": 200, "mode": "shadow", "calendar": None},
        parameters=[IF_MATCH],
        description="A JSON merge patch (RFC 7396): what is not said stays, null takes away.",
    )  # fmt: skip
    def patch(self, request: Request, rule_id: int) -> Response:
        with self.scope(), pointers():
            spec = rule_read(patched(rule_json(self.held(rule_id)), request.data))
            changed = services.rule_update(tenant_id=self.tenant_id, rule_id=rule_id, spec=spec)
        return rule_told(changed)

    @operation(
        "rule_delete", "Delete a rule with its overrides", tag=TAG, good=None, status=204, also=(404,),
        parameters=[IF_MATCH],
    )  # fmt: skip
    def delete(self, request: Request, rule_id: int) -> Response:
        with self.scope():
            self.held(rule_id)
            services.rule_delete(tenant_id=self.tenant_id, rule_id=rule_id)
        return Response(status=204)

    def held(self, rule_id: int) -> RuleInfo:
        """As the caller knows it, and locked. Raises NotFound, PreconditionRequired, PreconditionFailed."""
        condition_require(self.request)
        revision_lock(tenant_id=self.tenant_id)
        rule = rule_get(tenant_id=self.tenant_id, rule_id=rule_id)
        condition_verify(self.request, etag_of(rule_json(rule)))
        return rule


class RuleEnableView(AdminView):
    permissions = {"POST": Permission.RULES_EDIT}

    @operation("rule_enable", "Switch a rule on", tag=TAG, good=schema.RULE, also=(404,))
    def post(self, request: Request, rule_id: int) -> Response:
        with self.scope():
            return rule_told(services.rule_enabled_set(tenant_id=self.tenant_id, rule_id=rule_id, enabled=True))


class RuleDisableView(AdminView):
    permissions = {"POST": Permission.RULES_EDIT}

    @operation("rule_disable", "Switch a rule off", tag=TAG, good=schema.RULE, also=(404,))
    def post(self, request: Request, rule_id: int) -> Response:
        with self.scope():
            return rule_told(services.rule_enabled_set(tenant_id=self.tenant_id, rule_id=rule_id, enabled=False))


class RuleModeView(AdminView):
    permissions = {"POST": Permission.RULES_EDIT}

    @operation(
        "rule_mode", "Enforce a rule, or only watch it", tag=TAG, good=schema.RULE, body=schema.MODE_REQUEST,
        also=(404,), example={"mode": "shadow"},
    )  # fmt: skip
    def post(self, request: Request, rule_id: int) -> Response:
        mode = mode_read(request.data)
        with self.scope():
            return rule_told(services.rule_mode_set(tenant_id=self.tenant_id, rule_id=rule_id, mode=mode))


class RulesBulkView(AdminView):
    permissions = {"GET": Permission.VIEW, "PUT": Permission.RULES_EDIT}

    @operation(
        "rules_export", "All rules with their overrides", tag=TAG, good=schema.RULES_ALL, parameters=[IF_NONE_MATCH],
        description="What PUT takes: sent back, it changes nothing.",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        etag = set_etag(self.tenant.revision)
        if is_known(request, etag):
            return Response(status=304, headers={"ETag": etag})
        with self.scope():
            rules, overrides = rules_of(self.tenant_id), overrides_all(self.tenant_id)
        told = [
            rule_json(rule) | {"overrides": [override_json(held) for held in overrides.get(rule.id, ())]}
            for rule in rules
        ]
        return Response({"rules": told}, headers={"ETag": etag})

    @operation(
        "rules_apply", "Make all rules as the list says", tag=TAG, good=schema.APPLIED, body=schema.RULES_REQUEST,
        example=schema.RULES_EXAMPLE,
        also=(409,), parameters=[IF_MATCH_UNLESS_DRY, schema.DRY_RUN, schema.PRUNE],
        description="By namespace and name, all or nothing. A rule that says nothing of overrides keeps those it has. "
        "With `dry_run`, `If-Match` may be left out.",
    )  # fmt: skip
    def put(self, request: Request) -> Response:
        is_dry = truth_asked(request.query_params, "dry_run", default=False)
        prune = truth_asked(request.query_params, "prune", default=True)
        if not is_dry:
            condition_require(request)
        entries = rules_read(request.data)
        overrides = {place: entry.overrides for place, entry in enumerate(entries) if entry.overrides is not None}
        with self.scope(), pointers():
            if not is_dry:
                condition_verify(request, set_etag(revision_lock(tenant_id=self.tenant_id)))
            apply = rules_plan if is_dry else services.rules_apply
            done = apply(
                tenant_id=self.tenant_id, specs=[entry.spec for entry in entries], prune=prune, overrides=overrides
            )
            revision = tenant_get(self.tenant_id).revision
        told = asdict(done) | {"dry_run": is_dry, "revision": revision}
        return Response(told, headers={"ETag": set_etag(revision)})


class RulesValidateView(AdminView):
    permissions = {"POST": Permission.VIEW}

    @operation(
        "rules_validate", "Would these rules be taken?", tag=TAG, good=schema.VALIDATED, body=schema.RULES_REQUEST,
        example=schema.RULES_EXAMPLE,
        description="Beside those that there are. Changes nothing; 200 whether they would or not.",
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        try:
            entries = rules_read(request.data)
            overrides = {place: entry.overrides for place, entry in enumerate(entries) if entry.overrides is not None}
            with self.scope(), pointers():
                rules_plan(
                    tenant_id=self.tenant_id, specs=[entry.spec for entry in entries], prune=False, overrides=overrides
                )
        except ApplicationError as error:
            wrong = error.fields or {"": error.detail}
            errors = [{"pointer": f"/{name}" if name else "", "message": text} for name, text in wrong.items()]
            return Response({"valid": False, "errors": errors})
        return Response({"valid": True, "errors": []})


@contextmanager
def pointers() -> Iterator[None]:
    """What is wrong with a field is said by JSON's name of it."""
    try:
        yield
    except Invalid as error:
        raise pointed(error) from None


def rule_told(rule: RuleInfo, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    told = rule_json(rule)
    return Response(told, status=status, headers={"ETag": etag_of(told)} | (headers or {}))


def set_etag(revision: int) -> str:
    """Of all rules and overrides of a tenant together."""
    return f'"r{revision}"'


def mode_read(given: Any) -> str:
    """Raises Invalid."""
    if not isinstance(given, dict) or set(given) != {"mode"} or not isinstance(given["mode"], str):
        raise Invalid("The mode is not valid.", fields={"mode": "Must be enforce or shadow."})
    return given["mode"]
