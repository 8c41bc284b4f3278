"""/api/v1/rate-limits: rules by the fields of the rules file, changed by whoever has seen them."""

import pytest
import yaml

from apps.core.scope import tenant_scope
from apps.limits.rules_file import rules_file_read
from apps.limits.rules_json import rules_read
from apps.limits.selectors import rules_of
from apps.plans.services import plan_set
from apps.tenants.audit.models import AuditEntry
from apps.tenants.selectors import tenant_get
from tests.factories import override_make, rule_make
from tests.limits.test_rules_file import GOOD, RICH

pytestmark = pytest.mark.django_db(transaction=True)
CHAT = {"name": "chat", "type": "user", "match": {"route": "POST /v1/chat"}, "limit": 100, "window": "1m"}
ROOT = "rate-limits"


def json_of(text):
    """A rules file as somebody would send it, with everything that YAML leaves open said plainly."""
    loaded = yaml.load(text, Loader=yaml.BaseLoader)  # all scalars are texts
    for rule in loaded["rules"]:
        for name in ("limit", "burst", "priority", "ipv6_prefix", "lease"):
            if name in rule:
                rule[name] = int(rule[name])
        if "enabled" in rule:
            rule["enabled"] = rule["enabled"] == "true"
        for part, names in (("calendar", ("anchor",)), ("escalation", ("breaches",))):
            for name in names:
                if name in rule.get(part, {}):
                    rule[part][name] = int(rule[part][name])
        for override in rule.get("overrides", ()):
            if "burst" in override:
                override["burst"] = int(override["burst"])
    return loaded


@pytest.mark.parametrize("text", [GOOD, RICH])
def test_json_means_what_the_same_file_means(text):
    file, sent = rules_file_read(text), rules_read(json_of(text))
    assert [(one.spec, one.overrides) for one in sent] == [(one.spec, one.overrides) for one in file]


def test_a_rule_is_made_read_changed_and_deleted(admin, alice):
    made = admin.post(ROOT, CHAT)
    rule = made.json()
    assert made["Location"] == f"/api/v1/rate-limits/{rule['id']}"
    assert (rule["name"], rule["limit"], rule["window"], rule["match"]) == (
        "chat", 100, "1m", {"routes": ["POST /v1/chat"]},
    )  # fmt: skip
    path = f"{ROOT}/{rule['id']}"
    assert admin.get(path).json() == rule
    changed = admin.patch(path, {"limit": 50, "mode": "shadow"}, if_match=made["ETag"])
    assert (changed.json()["limit"], changed.json()["mode"], changed.json()["match"]) == (50, "shadow", rule["match"])
    replaced = admin.put(path, CHAT, if_match=changed["ETag"])
    assert {**replaced.json(), "updated_at": ""} == {**rule, "updated_at": ""}
    assert admin.post(f"{path}/disable", status=200).json()["enabled"] is False
    assert admin.post(f"{path}/enable", status=200).json()["enabled"] is True
    assert admin.post(f"{path}/mode", {"mode": "shadow"}, status=200).json()["mode"] == "shadow"
    admin.delete(path, if_match="*")
    admin.get(path, status=404)
    with tenant_scope(alice.tenant_id):
        said = set(AuditEntry.objects.filter(via="api").values_list("action", "actor_kind"))
    assert said == {("rule.created", "key"), ("rule.updated", "key"), ("rule.deleted", "key")}


def test_what_is_read_can_be_sent_back_and_changes_nothing(admin, alice):
    admin.put(f"{ROOT}/bulk", json_of(RICH), if_match="*")
    admin.put(f"{ROOT}/bulk?prune=false", json_of(GOOD), if_match="*")
    for rule in admin.get(ROOT).json()["rules"]:
        held = admin.get(f"{ROOT}/{rule['id']}")
        assert held.json() == rule
        same = admin.put(f"{ROOT}/{rule['id']}", rule, if_match=held["ETag"]).json()
        assert {**same, "updated_at": ""} == {**rule, "updated_at": ""}
        for override in admin.get(f"{ROOT}/{rule['id']}/overrides").json()["overrides"]:
            path = f"{ROOT}/{rule['id']}/overrides/{override['id']}"
            assert admin.put(path, override, if_match=admin.get(path)["ETag"]).json() == override
    revision = tenant_get(alice.tenant_id).revision
    exported = admin.get(f"{ROOT}/bulk")
    done = admin.put(f"{ROOT}/bulk", exported.json(), if_match=exported["ETag"]).json()
    assert (len(done["unchanged"]), done["revision"]) == (6, revision)
    assert done["created"] == done["updated"] == done["deleted"] == []


def test_pages_hold_every_rule_once(admin, alice):
    ids = [rule_make(alice.tenant_id).id for _ in range(5)]
    seen, query = [], "limit=2"
    while query:
        told = admin.get(f"{ROOT}?{query}").json()
        seen += [rule["id"] for rule in told["rules"]]
        query = told["next"] and f"limit=2&cursor={told['next']}"
    assert seen == ids
    for wrong in ("limit=0", "limit=201", "limit=x", "cursor=-1", "cursor=", "cursor=" + "9" * 30):
        assert admin.get(f"{ROOT}?{wrong}", status=400).json()["errors"][0]["pointer"] in ("/limit", "/cursor")


def test_nobody_changes_what_they_have_not_seen(admin, alice):
    rule = rule_make(alice.tenant_id, name="chat", type="user")
    path, sent = f"{ROOT}/{rule.id}", {**CHAT, "limit": 7}
    etag = admin.get(path)["ETag"]
    for method, body in (("put", sent), ("patch", {"limit": 7}), ("delete", None)):
        assert admin.call(method, path, body, status=428).json()["code"] == "precondition_required"
        assert admin.call(method, path, body, status=412, if_match='"other"').json()["code"] == "precondition_failed"
    admin.put(path, sent, if_match=f'"other", W/{etag}')
    admin.put(path, sent, if_match=etag, status=412)
    with tenant_scope(alice.tenant_id):
        assert rules_of(alice.tenant_id)[0].limit == 7


def test_what_is_known_is_not_sent_again(admin, alice):
    rule = rule_make(alice.tenant_id, name="chat", type="user")
    override = override_make(alice.tenant_id, rule.id)
    for path in (ROOT, f"{ROOT}/bulk", f"{ROOT}/{rule.id}", f"{ROOT}/{rule.id}/overrides/{override.id}"):
        etag = admin.get(path)["ETag"]
        known = admin.get(path, status=304, if_none_match=etag)
        assert (known.content, known["ETag"]) == (b"", etag)
    etag = admin.get(ROOT)["ETag"]
    override_make(alice.tenant_id, rule.id, ["u_2"])
    assert admin.get(ROOT, if_none_match=etag)["ETag"] != etag


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"name": "Chat!"}, "/name"), ({"name": 5}, "/name"), ({"name": None}, "/name"), ({"limit": 0}, "/limit"),
        ({"limit": "100"}, "/limit"), ({"limit": True}, "/limit"), ({"limit": 1.5}, "/limit"),
        ({"window": "1 minute"}, "/window"), ({"window": "500d"}, "/window"), ({"colour": "red"}, "/colour"),
        ({"match": {"ip": "10.0.0.0/99"}}, "/match/ip"), ({"match": []}, "/match"),
        ({"match": {"user": [5]}}, "/match"),
        ({"calendar": {"unit": "week"}}, "/calendar/unit"), ({"escalation": {"breaches": 1}}, "/escalation"),
        ({"enabled": "yes"}, "/enabled"), ({"overrides": []}, "/overrides"), ({"type": "custom"}, "/key"),
        ({"key": ["user", "colour"]}, "/key"), ({"a/b~": 1}, "/a~1b~0"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_beside_its_name(changed, pointer, admin, alice):
    told = admin.post(ROOT, CHAT | changed, status=400).json()
    assert (told["code"], told["errors"][0]["pointer"]) == ("invalid", pointer)
    with tenant_scope(alice.tenant_id):
        assert rules_of(alice.tenant_id) == []


@pytest.mark.parametrize("body", [None, [], "x", 5, {}, {"rules": 5}])
def test_a_body_of_another_shape_is_refused(body, admin, alice):
    rule = rule_make(alice.tenant_id)
    for method, path in (
        ("post", ROOT), ("put", f"{ROOT}/bulk"), ("put", f"{ROOT}/{rule.id}"), ("post", f"{ROOT}/{rule.id}/mode"),
        ("post", f"{ROOT}/{rule.id}/overrides"),
    ):  # fmt: skip
        assert admin.call(method, path, body, status=400, if_match="*").json()["code"] in ("invalid", "parse_error")
    if body not in (None, {}):
        admin.patch(f"{ROOT}/{rule.id}", body, status=400, if_match="*")


def test_a_patch_takes_away_with_null_and_changes_inside(admin, alice):
    path = f"{ROOT}/{admin.post(ROOT, CHAT | {'match': {'route': '/a', 'user': 'u_1'}}).json()['id']}"
    changed = admin.patch(path, {"match": {"users": None, "ip": "10.0.0.1"}}, if_match="*").json()
    assert changed["match"] == {"routes": ["/a"], "ips": ["10.0.0.1/32"]}
    month = {"window": None, "calendar": {"unit": "month", "anchor": 3}, "algorithm": "fixed_window"}
    assert admin.patch(path, month, if_match="*").json()["calendar"] == {"unit": "month", "zone": "UTC", "anchor": 3}
    assert admin.patch(path, {"calendar": {"anchor": 4}}, if_match="*").json()["calendar"]["anchor"] == 4
    assert admin.patch(path, {"calendar": None, "window": "1h"}, if_match="*").json()["window"] == "1h"


def test_overrides_are_kept_by_their_own_tags(admin, alice):
    rule = rule_make(alice.tenant_id, type="user")
    root = f"{ROOT}/{rule.id}/overrides"
    made = admin.post(root, {"values": "u_911", "limit": "blocked", "note": "Scraping"})
    path = f"{root}/{made.json()['id']}"
    assert made.json() == admin.get(path).json() == admin.get(root).json()["overrides"][0]
    body = {"values": ["u_911"], "limit": 5, "expires": "2030-12-31"}
    admin.put(path, body, status=428)
    changed = admin.put(path, body, if_match=made["ETag"])
    assert (changed.json()["limit"], changed.json()["expires"]) == (5, "2031-01-01T00:00:00+00:00")
    admin.delete(path, if_match=made["ETag"], status=412)
    admin.delete(path, if_match=changed["ETag"])
    assert admin.get(root).json() == {"overrides": [], "next": None}
    for wrong, pointer in (
        ({"values": ["a", "b"]}, "/values"),
        ({"limit": "none"}, "/limit"),
        ({"burst": 1}, "/burst"),
    ):
        told = admin.post(root, {"values": "u_1", "limit": 5} | wrong, status=400).json()
        assert told["errors"][0]["pointer"] == pointer


def test_all_rules_at_once_or_none(admin, alice):
    rule_make(alice.tenant_id, name="old")
    etag = admin.get(f"{ROOT}/bulk")["ETag"]
    wanted = {"rules": [CHAT, {**CHAT, "name": "b"}]}
    planned = admin.put(f"{ROOT}/bulk?dry_run=true", wanted).json()
    assert (planned["created"], planned["deleted"], planned["dry_run"]) == (["chat", "b"], ["old"], True)
    assert admin.get(f"{ROOT}/bulk")["ETag"] == etag
    admin.put(f"{ROOT}/bulk", wanted, status=428)
    admin.put(f"{ROOT}/bulk", wanted, status=412, if_match='"r0"')
    broken = {"rules": [CHAT, {**CHAT, "name": "b", "match": {"ip": "x"}}, {**CHAT, "window": "x", "limit": 0}]}
    told = admin.put(f"{ROOT}/bulk", broken, status=400, if_match=etag).json()
    assert [error["pointer"] for error in told["errors"]] == ["/rules/2/window"]
    told = admin.put(f"{ROOT}/bulk", {"rules": broken["rules"][:2]}, status=400, if_match=etag).json()
    assert [error["pointer"] for error in told["errors"]] == ["/rules/1/match/ip"]
    assert admin.get(f"{ROOT}/bulk")["ETag"] == etag
    done = admin.put(f"{ROOT}/bulk", wanted, if_match=etag)
    assert {name: done.json()[name] for name in ("created", "deleted")} == {
        "created": ["chat", "b"], "deleted": ["old"],
    }  # fmt: skip
    assert admin.get(f"{ROOT}/bulk")["ETag"] == done["ETag"]
    admin.put(f"{ROOT}/bulk", wanted, status=412, if_match=etag)
    kept = admin.put(f"{ROOT}/bulk?prune=false", {"rules": []}, if_match=done["ETag"]).json()
    assert kept["deleted"] == []


def test_rules_are_tried_without_being_made(admin, reader, alice):
    assert reader.post(f"{ROOT}/validate", {"rules": [CHAT]}, status=200).json() == {"valid": True, "errors": []}
    told = reader.post(f"{ROOT}/validate", {"rules": [{**CHAT, "limit": 0}]}, status=200).json()
    assert (told["valid"], told["errors"][0]["pointer"]) == (False, "/rules/0/limit")
    plan_set(tenant_id=alice.tenant_id, code="free")
    assert not reader.post(f"{ROOT}/validate", {"rules": [CHAT]}, status=200).json()["valid"]
    assert admin.post(ROOT, CHAT, status=403).json()["code"] == "plan_forbids"
    with tenant_scope(alice.tenant_id):
        assert rules_of(alice.tenant_id) == []


def test_a_hundred_rules_are_applied_with_three_statements_each(admin, alice, django_assert_max_num_queries):
    rules = [{**CHAT, "name": f"rule-{number}", "overrides": [{"values": "u_1", "limit": 5}]} for number in range(100)]
    with django_assert_max_num_queries(330):
        assert len(admin.put(f"{ROOT}/bulk", {"rules": rules}, if_match="*").json()["created"]) == 100
    assert admin.post(ROOT, CHAT, status=409).json()["code"] == "too_many_rules"
    rules.append(CHAT)
    assert admin.put(f"{ROOT}/bulk", {"rules": rules}, status=409, if_match="*").json()["code"] == "too_many_rules"


def test_what_is_missing_and_what_is_anothers_are_the_same_bytes(admin, alice, bob):
    mine, theirs = rule_make(alice.tenant_id, type="user"), rule_make(bob.tenant_id, type="user")
    foreign = override_make(bob.tenant_id, theirs.id)
    bodies = set()
    for rule_id in (theirs.id, 10**15, 10**30):
        for method, tail, body in (
            ("get", "", None), ("put", "", CHAT), ("patch", "", {}), ("delete", "", None), ("post", "/enable", None),
            ("post", "/disable", None), ("post", "/mode", {"mode": "shadow"}), ("get", "/overrides", None),
            ("post", "/overrides", {"values": "u_1", "limit": 1}), ("get", f"/overrides/{foreign.id}", None),
        ):  # fmt: skip
            bodies.add(admin.call(method, f"{ROOT}/{rule_id}{tail}", body, status=404, if_match="*").content)
    for override_id in (foreign.id, 10**15):
        path = f"{ROOT}/{mine.id}/overrides/{override_id}"
        bodies.add(admin.get(path, status=404).content)
        bodies.add(admin.put(path, {"values": "u_1", "limit": 1}, status=404, if_match="*").content)
        bodies.add(admin.delete(path, status=404, if_match="*").content)
    assert len(bodies) == 1
