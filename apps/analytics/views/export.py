"""The same numbers and checks as CSV."""

from collections.abc import Iterator
from datetime import datetime

from django.http import HttpResponse, HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.analytics.asking import filter_asked, number_asked, range_asked
from apps.analytics.events import Cursor, EventInfo, Filter, events
from apps.analytics.ranges import Range
from apps.analytics.selectors import Point, rule_series, series
from apps.core.errors import ApplicationError
from apps.core.scope import tenant_scope
from apps.core.sheets import sheet
from apps.plans.selectors import plan_of
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission

PAGE = 1_000
POINT_COLUMNS = (
    "from", "checks", "allowed", "denied", "shadow_denied", "degraded", "billable", "cost", "p50_us", "p95_us",
    "p99_us",
)  # fmt: skip
EVENT_COLUMNS = (
    "id", "at", "outcome", "reason", "route", "user", "ip", "key_id", "namespace", "mode", "live", "degraded", "cost",
    "latency_us", "stands_for", "rules",
)  # fmt: skip


@require_safe
@member_view(Permission.VIEW, opens_scope=False)
def traffic_csv(request: TenantRequest) -> HttpResponseBase:
    """The series that the traffic page, or with `rule` a rule's, draws."""
    try:
        span, rule_id = _span(request), number_asked(request.GET, "rule")
    except ApplicationError as error:
        return _refused(error)
    with tenant_scope(request.tenant.id):
        points = rule_series(span, rule_id=rule_id) if rule_id is not None else _series(request, span)
    return sheet("traffic", POINT_COLUMNS, (_point_row(point, span) for point in points))


@require_safe
@member_view(Permission.VIEW, opens_scope=False)
def events_csv(request: TenantRequest) -> HttpResponseBase:
    """Every check that the explorer would show, page after page."""
    try:
        span, wanted = _span(request), filter_asked(request.GET)
    except ApplicationError as error:
        return _refused(error)
    return sheet("checks", EVENT_COLUMNS, _event_rows(request.tenant.id, span, wanted))


def _span(request: TenantRequest) -> Range:
    plan = plan_of(request.tenant.id)
    given = request.GET.dict()
    if given.get("range") == "custom":
        given.pop("range")
    return range_asked(given, zone=request.tenant.timezone, now=timezone.now(), retention_days=plan.retention_days)


def _series(request: TenantRequest, span: Range) -> list[Point]:
    return series(span, namespace=request.GET.get("namespace") or None)


def _event_rows(tenant_id: int, span: Range, wanted: Filter) -> Iterator[list[object]]:
    """A scope a page: none stays open while the reader takes its time."""
    after: Cursor | None = None
    while True:
        try:
            with tenant_scope(tenant_id):
                page = events(span, wanted, after=after, limit=PAGE)
        except ApplicationError as error:
            yield [f"The export ends here: {error.detail}"]
            return
        yield from (_event_row(event, span) for event in page.events)
        if page.next is None:
            return
        after = page.next


def _point_row(point: Point, span: Range) -> list[object]:
    totals = point.totals
    percentiles = [None if us is None else round(us) for us in (totals.p50_us, totals.p95_us, totals.p99_us)]
    return [
        _moment(point.at, span), totals.checks, totals.allowed, totals.denied, totals.shadow_denied, totals.degraded,
        totals.billable, totals.cost, *percentiles,
    ]  # fmt: skip


def _event_row(event: EventInfo, span: Range) -> list[object]:
    said = " ".join(f"{one.rule_id}:{one.outcome}" for one in event.results)
    return [
        event.id, _moment(event.at, span), event.outcome, event.reason, event.route, event.user, event.ip, event.key_id,
        event.namespace, event.mode, event.live, event.degraded, event.cost, event.latency_us, event.weight, said,
    ]  # fmt: skip


def _moment(at: datetime, span: Range) -> str:
    return at.astimezone(span.zone).isoformat(timespec="milliseconds" if at.microsecond else "seconds")


def _refused(error: ApplicationError) -> HttpResponse:
    words = " ".join([error.detail, *error.fields.values()])
    return HttpResponse(words, status=error.status, content_type="text/plain; charset=utf-8")
