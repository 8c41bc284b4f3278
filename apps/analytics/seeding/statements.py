"""The statements that make rollups out of shares and rhythm: INSERT … SELECT generate_series.

A number is split by cumulative shares and one chance u in [0, 1): a part gets floor(n·hi + u) − floor(n·lo + u), so the
parts always sum to the number, small numbers too. Minutes are made for the days that keep them and summed into their
hours and days; before that hours are made and summed into days. So all three agree, as those of ingest do.
"""

import math

from apps.analytics.rollups import DENIED, LATENCY_BOUNDS_US, LATENCY_BUCKETS, SHADOW_DENIED

TABLES = """
CREATE TEMP TABLE IF NOT EXISTS seed_tenant (
    tenant_id bigint PRIMARY KEY, per_minute float8, peak_h float8, weekend float8, deny float8, shadow float8, slow int
);
CREATE TEMP TABLE IF NOT EXISTS seed_part (tenant_id bigint, namespace text, live boolean, lo float8, hi float8);
CREATE TEMP TABLE IF NOT EXISTS seed_rule (
    tenant_id bigint, rule_id bigint, hits float8, lo float8, hi float8, is_shadow boolean, route bigint
);
CREATE TEMP TABLE IF NOT EXISTS seed_value (
    tenant_id bigint, dimension text, digest bigint, lo float8, hi float8, denied_lo float8, denied_hi float8,
    is_rest boolean
);
CREATE TEMP TABLE IF NOT EXISTS seed_shape (slow int, is_attack boolean, c float8[]);
CREATE TEMP TABLE IF NOT EXISTS seed_pick (
    tenant_id bigint, dimension text, passing bigint[], refused bigint[], PRIMARY KEY (tenant_id, dimension)
);
TRUNCATE seed_tenant, seed_part, seed_rule, seed_value, seed_shape, seed_pick;
"""

_LATENCY = ", ".join(
    f"(floor(n * c[{place}] + x) - {f'floor(n * c[{place - 1}] + x)' if place > 1 else '0'})::bigint"
    for place in range(1, LATENCY_BUCKETS + 1)
)
_LATENCY_SUMS = ", ".join(f"sum(latency[{place}])" for place in range(1, LATENCY_BUCKETS + 1))

# `a` is how much of the step an attack takes: five times the traffic, most of it denied. `g` is the share of degraded
# checks: a store that was away for some minutes, for everybody. Every tenant is attacked about every ninth day.
_CHECKS = """
INSERT INTO analytics.check_{grain}
WITH step AS (
    SELECT t.*, s.at, random() AS u, random() AS v, random() AS w,
        (hashint8(t.tenant_id * 1000003 + (extract(epoch FROM s.at)::bigint / 86400)) & 2147483647) AS dice,
        power(0.5 + 0.5 * cos(2 * pi() * (extract(epoch FROM s.at)::float8 / 86400 - t.peak_h / 24)), 2) AS busy
    FROM seed_tenant t
    CROSS JOIN generate_series(%(since)s::timestamptz, %(until)s::timestamptz - interval '1 second', {step}) AS s (at)
    WHERE t.tenant_id = ANY(%(tenants)s)
), struck AS (
    SELECT step.*, {attack} AS a,
        CASE WHEN at >= %(away_from)s AND at < %(away_until)s THEN %(away_share)s::float8 ELSE 0 END AS g
    FROM step
), counted AS (
    SELECT struck.*, floor(
        per_minute * {minutes} * (0.30 + 1.40 * busy) / 0.825
        * CASE WHEN extract(isodow FROM at) > 5 THEN weekend ELSE 1 END
        * (1 - 0.003 * extract(epoch FROM %(now)s::timestamptz - at)::float8 / 86400)
        * (0.85 + 0.3 * u) * (1 + 5 * a) + v
    ) AS total
    FROM struck
), parted AS (
    SELECT counted.*, p.namespace, p.live, floor(total * p.hi + w) - floor(total * p.lo + w) AS n,
        random() AS x, random() AS y
    FROM counted JOIN seed_part p USING (tenant_id)
    WHERE total > 0
), judged AS (
    SELECT parted.*, least(n, floor(n * (deny * (0.5 + busy) + 5 * a * 0.85) / (1 + 5 * a) + y)) AS refused
    FROM parted WHERE n > 0
)
SELECT tenant_id, at, namespace, live, (n - refused)::bigint, refused::bigint,
    least(n - refused, floor((n - refused) * shadow + x))::bigint, least(n, floor(n * g + y))::bigint,
    CASE WHEN live THEN n - refused ELSE 0 END::bigint, floor((n - refused) * 1.08 + x)::bigint, ARRAY[{latency}]
FROM judged JOIN seed_shape USING (slow) WHERE is_attack = (a > 0.9)
ON CONFLICT DO NOTHING
"""
_RECENT = "at >= %(attack_from)s AND at < %(attack_until)s"
CHECK_MINUTES = _CHECKS.format(
    grain="minute", step="interval '1 minute'", minutes=1, latency=_LATENCY,
    attack="CASE WHEN (dice %% 9 = 0 AND extract(hour FROM at) = dice / 9 %% 24 AND extract(minute FROM at) < 25)"
    f" OR ({_RECENT}) THEN 1.0 ELSE 0.0 END",
)  # fmt: skip
CHECK_HOURS = _CHECKS.format(
    grain="hour", step="interval '1 hour'", minutes=60, latency=_LATENCY,
    attack="CASE WHEN dice %% 9 = 0 AND extract(hour FROM at) = dice / 9 %% 24 THEN 25 / 60.0 ELSE 0.0 END",
)  # fmt: skip

RULES = """
INSERT INTO analytics.rule_{grain}
WITH counted AS (
    SELECT tenant_id, at, sum(allowed + denied)::float8 AS n, sum(denied)::float8 AS denied,
        sum(shadow_denied)::float8 AS shadowed, random() AS u
    FROM analytics.check_{grain}
    WHERE tenant_id = ANY(%(tenants)s) AND at >= %(since)s AND at < %(until)s GROUP BY 1, 2
), split AS (
    SELECT c.*, r.rule_id, r.hits,
        CASE WHEN is_shadow THEN 0 ELSE floor(denied * hi + u) - floor(denied * lo + u) END AS refused,
        CASE WHEN is_shadow THEN floor(shadowed * hi + u) - floor(shadowed * lo + u) ELSE 0 END AS would_refuse
    FROM counted c JOIN seed_rule r USING (tenant_id)
), met AS (
    SELECT split.*, greatest(refused + would_refuse, floor(n * hits + u)) - refused - would_refuse AS passed FROM split
)
SELECT tenant_id, at, rule_id, passed::bigint, refused::bigint, would_refuse::bigint, floor(passed * 1.08 + u)::bigint
FROM met WHERE passed + refused + would_refuse > 0
ON CONFLICT DO NOTHING
"""

CHECK_SUMS = f"""
INSERT INTO analytics.check_{{grain}}
SELECT tenant_id, date_trunc('{{grain}}', at, 'UTC'), namespace, live, sum(allowed), sum(denied), sum(shadow_denied),
    sum(degraded), sum(billable), sum(cost), ARRAY[{_LATENCY_SUMS}]
FROM analytics.check_{{finer}}
WHERE tenant_id = ANY(%(tenants)s) AND at >= %(since)s AND at < %(until)s GROUP BY 1, 2, 3, 4
ON CONFLICT DO NOTHING
"""  # noqa: S608 - places and names are ours
RULE_SUMS = """
INSERT INTO analytics.rule_{grain}
SELECT tenant_id, date_trunc('{grain}', at, 'UTC'), rule_id, sum(allowed), sum(denied), sum(shadow_denied), sum(cost)
FROM analytics.rule_{finer}
WHERE tenant_id = ANY(%(tenants)s) AND at >= %(since)s AND at < %(until)s GROUP BY 1, 2, 3
ON CONFLICT DO NOTHING
"""

DIMENSIONS = """
INSERT INTO analytics.dim_hour
WITH counted AS (
    SELECT tenant_id, at, sum(allowed)::float8 AS allowed, sum(denied)::float8 AS denied, random() AS u, random() AS w
    FROM analytics.check_hour
    WHERE tenant_id = ANY(%(tenants)s) AND at >= %(since)s AND at < %(until)s GROUP BY 1, 2
), placed AS (  -- the rest of a dimension stands together, so it is one value as wide as all of it
    SELECT tenant_id, dimension, CASE WHEN is_rest THEN 0 ELSE digest END AS digest, min(lo) AS lo, max(hi) AS hi,
        min(denied_lo) AS denied_lo, max(denied_hi) AS denied_hi
    FROM seed_value WHERE tenant_id = ANY(%(tenants)s) GROUP BY 1, 2, 3
), split AS (
    SELECT c.tenant_id, c.at, dimension, digest,
        (floor(allowed * hi + u) - floor(allowed * lo + u))::bigint AS passed,
        (floor(denied * denied_hi + w) - floor(denied * denied_lo + w))::bigint AS refused
    FROM counted c JOIN placed USING (tenant_id)
)
SELECT tenant_id, at, dimension, digest, passed, refused, passed * 108 / 100 FROM split WHERE passed + refused > 0
ON CONFLICT DO NOTHING
"""
OFFENDERS = """
INSERT INTO analytics.offender_hour
WITH counted AS (
    SELECT tenant_id, at, rule_id, denied::float8 AS denied, shadow_denied::float8 AS shadowed, random() AS u
    FROM analytics.rule_hour
    WHERE tenant_id = ANY(%(tenants)s) AND at >= %(since)s AND at < %(until)s AND denied + shadow_denied > 0
), split AS (
    SELECT c.tenant_id, c.at, c.rule_id, v.dimension, v.digest,
        floor(denied * denied_hi + u) - floor(denied * denied_lo + u) AS refused,
        floor(shadowed * denied_hi + u) - floor(shadowed * denied_lo + u) AS would_refuse
    FROM counted c JOIN seed_value v USING (tenant_id)
    WHERE v.dimension IN ('ip', 'user') AND NOT is_rest AND v.tenant_id = ANY(%(tenants)s)
)
SELECT tenant_id, at, rule_id, dimension, digest, refused::bigint, would_refuse::bigint
FROM split WHERE refused + would_refuse > 0
ON CONFLICT DO NOTHING
"""


# On which value of a dimension a chance falls, among all checks and among the denied: a thousand slots each.
PICKS = """
INSERT INTO seed_pick
SELECT tenant_id, dimension, array_agg(digest ORDER BY slot) FILTER (WHERE slot >= 1000 * lo AND slot < 1000 * hi),
    array_agg(digest ORDER BY slot) FILTER (WHERE slot >= 1000 * denied_lo AND slot < 1000 * denied_hi)
FROM seed_value CROSS JOIN generate_series(0, 999) AS slot
WHERE tenant_id = ANY(%(tenants)s) GROUP BY 1, 2
"""


def _picked(dimension: str, chance: str) -> str:
    return (
        f"(SELECT (CASE WHEN passes THEN p.passing ELSE p.refused END)[1 + floor({chance} * 1000)::int]"  # noqa: S608
        f" FROM seed_pick p WHERE p.tenant_id = e.tenant_id AND dimension = '{dimension}')"
    )


# Raw rows that stand for `weight` checks each. What denied one is picked by the rules' shares of denials.
EVENTS = f"""
INSERT INTO analytics.event
WITH minute AS (
    SELECT *, floor(allowed / %(weight)s::float8 + random())::int AS passing,
        floor(denied / %(weight)s::float8 + random())::int AS refused
    FROM analytics.check_minute WHERE tenant_id = ANY(%(tenants)s) AND at >= %(since)s AND at < %(until)s
), one AS (
    SELECT m.*, i <= passing AS passes, random() AS u, random() AS v, random() AS w, random() AS x, random() AS y
    FROM minute m CROSS JOIN LATERAL generate_series(1, passing + refused) AS i
), e AS (
    SELECT one.*, r.rule_id AS binding, r.route AS binding_route
    FROM one
    LEFT JOIN seed_rule r ON r.tenant_id = one.tenant_id AND NOT is_shadow AND NOT passes AND u >= lo AND u < hi
), told AS (
    SELECT e.*, coalesce((SELECT array_agg(rule_id << 2 | CASE WHEN rule_id = binding THEN {DENIED}
            WHEN is_shadow AND y < 0.02 THEN {SHADOW_DENIED} ELSE 0 END ORDER BY rule_id)
        FROM seed_rule r WHERE r.tenant_id = e.tenant_id AND (x < hits OR rule_id = binding)), '{{}}'::bigint[])
        AS codes,
        {_picked("ip", "v")} AS ip, coalesce(binding_route, {_picked("route", "w")}) AS route,
        {_picked("user", "v")} AS person,
        {_picked("key", "y")} AS key_id
    FROM e
)
SELECT tenant_id, date_trunc('milliseconds', at + u * interval '59.9 seconds'),
    'chk_5eed' || lpad(to_hex(floor(random() * 4294967296)::bigint), 8, '0') || '_'
        || lpad(to_hex(floor(random() * 4294967296)::bigint), 8, '0'),
    coalesce(key_id, 0), live, 'consume', passes, degraded > 0 AND y < degraded::float8 / (allowed + denied),
    CASE WHEN NOT passes THEN 'limit_exceeded' WHEN codes = '{{}}' THEN 'no_rule' ELSE 'ok' END,
    1 + (x > 0.97)::int * 4, floor(350 * exp(0.55 * sqrt(-2 * ln(1 - u)) * cos(2 * pi() * v)))::bigint, namespace,
    %(weight)s, ip, route, person, NULL, codes
FROM told
"""  # noqa: S608


def shape(median_us: float, slow_share: float) -> list[float]:
    """Cumulative shares of the latency buckets: log-normal, and a share of slow ones around 6 ms."""

    def below(bound_us: float) -> float:
        fast = 0.5 * (1 + math.erf(math.log(bound_us / median_us) / (0.55 * math.sqrt(2))))
        slow = 0.5 * (1 + math.erf(math.log(bound_us / 6_000) / (0.4 * math.sqrt(2))))
        return (1 - slow_share) * fast + slow_share * slow

    return [*(below(bound) for bound in LATENCY_BOUNDS_US), 1.0]
