"""Why was this one blocked? Single checks, searched, and as they come."""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from apps.analytics.asking import filter_asked
from apps.analytics.events import Cursor, EventInfo, Filter, cursor_read, events, events_newer
from apps.analytics.explaining import Explained, explained
from apps.analytics.ranges import PRESETS, Range, range_preset
from apps.analytics.tables import TABLE
from apps.analytics.views.asked import Choice, asked
from apps.apikeys.selectors import key_names
from apps.core.errors import ApplicationError
from apps.core.fragments import is_fragment
from apps.limits.selectors import rules_of
from apps.plans.selectors import plan_of
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission

OUTCOME_WORDS = {
    "": "any", "denied": "denied", "shadow_denied": "would deny in shadow", "degraded": "degraded",
    "allowed": "allowed",
}  # fmt: skip
OVERLAP = timedelta(seconds=5)  # checks of one moment come over several partitions
TAIL = 50


@require_safe
@gzip_page
@never_cache
@member_view(Permission.VIEW)
def explorer(request: TenantRequest) -> HttpResponse:
    """`?tail=1` follows what comes instead of showing a range."""
    tenant, now, plan = request.tenant, timezone.now(), plan_of(request.tenant.id)
    wanted_range = asked(request, now=now, retention_days=plan.retention_days)
    rules, keys = {rule.id: rule for rule in rules_of(tenant.id)}, key_names(tenant.id)
    is_tail, problem, found, older = bool(request.GET.get("tail")), "", [], None
    try:
        wanted = filter_asked(request.GET)
        span = _span(wanted, wanted_range.span, now, plan.retention_days)
        if is_tail:
            found = events_newer(_tail_span(now, span), wanted, since=now - PRESETS["1h"], limit=TAIL)
        else:
            page = events(span, wanted, after=_cursor(request))
            found, older = list(page.events), page.next
    except ApplicationError as error:
        wanted, problem = Filter(), " ".join([error.detail, *error.fields.values()])
    context = {
        "section": "explorer", "plan": plan, "asked": wanted_range, "wanted": wanted, "problem": problem,
        "found": [explained(event, rules=rules, keys=keys) for event in found], "is_tail": is_tail,
        "older": older.written() if older else "", "is_later_page": "after" in request.GET,
        "outcomes": [Choice(name, words, name == wanted.outcome) for name, words in OUTCOME_WORDS.items()],
        "rules": [Choice(str(rule.id), rule.name, rule.id == wanted.rule_id) for rule in rules.values()],
        "keys": [Choice(str(key), name, key == wanted.key_id) for key, name in keys.items()],
        "is_sampled": any(event.weight > 1 for event in found), "tail_query": _tail_query(request, found, now),
    }  # fmt: skip
    return render(request, "analytics/explorer/page.html", context, status=422 if problem else 200)


@require_safe
@never_cache
@member_view(Permission.VIEW)
def tail(request: TenantRequest) -> HttpResponse:
    """What came since `than`, for the page that follows; asks again with the newest of them."""
    now, plan = timezone.now(), plan_of(request.tenant.id)
    span = range_preset(preset="1h", now=now, retention_days=plan.retention_days, zone=_zone(request))
    try:
        than = cursor_read(request.GET.get("than", ""))
        found = events_newer(_tail_span(now, span), filter_asked(request.GET), since=than.at - OVERLAP, limit=TAIL)
    except ApplicationError:
        raise Http404 from None
    rules = {rule.id: rule for rule in rules_of(request.tenant.id)} if found else {}
    keys = key_names(request.tenant.id) if found else {}
    newest = found if found and found[0].at > than.at else []
    context = {
        "found": [explained(event, rules=rules, keys=keys) for event in found],
        "tail_query": _tail_query(request, newest, now, than),
    }  # fmt: skip
    return render(request, "analytics/explorer/tail.html", context)


@require_safe
@member_view(Permission.VIEW)
def check(request: TenantRequest, check_id: str) -> HttpResponse:
    """One check by its id, as answers and logs carry it; alone, or for the line that opened."""
    tenant, now, plan = request.tenant, timezone.now(), plan_of(request.tenant.id)
    span = range_preset(preset="1y", now=now, retention_days=plan.retention_days, zone=_zone(request))
    page = events(span, Filter(check_id=check_id), limit=1)
    if not page.events:
        kept_days = min(plan.retention_days, TABLE["event"].keep.days)
        missing = {"section": "explorer", "check_id": check_id, "kept_days": kept_days}
        return render(request, "analytics/explorer/missing.html", missing, status=404)
    one: Explained = explained(
        page.events[0], rules={rule.id: rule for rule in rules_of(tenant.id)}, keys=key_names(tenant.id)
    )
    context = {"section": "explorer", "one": one, "event": one.event}
    return render(request, f"analytics/explorer/{'why' if is_fragment(request) else 'check'}.html", context)


def _span(wanted: Filter, picked: Range, now: datetime, retention_days: int) -> Range:
    """A check that is named by its id is looked for everywhere: an index finds it."""
    if wanted.check_id or wanted.text.startswith("chk_"):
        return range_preset(preset="1y", now=now, retention_days=retention_days, zone=picked.zone)
    return picked


def _tail_span(now: datetime, span: Range) -> Range:
    """Doors' clocks may be ahead of ours."""
    return replace(span, since=max(span.earliest, now - PRESETS["1h"]), until=now + PRESETS["1h"])


def _cursor(request: TenantRequest) -> Cursor | None:
    return cursor_read(request.GET["after"]) if request.GET.get("after") else None


def _tail_query(request: TenantRequest, found: list[EventInfo], now: datetime, than: Cursor | None = None) -> str:
    """Of the next question: the same filter, since the newest check that was found."""
    query = QueryDict(mutable=True)
    for name in ("outcome", "rule", "key", "route", "user", "ip", "namespace", "q"):
        if request.GET.get(name):
            query[name] = request.GET[name]
    query["than"] = (found[0].cursor if found else than or Cursor(now, "-")).written()
    return query.urlencode()


def _zone(request: TenantRequest) -> ZoneInfo:
    return ZoneInfo(request.tenant.timezone)
