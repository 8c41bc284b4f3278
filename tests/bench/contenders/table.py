"""Who is measured, in the order of the report."""

from dataclasses import replace

from tests.bench.contenders import asgi, django_endpoint, drf_throttle, limits_fastapi, nginx
from tests.bench.contenders.contender import Contender
from tests.bench.contenders.door import Door

BATCH, BATCH_CONNECTIONS = 100, 4
LEASE = 1_000

ONE_RULE, TWO_RULES, TWO_RULES_64 = "door, 1 rule", "door, 2 rules", "door, 2 rules, 64 tenants"
BATCHES, BATCHES_64 = "door, batches", "door, batches, 64 tenants"
LEASES, LEASES_64 = "door, leases", "door, leases, 64 tenants"
DJANGO = "Django endpoint, 2 rules"


def _batches(name: str, says: str, door: Door, *, is_quick: bool = True) -> Contender:
    asked = replace(door, batch=BATCH)
    return Contender(name, says, asked, checks=BATCH, connections=BATCH_CONNECTIONS, is_quick=is_quick)


IN_TURN = "64 callers' keys in turn"

CONTENDERS = (
    Contender(ONE_RULE, "authentication, quota, headers, an event each", Door(rules=1), is_quick=False),
    Contender(TWO_RULES, "the same, two rules decide together", Door(rules=2)),
    Contender("door, 5 rules", "five rules together", Door(rules=5), is_quick=False),
    Contender("door, 10 rules", "the most rules that a check may have", Door(rules=10), is_quick=False),
    Contender(
        "door, 2 rules, all denied",
        "a problem document each; a denial is held for 50 ms",
        Door(rules=2, denied=1.0),
        shares={429: (1.0, 1.0)},
    ),
    Contender(
        "door, 2 rules, half denied",
        "half of the answers are 429",
        Door(rules=2, denied=0.5),
        shares={200: (0.4, 0.6), 429: (0.4, 0.6)},
        is_quick=False,
    ),
    Contender("door, 1 rule, 64 tenants", IN_TURN, Door(rules=1, tenants=64), is_quick=False),
    Contender(TWO_RULES_64, IN_TURN, Door(rules=2, tenants=64), is_quick=False),
    Contender("door, 5 rules, 64 tenants", IN_TURN, Door(rules=5, tenants=64), is_quick=False),
    Contender("door, 10 rules, 64 tenants", IN_TURN, Door(rules=10, tenants=64), is_quick=False),
    _batches(BATCHES, "100 checks a request, one rule", Door()),
    _batches(BATCHES_64, IN_TURN, Door(tenants=64), is_quick=False),
    _batches(LEASES, "batches for 4 busy users, whose rule leases 1,000 units", Door(lease=LEASE)),
    _batches(LEASES_64, IN_TURN, Door(tenants=64, lease=LEASE), is_quick=False),
    Contender(DJANGO, "the same rules, quota, script and event through DRF and gunicorn", django_endpoint.start),
    Contender("uvicorn, a constant", "a bare ASGI application, no check at all", asgi.start),
    Contender("nginx, a constant", "one worker process, no check at all", nginx.start, absent=nginx.absent),
    Contender("FastAPI with limits", "one moving window per user in Redis, no authentication", limits_fastapi.start),
    Contender("DRF's throttle", "one history per user in Redis, not exact, no authentication", drf_throttle.start),
)
