"""Rules as a file: applied whole or not at all, again without effect, and every problem with its line."""

import json
import re
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.core.scope import tenant_scope
from apps.limits.selectors import overrides_of, rules_of
from apps.limits.services import rules_apply
from apps.tenants.selectors import tenant_get
from tests.factories import MemberFactory, SpecFactory, override_make, rule_make

GOOD = """\
rules:
  - name: chat-per-user
    type: user
    match: {route: POST /v1/chat, ip: 10.0.0.0/8, user: [42, no], attributes: {plan: [free, pro], app: {prefix: ios-}}}
    limit: 5
    window: 10s
    priority: 9
  - name: uploads
    type: custom
    namespace: files
    key: [user, attributes.plan]
    algorithm: token_bucket
    limit: 60
    burst: 120
    window: 1m
    mode: shadow
    on_failure: closed
    enabled: false
"""


@pytest.fixture
def apply(alice, tmp_path):
    """Applies a text as alice's rules and returns what the command printed as JSON."""

    def apply(text, *options, tenant=alice.slug):
        path = tmp_path / "rules.yaml"
        path.write_text(text)
        out = StringIO()
        call_command("rules_apply", str(path), "--tenant", tenant, "--json", *options, stdout=out)
        return json.loads(out.getvalue())

    return apply


def rules(member):
    with tenant_scope(member.tenant_id):
        return {rule.name: rule for rule in rules_of(member.tenant_id)}


def test_creates_what_is_not_there(alice, apply):
    assert apply(GOOD) == {
        "created": ["chat-per-user", "files/uploads"],
        "updated": [],
        "deleted": [],
        "unchanged": [],
    }
    chat, uploads = rules(alice)["chat-per-user"], rules(alice)["uploads"]
    assert chat.match == {
        "routes": ["POST /v1/chat"],
        "ips": ["10.0.0.0/8"],
        "users": ["42", "no"],
        "attributes": {"plan": {"in": ["free", "pro"]}, "app": {"prefix": "ios-"}},
    }
    assert (chat.key, chat.limit, chat.window_ms, chat.priority) == (("user",), 5, 10_000, 9)
    assert (uploads.key, uploads.burst, uploads.mode, uploads.on_failure, uploads.enabled) == (
        ("user", "attributes.plan"),
        120,
        "shadow",
        "closed",
        False,
    )


def test_the_documented_example_applies_as_it_stands(alice, apply):
    page = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
    example = page.partition("```yaml\n")[2].partition("```")[0]
    done = apply(example)
    assert len(done["created"]) == 8
    assert apply(example)["unchanged"] == done["created"]


RICH = """\
rules:
  - name: office
    action: allow
    match: {ips: [203.0.113.0/24]}
  - name: exports
    type: user
    algorithm: fixed_window
    calendar: {unit: month, zone: Europe/Berlin, anchor: 15}
    limit: 500
    lease: 50
    escalation: {breaches: 5, within: 1m, block: 10m}
    overrides:
      - {values: u_911, limit: blocked, note: "Scraping, ticket 4411"}
      - {values: ["no"], limit: unlimited, expires: 2031-01-01T00:00:00+02:00}
      - values: [vip-*]
        limit: 5000
  - name: slots
    type: custom
    key: [user, attributes.plan]
    algorithm: concurrency
    limit: 20
    window: 5m
    overrides:
      - {values: [u_1, pro], limit: 40}
  - name: bucket
    type: ip
    algorithm: token_bucket
    limit: 10
    burst: 20
    window: 90s
    ipv6_prefix: 48
    overrides:
      - {values: 2001:db8::1, limit: 50, burst: 100}
"""


def overrides(member, name):
    with tenant_scope(member.tenant_id):
        held = overrides_of(tenant_id=member.tenant_id, rule_id=rules(member)[name].id)
    return {one.values: one.limit for one in held}


def test_every_kind_of_rule_can_be_written(alice, apply):
    assert apply(RICH)["created"] == ["office", "exports", "slots", "bucket"]
    exports = rules(alice)["exports"]
    assert (exports.calendar_unit, exports.calendar_zone, exports.calendar_anchor) == ("month", "Europe/Berlin", 15)
    assert (exports.escalation_breaches, exports.escalation_within_ms, exports.escalation_block_ms) == (
        5,
        60_000,
        600_000,
    )
    assert (exports.lease, exports.window_ms) == (50, 30 * 86_400_000)
    assert (rules(alice)["office"].action, rules(alice)["office"].limit) == ("allow", 0)
    assert overrides(alice, "exports") == {("u_911",): 0, ("no",): None, ("vip-*",): 5_000}
    assert overrides(alice, "bucket") == {("2001:db8::/48",): 50}
    assert apply(RICH)["unchanged"] == ["office", "exports", "slots", "bucket"]


def test_what_is_exported_applies_without_a_change(alice, apply):
    apply(GOOD)
    apply(RICH)
    revision = tenant_get(alice.tenant_id).revision
    out = StringIO()
    call_command("rules_export", "--tenant", alice.slug, stdout=out)
    done = apply(out.getvalue(), "--prune")
    assert len(done["unchanged"]) == 6
    assert tenant_get(alice.tenant_id).revision == revision
    again = StringIO()
    call_command("rules_export", "--tenant", alice.slug, stdout=again)
    assert again.getvalue() == out.getvalue()


def test_a_file_applies_to_another_organisation_as_it_was_exported(alice, bob, apply):
    apply(RICH)
    out = StringIO()
    call_command("rules_export", "--tenant", alice.slug, stdout=out)
    apply(out.getvalue(), tenant=bob.slug)
    copied = StringIO()
    call_command("rules_export", "--tenant", bob.slug, stdout=copied)
    assert copied.getvalue() == out.getvalue()


def test_an_export_of_nobody_is_a_sentence(db):
    with pytest.raises(CommandError, match="no tenant “nobody”"):
        call_command("rules_export", "--tenant", "nobody")


def test_overrides_are_all_that_the_file_says_or_left_alone(alice, apply):
    apply(RICH)
    override_make(alice.tenant_id, rules(alice)["slots"].id, ["u_9", "*"], 3)
    without = re.sub(r"    overrides:\n(      .*\n)+", "", RICH)
    assert len(apply(without)["unchanged"]) == 4
    assert overrides(alice, "slots") == {("u_1", "pro"): 40, ("u_9", "*"): 3}
    assert apply(RICH)["updated"] == ["slots"]
    assert overrides(alice, "slots") == {("u_1", "pro"): 40}
    assert apply(RICH.replace("      - {values: [u_1, pro], limit: 40}\n", ""))["updated"] == ["slots"]
    assert overrides(alice, "slots") == {}


def test_a_key_may_change_when_the_file_says_the_overrides_anew(alice, apply):
    apply(RICH)
    changed = RICH.replace("key: [user, attributes.plan]", "key: [user, route]")
    assert apply(changed.replace("[u_1, pro]", "[u_1, POST /x]"))["updated"] == ["slots"]
    without = re.sub(r"    overrides:\n(      .*\n)+", "", RICH)
    with pytest.raises(CommandError, match="key: The rule has 1 override for what it counts by now"):
        apply(without)


def test_again_changes_nothing_and_makes_no_revision(alice, apply):
    apply(GOOD)
    before, revision = rules(alice), tenant_get(alice.tenant_id).revision
    assert apply(GOOD)["unchanged"] == ["chat-per-user", "files/uploads"]
    assert rules(alice) == before
    assert tenant_get(alice.tenant_id).revision == revision


def test_updates_by_name_and_keeps_the_id(alice, apply):
    apply(GOOD)
    before = rules(alice)["chat-per-user"].id
    assert apply(GOOD.replace("limit: 5", "limit: 6"))["updated"] == ["chat-per-user"]
    assert (rules(alice)["chat-per-user"].id, rules(alice)["chat-per-user"].limit) == (before, 6)


def test_prunes_only_when_asked(alice, apply):
    rule_make(alice.tenant_id, name="other")
    assert apply(GOOD)["deleted"] == []
    assert apply(GOOD, "--prune")["deleted"] == ["other"]
    assert set(rules(alice)) == {"chat-per-user", "uploads"}
    assert apply("rules: []", "--prune")["deleted"] == ["chat-per-user", "files/uploads"]


def test_makes_room_by_pruning(alice, apply, settings):
    settings.MAX_RULES = 2
    rule_make(alice.tenant_id, name="other")
    with pytest.raises(CommandError, match="2 rules"):
        apply(GOOD)
    assert set(rules(alice)) == {"other"}
    apply(GOOD, "--prune")


PROBLEMS = [
    ("", [(1, "the file is empty")]),
    ("rules:\n  - {a: [}\n", [(2, "the YAML cannot be read: ")]),
    ("rules: &a [*a]\n", [(1, "the YAML cannot be read: aliases are not read")]),
    ("{}", [(1, "the top key “rules” is missing")]),
    ("rules: []\nlimits: []\n", [(2, "unknown top key “limits”")]),
    ("rules: 5\n", [(1, "“rules” must be a list")]),
    ("rules:\n  - chat\n", [(2, "a rule must be a mapping")]),
    ("rules:\n  - name: a\n    limit: 5\n", [(2, "“type” is missing"), (2, "“window” is missing")]),
    ("rules:\n  - name: a\n    name: b\n", [(3, "“name” stands here twice")]),
    (GOOD.replace("limit: 5", "limit: five"), [(5, "limit: must be a whole number")]),
    (GOOD.replace("limit: 5", "limit: true"), [(5, "limit: must be a whole number")]),
    (GOOD.replace("window: 10s", "window: 10 seconds"), [(6, "window: “10 seconds” is not a window")]),
    (GOOD.replace("enabled: false", "enabled: perhaps"), [(18, "enabled: must be true or false")]),
    (GOOD.replace("priority: 9", "prio: 9"), [(7, "a rule has no “prio”")]),
    (GOOD.replace("POST /v1/chat", "v1/chat"), [(4, "match.route: 'v1/chat' is not a route")]),
    (GOOD.replace("10.0.0.0/8", "10.0.0.0/99"), [(4, "match.ip: “10.0.0.0/99” is no IP address")]),
    (RICH.replace("unit: month, ", ""), [(8, "“unit” is missing")]),
    (RICH.replace("unit: month", "unit: week"), [(8, "calendar.unit: Must be one of: day, month")]),
    (RICH.replace("Europe/Berlin", "Europe/Nowhere"), [(8, "calendar.zone: “Europe/Nowhere” is no time zone")]),
    (RICH.replace("anchor: 15", "anker: 15"), [(8, "a calendar has no “anker”")]),
    (RICH.replace("within: 1m", "within: 1w"), [(11, "within: “1w” is not a window")]),
    (RICH.replace("breaches: 5", "breaches: 0"), [(11, "escalation.breaches: Must be between 1 and")]),
    (RICH.replace("lease: 50", "lease: 51"), [(10, "lease: At most a tenth of the limit: 50.")]),
    (
        RICH.replace("action: allow", "action: perhaps"),
        [(2, f"“{name}” is missing") for name in ("type", "limit", "window")],
    ),
    (RICH.replace("limit: blocked", "limit: none"), [(13, "limit: “none” is no limit")]),
    (RICH.replace("2031-01-01T00", "2031-13-01T00"), [(14, "expires: “2031-13-01T00")]),
    (RICH.replace("limit: 5000", "limt: 5000"), [(15, "“limit” is missing"), (16, "an override has no “limt”")]),
    (RICH.replace("[vip-*]", "[u_911]"), [(15, "overrides.2.values: “u_911” stands here twice.")]),
    (RICH.replace("[u_1, pro]", "[u_1]"), [(24, "overrides.0.values: This rule counts by user and attributes.plan")]),
    (RICH.replace("2001:db8::1", "nowhere"), [(33, "overrides.0.values.0: “nowhere” is no IP address")]),
    (RICH.replace("limit: 40}", "limit: 1001}"), [(24, "overrides.0.limit: At most 1,000")]),
    (GOOD.replace("window: 1m", "window: 500d"), [(15, "window: Must be between 1 second and 400 days")]),
    (GOOD.replace("name: uploads", "name: chat-per-user").replace("files", "default"), [(8, "name: The rule")]),
    (
        GOOD.replace("limit: 5", "limit: 0").replace("mode: shadow", "mode: off"),
        [(5, "limit: Must be between 1"), (16, "mode: Must be one of: enforce, shadow")],
    ),
]


@pytest.mark.parametrize(("text", "expected"), PROBLEMS, ids=[problems[0][1] for _, problems in PROBLEMS])
def test_a_problem_is_reported_with_file_and_line_and_nothing_is_applied(alice, apply, tmp_path, text, expected):
    with pytest.raises(CommandError) as refusal:
        apply(text)
    first, *reported = str(refusal.value).splitlines()
    assert first == "nothing was applied"
    assert len(reported) == len(expected)
    for line, (number, message) in zip(reported, expected, strict=True):
        assert line.startswith(f"{tmp_path / 'rules.yaml'}:{number}: {message}")
    assert rules(alice) == {}


def test_what_the_plan_does_not_allow_is_a_problem_with_a_line_too(apply, db):
    free = MemberFactory(plan="free")
    with pytest.raises(CommandError, match=r"rules.yaml:3: type: .*The Startup plan has them"):
        apply(GOOD, tenant=free.slug)
    assert rules(free) == {}


def test_a_file_that_is_not_there_is_a_sentence(alice):
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("rules_apply", "/nowhere.yaml", "--tenant", alice.slug)


def test_a_failure_half_way_leaves_nothing(alice, monkeypatch):
    from apps.limits import services

    put = services._put

    def fail_on_second(tenant_id, held, want):
        if want.spec.name == "second":
            raise RuntimeError
        return put(tenant_id, held, want)

    monkeypatch.setattr(services, "_put", fail_on_second)
    with pytest.raises(RuntimeError), tenant_scope(alice.tenant_id):
        rules_apply(
            tenant_id=alice.tenant_id, specs=[SpecFactory(name="first"), SpecFactory(name="second")], prune=False
        )
    assert rules(alice) == {}
