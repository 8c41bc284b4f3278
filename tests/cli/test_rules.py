"""Rules as a file: what is exported changes nothing, what is wrong is said by file and line."""

import json
import time

import pytest

from apps.core.scope import tenant_scope
from apps.limits.rules_file import rules_file_read
from apps.limits.selectors import overrides_of, rules_of
from apps.limits.specs import RuleSpec
from apps.tenants.selectors import tenant_get
from ratelimiter.cli.rules_file import USUAL, FileInvalid
from ratelimiter.cli.rules_file import rules_file_read as file_read
from tests.factories import override_make, rule_make

WANTED = """\
rules:
  - name: chat-per-user
    type: user
    match: {route: POST /v1/chat}
    limit: 100
    window: 1m
    overrides:
      - {values: u_911, limit: blocked, expires: 2030-12-31}
  - name: exports
    type: user
    algorithm: fixed_window
    calendar: {unit: month, zone: Europe/Berlin, anchor: 15}
    limit: 500
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(WANTED)
    return path


def names(alice):
    with tenant_scope(alice.tenant_id):
        return sorted(rule.name for rule in rules_of(alice.tenant_id))


def test_a_dry_run_says_what_would_be_done_and_does_nothing(ask, alice, file):
    told = ask("rules", "apply", file, "--dry-run")
    assert "2 would be created (chat-per-user, exports)" in told.out
    assert names(alice) == []


def test_applied_it_is_so_and_applied_again_nothing_changes(ask, alice, file):
    assert "2 created" in ask("rules", "apply", file).out
    assert names(alice) == ["chat-per-user", "exports"]
    revision = tenant_get(alice.tenant_id).revision
    assert "2 as they are" in ask("rules", "apply", file).out
    assert tenant_get(alice.tenant_id).revision == revision


def test_what_a_file_need_not_say_is_what_rules_are_by_default():
    spec = RuleSpec(name="x", type="user", limit=1, window_ms=1_000)
    usual = {name: getattr(spec, name) for name in USUAL if name not in ("match", "overrides")}
    assert {**usual, "match": {}, "overrides": []} == USUAL


def test_what_is_exported_is_a_file_that_changes_nothing_here_and_at_home(ask, alice, file, tmp_path):
    ask("rules", "apply", file)
    whole = rule_make(
        alice.tenant_id, name="whole", namespace="models", type="custom", key=("attributes.team",), burst=5,
        algorithm="token_bucket", mode="shadow", priority=3, on_failure="open",
    )  # fmt: skip
    override_make(alice.tenant_id, whole.id, values=("blue",))
    rule_make(alice.tenant_id, name="gate", action="deny", match={"ips": ["192.0.2.0/24"]}, limit=0, window_ms=0)
    out = tmp_path / "out.yaml"
    assert ask("rules", "export", out, as_json=True) == {"file": str(out), "rules": 4}
    revision = tenant_get(alice.tenant_id).revision
    assert ask("rules", "diff", out).out.strip() == "Nothing would change."
    unchanged = ask("rules", "apply", out, as_json=True)["unchanged"]
    assert sorted(unchanged) == ["chat-per-user", "exports", "gate", "models/whole"]
    assert tenant_get(alice.tenant_id).revision == revision
    assert len(rules_file_read(out.read_text())) == 4


def test_a_diff_shows_lines_and_ends_with_one(ask, alice, file):
    ask("rules", "apply", file)
    rule_make(alice.tenant_id, name="gone")
    file.write_text(WANTED.replace("limit: 100", "limit: 250"))
    told = ask("rules", "diff", file, code=1).out
    assert {"-  limit: 100", "+  limit: 250"} <= set(told.splitlines())
    assert "--- now: gone" in told
    assert "exports" not in told
    assert ask("rules", "diff", file, "--no-prune", code=1, as_json=True)["deleted"] == []


def test_a_file_that_cannot_be_written_is_said(ask, tmp_path):
    told = ask("rules", "export", tmp_path / "nowhere" / "rules.yaml", code=2)
    assert "rules.yaml:1: No such file or directory" in told.err


def test_without_pruning_other_rules_stay(ask, alice, file):
    rule_make(alice.tenant_id, name="other")
    ask("rules", "apply", file, "--no-prune")
    assert names(alice) == ["chat-per-user", "exports", "other"]
    ask("rules", "apply", file)
    assert names(alice) == ["chat-per-user", "exports"]


@pytest.mark.parametrize(
    ("changed", "line", "words"),
    [
        (("limit: 100", "limit: many"), 5, "limit: must be"),
        (("window: 1m", "window: soon"), 6, "window: “soon” is not"),
        (("values: u_911", "values: []"), 8, "overrides.0.values: "),
        (("zone: Europe/Berlin", "zone: Mars/Base"), 12, "calendar"),
        (("    type: user\n    match", "    typ: user\n    match"), 3, "typ"),
    ],
)
def test_what_the_service_does_not_take_is_said_by_file_and_line(changed, line, words, ask, alice, file):
    file.write_text(WANTED.replace(*changed))
    told = ask("rules", "apply", file, code=2).err
    assert f"{file}:{line}: {words}" in told
    assert names(alice) == []


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("rules: [", 1, "expected the node content"),
        ("rules:\n  - name: a\n    name: b\n", 3, "name is here twice"),
        ("a: &a [*a]\n", 1, "refers to itself"),
        ("", 1, "the file is empty"),
        ("rules:\n\t- a\n", 2, "cannot start any token"),
        ("rules: !!python/object:os.system {}\n", 1, "could not determine a constructor"),
    ],
)
def test_what_is_no_file_is_said_before_anybody_is_asked(text, line, words, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(FileInvalid) as caught:
        file_read(str(path))
    assert [at for at, _ in caught.value.problems] == [line]
    assert words in str(caught.value)


def test_problems_are_json_for_programs(ask, file):
    file.write_text(WANTED.replace("window: 1m", "window: soon"))
    told = ask("rules", "apply", file, code=2, as_json=True)
    assert [(error["file"], error["line"]) for error in told["errors"]] == [(str(file), 6)]


def test_a_hundred_rules_are_applied_at_once(ask, alice, tmp_path):
    path = tmp_path / "many.yaml"
    rules = [
        {"name": f"rule-{n}", "type": "user", "match": {"route": f"GET /{n}"}, "limit": n + 1, "window": "1m"}
        for n in range(100)
    ]
    path.write_text(json.dumps({"rules": rules}))
    began = time.monotonic()
    ask("rules", "apply", path)
    print(f"100 rules in {time.monotonic() - began:.2f} s")
    assert len(names(alice)) == 100
    rules[50]["limit"], rules[99]["window"] = 7_777, "soon"
    path.write_text(json.dumps({"rules": rules}))
    ask("rules", "apply", path, code=2)
    with tenant_scope(alice.tenant_id):
        held = {rule.name: rule for rule in rules_of(alice.tenant_id)}
        assert held["rule-50"].limit == 51
        assert overrides_of(tenant_id=alice.tenant_id, rule_id=held["rule-50"].id) == []
