"""The audit log: who did what, newest first; the filter stays in the address, and the export follows it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.core.scope import tenant_scope
from apps.core.sheets import sheet
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.audit.actions import ACTIONS, ACTOR_KINDS
from apps.tenants.audit.chain import moment_write
from apps.tenants.audit.reading import EntryInfo, Wanted, entries_of
from apps.tenants.audit.words import entry_row
from apps.tenants.permissions import Permission

PER_PAGE = 30
PER_READ = 1_000
MAX_TEXT = 254
COLUMNS = (
    "seq", "at", "actor_kind", "actor_id", "actor", "action", "target_id", "target", "before", "after", "via", "ip",
    "request_id", "prev_hash", "hash", "record",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """`wanted` in the words of the form: days, of which the last one is whole."""

    wanted: Wanted
    since: str
    until: str
    problem: str


@require_safe
@member_view(Permission.AUDIT_VIEW)
def audit(request: TenantRequest) -> HttpResponse:
    asked = _asked(request.GET, ZoneInfo(request.tenant.timezone))
    before = request.GET.get("before", "")
    found = entries_of(
        tenant_id=request.tenant.id, wanted=asked.wanted, limit=PER_PAGE + 1,
        before_seq=int(before) if before.isdecimal() and len(before) < 19 else None,
    )  # fmt: skip
    context = {
        "section": "audit",
        "asked": asked,
        "rows": [entry_row(entry) for entry in found[:PER_PAGE]],
        "older": found[PER_PAGE - 1].seq if len(found) > PER_PAGE else None,
        "is_later_page": bool(before),
        "actors": [(f"kind:{kind}", words) for kind, words in ACTOR_KINDS.items()],
        "choices": _choices(asked.wanted.action),
    }
    return render(request, "tenants/audit.html", context, status=422 if asked.problem else 200)


@require_safe
@member_view(Permission.AUDIT_VIEW, opens_scope=False)
def audit_csv(request: TenantRequest) -> HttpResponseBase:
    asked = _asked(request.GET, ZoneInfo(request.tenant.timezone))
    if asked.problem:
        return HttpResponse(asked.problem, status=422, content_type="text/plain; charset=utf-8")
    rows = (_row(entry) for entry in _entries(request.tenant.id, asked.wanted))
    return sheet(f"{request.tenant.slug}-audit", COLUMNS, rows)


def _choices(asked: str) -> list[dict[str, str]]:
    """By kind of thing; also what was asked for, although it is none."""
    known = {*ACTIONS, *(code.partition(".")[0] for code in ACTIONS), *([asked] if asked else [])}
    return [{"value": one, "words": one if "." in one else f"{one}, all"} for one in sorted(known)]


def _entries(tenant_id: int, wanted: Wanted) -> Iterator[EntryInfo]:
    """A scope a page: none stays open while the reader takes its time."""
    before: int | None = None
    while True:
        with tenant_scope(tenant_id):
            page = entries_of(tenant_id=tenant_id, wanted=wanted, before_seq=before, limit=PER_READ)
        yield from page
        if len(page) < PER_READ:
            return
        before = page[-1].seq


def _row(entry: EntryInfo) -> list[object]:
    return [
        entry.seq, moment_write(entry.at), entry.actor_kind, entry.actor_id, entry.actor_name, entry.action,
        entry.target_id, entry.target_name, _json(entry.before), _json(entry.after), entry.via, entry.ip,
        entry.request_id, entry.prev_hash, entry.hash, entry.record,
    ]  # fmt: skip


def _json(values: Mapping[str, Any] | None) -> str:
    return "" if values is None else json.dumps(values, ensure_ascii=False)


def _asked(given: Mapping[str, str], zone: ZoneInfo) -> Asked:
    """What makes no sense is said, and left out of what is looked for."""
    actor, action, target = (
        given.get(name, "").replace("\0", "").strip()[:MAX_TEXT] for name in ("actor", "action", "target")
    )
    since, until = given.get("since", "")[:10], given.get("until", "")[:10]
    wanted, problem = Wanted(actor, action, target), ""
    try:
        first, last = _day(since), _day(until)
    except ValueError:
        return Asked(wanted, since, until, "Write days such as 2026-11-28.")
    if first and last and first > last:
        problem = "The first day is after the last one."
    else:
        end = last + timedelta(days=1) if last else None
        wanted = replace(wanted, since=_midnight(first, zone), until=_midnight(end, zone))
    return Asked(wanted, since, until, problem)


def _day(text: str) -> date | None:
    """Raises ValueError."""
    day = date.fromisoformat(text) if text else None
    if day is not None and not 1970 <= day.year <= 9998:
        raise ValueError(text)
    return day


def _midnight(day: date | None, zone: ZoneInfo) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), zone)
