"""What was asked and what was decided: over time, and by rule, route, key, person and namespace."""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.analytics.breakdowns import DIMENSIONS, breakdown, offenders
from apps.analytics.charts import chart, spark
from apps.analytics.forms import MarkerForm
from apps.analytics.ranges import Step, range_stepped
from apps.analytics.selectors import markers, rules_series, series_compared, totals_of
from apps.analytics.views.asked import Choice, asked, usual
from apps.core.errors import NotFound
from apps.limits.selectors import rule_get, rules_of
from apps.limits.sentences import sentence
from apps.plans.selectors import plan_of
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission

BY_WORDS = {
    "rule": "Rule", "route": "Route", "key": "API key", "user": "User", "ip": "Address", "namespace": "Namespace",
}  # fmt: skip
ROWS = 10
ALL_ROWS = 100
OFFENDERS = 25


@require_safe
@member_view(Permission.VIEW)
def traffic(request: TenantRequest) -> HttpResponse:
    tenant, now, plan = request.tenant, timezone.now(), plan_of(request.tenant.id)
    wanted = asked(request, now=now, retention_days=plan.retention_days)
    rules = rules_of(tenant.id)
    names = sorted({rule.namespace for rule in rules} | {"default"})
    namespace = request.GET.get("namespace") or None
    by = request.GET.get("by", "rule")
    by = by if by in DIMENSIONS else "rule"
    points, before = series_compared(wanted.span, wanted.before, namespace=namespace)
    whole = totals_of(points)
    happened = markers(wanted.span, rules=rules)
    context = {
        "section": "traffic", "plan": plan, "asked": wanted, "totals": whole,
        "before": totals_of(before) if before else None,
        "chart": chart(wanted.span, points, before_span=wanted.before, before=before, markers=happened),
        "as_table": request.GET.get("view") == "table",
        "namespaces": [Choice(name, name, name == namespace) for name in names] if len(names) > 1 or namespace else [],
        "by": by, "by_words": BY_WORDS[by],
        "dimensions": [Choice(name, BY_WORDS[name], name == by) for name in DIMENSIONS],
        "breakdown": breakdown(
            wanted.span, by=by, tenant_id=tenant.id, rules=rules, whole=None if namespace else whole,
            limit=ALL_ROWS if request.GET.get("all") else ROWS,
        ),
        "marker_form": MarkerForm(zone=wanted.span.zone, now=now),
    }  # fmt: skip
    return render(request, "analytics/traffic/page.html", context)


@require_safe
@member_view(Permission.VIEW)
def rule(request: TenantRequest, rule_id: int) -> HttpResponse:
    """One rule's: also of one that is gone, as long as its numbers are there."""
    tenant, now, plan = request.tenant, timezone.now(), plan_of(request.tenant.id)
    wanted = asked(request, now=now, retention_days=plan.retention_days)
    try:
        held = rule_get(tenant_id=tenant.id, rule_id=rule_id)
    except NotFound:
        raise Http404 from None
    points, before = series_compared(wanted.span, wanted.before, rule_id=rule_id)
    context = {
        "section": "rules", "plan": plan, "asked": wanted, "rule": held, "sentence": sentence(held),
        "totals": totals_of(points), "before": totals_of(before) if before else None,
        "chart": chart(
            wanted.span, points, before_span=wanted.before, before=before, markers=markers(wanted.span, rules=[held])
        ),
        "as_table": request.GET.get("view") == "table", "is_rule": True,
        "offenders": offenders(wanted.span, rule_id=rule_id, limit=ALL_ROWS if request.GET.get("all") else ROWS),
    }  # fmt: skip
    return render(request, "analytics/rule/page.html", context)


@require_safe
@member_view(Permission.VIEW)
def rule_glance(request: TenantRequest, rule_id: int) -> HttpResponse:
    """The last 24 hours of a rule, for the page where it is written."""
    now, plan = timezone.now(), plan_of(request.tenant.id)
    try:
        held = rule_get(tenant_id=request.tenant.id, rule_id=rule_id)
    except NotFound:
        raise Http404 from None
    span = usual(request, now=now, retention_days=plan.retention_days)
    points, _ = series_compared(span, None, rule_id=rule_id)
    # Whom it counts by, where it counts by one of the two; an attacker's address and user are one and the same else.
    kind = "ip" if "ip" in held.key and "user" not in held.key else "user"
    found = [one for one in offenders(span, rule_id=rule_id, limit=20) if one.dimension == kind]
    context = {"rule": held, "totals": totals_of(points), "offenders": found[:3]}
    return render(request, "analytics/rule/glance.html", context)


@require_safe
@never_cache
@member_view(Permission.VIEW)
def sparks(request: TenantRequest) -> HttpResponse:
    """The last hour of the rules that the list shows, which takes each to its place; of others it has none."""
    now, plan = timezone.now(), plan_of(request.tenant.id)
    hour = usual(request, now=now, retention_days=plan.retention_days, preset="1h")
    found = rules_series(range_stepped(hour, Step.MINUTES_5))
    shown = set(request.GET.get("rules", "").split(","))
    drawn = {rule: spark(held) for rule, held in found.items() if str(rule) in shown}
    return render(request, "analytics/rule/sparks.html", {"sparks": drawn})


@require_safe
@member_view(Permission.VIEW)
def offenders_page(request: TenantRequest) -> HttpResponse:
    """Whom rules deny most, of all rules or of one."""
    tenant, now, plan = request.tenant, timezone.now(), plan_of(request.tenant.id)
    wanted = asked(request, now=now, retention_days=plan.retention_days)
    rules = rules_of(tenant.id)
    chosen = next((rule for rule in rules if str(rule.id) == request.GET.get("rule")), None)
    context = {
        "section": "offenders", "plan": plan, "asked": wanted, "rule": chosen,
        "rules": [Choice(str(rule.id), rule.name, rule is chosen) for rule in rules if not rule.is_gate],
        "offenders": offenders(wanted.span, rule_id=chosen.id if chosen else None, limit=OFFENDERS),
    }  # fmt: skip
    return render(request, "analytics/offenders.html", context)
