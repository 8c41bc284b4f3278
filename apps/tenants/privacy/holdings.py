"""Where a tenant's data lies, and what becomes of it when the tenant goes.

Every room says it of its own tables when it starts (AppConfig.ready), and of what it keeps elsewhere; so this room
needs to know none of those above it. Deletion and export read the same list. A table of the database that carries a
tenant and that nobody declared fails tests/tenancy/test_deletion.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class When(StrEnum):
    """`BEFORE` its rows go, outside of transactions; `WITHIN` the transaction in which the last ones go; `AFTER` that,
    when nobody can make anything of the tenant's any more.
    """

    BEFORE = "before"
    WITHIN = "within"
    AFTER = "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A table with a column `tenant_id`; its schema is `cell` for one that every cell has.

    `kept` says why its rows stay for ever (then they hold nothing that names anybody). `hidden` are columns that no
    export shows, because they are secrets or of use to us only; `not_exported` says why the whole table is left out.
    `sealed` are columns that core.sealing seals, whose rows have an `id`.
    """

    table: str
    kept: str = ""
    hidden: tuple[str, ...] = ()
    not_exported: str = ""
    sealed: tuple[str, ...] = ()

    @property
    def schema(self) -> str:
        return self.table.partition(".")[0]

    @property
    def name(self) -> str:
        return self.table.partition(".")[2]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What lies in no such table. `erase` gets the tenant's id and may be called any number of times."""

    what: str
    when: When
    erase: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Shown:
    """What an export shows beside tables: a query inside the tenant's scope, which it restricts to the tenant itself
    (`public.app_tenant()`).
    """

    name: str
    query: str


@dataclass(frozen=True, slots=True)
class Retention:
    """How long something is kept, by the very number that its purge reads; `until` says it where it is no number of
    days. `group` is the heading that it stands under.
    """

    group: str
    what: str
    kept: timedelta | None = None
    until: str = ""

    @property
    def kept_words(self) -> str:
        """Empty where it is no number of days."""
        if self.kept is None:
            return ""
        years, rest = divmod(self.kept.days, 365)
        count, unit = (self.kept.days, "day") if rest or not years else (years, "year")
        return f"{count} {unit}{'' if count == 1 else 's'}"


_holdings: dict[str, Holding] = {}
_elsewhere: dict[str, Elsewhere] = {}
_shown: dict[str, Shown] = {}
_retentions: dict[str, Retention] = {}


def holdings_declare(*holdings: Holding) -> None:
    _holdings.update({holding.table: holding for holding in holdings})


def elsewhere_declare(*places: Elsewhere) -> None:
    _elsewhere.update({place.what: place for place in places})


def shown_declare(*views: Shown) -> None:
    _shown.update({view.name: view for view in views})


def shown() -> list[Shown]:
    return sorted(_shown.values(), key=lambda view: view.name)


def retentions_declare(*retentions: Retention) -> None:
    _retentions.update({retention.what: retention for retention in retentions})


def retentions() -> list[Retention]:
    return list(_retentions.values())


def holdings() -> list[Holding]:
    return sorted(_holdings.values(), key=lambda holding: holding.table)


def elsewhere(when: When) -> list[Elsewhere]:
    return [place for place in _elsewhere.values() if place.when is when]
