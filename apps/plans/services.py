"""Changing what a tenant has bought. Doors learn of it: they count its checks and refuse them past a cap."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.core.errors import Conflict, Invalid
from apps.plans.models import Renewal, TenantPlan, Term
from apps.plans.periods import hour_of
from apps.plans.selectors import (
    DEFAULT_PLAN,
    PlanInfo,
    plan_get,
    plan_of,
    quota_of,
    trial_ends_at,
    trial_for,
    trials_until,
)
from apps.tenants.audit.writing import Target, audit_write
from apps.tenants.selectors import tenants_published
from apps.tenants.services import revision_bump, revisions_bump

MAX_SPEND_CAP_CENTS = 100_000_000
PAGE = 1_000


@transaction.atomic
def plan_set(*, tenant_id: int, code: str, since: datetime | None = None, sold_under: str = "") -> PlanInfo:
    """Rules that the new plan would not allow go on counting; they can be switched off and deleted, not edited.

    A billing period begins, at `since` where whoever sold the plan says when that was, else now. What is older than the
    tenant's last change cannot come before it, and begins now too. `sold_under` names a subscription; the same plan
    under another one begins anew. Raises NotFound for an unknown plan.
    """
    plan = plan_get(code)
    held = TenantPlan.objects.filter(tenant_id=tenant_id).first()
    if held is None or held.plan_id != plan.code or (sold_under and sold_under != _sold_under(tenant_id)):
        now = timezone.now()
        if since is None or since > now or (held is not None and hour_of(since) < hour_of(held.since_at)):
            since = now
        TenantPlan.objects.update_or_create(tenant_id=tenant_id, defaults={"plan_id": plan.code, "since_at": since})
        # Bills know whole hours, and so do the doors: the hour of the change is the new plan's.
        Term.objects.update_or_create(
            tenant_id=tenant_id, starts_at=hour_of(since), defaults={"plan_id": plan.code, "sold_under": sold_under}
        )
        _renewal_put(tenant_id, now)
        revision_bump(tenant_id=tenant_id)
        audit_write(
            tenant_id=tenant_id,
            action="plan.changed",
            target=Target(plan.code, plan.name),
            before={"plan": held.plan_id if held else DEFAULT_PLAN, "since": held.since_at if held else None},
            after={"plan": plan.code, "since": since} | ({"subscription": sold_under} if sold_under else {}),
        )
    return plan


@transaction.atomic
def trial_begin(*, tenant_id: int) -> PlanInfo:
    """Once. Raises Conflict."""
    revision_bump(tenant_id=tenant_id)  # whoever comes second waits for the first
    trial = trial_for(tenant_id)
    if trial is None:
        raise Conflict("A trial is for those who have neither bought nor tried a plan before.")
    return plan_set(tenant_id=tenant_id, code=trial.code)


def trials_end(*, now: datetime) -> int:
    """Puts those whose trial is over back on the default plan. Returns how many."""
    over = trials_until(now)
    for tenant_id, _ in over:
        with transaction.atomic():
            revision_bump(tenant_id=tenant_id)
            ends_at = trial_ends_at(tenant_id)
            if ends_at is not None and ends_at <= now:  # nobody has bought a plan meanwhile
                plan_set(tenant_id=tenant_id, code=DEFAULT_PLAN, since=ends_at)
    return len(over)


@transaction.atomic
def spend_cap_set(*, tenant_id: int, cents: int | None) -> None:
    """None lets checks beyond the included ones cost what they cost.

    Raises Invalid, Conflict for a plan that bills nothing beyond its price.
    """
    plan = plan_of(tenant_id)
    if cents is not None and not 0 <= cents <= MAX_SPEND_CAP_CENTS:
        text = f"Must be between $0 and ${MAX_SPEND_CAP_CENTS // 100:,}."
        raise Invalid(text, fields={"spend_cap": text})
    if not plan.overage_cents:
        raise Conflict(f"The {plan.name} plan bills no checks beyond the included ones, so there is nothing to cap.")
    rows = TenantPlan.objects.select_for_update().filter(tenant_id=tenant_id)
    held = rows.values_list("spend_cap_cents", flat=True).first()
    if TenantPlan.objects.filter(tenant_id=tenant_id).exclude(_spend_cap_is(cents)).update(spend_cap_cents=cents):
        revision_bump(tenant_id=tenant_id)
        audit_write(
            tenant_id=tenant_id,
            action="plan.spend_cap_changed",
            target=Target(plan.code, plan.name),
            before={"spend_cap_cents": held},
            after={"spend_cap_cents": cents},
        )


@transaction.atomic
def plan_changed(*, code: str) -> None:
    """After the plan itself was edited: every tenant on it is published anew."""
    on_plan = set(TenantPlan.objects.filter(plan_id=code).values_list("tenant_id", flat=True))
    elsewhere = set(TenantPlan.objects.exclude(plan_id=code).values_list("tenant_id", flat=True))
    after_id = 0
    while page := [state.tenant_id for state in tenants_published(after_id=after_id, limit=PAGE)]:
        concerned = [
            tenant_id
            for tenant_id in page
            if tenant_id in on_plan or (code == DEFAULT_PLAN and tenant_id not in elsewhere)
        ]
        revisions_bump(tenant_ids=concerned)
        after_id = page[-1]


def periods_renew(*, now: datetime) -> int:
    """Has every tenant published anew whose billing period has ended, so that doors know the one after the next.

    Returns how many. A tenant that is new here was published with the period that it is in.
    """
    due = list(Renewal.objects.filter(due_at__lte=now).order_by("due_at").values_list("tenant_id", flat=True)[:PAGE])
    for tenant_id in due:
        with transaction.atomic():
            if Renewal.objects.select_for_update().filter(tenant_id=tenant_id, due_at__lte=now).exists():
                _renewal_put(tenant_id, now)
                revision_bump(tenant_id=tenant_id)
    _renewals_begin(now)
    return len(due)


def _renewals_begin(now: datetime) -> None:
    after_id = 0
    while page := [state.tenant_id for state in tenants_published(after_id=after_id, limit=PAGE)]:
        known = set(Renewal.objects.filter(tenant_id__in=page).values_list("tenant_id", flat=True))
        Renewal.objects.bulk_create(
            [
                Renewal(tenant_id=tenant_id, due_at=quota_of(tenant_id, now).period.ends_at)
                for tenant_id in page
                if tenant_id not in known
            ],
            ignore_conflicts=True,
        )
        after_id = page[-1]


def _sold_under(tenant_id: int) -> str:
    latest = Term.objects.filter(tenant_id=tenant_id).order_by("-starts_at").values_list("sold_under", flat=True)
    return latest.first() or ""


def _renewal_put(tenant_id: int, now: datetime) -> None:
    due_at = quota_of(tenant_id, now).period.ends_at
    Renewal.objects.update_or_create(tenant_id=tenant_id, defaults={"due_at": due_at})


def _spend_cap_is(cents: int | None) -> Q:
    return Q(spend_cap_cents__isnull=True) if cents is None else Q(spend_cap_cents=cents)
