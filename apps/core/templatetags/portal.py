"""How numbers, times and states read, everywhere the same."""

from datetime import datetime

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

_SHORT = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "K"))
_AGO = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


@register.simple_tag
def icon(name: str) -> SafeString:
    """A symbol of static/img/icons.svg; decoration, so the words beside it must say the same."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', static("img/icons.svg"), name
    )


@register.filter
def codes(text: str) -> SafeString:
    """What stands between backticks is code."""
    parts = text.split("`")
    return format_html_join(
        "", "{}{}", ((part, "") if place % 2 == 0 else ("", _code(part)) for place, part in enumerate(parts))
    )


def _code(text: str) -> SafeString:
    return format_html('<code class="chip">{}</code>', text)


@register.filter
def quantity(value: int) -> SafeString:
    """88 312 as "88.3 K" with the full value on hover; below 10,000 as it is."""
    full = f"{value:,}"
    for size, letter in _SHORT:
        if abs(value) >= size and abs(value) >= 10_000:
            short = f"{value / size:.1f}".removesuffix(".0")
            return format_html('<span class="number" title="{}">{} {}</span>', full, short, letter)
    return format_html('<span class="number">{}</span>', full)


@register.filter
def full(value: int) -> str:
    return f"{value:,}"


@register.filter
def percent(part: int, whole: int) -> str:
    """Reads like “1.4 %”; a part that is there never reads as 0 %, one that is not whole never as 100 %."""
    if not whole:
        return "0 %"
    share = 100 * part / whole
    if part and share < 0.1:
        return "< 0.1 %"
    if part < whole and share > 99.9:
        return "> 99.9 %"
    return f"{share:.1f}".removesuffix(".0") + " %"


@register.filter
def share(part: int, whole: int) -> str:
    """Width of a bar in a drawing that is 100 wide."""
    return f"{min(100.0, 100 * part / whole):.2f}" if whole else "0"


@register.filter
def moment(value: datetime | None) -> SafeString:
    """Reads like “3 minutes ago”, with the absolute time, in the zone of the page, on hover."""
    if value is None:
        return format_html("{}", "never")
    local = timezone.localtime(value)
    return format_html(
        '<time datetime="{}" title="{}" data-moment>{}</time>',
        local.isoformat(timespec="seconds"), f"{local:%-d %B %Y, %H:%M:%S %Z}", moment_words(value, timezone.now()),
    )  # fmt: skip


@register.filter
def day(value: datetime) -> SafeString:
    local = timezone.localtime(value)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        local.isoformat(timespec="seconds"), f"{local:%-d %B %Y, %H:%M:%S %Z}", f"{local:%-d %b %Y, %H:%M}",
    )  # fmt: skip


def moment_words(value: datetime, now: datetime) -> str:
    seconds = int((value - now).total_seconds())
    for size, unit in _AGO:
        count = abs(seconds) // size
        if count:
            words = f"{count} {unit}" + ("s" if count > 1 else "")
            return f"in {words}" if seconds > 0 else f"{words} ago"
    return "now"
