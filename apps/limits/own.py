"""The product's own limits: the admin API is judged by the engine as customers' APIs are, for tenant 0, who is nobody.

Nothing of it is an event, so it is in nobody's numbers and on nobody's bill. While the store is away each process
counts by itself, as rules do that say `local`.
"""

import itertools
from functools import cache

from django.conf import settings

from apps.tenants.principals import Admission, Principal
from ratelimiter.engine.decision import Check, Decision
from ratelimiter.engine.matching import RuleSet
from ratelimiter.engine.prepare import prepare
from ratelimiter.engine.rules import Rule, RuleType
from ratelimiter.engine.wire.render import decision_render
from ratelimiter.store.sync import SyncStore

HOUSE = 0
WINDOW_MS = 60_000
_TOLD = ("RateLimit-Policy", "RateLimit", "Retry-After")
_numbers = itertools.count(1)


def admit(principal: Principal) -> Admission:
    """Counts one request of that credential and of its tenant."""
    store = _store()
    who = {"tenant": str(principal.tenant_id), "credential": f"{principal.kind}:{principal.id}"}
    entry = prepare(
        _rules(settings.API_REQUESTS_A_TENANT, settings.API_REQUESTS_A_CREDENTIAL), Check(attributes=who), live=True,
        now_ms=store.now_ms(), check_id=f"api_{next(_numbers):x}",
    )  # fmt: skip
    decision = store.decide(entry)
    assert isinstance(decision, Decision)
    headers = dict(decision_render(decision).headers)
    return Admission(
        decision.allowed,
        {name: headers[name] for name in _TOLD if name in headers},
        f"{decision.policy} allows {decision.limit} requests a minute; wait as Retry-After says.",
    )


@cache
def _rules(a_tenant: int, a_credential: int) -> RuleSet:
    return RuleSet(
        HOUSE,
        [
            Rule(
                id=number, name=f"api-{what}", type=RuleType.CUSTOM, limit=limit, window_ms=WINDOW_MS,
                key=(f"attributes.{what}",),
            )
            for number, (what, limit) in enumerate((("tenant", a_tenant), ("credential", a_credential)), start=1)
        ],
    )  # fmt: skip


@cache
def _store() -> SyncStore:
    """One a process, made by the first request, after the process was forked."""
    return SyncStore(settings.COUNTERS_URL, workers=settings.DOOR_WORKERS)
