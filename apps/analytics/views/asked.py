"""The pickers above a page: what they say, what follows from it, and what they show next time."""

from dataclasses import dataclass
from datetime import datetime

from apps.analytics.asking import comparison_asked, range_asked
from apps.analytics.ranges import DEFAULT_PRESET, PRESET_WORDS, Comparison, Range, range_compared, range_preset
from apps.core.errors import Invalid
from apps.tenants.access import TenantRequest

COMPARISON_WORDS = {
    Comparison.BEFORE: "the time before", Comparison.WEEK: "the same days before", Comparison.NONE: "nothing",
}  # fmt: skip
ZONES = (
    "UTC", "America/Los_Angeles", "America/Denver", "America/Chicago", "America/New_York", "America/Sao_Paulo",
    "Europe/London", "Europe/Berlin", "Europe/Helsinki", "Africa/Lagos", "Africa/Nairobi", "Asia/Dubai", "Asia/Karachi",
    "Asia/Kolkata", "Asia/Dhaka", "Asia/Jakarta", "Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney", "Pacific/Auckland",
)  # fmt: skip
CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    words: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """`problem` says what of the address was no range; the page then shows the usual one."""

    span: Range
    before: Range | None
    ranges: list[Choice]
    comparisons: list[Choice]
    zones: list[Choice]
    is_custom: bool
    since_text: str
    until_text: str
    problem: str

    @property
    def compared_words(self) -> str:
        return next((choice.words for choice in self.comparisons if choice.is_chosen), "")


def asked(
    request: TenantRequest, *, now: datetime, retention_days: int, compare: Comparison = Comparison.BEFORE
) -> Asked:
    """Never raises: what cannot be is left out, and said."""
    home, problem, given = request.tenant.timezone, "", request.GET.dict()
    is_custom = given.get("range", CUSTOM if given.get("since") else "") == CUSTOM
    if not is_custom or not given.get("since"):
        given = {name: value for name, value in given.items() if name not in {"since", "until"}}
    if is_custom:
        given.pop("range", None)
    try:
        held = range_asked(given, zone=home, now=now, retention_days=retention_days)
        comparison = comparison_asked(given, compare)
    except Invalid as error:
        problem = " ".join([error.detail, *error.fields.values()])
        given, is_custom = {}, False
        held = range_asked({}, zone=home, now=now, retention_days=retention_days)
        comparison = compare
    preset = CUSTOM if is_custom else given.get("range") or DEFAULT_PRESET
    zone = held.zone.key
    return Asked(
        span=held,
        before=range_compared(held, comparison),
        ranges=[Choice(name, words, name == preset) for name, words in PRESET_WORDS.items()]
        + [Choice(CUSTOM, "From … until …", is_custom)],
        comparisons=[Choice(one.value, words, one is comparison) for one, words in COMPARISON_WORDS.items()],
        zones=[Choice(name, name.replace("_", " "), name == zone) for name in dict.fromkeys((home, zone, *ZONES))],
        is_custom=is_custom,
        since_text=_local(held.since, held) if is_custom else "",
        until_text=_local(held.until, held) if is_custom else "",
        problem=problem,
    )


def usual(request: TenantRequest, *, now: datetime, retention_days: int, preset: str = DEFAULT_PRESET) -> Range:
    """The range of a page without pickers."""
    zone = range_asked({}, zone=request.tenant.timezone, now=now, retention_days=retention_days).zone
    return range_preset(preset=preset, now=now, retention_days=retention_days, zone=zone)


def _local(moment: datetime, held: Range) -> str:
    """As <input type="datetime-local"> has it."""
    return moment.astimezone(held.zone).strftime("%Y-%m-%dT%H:%M")
