"""Raw rows: one line of COPY for each event that is kept.

A tenant has a budget of rows a minute. Past it one event of two is kept, past twice of it one of four, and so on; the
row's weight says how many it stands for, so sums of weights stay right. Rollups are made of all events.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime

from apps.analytics.ingest.identifiers import Identifiers
from ratelimiter.events.schema import Event

COLUMNS = (
    "tenant_id, at, id, key_id, live, mode, allowed, degraded, reason, cost, latency_us, namespace, weight, "
    'ip, route, "user", attributes, results'
)

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\N{SYMBOL FOR NULL}"})
_REMEMBERED_MINUTES = 10


class RawRows:
    """Lines of the batch under way, and how much of their budgets tenants have used. A budget of 0 keeps no rows."""

    def __init__(self, identifiers: Identifiers, *, budget_a_minute: int) -> None:
        self._identifiers = identifiers
        self._budget = budget_a_minute
        self._seen: dict[tuple[int, int], int] = {}
        self._seconds: dict[int, str] = {}
        self.lines: list[str] = []

    def batch_begin(self, now_s: float) -> None:
        self.lines = []
        self._seconds = {}
        oldest = int(now_s // 60) - _REMEMBERED_MINUTES
        if any(minute < oldest for _, minute in self._seen):
            self._seen = {place: seen for place, seen in self._seen.items() if place[1] >= oldest}

    def add(self, events: Iterable[Event]) -> None:
        seen, budget, lines, line = self._seen, self._budget, self.lines, self._line
        if not budget:
            return
        for event in events:
            place = (event.tenant, event.at_ms // 60_000)
            number = seen.get(place, 0)
            seen[place] = number + 1
            if number < budget:
                lines.append(line(event, 1))
            else:
                weight = sampling_weight(number, budget)
                if number % weight == 0:
                    lines.append(line(event, weight))

    def _line(self, event: Event, weight: int) -> str:
        tenant, digest = event.tenant, self._identifiers.digest
        second, ms = divmod(event.at_ms, 1_000)
        at = self._seconds.get(second)
        if at is None:
            at = self._seconds[second] = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%S")
        ip = "\\N" if event.ip is None else digest(tenant, "ip", event.ip)
        route = "\\N" if event.route is None else digest(tenant, "route", event.route)
        user = "\\N" if event.user is None else digest(tenant, "user", event.user)
        attributes = self._attributes(tenant, event.attributes) if event.attributes else "\\N"
        results = event.results
        codes = results[0] if len(results) == 1 else ",".join(map(str, results))
        return (
            f"{tenant}\t{at}.{ms:03d}+00\t{copy_text(event.id)}\t{event.key_id}\t{'t' if event.live else 'f'}\t"
            f"{event.mode}\t{'t' if event.allowed else 'f'}\t{'t' if event.degraded else 'f'}\t{event.reason}\t"
            f"{event.cost}\t{event.latency_us}\t{copy_text(event.namespace)}\t{weight}\t"
            f"{ip}\t{route}\t{user}\t{attributes}\t{{{codes}}}\n"
        )

    def _attributes(self, tenant: int, attributes: dict[str, str]) -> str:
        digest = self._identifiers.digest
        digests = {
            name.replace("\0", "\N{SYMBOL FOR NULL}"): digest(tenant, f"attribute:{name}", value)
            for name, value in attributes.items()
        }
        return copy_text(json.dumps(digests, separators=(",", ":")))


def sampling_weight(number: int, budget: int) -> int:
    """Of the event that comes `number` others later than the first of its minute; a power of two."""
    return 1 << (number // budget).bit_length()


def copy_text(text: str) -> str:
    """As COPY's text form wants it. PostgreSQL holds no NUL: its picture stands in."""
    return text if text.isalnum() else text.translate(_ESCAPES)
