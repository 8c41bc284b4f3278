"""The editor writes every kind of rule, and opens it again as it was."""

import re

import pytest

from apps.core.scope import tenant_scope
from apps.limits.selectors import rules_of
from tests.factories import override_make, rule_make

PLAIN = {
    "name": "r", "type": "user", "limit": "100", "window_count": "1", "window_unit": "minute",
    "algorithm": "sliding_window", "mode": "enforce", "on_failure": "local", "enabled": "on",
}  # fmt: skip
DAILY = {"algorithm": "fixed_window", "window_unit": "calendar_day", "zone": "Europe/Berlin", "window_count": ""}
MONTHLY = DAILY | {"window_unit": "calendar_month", "anchor": "15"}
SLOTS = {"algorithm": "concurrency", "limit": "20", "window_count": "5"}
STRIKES = {
    "breaches": "5", "within_count": "1", "within_unit": "minute", "block_count": "10", "block_unit": "minute",
}  # fmt: skip
DENY = {"action": "deny", "ips": "203.0.113.0/24\n198.51.100.7", "limit": "", "window_count": ""}

KINDS = {
    "sliding log": ({"algorithm": "sliding_log"}, {"algorithm": "sliding_log"}),
    "calendar day": (DAILY, {"calendar_unit": "day", "calendar_zone": "Europe/Berlin", "window_ms": 86_400_000}),
    "calendar month": (MONTHLY, {"calendar_unit": "month", "calendar_anchor": 15}),
    "concurrency": (SLOTS, {"algorithm": "concurrency", "limit": 20, "window_ms": 300_000}),
    "escalation": (
        STRIKES, {"escalation_breaches": 5, "escalation_within_ms": 60_000, "escalation_block_ms": 600_000},
    ),
    "lease": ({"lease": "10"}, {"lease": 10}),
    "deny": (DENY, {"action": "deny", "type": "global", "limit": 0}),
    "allow": (DENY | {"action": "allow"}, {"action": "allow", "match": {"ips": ["203.0.113.0/24", "198.51.100.7/32"]}}),
}  # fmt: skip


def held(alice):
    with tenant_scope(alice.tenant_id):
        (rule,) = rules_of(alice.tenant_id)
    return rule


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_rule_is_saved_and_opens_as_it_was(kind, alices, alice, counters):
    sent, stored = KINDS[kind]
    answer = alices.post(f"/t/{alice.slug}/rules/new", PLAIN | sent)
    assert answer.status_code == 302, answer.context["form"].errors
    before = held(alice)
    assert {name: getattr(before, name) for name in stored} == stored
    form = alices.get(f"/t/{alice.slug}/rules/{before.id}").context["form"]
    values = {field.name: field.value() for field in form if field.value() not in (None, False)}
    assert alices.post(f"/t/{alice.slug}/rules/{before.id}", values).status_code == 302
    after = held(alice)
    differing = {name for name in before.__dataclass_fields__ if getattr(before, name) != getattr(after, name)}
    assert differing <= {"updated_at"}


@pytest.mark.parametrize(
    ("sent", "field", "words"),
    [
        ({"limit": ""}, "limit", "required"),
        ({"window_count": ""}, "window_count", "required"),
        ({"algorithm": "concurrency", "limit": "1001"}, "limit", "At most 1,000"),
        (DAILY | {"algorithm": "sliding_window"}, "algorithm", "Only the fixed window"),
        (DAILY | {"zone": "Mars/Olympus"}, "zone", "Select a valid choice"),
        (MONTHLY | {"anchor": "32"}, "anchor", "less than or equal to 31"),
        (STRIKES | {"within_count": ""}, "within_count", "between 1 second and 7 days"),
        (STRIKES | {"block_count": "8", "block_unit": "day"}, "block_count", "between 1 second and 7 days"),
        ({"lease": "11"}, "lease", "At most a tenth of the limit: 10."),
        (DENY | {"ips": "nowhere"}, "ips", "no IP address"),
    ],
)
def test_what_is_wrong_with_it_stands_beside_its_field(sent, field, words, alices, alice, counters):
    answer = alices.post(f"/t/{alice.slug}/rules/new", PLAIN | sent)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert words in page[page.index(f'id="id_{field}_error"') :][:900]


def test_a_gate_says_whom_it_is_about_or_is_refused(alices, alice, counters):
    answer = alices.post(f"/t/{alice.slug}/rules/new", PLAIN | DENY | {"ips": ""})
    assert answer.status_code == 422
    assert "Without a condition it would refuse everything" in answer.content.decode()


def test_what_a_choice_hides_is_not_saved(alices, alice, counters):
    leftovers = STRIKES | {"lease": "5", "burst": "50", "zone": "Asia/Tokyo", "anchor": "9"}
    alices.post(f"/t/{alice.slug}/rules/new", PLAIN | leftovers | {"algorithm": "concurrency"})
    rule = held(alice)
    assert (rule.escalation_breaches, rule.lease, rule.burst) == (0, 0, 0)
    assert (rule.calendar_zone, rule.calendar_anchor) == ("UTC", 1)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (SLOTS, ["allow at most 20 at a time, each for at most 5 minutes (concurrency)", "HTTP/1.1 429"]),
        (MONTHLY, ["allow 100 per month from the 15th in Europe/Berlin (fixed window)", "w=2592000"]),
        (STRIKES, ["deny; after 5 denials within 1 minute, block for 10 minutes and twice as long each time again"]),
        (DENY, ["Always refuse checks from 203.0.113.0/24 or 198.51.100.7/32, before any other rule.", "q=0"]),
        (DENY | {"action": "allow"}, ["Always let pass checks from", "no other rule counts them.", "HTTP/1.1 200 OK"]),
    ],
)
def test_the_preview_says_it(sent, words, alices, alice, counters):
    page = alices.post(f"/t/{alice.slug}/rules/preview", PLAIN | sent).content.decode()
    text = re.sub(r"<[^>]+>", "", page)
    for part in words:
        assert part in text
    if sent.get("action") == "allow":
        assert "429" not in text


def test_a_denied_slot_promises_no_time(alices, alice, counters):
    page = alices.post(f"/t/{alice.slug}/rules/preview", PLAIN | SLOTS).content.decode()
    assert "Retry-After" not in page


def test_gates_stand_first_and_have_no_shadow(alices, alice, counters):
    rule_make(alice.tenant_id, name="limits", priority=9)
    rule_make(alice.tenant_id, name="passes", action="allow", match={"user": "root"}, limit=0, window_ms=0)
    rule_make(alice.tenant_id, name="refuses", action="deny", match={"user": "bad"}, limit=0, window_ms=0)
    page = alices.get(f"/t/{alice.slug}/rules").content.decode()
    assert page.index(">refuses<") < page.index(">passes<") < page.index(">limits<")
    assert page.count('aria-label="Mode of') == 1
    assert page.count('aria-label="Is ') == 3


def test_the_list_says_how_many_overrides_a_rule_has(alices, alice, rule):
    override_make(alice.tenant_id, rule.id, ["a"])
    override_make(alice.tenant_id, rule.id, ["b"])
    page = alices.get(f"/t/{alice.slug}/rules").content.decode()
    assert f'href="/t/{alice.slug}/rules/{rule.id}/overrides">2 overrides</a>' in page
    assert "Its 2 overrides go with it." in alices.get(f"/t/{alice.slug}/rules/{rule.id}/delete").content.decode()


def test_a_rule_whose_overrides_would_lose_their_meaning_is_not_saved(alices, alice, rule):
    override_make(alice.tenant_id, rule.id)
    answer = alices.post(f"/t/{alice.slug}/rules/{rule.id}", PLAIN | {"name": "user-rpm", "type": "ip"})
    assert answer.status_code == 422
    assert "The rule has 1 override for what it counts by now; delete them first." in answer.content.decode()


def test_a_new_calendar_rule_starts_in_the_organisations_zone(alices, alice, counters):
    from apps.tenants.services import tenant_update

    tenant_update(tenant_id=alice.tenant_id, name="Alice", timezone="Asia/Tokyo")
    page = alices.get(f"/t/{alice.slug}/rules/new").content.decode()
    assert '<option value="Asia/Tokyo" selected>' in page
