"""What somebody asks for, in the query of an address: the same words for pages and for the API."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apps.analytics.events import OUTCOMES, Filter
from apps.analytics.ranges import DEFAULT_PRESET, Comparison, Range, range_between, range_preset
from apps.core.errors import Invalid

MAX_TEXT = 512


def range_asked(asked: Mapping[str, str], *, zone: str, now: datetime, retention_days: int) -> Range:
    """`range` is a preset; `since` and `until` are ISO 8601, in `zone` where they name no offset. Raises Invalid."""
    place = zone_asked(asked.get("zone") or zone)
    if not asked.get("since") and not asked.get("until"):
        preset = asked.get("range") or DEFAULT_PRESET
        return range_preset(preset=preset, now=now, retention_days=retention_days, zone=place)
    since, until = (_moment(asked, name, place) for name in ("since", "until"))
    if since is None:
        raise Invalid("The range has no beginning.", fields={"since": "Say when it begins."})
    return range_between(since=since, until=until or now, now=now, retention_days=retention_days, zone=place)


def zone_asked(name: str) -> ZoneInfo:
    """Raises Invalid."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of zones is no zone
        raise Invalid("The time zone is not known.", fields={"zone": "Use a name like Europe/Berlin."}) from None


def comparison_asked(asked: Mapping[str, str], default: Comparison = Comparison.NONE) -> Comparison:
    """Raises Invalid."""
    text = asked.get("compare") or default.value
    if text not in set(Comparison):
        raise Invalid("The comparison is not valid.", fields={"compare": f"Use one of {', '.join(Comparison)}."})
    return Comparison(text)


def filter_asked(asked: Mapping[str, str]) -> Filter:
    """Raises Invalid."""
    outcome = asked.get("outcome", "")
    if outcome and outcome not in OUTCOMES:
        raise Invalid("The outcome is not valid.", fields={"outcome": f"Use one of {', '.join(OUTCOMES)}."})
    names = ("route", "user", "ip", "check_id", "namespace")
    texts = {name: asked.get(name, "").strip()[:MAX_TEXT] for name in names}
    text = asked.get("q", "").strip()[:MAX_TEXT]
    return Filter(outcome, number_asked(asked, "rule"), number_asked(asked, "key"), text=text, **texts)


def number_asked(asked: Mapping[str, str], name: str) -> int | None:
    """Raises Invalid."""
    text = asked.get(name, "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise Invalid(f"{name} is not valid.", fields={name: "Must be an id, a whole number."})
    return int(text)


def _moment(asked: Mapping[str, str], name: str, zone: ZoneInfo) -> datetime | None:
    text = asked.get(name, "").strip()
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)
    except (ValueError, OverflowError):
        raise Invalid("The time is not valid.", fields={name: "Use ISO 8601, like 2026-01-31T12:00Z."}) from None
