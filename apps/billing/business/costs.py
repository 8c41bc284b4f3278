"""What the architecture document says it costs to run the product at 100,000 requests a second, and what a machine of
each kind costs a month by the same table.
"""

from dataclasses import dataclass

SCALE = 100_000  # requests a second
CUSTOMERS, PRICE_CENTS = 500, 12_500  # paying, and what each pays a month, in the same document


@dataclass(frozen=True, slots=True)
class Cost:
    """`dollars` a month, of all `count` machines."""

    component: str
    specification: str
    count: int
    dollars: int


TABLE = (
    Cost("API gateway", "m5.large", 3, 500),
    Cost("Rate limiter", "t3.medium", 20, 1_200),
    Cost("Admin API", "t3.small", 2, 150),
    Cost("Redis", "r6g.large", 6, 1_800),
    Cost("PostgreSQL", "db.r5.xlarge, one and three replicas", 4, 1_500),
    Cost("TimescaleDB", "db.m5.large", 1, 400),
    Cost("Kafka", "m5.large", 3, 500),
    Cost("Load balancer", "application", 1, 50),
    Cost("Monitoring", "Prometheus, Grafana", 1, 200),
)
TOTAL_DOLLARS = sum(cost.dollars for cost in TABLE)


def cost_of(component: str) -> Cost:
    [found] = [cost for cost in TABLE if cost.component == component]
    return found
