"""How durations, rates and steps of charts read."""

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def duration(us: float | None) -> str:
    """µs as “0.42 ms”, “12 ms” or “1.4 s”."""
    if us is None:
        return "none"
    ms = us / 1_000
    if ms < 10:
        return f"{ms:.2f} ms"
    return f"{ms:.0f} ms" if ms < 1_000 else f"{ms / 1_000:.1f} s"


@register.filter
def rate(a_second: float) -> str:
    """Three digits are enough, and something is never 0."""
    if 0 < a_second < 0.01:
        return "< 0.01"
    return f"{a_second:,.0f}" if a_second >= 100 else f"{a_second:.1f}" if a_second >= 10 else f"{a_second:.2f}"


@register.filter
def step_moment(at: datetime, is_day: bool) -> SafeString:  # noqa: FBT001 - a filter's argument
    local = timezone.localtime(at)
    words = f"{local:%a %-d %b}" if is_day else f"{local:%-d %b, %H:%M}"
    return format_html('<time datetime="{}">{}</time>', local.isoformat(timespec="seconds"), words)


@register.filter
def change(now: float, before: float) -> str:
    """Reads like “+12 %”, “−3 %” or “as before”; “new” where there was nothing."""
    if not before:
        return "new" if now else "as before"
    part = 100 * (now - before) / before
    if abs(part) < 0.5:
        return "as before"
    return f"{'+' if part > 0 else '−'}{abs(part):,.0f} %"


@register.filter
def clock(at: datetime) -> SafeString:
    """Day and time to the second, milliseconds on hover."""
    local = timezone.localtime(at)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        local.isoformat(timespec="milliseconds"), _instant_words(local), f"{local:%-d %b %H:%M:%S}",
    )  # fmt: skip


@register.filter
def instant(at: datetime) -> SafeString:
    """The whole moment."""
    local = timezone.localtime(at)
    return format_html('<time datetime="{}">{}</time>', local.isoformat(timespec="milliseconds"), _instant_words(local))


def _instant_words(local: datetime) -> str:
    return f"{local:%-d %B %Y, %H:%M:%S}.{local.microsecond // 1_000:03d} {local:%Z}"
