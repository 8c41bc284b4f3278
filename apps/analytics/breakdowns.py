"""Who and what is behind the numbers, inside the tenant's scope.

Routes, keys, addresses and users come from the hours that ingest has folded, and, for what is newer, from raw rows:
at most the RAW_ROWS latest, so that an attack costs a page no more than a quiet day. `Breakdown.is_sampled` says when
there were more. Both parts keep the first of each hour by name only; the others are in `rest`.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, DateTimeField, F, Max, Q, QuerySet, Subquery, Sum
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce

from apps.analytics.identifiers import identifier_texts, pseudonym
from apps.analytics.models import CheckHour, DimHour, Event, OffenderHour
from apps.analytics.ranges import HOUR, Range
from apps.analytics.rollups import DENIED, SHADOW_DENIED, outcome_code
from apps.analytics.selectors import Totals, check_rows, rule_rows
from apps.apikeys.selectors import key_names
from apps.core.errors import Invalid
from apps.limits.selectors import RuleInfo

DIMENSIONS = ("rule", "route", "key", "user", "ip", "namespace")
PEOPLE = ("ip", "user")
RAW_ROWS = 20_000
UNFOLDED_AT_MOST = 6 * HOUR

_COUNTS = ("allowed", "denied", "shadow_denied", "cost")


@dataclass(frozen=True, slots=True)
class Row:
    """`key` is a rule's or a key's id, a namespace, or a digest; `label` is how it reads."""

    key: str
    label: str
    allowed: int
    denied: int
    shadow_denied: int | None = None  # of rules only
    cost: int = 0

    @property
    def passed(self) -> int:
        return self.allowed + (self.shadow_denied or 0)

    @property
    def checks(self) -> int:
        return self.passed + self.denied


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Largest first; `rest` is what is not named, if that is known."""

    by: str
    rows: tuple[Row, ...]
    rest: Row | None
    is_sampled: bool = False


@dataclass(frozen=True, slots=True)
class Offender:
    """Whom a rule denied, or would have in shadow. `key` is the digest in decimal, as filters take it."""

    dimension: str
    key: str
    label: str
    denied: int
    shadow_denied: int


def breakdown(
    span: Range,
    *,
    by: str,
    tenant_id: int,
    rules: Iterable[RuleInfo] = (),
    whole: Totals | None = None,
    limit: int = 10,
) -> Breakdown:
    """`whole` are the range's totals, for the rest that routes, keys and people leave. Rules that are gone read by
    their number. Raises Invalid for what is no dimension.
    """
    if by == "rule":
        names = {rule.id: rule.name for rule in rules} | {0: "limits that came with the check"}
        sums = _sums(rule_rows(span), "rule_id", _COUNTS)
        return _cut(by, [_row(row, row["rule_id"], names.get(row["rule_id"])) for row in sums], limit)
    if by == "namespace":
        sums = _sums(check_rows(span), "namespace", ("allowed", "denied", "cost"))
        return _cut(by, [_row(row, row["namespace"], row["namespace"]) for row in sums], limit)
    if by not in DIMENSIONS:
        raise Invalid(f"“{by}” is no dimension.", fields={"by": f"Use one of {', '.join(DIMENSIONS)}."})
    return _of_dimension(span, by, tenant_id, limit, whole)


def offenders(span: Range, *, rule_id: int | None = None, limit: int = 10) -> list[Offender]:
    """Most denied first; of one rule, or of all."""
    edge = folded_until(span)
    counted: Counter[tuple[str, int]] = Counter()
    shadowed: Counter[tuple[str, int]] = Counter()
    rows = OffenderHour.objects.filter(at__gte=_hour(span.since), at__lt=min(edge, span.until))
    if rule_id is not None:
        rows = rows.filter(rule_id=rule_id)
    summed = rows.values("dimension", "digest").annotate(d=Sum("denied"), s=Sum("shadow_denied"))
    for row in summed.order_by((F("d") + F("s")).desc())[: limit * 10]:
        counted[row["dimension"], row["digest"]] += int(row["d"])
        shadowed[row["dimension"], row["digest"]] += int(row["s"])
    _offenders_raw(span, edge, rule_id, counted, shadowed)
    first = sorted({*counted, *shadowed}, key=lambda name: (-counted[name] - shadowed[name], name))[:limit]
    texts = identifier_texts(digest for _, digest in first)
    return [
        Offender(name[0], str(name[1]), texts.get(name[1]) or pseudonym(name[1]), counted[name], shadowed[name])
        for name in first
    ]


def namespaces(span: Range) -> list[str]:
    """Those with checks in the range."""
    rows = CheckHour.objects.filter(at__gte=_hour(span.since), at__lt=span.until).values_list("namespace", flat=True)
    return sorted(rows.distinct())


def folded_until(span: Range) -> datetime:
    """From when on hours are not folded yet. What is older than UNFOLDED_AT_MOST is, or nothing was there to fold."""
    floor = span.until - UNFOLDED_AT_MOST
    latest: datetime | None = DimHour.objects.filter(at__gte=floor - HOUR).aggregate(latest=Max("at"))["latest"]
    return floor if latest is None else max(floor, latest + HOUR)


class _Tally:
    """Sums of one dimension by digest: allowed, denied, cost."""

    def __init__(self) -> None:
        self.named: dict[int, list[int]] = {}

    def add(self, rows: Iterable[Any], column: str = "digest") -> set[int]:
        """Rows of digest, a(llowed), d(enied) and c(ost). Returns the digests."""
        taken = set()
        for row in rows:
            held = self.named.setdefault(row[column], [0, 0, 0])
            taken.add(row[column])
            for place, name in enumerate(("a", "d", "c")):
                held[place] += int(row[name] or 0)
        return taken

    def largest(self, limit: int) -> list[int]:
        return sorted(self.named, key=lambda digest: (-self.named[digest][0] - self.named[digest][1], digest))[:limit]


def _of_dimension(span: Range, by: str, tenant_id: int, limit: int, whole: Totals | None) -> Breakdown:
    edge = folded_until(span)
    tally = _Tally()
    hours = DimHour.objects.filter(dimension=by, at__gte=_hour(span.since), at__lt=min(edge, span.until))
    summed = hours.exclude(digest=0).values("digest").annotate(a=Sum("allowed"), d=Sum("denied"), c=Sum("cost"))
    known = tally.add(summed.order_by((F("a") + F("d")).desc())[: limit * 5])
    column = "key_id" if by == "key" else by
    raw = list(_raw_sums(_raw(span, edge), column))
    tally.add(raw, column)
    order = tally.largest(limit)
    if len(known) == limit * 5 and not known.issuperset(order):
        tally.add(summed.filter(digest__in=[digest for digest in order if digest not in known]))
    labels = key_names(tenant_id) if by == "key" else identifier_texts(order)
    rows = []
    for digest in order:
        allowed, denied, cost = tally.named[digest]
        unnamed = f"key {digest}" if by == "key" else pseudonym(digest)
        rows.append(Row(str(digest), labels.get(digest) or unnamed, allowed, denied, cost=cost))
    is_sampled = any(row["edge"] is not None for row in raw)
    return Breakdown(by, tuple(rows), None if whole is None else _rest(rows, whole), is_sampled)


def _rest(rows: Iterable[Row], whole: Totals) -> Row | None:
    """Everything that the rows do not name. What is newer than the totals never makes it less than nothing."""
    held = list(rows)
    left = {
        name: max(0, getattr(whole, name) - sum(getattr(row, name) for row in held))
        for name in ("allowed", "denied", "cost")
    }
    rest = Row("", "everything else", **left)
    return rest if rest.checks else None


def _raw_sums(rows: QuerySet[Event], column: str) -> Iterable[Any]:
    grouped: QuerySet[Any, Any] = rows.exclude(**{f"{column}__isnull": True}).values(column, "edge")
    summed: QuerySet[Any, Any] = grouped.annotate(
        a=Sum("weight", filter=Q(allowed=True)),
        d=Sum("weight", filter=Q(allowed=False)),
        c=Sum(F("weight") * F("cost"), filter=Q(allowed=True)),
    )
    return summed.order_by()


def _offenders_raw(
    span: Range,
    edge: datetime,
    rule_id: int | None,
    counted: Counter[tuple[str, int]],
    shadowed: Counter[tuple[str, int]],
) -> None:
    rows = _raw(span, edge)
    if rule_id is not None:
        codes = [outcome_code(rule_id, DENIED), outcome_code(rule_id, SHADOW_DENIED)]
        rows = rows.filter(results__overlap=codes)
        pairs = [(counted, Q(results__contains=[codes[0]])), (shadowed, Q(results__contains=[codes[1]]))]
    else:
        shadow_denies = RawSQL(
            "EXISTS (SELECT FROM unnest(results) AS code WHERE code & 3 = %s)", [SHADOW_DENIED], BooleanField()
        )
        rows = rows.annotate(shadow_denies=shadow_denies).filter(Q(allowed=False) | Q(shadow_denies=True))
        pairs = [(counted, Q(allowed=False)), (shadowed, Q(shadow_denies=True))]
    for dimension in PEOPLE:
        sums = {f"n{place}": Coalesce(Sum("weight", filter=which), 0) for place, (_, which) in enumerate(pairs)}
        for row in rows.exclude(**{f"{dimension}__isnull": True}).values(dimension).annotate(**sums).order_by():
            for place, (counter, _) in enumerate(pairs):
                counter[dimension, row[dimension]] += int(row[f"n{place}"])


def _raw(span: Range, edge: datetime) -> QuerySet[Any]:
    """The RAW_ROWS latest raw rows of the part of the range that is not folded. `edge` of a row is the moment after
    which they are, NULL where none was left out.
    """
    rows = Event.objects.filter(at__gte=max(edge, span.since), at__lt=span.until)
    last = Subquery(rows.order_by("-at").values("at")[RAW_ROWS : RAW_ROWS + 1], output_field=DateTimeField())
    return rows.annotate(edge=last).filter(Q(edge__isnull=True) | Q(at__gt=F("edge")))


def _sums(rows: QuerySet[Any], column: str, names: Iterable[str]) -> list[dict[str, Any]]:
    return list(rows.values(column).annotate(**{f"{name}_sum": Sum(name) for name in names}).order_by())


def _row(sums: dict[str, Any], key: object, label: str | None) -> Row:
    counts = {name: int(sums.get(f"{name}_sum") or 0) for name in _COUNTS}
    return Row(str(key), label or f"rule {key}", **counts)


def _cut(by: str, rows: list[Row], limit: int) -> Breakdown:
    ordered = sorted(rows, key=lambda row: (-row.checks, row.key))
    first, others = ordered[:limit], ordered[limit:]
    rest = Row("", f"{len(others)} others", *(sum(getattr(row, name) for row in others) for name in _COUNTS))
    return Breakdown(by, tuple(first), rest if others else None)


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
