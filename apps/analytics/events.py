"""Single checks, newest first, inside the tenant's scope: "why was this one blocked?"

Pages are told by keyset, (at, id) of the last row of the one before, so they neither skip nor repeat a check however
many come in meanwhile. What a plan does not show any more is left out before anything else.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import BooleanField, F, Func, Q, QuerySet, Value

from apps.analytics.identifiers import identifier_digests, identifier_texts, pseudonym
from apps.analytics.models import Event
from apps.analytics.ranges import Range
from apps.analytics.rollups import DENIED, PASSED, SHADOW_DENIED, outcome_code, outcome_of
from apps.core.errors import ApplicationError, Invalid

OUTCOMES = ("allowed", "denied", "shadow_denied", "degraded")
PAGE = 50
LONGEST_MS = 3_000


class SearchTooLong(ApplicationError):
    """A search for something rare in a long range; a narrower one answers."""

    status = 422
    code = "search_too_long"


@dataclass(frozen=True, slots=True)
class Filter:
    """Everything given must hold. `text` is any identifier: a route, an address, a user."""

    outcome: str = ""
    rule_id: int | None = None
    key_id: int | None = None
    route: str = ""
    user: str = ""
    ip: str = ""
    text: str = ""
    check_id: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Cursor:
    at: datetime
    id: str

    def written(self) -> str:
        raw = f"{self.at.isoformat()}|{self.id}".encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Said:
    """What became of one rule; `outcome` is passed, denied or shadow_denied."""

    rule_id: int
    outcome: str


@dataclass(frozen=True, slots=True)
class EventInfo:
    """`weight` is how many checks the row stands for. Identifiers without a text read as pseudonyms."""

    id: str
    at: datetime
    allowed: bool
    degraded: bool
    reason: str
    mode: str
    cost: int
    latency_us: int
    namespace: str
    live: bool
    key_id: int
    weight: int
    route: str | None
    user: str | None
    ip: str | None
    attributes: dict[str, str]
    results: tuple[Said, ...]

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.at, self.id)

    @property
    def outcome(self) -> str:
        if not self.allowed:
            return "denied"
        if any(said.outcome == "shadow_denied" for said in self.results):
            return "shadow_denied"
        return "degraded" if self.degraded else "allowed"


@dataclass(frozen=True, slots=True)
class EventPage:
    """`next` is for the page of older ones, None on the last."""

    events: tuple[EventInfo, ...]
    next: Cursor | None


# No operator looks at two bits of an array's elements.
_SHADOWED = Func(
    F("results"), Value(SHADOW_DENIED), arg_joiner=") AS code WHERE code & 3 = (", output_field=BooleanField(),
    template="EXISTS (SELECT 1 FROM unnest(%(expressions)s))",
)  # fmt: skip
_WORDS = {PASSED: "passed", DENIED: "denied", SHADOW_DENIED: "shadow_denied"}


def cursor_read(text: str) -> Cursor:
    """Raises Invalid for what was not written by Cursor."""
    try:
        at, _, name = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition("|")
        moment = datetime.fromisoformat(at)
    except (ValueError, binascii.Error):
        moment, name = datetime.min, ""  # noqa: DTZ901 - refused below
    if moment.tzinfo is None or not 1970 <= moment.year <= 9998 or not name:
        raise Invalid("The cursor is not valid.", fields={"cursor": "Use the one of the page before."})
    return Cursor(moment.astimezone(UTC), name)  # PostgreSQL knows no offset past 15:59


def events(span: Range, wanted: Filter, *, after: Cursor | None = None, limit: int = PAGE) -> EventPage:
    """Newest first, older than `after`. Raises Invalid, SearchTooLong."""
    rows = _matching(Event.objects.filter(at__gte=span.since, at__lt=span.until), wanted)
    if rows is None:
        return EventPage((), None)
    if after is not None:
        # The first half is what an index can use.
        rows = rows.filter(at__lte=after.at).filter(Q(at__lt=after.at) | Q(id__lt=after.id))
    found = _fetched(rows.order_by("-at", "-id")[: limit + 1])
    shown = _infos(found[:limit])
    return EventPage(shown, shown[-1].cursor if len(found) > limit else None)


def events_newer(span: Range, wanted: Filter, *, since: datetime, limit: int = PAGE) -> list[EventInfo]:
    """The live tail: the latest `limit` that came after a moment, newest first. Raises Invalid, SearchTooLong."""
    rows = _matching(Event.objects.filter(at__gt=max(since, span.since), at__lt=span.until), wanted)
    return [] if rows is None else list(_infos(_fetched(rows.order_by("-at", "-id")[:limit])))


def _matching(rows: QuerySet[Event], wanted: Filter) -> QuerySet[Event] | None:
    """None where an identifier is nobody's."""
    if wanted.outcome and wanted.outcome not in OUTCOMES:
        raise Invalid("The outcome is not valid.", fields={"outcome": f"Use one of {', '.join(OUTCOMES)}."})
    for name in ("check_id", "namespace", "key_id"):
        value = getattr(wanted, name)
        if value not in ("", None):
            rows = rows.filter(**{"id" if name == "check_id" else name: value})
    rows = _of_outcome(rows, wanted)
    for kind in ("route", "user", "ip"):
        text = getattr(wanted, kind)
        if text:
            digests = identifier_digests(text, kinds=[kind]).get(kind)
            if not digests:
                return None
            rows = rows.filter(**{f"{kind}__in": digests})
    return _of_anybody(rows, wanted.text) if wanted.text else rows


def _of_outcome(rows: QuerySet[Event], wanted: Filter) -> QuerySet[Event]:
    rule_id, outcome = wanted.rule_id, wanted.outcome
    if outcome in {"allowed", "denied"}:
        rows = rows.filter(allowed=outcome == "allowed")
    if outcome == "degraded":
        rows = rows.filter(degraded=True)
    if rule_id is not None:
        said = {"denied": [DENIED], "shadow_denied": [SHADOW_DENIED]}.get(outcome, list(_WORDS))
        rows = rows.filter(results__overlap=[outcome_code(rule_id, one) for one in said])
    elif outcome == "shadow_denied":
        # No operator finds two bits of an array's elements; a denial in shadow is one that let the check pass.
        rows = rows.extra(
            where=["EXISTS (SELECT 1 FROM unnest(results) AS code WHERE code & 3 = %s)"], params=[SHADOW_DENIED]
        )
    return rows


def _of_anybody(rows: QuerySet[Event], text: str) -> QuerySet[Event] | None:
    if text.startswith("chk_"):
        return rows.filter(id=text)
    digests = identifier_digests(text)
    which = Q()
    for kind, held in digests.items():
        if kind in {"route", "user", "ip"}:
            which |= Q(**{f"{kind}__in": held})
        else:
            name = kind.removeprefix("attribute:")
            for digest in held:
                which |= Q(attributes__contains={name: digest})
    return rows.filter(which) if which else None


def _fetched(rows: QuerySet[Event]) -> list[Event]:
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                # For the rest of the scope, whose other questions take a hundredth of it.
                cursor.execute(f"SET LOCAL statement_timeout = {LONGEST_MS}")
            return list(rows)
    except OperationalError as error:
        if "statement timeout" not in str(error):
            raise
        raise SearchTooLong(
            f"This took longer than {LONGEST_MS // 1_000} s. Choose a shorter range or name a check."
        ) from None


def _infos(rows: Iterable[Event]) -> tuple[EventInfo, ...]:
    held = list(rows)
    texts = identifier_texts(digest for row in held for digest in _digests(row))

    def text(digest: int | None) -> str | None:
        return None if digest is None else texts.get(digest) or pseudonym(digest)

    return tuple(
        EventInfo(
            row.id, row.at, row.allowed, row.degraded, row.reason, row.mode, row.cost, row.latency_us, row.namespace,
            row.live, row.key_id, row.weight, text(row.route), text(row.user), text(row.ip),
            {name: text(digest) or "" for name, digest in (row.attributes or {}).items()},
            tuple(Said(rule, _WORDS[outcome]) for rule, outcome in map(outcome_of, row.results)),
        )
        for row in held
    )  # fmt: skip


def _digests(row: Event) -> Iterable[int]:
    attributes: dict[str, Any] = row.attributes or {}
    return (digest for digest in (row.route, row.user, row.ip, *attributes.values()) if digest is not None)
