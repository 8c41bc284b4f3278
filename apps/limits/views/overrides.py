"""Overrides of a rule: look through, add, change, delete, bring many at once, take them along."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from apps.core.errors import ApplicationError, Invalid, NotFound
from apps.core.fragments import is_fragment
from apps.limits.override_forms import ImportForm, OverrideForm, override_initial
from apps.limits.override_lines import overrides_text
from apps.limits.override_services import (
    OverridesApplied,
    OverridesInvalid,
    override_delete,
    override_put,
    overrides_apply,
)
from apps.limits.overrides import OverrideSpec
from apps.limits.selectors import OverrideInfo, RuleInfo, live_doors, override_get, overrides_of, rule_get
from apps.limits.sentences import dimension_words, sentence, window_phrase, window_words
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission

PAGE = 50


@dataclass(frozen=True, slots=True)
class OverrideRow:
    """`effect` is a word of state: blocked, unlimited or limit."""

    override: OverrideInfo
    effect: str
    words: str
    is_over: bool


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.VIEW)
def overrides(request: TenantRequest, rule_id: int) -> HttpResponse:
    """`?q=` narrows by values and notes. To read with any role; posting adds one, with a role that edits rules."""
    rule, now = _rule_or_404(request, rule_id), timezone.now()
    form = OverrideForm(rule, request.POST or None, now=now, initial={"effect": "limit"})
    if request.method == "POST":
        if not request.member.may(Permission.RULES_EDIT):
            raise PermissionDenied(f"Your role here is {request.member.role}; it does not change rules.")
        if _put(request, rule, form, None):
            return redirect("limits:overrides", request.tenant.slug, rule.id)
    wanted = request.GET.get("q", "").strip().lower()
    held = [_row(rule, one, now) for one in overrides_of(tenant_id=request.tenant.id, rule_id=rule.id)]
    shown = [row for row in held if wanted in _haystack(row)]
    context = _context(rule) | {
        "form": form, "page": Paginator(shown, PAGE).get_page(request.GET.get("page")), "count": len(held), "q": wanted,
        "found": len(shown), "doors": live_doors(request.tenant.id),
    }  # fmt: skip
    template = "overrides/table.html" if is_fragment(request) else "overrides/list.html"
    return render(request, template, context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.RULES_EDIT)
def override(request: TenantRequest, rule_id: int, override_id: int) -> HttpResponse:
    rule, held = _override_or_404(request, rule_id, override_id)
    form = OverrideForm(rule, request.POST or None, now=timezone.now(), initial=override_initial(held))
    if request.method == "POST" and _put(request, rule, form, held.id):
        return redirect("limits:overrides", request.tenant.slug, rule.id)
    context = _context(rule) | {"form": form, "override": held}
    return render(request, "overrides/edit.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.RULES_EDIT)
def delete(request: TenantRequest, rule_id: int, override_id: int) -> HttpResponse:
    rule, held = _override_or_404(request, rule_id, override_id)
    if request.method != "POST":
        row = _row(rule, held, timezone.now())
        return render(request, "overrides/delete.html", _context(rule) | {"row": row})
    override_delete(tenant_id=request.tenant.id, rule_id=rule.id, override_id=held.id)
    messages.success(request, f"The override for {', '.join(held.values)} is deleted; the rule’s own limit holds.")
    return redirect("limits:overrides", request.tenant.slug, rule.id)


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.RULES_EDIT)
def bring(request: TenantRequest, rule_id: int) -> HttpResponse:
    """Many at once, as lines; all of them or none."""
    rule = _rule_or_404(request, rule_id)
    zone = ZoneInfo(request.tenant.timezone)
    form = ImportForm(rule, request.POST or None, request.FILES or None, zone=zone)
    if request.method == "POST" and form.is_valid():
        done = _apply(request, rule, form)
        if done is not None:
            messages.success(request, _applied_words(done))
            return redirect("limits:overrides", request.tenant.slug, rule.id)
    context = _context(rule) | {"form": form, "problems": form.problems[:100], "zone": request.tenant.timezone}
    return render(request, "overrides/import.html", context, status=422 if form.errors else 200)


@require_safe
@member_view(Permission.VIEW)
def export(request: TenantRequest, rule_id: int) -> HttpResponse:
    """What the import reads."""
    rule = _rule_or_404(request, rule_id)
    held = overrides_of(tenant_id=request.tenant.id, rule_id=rule.id)
    specs = [OverrideSpec(one.values, one.limit, one.burst, one.expires_at, one.note) for one in held]
    response = HttpResponse(overrides_text(specs, key=rule.key), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{rule.name}-overrides.csv"'
    return response


def _put(request: TenantRequest, rule: RuleInfo, form: OverrideForm, override_id: int | None) -> bool:
    if not form.is_valid():
        return False
    try:
        held = override_put(tenant_id=request.tenant.id, rule_id=rule.id, spec=form.spec(), override_id=override_id)
    except Invalid as error:
        form.refuse(error)
        return False
    except ApplicationError as error:
        form.add_error(None, error.detail)
        return False
    messages.success(request, f"The override for {', '.join(held.values)} is on its way to the doors.")
    return True


def _apply(request: TenantRequest, rule: RuleInfo, form: ImportForm) -> OverridesApplied | None:
    try:
        return overrides_apply(
            tenant_id=request.tenant.id, rule_id=rule.id, specs=form.specs(), prune=form.cleaned_data["prune"]
        )
    except OverridesInvalid as error:
        form.refuse([(form.line_of(position), sentence) for position, _, sentence in error.problems])
    except ApplicationError as error:
        form.add_error(None, error.detail)
    return None


def _applied_words(done: OverridesApplied) -> str:
    counts = (
        (done.created, "added"),
        (done.updated, "changed"),
        (done.deleted, "deleted"),
        (done.unchanged, "as they were"),
    )
    words = [f"{count:,} {word}" for count, word in counts if count]
    return f"Overrides: {', '.join(words) or 'nothing to do'}."


def _context(rule: RuleInfo) -> dict[str, object]:
    return {
        "section": "rules", "rule": rule, "sentence": sentence(rule), "own": _limit_words(rule, rule.limit, rule.burst),
        "dimensions": [dimension_words(name) for name in rule.key], "per": _limit_words(rule, None, 0),
    }  # fmt: skip


def _row(rule: RuleInfo, held: OverrideInfo, now: datetime) -> OverrideRow:
    if held.limit is None:
        return OverrideRow(held, "unlimited", "passes without counting", held.is_over(now))
    if held.limit == 0:
        return OverrideRow(held, "blocked", "blocked", held.is_over(now))
    return OverrideRow(held, "limit", _limit_words(rule, held.limit, held.burst), held.is_over(now))


def _limit_words(rule: RuleInfo, limit: int | None, burst: int) -> str:
    """“50 per 1 minute”; without a limit only what follows the number."""
    if rule.algorithm == "concurrency":
        per = f"at a time, each for at most {window_phrase(rule.window_ms)}"
    else:
        per = f"per {window_words(rule)}"
    if limit is None:
        return per
    return f"{limit:,} {per}" + (f", bursts up to {burst:,}" if burst else "")


def _haystack(row: OverrideRow) -> str:
    return f"{' '.join(row.override.values)} {row.override.note} {row.words}".lower()


def _rule_or_404(request: TenantRequest, rule_id: int) -> RuleInfo:
    """Only a rule that counts by something can have overrides."""
    try:
        rule = rule_get(tenant_id=request.tenant.id, rule_id=rule_id)
    except NotFound:
        raise Http404 from None
    if not rule.key:
        raise Http404
    return rule


def _override_or_404(request: TenantRequest, rule_id: int, override_id: int) -> tuple[RuleInfo, OverrideInfo]:
    rule = _rule_or_404(request, rule_id)
    try:
        return rule, override_get(tenant_id=request.tenant.id, rule_id=rule_id, override_id=override_id)
    except NotFound:
        raise Http404 from None
