"""Rules: list, write, change, delete."""

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.core.errors import ApplicationError, NotFound
from apps.core.forms import errors_take
from apps.core.fragments import is_fragment
from apps.limits.algorithms import ALGORITHMS
from apps.limits.forms import FIELD_NAMES, LockedSelect, RuleForm, rule_initial
from apps.limits.headers import header_examples
from apps.limits.selectors import RuleInfo, counts_today, live_doors, override_counts, rule_get, rules_of
from apps.limits.sentences import Piece, sentence
from apps.limits.services import rule_create, rule_delete, rule_enabled_set, rule_mode_set, rule_update
from apps.limits.specs import spec_verify
from apps.plans.selectors import plan_of, plans_all
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.audit.reading import history_of
from apps.tenants.audit.words import EntryRow, entry_row
from apps.tenants.permissions import Permission

STARTING_VALUES = {
    "type": "global", "limit": 100, "window_count": 1, "window_unit": "minute", "algorithm": "sliding_window",
    "mode": "enforce", "on_failure": "local", "enabled": True, "action": "limit", "anchor": 1, "within_unit": "minute",
    "block_unit": "minute",
}  # fmt: skip
SENTENCE_FIELDS = (
    "action", "type", "limit", "window_count", "window_unit", "zone", "anchor", "burst", "mode", "on_failure",
)  # fmt: skip
ESCALATION_FIELDS = ("breaches", "within_count", "within_unit", "block_count", "block_unit")
HISTORY_SHOWN = 5
CONDITION_FIELDS = ("routes", "ips", "users", "attributes")


@dataclass(frozen=True, slots=True)
class RuleRow:
    """`overrides` is how many the rule has."""

    rule: RuleInfo
    sentence: list[Piece]
    overrides: int


@require_safe
@member_view(Permission.VIEW)
def rules(request: TenantRequest) -> HttpResponse:
    """`?q=` narrows by name and words; the filter stays in the address."""
    counts = override_counts(request.tenant.id)
    rows = [RuleRow(rule, sentence(rule), counts.get(rule.id, 0)) for rule in rules_of(request.tenant.id)]
    wanted = request.GET.get("q", "").strip().lower()
    shown = [row for row in rows if wanted in _haystack(row)]
    context = {
        "section": "rules", "rows": shown, "count": len(rows), "q": wanted, "doors": live_doors(request.tenant.id),
    }  # fmt: skip
    return render(request, "rules/list.html", context)


@require_safe
@never_cache
@member_view(Permission.VIEW)
def live(request: TenantRequest) -> HttpResponse:
    """The badge alone: which revision decides, on how many doors."""
    return render(request, "rules/live.html", {"doors": live_doors(request.tenant.id)})


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.RULES_EDIT)
def create(request: TenantRequest) -> HttpResponse:
    form = _form(request, initial=STARTING_VALUES | {"zone": request.tenant.timezone})
    if request.method == "POST" and form.is_valid():
        try:
            rule = rule_create(tenant_id=request.tenant.id, spec=form.spec())
        except ApplicationError as error:
            errors_take(form, error, FIELD_NAMES)
        else:
            messages.success(request, f"Rule {rule.name} is on its way to the doors.")
            return redirect("limits:rules", request.tenant.slug)
    return _editor(request, form, None)


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.VIEW)
def rule(request: TenantRequest, rule_id: int) -> HttpResponse:
    """To read with any role, to change with one that edits rules."""
    held = _rule_or_404(request, rule_id)
    if not request.member.may(Permission.RULES_EDIT):
        if request.method == "POST":
            raise PermissionDenied(f"Your role here is {request.member.role}; it does not change rules.")
        context = {
            "section": "rules", "rule": held, "sentence": sentence(held), "examples": header_examples(held),
            "override_count": _override_count(request, held.id), "doors": live_doors(request.tenant.id),
        }  # fmt: skip
        return render(request, "rules/read.html", context)
    form = _form(request, initial=rule_initial(held))
    if request.method == "POST" and form.is_valid():
        try:
            spec = form.spec(ipv6_prefix=held.ipv6_prefix)
            changed = rule_update(tenant_id=request.tenant.id, rule_id=held.id, spec=spec)
        except ApplicationError as error:
            errors_take(form, error, FIELD_NAMES)
        else:
            messages.success(request, f"Rule {changed.name} is saved and on its way to the doors.")
            return redirect("limits:rule", request.tenant.slug, held.id)
    return _editor(request, form, held)


@require_POST
@member_view(Permission.RULES_EDIT)
def preview(request: TenantRequest) -> HttpResponse:
    """What the form says, while it is being filled in; saves nothing."""
    form = _form(request)
    context: dict[str, object] = {"form": form}
    if form.is_valid():
        spec = spec_verify(form.spec())
        context |= {"sentence": sentence(spec), "examples": header_examples(spec)}
    return render(request, "rules/said.html", context)


@require_POST
@member_view(Permission.RULES_EDIT)
def mode(request: TenantRequest, rule_id: int) -> HttpResponse:
    held = _rule_or_404(request, rule_id)
    return _switched(request, rule_mode_set, rule_id=held.id, mode=request.POST.get("mode", ""))


@require_POST
@member_view(Permission.RULES_EDIT)
def enabled(request: TenantRequest, rule_id: int) -> HttpResponse:
    held = _rule_or_404(request, rule_id)
    return _switched(request, rule_enabled_set, rule_id=held.id, enabled=request.POST.get("enabled") == "on")


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.RULES_EDIT)
def delete(request: TenantRequest, rule_id: int) -> HttpResponse:
    held = _rule_or_404(request, rule_id)
    if request.method != "POST":
        context = {
            "section": "rules",
            "rule": held,
            "sentence": sentence(held),
            "others": sum(other.enabled for other in rules_of(request.tenant.id) if other.id != held.id),
            "override_count": _override_count(request, held.id),
            "today": counts_today(tenant_id=request.tenant.id, now=timezone.now()),
        }
        return render(request, "rules/delete.html", context)
    rule_delete(tenant_id=request.tenant.id, rule_id=held.id)
    messages.success(request, f"Rule {held.name} is deleted.")
    return redirect("limits:rules", request.tenant.slug)


def _form(request: TenantRequest, initial: dict[str, object] | None = None) -> RuleForm:
    form = RuleForm(request.POST or None, initial=initial)
    widget = form.fields["type"].widget
    if isinstance(widget, LockedSelect):
        widget.locked = _locked_types(request.tenant.id)
    return form


def _locked_types(tenant_id: int) -> dict[str, str]:
    """Rule type -> name of the cheapest plan that has it, for the types that this tenant's plan has not."""
    held = plan_of(tenant_id).rule_types
    locked: dict[str, str] = {}
    for plan in plans_all():
        for rule_type in plan.rule_types:
            if rule_type not in held:
                locked.setdefault(rule_type, plan.name)
    return locked


def _editor(request: TenantRequest, form: RuleForm, held: RuleInfo | None) -> HttpResponse:
    widget = form.fields["type"].widget
    context = {
        "section": "rules",
        "form": form,
        "rule": held,
        "sentence": sentence(held) if held else None,
        "examples": header_examples(held) if held else None,
        "algorithm_choices": [
            {"radio": radio, "words": words} for radio, words in zip(form["algorithm"], ALGORITHMS, strict=True)
        ],
        "sentence_fields": [form[name] for name in SENTENCE_FIELDS],
        "override_count": _override_count(request, held.id) if held else 0,
        "escalation_fields": [form[name] for name in ESCALATION_FIELDS],
        "has_escalation": bool(form["breaches"].value()) or any(form[name].errors for name in ESCALATION_FIELDS),
        "has_conditions": form["action"].value() != "limit"
        or any(form[name].value() or form[name].errors for name in CONDITION_FIELDS),
        "locked": list(dict.fromkeys(widget.locked.values())) if isinstance(widget, LockedSelect) else [],
        "doors": live_doors(request.tenant.id),
        "history": _history(request, held) if held else [],
    }
    return render(request, "rules/editor.html", context, status=422 if form.errors else 200)


def _history(request: TenantRequest, held: RuleInfo) -> list[EntryRow]:
    entries = history_of(tenant_id=request.tenant.id, target_kind="rule", target_id=held.id, limit=HISTORY_SHOWN)
    return [entry_row(entry) for entry in entries]


def _switched(request: TenantRequest, switch: Callable[..., RuleInfo], **what: object) -> HttpResponse:
    """The row alone for htmx, the list for everybody else."""
    try:
        held = switch(tenant_id=request.tenant.id, **what)
    except ApplicationError as error:
        messages.error(request, error.detail)
        held = _rule_or_404(request, int(str(what["rule_id"])))
        if is_fragment(request):
            return render(request, "rules/row.html", {"row": _row(request, held), "problem": error.detail})
        return redirect("limits:rules", request.tenant.slug)
    if is_fragment(request):
        return render(request, "rules/row.html", {"row": _row(request, held)})
    messages.success(request, f"Rule {held.name} is {_state_words(held)}.")
    return redirect("limits:rules", request.tenant.slug)


def _row(request: TenantRequest, held: RuleInfo) -> RuleRow:
    return RuleRow(held, sentence(held), _override_count(request, held.id))


def _override_count(request: TenantRequest, rule_id: int) -> int:
    return override_counts(request.tenant.id).get(rule_id, 0)


def _state_words(held: RuleInfo) -> str:
    if not held.enabled:
        return "off"
    return "in shadow: its denials are recorded only" if held.is_shadow else "enforced"


def _haystack(row: RuleRow) -> str:
    return f"{row.rule.name} {row.rule.namespace} {''.join(piece.text for piece in row.sentence)}".lower()


def _rule_or_404(request: TenantRequest, rule_id: int) -> RuleInfo:
    try:
        return rule_get(tenant_id=request.tenant.id, rule_id=rule_id)
    except NotFound:
        raise Http404 from None
