"""What would this rule have done? Before it is saved, with the tenant's own checks."""

from django.db import OperationalError, transaction
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from apps.analytics.asking import number_asked
from apps.analytics.replaying import replay as rule_replay
from apps.core.errors import ApplicationError, Conflict
from apps.core.fragments import is_fragment
from apps.limits.forms import RuleForm
from apps.limits.replay import obstacle
from apps.limits.selectors import RuleInfo, rule_get
from apps.limits.sentences import sentence
from apps.limits.specs import RuleSpec, spec_verify
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.permissions import Permission

FOLLOWS_MS = 1_500  # a replay that took less is done again with every change of the form
UNNAMED = "draft"


@require_POST
@never_cache
@member_view(Permission.RULES_EDIT)
def replay(request: TenantRequest) -> HttpResponse:
    """`?rule=` is the one that is being changed: its overrides hold. Saves nothing."""
    held = _held(request)
    context: dict[str, object] = {"section": "rules", "rule": held}
    try:
        spec = _spec(request, held)
        context |= {"sentence": sentence(spec), "key": spec.key, "escalates": bool(spec.escalation_breaches)}
        context |= _replayed(request.tenant.id, spec, held)
    except ApplicationError as error:
        context["problem"] = " ".join([error.detail, *error.fields.values()])
    name = "found" if is_fragment(request) else "page"
    return render(request, f"analytics/replay/{name}.html", context)


def _held(request: TenantRequest) -> RuleInfo | None:
    try:
        rule_id = number_asked(request.GET, "rule")
        return None if rule_id is None else rule_get(tenant_id=request.tenant.id, rule_id=rule_id)
    except ApplicationError:
        raise Http404 from None


def _spec(request: TenantRequest, held: RuleInfo | None) -> RuleSpec:
    """Raises ApplicationError for what is not a rule yet; a name is not needed for this."""
    data = request.POST.copy()
    if not data.get("name", "").strip():
        data["name"] = UNNAMED
    form = RuleForm(data)
    if not form.is_valid():
        words = [f"{form.fields[name].label}: {errors[0]}" if name in form.fields else str(errors[0])
                 for name, errors in form.errors.items()]  # fmt: skip
        raise Conflict(f"This is not a rule yet. {' '.join(words)}")
    spec = spec_verify(form.spec(ipv6_prefix=held.ipv6_prefix) if held else form.spec())
    if obstacle(spec):
        raise Conflict(obstacle(spec))
    return spec


def _replayed(tenant_id: int, spec: RuleSpec, held: RuleInfo | None) -> dict[str, object]:
    try:
        with transaction.atomic():
            done = rule_replay(tenant_id=tenant_id, spec=spec, rule_id=held.id if held else None, now=timezone.now())
    except OperationalError as error:
        if "statement timeout" not in str(error):
            raise
        raise Conflict("There are too many checks to replay them in time.") from None
    return {"replay": done, "follows": done.took_ms < FOLLOWS_MS}
