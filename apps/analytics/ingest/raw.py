"""Raw rows: one line of COPY for each event that is kept.

A tenant has a budget of rows a minute. Past it one event of two is kept, past twice of it one of four, and so on; the
row's weight says how many it stands for, so sums of weights stay right. Rollups are made of all events.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from apps.analytics.ingest.identifiers import Identifiers
from ratelimiter.events.schema import Event
from ratelimiter.events.totals import MINUTE_MS

COLUMNS = (
    "tenant_id, at, id, key_id, live, mode, allowed, degraded, reason, cost, latency_us, namespace, weight, "
    'ip, route, "user", attributes, results'
)

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\N{SYMBOL FOR NULL}"})
_REMEMBERED_MINUTES = 10
_NULL = "\\N"
_BOOLEAN = ("f", "t")
_fields = msgspec.structs.astuple
_joined = "\t".join


class _Texts(dict[int, str]):
    """Of numbers, most of which come again and again: writing one out takes twice as long as looking it up."""

    def __missing__(self, number: int) -> str:
        text = self[number] = str(number)
        return text


class RawRows:
    """Lines of the batch under way, and how much of their budgets tenants have used. A budget of 0 keeps no rows."""

    def __init__(self, identifiers: Identifiers, *, budget_a_minute: int) -> None:
        self._identifiers = identifiers
        self._budget = budget_a_minute
        self._seen: dict[tuple[int, int], int] = {}
        self._moments: dict[int, str] = {}
        self._texts = _Texts()
        self.lines: list[str] = []

    def batch_begin(self, now_s: float) -> None:
        self.lines = []
        self._moments = {}
        self._texts = _Texts()
        oldest = int(now_s // 60) - _REMEMBERED_MINUTES
        if any(minute < oldest for _, minute in self._seen):
            self._seen = {place: seen for place, seen in self._seen.items() if place[1] >= oldest}

    def add(self, events: Iterable[Event]) -> None:
        seen, budget, lines, line = self._seen, self._budget, self.lines, self._line
        if not budget:
            return
        for event in events:
            place = (event.tenant, event.at_ms // MINUTE_MS)
            number = seen.get(place, 0)
            seen[place] = number + 1
            if number < budget:
                lines.append(line(event, 1))
            else:
                weight = sampling_weight(number, budget)
                if number % weight == 0:
                    lines.append(line(event, weight))

    def _line(self, event: Event, weight: int) -> str:
        # Hot: with raw rows this is most of what ingest costs in Python.
        (
            _, name, at_ms, latency_us, tenant, key_id, live, mode, allowed, degraded, reason, cost, namespace,
            ip, route, user, attributes, results, _,
        ) = _fields(event)  # fmt: skip
        at = self._moments.get(at_ms)
        if at is None:
            moment = datetime.fromtimestamp(at_ms // 1_000, UTC)
            at = self._moments[at_ms] = f"{moment:%Y-%m-%d %H:%M:%S}.{at_ms % 1_000:03d}+00"
        texts, digest, known = self._texts, self._identifiers.digest, self._identifiers.known
        return _joined((
            texts[tenant], at, name if name.isidentifier() else copy_text(name), texts[key_id], _BOOLEAN[live], mode,
            _BOOLEAN[allowed], _BOOLEAN[degraded], reason, texts[cost], texts[latency_us],
            namespace if namespace.isidentifier() else copy_text(namespace), texts[weight],
            _NULL if ip is None else known.get((tenant, "ip", ip)) or digest(tenant, "ip", ip),
            _NULL if route is None else known.get((tenant, "route", route)) or digest(tenant, "route", route),
            _NULL if user is None else known.get((tenant, "user", user)) or digest(tenant, "user", user),
            self._attributes(tenant, attributes) if attributes else _NULL,
            "{" + ",".join([texts[code] for code in results]) + "}\n",
        ))  # fmt: skip

    def _attributes(self, tenant: int, attributes: dict[str, str]) -> str:
        digest = self._identifiers.digest
        digests = {
            name.replace("\0", "\N{SYMBOL FOR NULL}"): int(digest(tenant, f"attribute:{name}", value))
            for name, value in attributes.items()
        }
        return copy_text(json.dumps(digests, separators=(",", ":")))


def sampling_weight(number: int, budget: int) -> int:
    """Of the event that comes `number` others later than the first of its minute; a power of two."""
    return 1 << (number // budget).bit_length()


def copy_text(text: str) -> str:
    """As COPY's text form wants it. PostgreSQL holds no NUL: its picture stands in."""
    return text if text.isidentifier() else text.translate(_ESCAPES)
