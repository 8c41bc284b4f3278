"""People, tenants and rules, made through the services that the product uses."""

from dataclasses import dataclass

import factory

from apps.apikeys.services import key_create, organisation_open
from apps.core.scope import tenant_scope
from apps.limits.override_services import override_put
from apps.limits.overrides import OverrideSpec
from apps.limits.services import rule_create
from apps.limits.specs import RuleSpec
from apps.notifications.kinds import KINDS
from apps.notifications.models import Attempt, Delivery
from apps.notifications.preferences import inbox_read, matrix_set
from apps.notifications.services import notify
from apps.plans.services import plan_set
from apps.tenants.services import membership_put, user_create

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Member:
    """A user and the tenant in which they are `role`; `secret` is the tenant's first test key."""

    user_id: int
    email: str
    tenant_id: int
    slug: str
    secret: str


def member_make(email, tenant_name, plan):
    user_id = user_create(email=email, password=PASSWORD)
    opened = organisation_open(user_id=user_id, name=tenant_name)
    plan_set(tenant_id=opened.tenant.id, code=plan)
    return Member(user_id, email, opened.tenant.id, opened.tenant.slug, opened.secret)


class MemberFactory(factory.Factory):
    """An owner with a tenant of their own."""

    class Meta:
        model = Member

    email = factory.Sequence(lambda n: f"person{n}@example.com")
    tenant_name = factory.Sequence(lambda n: f"Organisation {n}")
    plan = "free"

    @classmethod
    def _create(cls, model_class, email, tenant_name, plan):
        return member_make(email, tenant_name, plan)


class SpecFactory(factory.Factory):
    class Meta:
        model = RuleSpec

    name = factory.Sequence(lambda n: f"rule-{n}")
    type = "global"
    limit = 100
    window_ms = 60_000


def rule_make(tenant_id, **fields):
    with tenant_scope(tenant_id):
        return rule_create(tenant_id=tenant_id, spec=SpecFactory(**fields))


def override_make(tenant_id, rule_id, values=("u_1",), limit=5, **fields):
    with tenant_scope(tenant_id):
        return override_put(tenant_id=tenant_id, rule_id=rule_id, spec=OverrideSpec(tuple(values), limit, **fields))


def key_make(tenant_id, *, name="api", live=True, **fields):
    """Returns apikeys.services.KeyIssued."""
    with tenant_scope(tenant_id):
        return key_create(tenant_id=tenant_id, name=name, live=live, **fields)


def notice_make(tenant_id, kind="quota.warning", dedupe_key="once", **context):
    """Tells the kind's own example, changed by `context`. Returns the notice's id."""
    return notify(tenant_id=tenant_id, kind=kind, dedupe_key=dedupe_key, context={**KINDS[kind].example, **context})


def notices_fill(member):
    """A row in every table of the room."""
    notice_make(member.tenant_id)
    with tenant_scope(member.tenant_id):
        matrix_set(tenant_id=member.tenant_id, chosen=set())
        inbox_read(tenant_id=member.tenant_id, user_id=member.user_id)
        delivery = Delivery.objects.first()
        Attempt.objects.create(tenant_id=member.tenant_id, delivery_id=delivery.id, outcome="sent", duration_ms=1)


def colleague_make(tenant_id, role, email=None):
    """A user with that role in the tenant. Returns the id."""
    user_id = user_create(email=email or f"{role}@example.com", password=PASSWORD)
    membership_put(tenant_id=tenant_id, user_id=user_id, role=role)
    return user_id
