"""The tables of the schema `analytics` that grow with time: how each is cut, and how long it is kept.

Rows of all tenants share a table. The application's role cannot reach the schema: it reads through views in `public`
that show the open scope's rows and raise without one. Only the ingest's role writes, and only the owner cuts and drops.
Columns and views stand in the migrations.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum


class Width(StrEnum):
    """How much time a partition holds."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Table:
    """`keep` counts from the end of a partition; `ahead` is how long before its first row a partition is made."""

    name: str
    width: Width
    keep: timedelta

    @property
    def is_updated(self) -> bool:
        return self.name != "event"

    @property
    def ahead(self) -> timedelta:
        return {Width.DAY: timedelta(days=4), Width.MONTH: timedelta(days=40), Width.YEAR: timedelta(days=200)}[
            self.width
        ]


DAYS_3, DAYS_30, YEAR_1, YEARS_5 = (timedelta(days=days) for days in (3, 30, 365, 5 * 365))

TABLES = (
    Table("check_minute", Width.DAY, DAYS_3),
    Table("check_hour", Width.MONTH, YEAR_1),
    Table("check_day", Width.YEAR, YEARS_5),
    Table("rule_minute", Width.DAY, DAYS_3),
    Table("rule_hour", Width.MONTH, YEAR_1),
    Table("rule_day", Width.YEAR, YEARS_5),
    Table("dim_hour", Width.MONTH, YEAR_1),
    Table("offender_hour", Width.MONTH, YEAR_1),
    Table("event", Width.DAY, DAYS_30),
)
TABLE = {table.name: table for table in TABLES}


@dataclass(frozen=True, slots=True)
class Span:
    """One partition's time: `starts_at` inclusive, `ends_at` exclusive, both UTC."""

    starts_at: datetime
    ends_at: datetime
    suffix: str


def span_at(width: Width, moment: datetime) -> Span:
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if width is Width.DAY:
        return Span(day, day + timedelta(days=1), f"{day:%Y%m%d}")
    if width is Width.MONTH:
        first = day.replace(day=1)
        return Span(first, (first + timedelta(days=31)).replace(day=1), f"{first:%Y%m}")
    first = day.replace(month=1, day=1)
    return Span(first, first.replace(year=first.year + 1), f"{first:%Y}")


def spans_between(width: Width, since: datetime, until: datetime) -> list[Span]:
    """Every partition that holds a moment from `since` to `until`, in order."""
    spans = [span_at(width, since)]
    while spans[-1].ends_at <= until:
        spans.append(span_at(width, spans[-1].ends_at))
    return spans


def span_of(name: str, table: Table) -> Span | None:
    """The span of a partition by its name; None when it is not one of the table's."""
    suffix = name.removeprefix(f"{table.name}_")
    form = {Width.DAY: "%Y%m%d", Width.MONTH: "%Y%m", Width.YEAR: "%Y"}[table.width]
    try:
        return span_at(table.width, datetime.strptime(suffix, form).replace(tzinfo=UTC))
    except ValueError:
        return None
