"""Rules and rule sets for tests, with what a test does not care about filled in."""

from ratelimiter.engine.decision import Check
from ratelimiter.engine.matching import RuleSet
from ratelimiter.engine.prepare import prepare
from ratelimiter.engine.rules import Algorithm, Match, Rule, RuleMode, RuleType

NOW_MS = 1_790_000_000_000
CHECK_ID = "chk_00000001"


def rule(
    id=1,  # noqa: A002 - the field's name
    limit=10,
    window_ms=10_000,
    **fields,
):
    fields.setdefault("name", f"rule-{id}")
    fields.setdefault("type", RuleType.GLOBAL)
    fields["algorithm"] = Algorithm(fields.get("algorithm", "sliding_window"))
    fields["mode"] = RuleMode(fields.get("mode", "enforce"))
    fields["match"] = fields.get("match", Match())
    return Rule(id=id, limit=limit, window_ms=window_ms, **fields)


def prepared(*rules, tenant=1, live=True, overrides=None, now_ms=NOW_MS, check_id=CHECK_ID, idempotency=None, **check):
    return prepare(
        RuleSet(tenant, rules, overrides={rule: lambda held=held: held for rule, held in (overrides or {}).items()}),
        Check(**check), live=live, now_ms=now_ms,
        check_id=check_id, idempotency=idempotency,
    )  # fmt: skip
