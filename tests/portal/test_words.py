"""How numbers and rules read."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.core.mail import mail_compose
from apps.core.templatetags.portal import moment_words, percent, quantity
from apps.limits.sentences import ordinal, sentence_text, window_phrase
from apps.limits.specs import RuleSpec

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, ">0<"), (9_999, ">9,999<"), (88_312, ">88.3 K<"), (1_000_000, ">1 M<"), (2_500_000_000, ">2.5 G<")],
)
def test_large_numbers_are_short_and_carry_the_full_value(value, words):
    assert words in quantity(value)
    assert value < 10_000 or f'title="{value:,}"' in quantity(value)


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [(0, 0, "0 %"), (1, 3, "33.3 %"), (1, 1, "100 %"), (1, 100_000, "< 0.1 %"), (99_999, 100_000, "> 99.9 %")],
)
def test_a_share_never_reads_as_none_or_all_when_it_is_not(part, whole, words):
    assert percent(part, whole) == words


@pytest.mark.parametrize(
    ("ago", "words"),
    [(0, "now"), (1, "1 second ago"), (119, "1 minute ago"), (7_200, "2 hours ago"), (-86_400 * 3, "in 3 days")],
)
def test_times_are_relative(ago, words):
    assert moment_words(NOW - timedelta(seconds=ago), NOW) == words


def test_a_window_reads_in_its_largest_whole_unit():
    assert [window_phrase(ms) for ms in (1_000, 90_000, 60_000, 7_200_000, 86_400_000)] == [
        "1 second", "90 seconds", "1 minute", "2 hours", "1 day",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"type": "global", "key": ()}, "For everyone together allow 100 per 1 minute (sliding window)."),
        ({"type": "user", "key": ("user",), "match": {"routes": ["/a", "/b"]}}, "For each user on /a or /b allow"),
        ({"match": {"routes": ["/a", "/b", "/c", "/d", "/e"]}}, "on /a, /b, /c or 2 more allow"),
        ({"match": {"ips": ["10.0.0.0/8"]}}, "from 10.0.0.0/8 allow"),
        (
            {"key": ("user", "attributes.model"), "match": {"attributes": {"plan": {"in": ["a", "b"]}}}},
            "For each user and model where plan is a or b allow",
        ),
        ({"algorithm": "token_bucket", "burst": 250}, "(token bucket, bursts up to 250)"),
        ({"mode": "shadow"}, "When exceeded, only record it."),
        ({"on_failure": "closed"}, "If our store cannot be reached, deny."),
        ({"algorithm": "sliding_log"}, "allow 100 per 1 minute (sliding log)."),
        ({"algorithm": "concurrency"}, "allow at most 100 at a time, each for at most 1 minute (concurrency)."),
        ({"calendar_unit": "day"}, "allow 100 per calendar day in UTC ("),
        ({"calendar_unit": "month"}, "allow 100 per calendar month in UTC ("),
        ({"calendar_unit": "month", "calendar_anchor": 22}, "per month from the 22nd in UTC ("),
        (
            {"escalation_breaches": 1, "escalation_within_ms": 60_000, "escalation_block_ms": 3_600_000},
            "deny; after 1 denial within 1 minute, block for 1 hour and twice as long each time again.",
        ),
        ({"escalation_breaches": 1, "mode": "shadow"}, "only record it. If"),
        (
            {"action": "deny", "match": {"ips": ["10.0.0.0/8"]}},
            "Always refuse checks from 10.0.0.0/8, before any other rule.",
        ),
        (
            {"action": "allow", "match": {"routes": ["/health"]}},
            "Always let pass checks on /health; no other rule counts them.",
        ),
    ],
)
def test_a_rule_is_a_sentence(fields, words):
    spec = RuleSpec(**({"name": "r", "type": "global", "limit": 100, "window_ms": 60_000, "key": ()} | fields))
    assert words in sentence_text(spec)


def test_days_of_a_month_are_counted_as_people_do():
    assert [ordinal(day) for day in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 30, 31)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "23rd", "30th", "31st",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "email_confirmation", "email_confirmation_signup", "password_reset_key", "account_already_exists",
        "unknown_account", "password_changed", "password_reset", "password_set", "email_changed", "email_confirm",
        "email_deleted", "factors_reset",
    ],
)  # fmt: skip
def test_a_mail_is_written_as_text_and_as_html_and_says_the_same(name):
    names = (
        "email",
        "activate_url",
        "password_reset_url",
        "signup_url",
        "from_email",
        "to_email",
        "deleted_email",
        "ip",
        "url",
    )
    context = {word: f"<{word}>" for word in (*names, "user_agent", "timestamp")}
    mail = mail_compose(name=name, to=["a@example.com"], context=context)
    assert "&lt;" not in mail.subject + mail.body
    assert "\n" not in mail.subject
    used = {word for word in context if f"<{word}>" in mail.body}
    html = mail.alternatives[0].content
    assert {word for word in context if f"&lt;{word}&gt;" in html} >= used
    assert not any(f"<{word}>" in html for word in context)
