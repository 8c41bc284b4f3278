"""/api/v1/analytics/*: what the portal shows, for programs. An API key with the scope `read`; markers need `admin`."""

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.analytics.api import schema
from apps.analytics.api.render import (
    breakdown_json,
    event_json,
    marker_json,
    moment,
    offender_json,
    series_json,
    span_json,
)
from apps.analytics.asking import comparison_asked, filter_asked, number_asked, range_asked
from apps.analytics.breakdowns import breakdown, offenders
from apps.analytics.events import cursor_read, events
from apps.analytics.ranges import Range, Step, range_compared, range_stepped
from apps.analytics.selectors import MarkerInfo, markers, series_compared, totals, totals_of
from apps.analytics.services import marker_create
from apps.core.errors import Invalid
from apps.core.openapi import AUTH
from apps.core.scope import tenant_scope
from apps.limits.selectors import rules_of
from apps.plans.selectors import plan_of
from apps.tenants.permissions import Permission
from apps.tenants.principals import AdminView


class AnalyticsView(AdminView):
    permissions = {"GET": Permission.VIEW}

    def span(self) -> Range:
        """Raises Invalid."""
        return range_asked(
            self.request.query_params,
            zone=self.tenant.timezone,
            now=timezone.now(),
            retention_days=plan_of(self.tenant_id).retention_days,
        )

    def limit(self, *, default: int, most: int) -> int:
        """Raises Invalid."""
        wanted = number_asked(self.request.query_params, "limit")
        if wanted is not None and not 1 <= wanted <= most:
            raise Invalid("limit is not valid.", fields={"limit": f"Must be between 1 and {most}."})
        return wanted or default


class SeriesView(AnalyticsView):
    @extend_schema(
        operation_id="analytics_series", summary="What was decided, step by step", tags=["analytics"],
        description="Every step of the range, also those without a check. With `rule`, what that rule said; then "
        "degraded, billable and percentiles are not known.",
        parameters=schema.SERIES, responses=schema.SERIES_ANSWERS, auth=AUTH,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = request.query_params
        span, rule_id = self.span(), number_asked(asked, "rule")
        if asked.get("step"):
            if asked["step"] not in set(Step):
                raise Invalid("step is not valid.", fields={"step": f"Use one of {', '.join(Step)}."})
            span = range_stepped(span, Step(asked["step"]))
        before = range_compared(span, comparison_asked(asked))
        with tenant_scope(self.tenant_id):
            points, compared = series_compared(span, before, namespace=asked.get("namespace") or None, rule_id=rule_id)
        answer = span_json(span) | {"step": span.step.value} | series_json(points, totals_of(points), span)
        if before is not None:
            place = {
                "since": moment(before.since, span), "until": moment(before.until, span), "step": before.step.value,
            }  # fmt: skip
            answer["compared"] = place | series_json(compared, totals_of(compared), span)
        return Response(answer)


class BreakdownView(AnalyticsView):
    @extend_schema(
        operation_id="analytics_breakdown", summary="Who and what is behind the numbers", tags=["analytics"],
        description="By rule and namespace to the step; by route, key, user and address by whole hours and, for those "
        "not folded yet, by the latest checks.",
        parameters=schema.BREAKDOWN, responses=schema.BREAKDOWN_ANSWERS, auth=AUTH,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        span, by, limit = self.span(), request.query_params.get("by") or "rule", self.limit(default=10, most=200)
        with tenant_scope(self.tenant_id):
            held = breakdown(
                span, by=by, tenant_id=self.tenant_id, rules=rules_of(self.tenant_id), whole=totals(span), limit=limit
            )
        return Response(span_json(span) | breakdown_json(held))


class TopView(AnalyticsView):
    @extend_schema(
        operation_id="analytics_top", summary="Whom rules deny most", tags=["analytics"],
        description="Addresses and users, of all rules or of one.",
        parameters=schema.TOP, responses=schema.TOP_ANSWERS, auth=AUTH,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        span, rule_id = self.span(), number_asked(request.query_params, "rule")
        with tenant_scope(self.tenant_id):
            found = offenders(span, rule_id=rule_id, limit=self.limit(default=10, most=100))
        return Response(span_json(span) | {"offenders": [offender_json(one) for one in found]})


class EventsView(AnalyticsView):
    @extend_schema(
        operation_id="analytics_events", summary="Single checks, newest first", tags=["analytics"],
        description="Pages by cursor: none is skipped or repeated, however many come meanwhile. A search for something "
        "rare in a long range may be refused with 422 `search_too_long`.",
        parameters=schema.EVENTS, responses=schema.EVENTS_ANSWERS, auth=AUTH,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = request.query_params
        span, wanted, limit = self.span(), filter_asked(asked), self.limit(default=100, most=1_000)
        after = cursor_read(asked["cursor"]) if asked.get("cursor") else None
        with tenant_scope(self.tenant_id):
            page = events(span, wanted, after=after, limit=limit)
            rules = {rule.id: rule.name for rule in rules_of(self.tenant_id)}
        found = [event_json(event, span, rules) for event in page.events]
        return Response(span_json(span) | {"events": found, "next": page.next.written() if page.next else None})


class MarkersView(AnalyticsView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.RULES_EDIT}

    @extend_schema(
        operation_id="analytics_markers", summary="What happened", tags=["analytics"],
        description="Deploys that were marked, and the last change of each rule, in the range.",
        parameters=schema.RANGE, responses=schema.MARKERS_ANSWERS, auth=AUTH,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        span = self.span()
        with tenant_scope(self.tenant_id):
            found = markers(span, rules=rules_of(self.tenant_id))
        return Response(span_json(span) | {"markers": [marker_json(one, span) for one in found]})

    @extend_schema(
        operation_id="analytics_mark", summary="Mark a deploy", tags=["analytics"],
        description="It stands on the time axis of every chart. Needs the scope `admin`.",
        request=schema.MARKER_REQUEST, responses=schema.MARKER_ANSWERS, auth=AUTH,
        examples=[OpenApiExample("A body", {"text": "v42"}, request_only=True)],
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        text, at = _marker(request.data, timezone.now())
        with tenant_scope(self.tenant_id):
            made = marker_create(tenant_id=self.tenant_id, kind="deploy", text=text, at=at)
        return Response(marker_json(MarkerInfo(made.at, made.kind, made.text)), status=201)


def _marker(body: Any, now: datetime) -> tuple[str, datetime]:
    """Raises Invalid."""
    if not isinstance(body, dict) or not isinstance(body.get("text"), str) or set(body) - {"text", "at"}:
        raise Invalid(
            "The body must be an object with text and, if you like, at.", fields={"text": "Must be a string."}
        )
    if body.get("at") is None:
        return body["text"], now
    try:
        at = datetime.fromisoformat(body["at"])
    except (TypeError, ValueError):
        at = None
    if at is None or at.tzinfo is None or not 1970 <= at.year <= 9998 or at > now:
        raise Invalid("at is not valid.", fields={"at": "Use ISO 8601 with an offset, not in the future."})
    return body["text"], at.astimezone(UTC)  # PostgreSQL knows no offset past 15:59
