"""/api/v1/analytics/*: what an API key with the scope `read` may see, and that it is what the pages show."""

import json
from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.analytics import models
from apps.core.scope import tenant_scope
from apps.plans.services import plan_set
from apps.tenants.services import tenant_suspend
from tests.analytics.rows import DAY, DENIED, HOUR, MINUTE, SHADOW_DENIED
from tests.factories import key_make, rule_make

pytestmark = pytest.mark.usefixtures("counters")
ROOT = "/api/v1/analytics"
READS = ("series", "breakdown", "top", "events", "markers")


class Caller:
    """Calls with a key; every refusal has to be a problem document."""

    def __init__(self, secret):
        self._headers = {"Authorization": f"Bearer {secret}"}

    def get(self, path, status=200, **query):
        answer = Client().get(f"{ROOT}/{path}", query, headers=self._headers)
        return self._told(answer, status)

    def post(self, path, body, status=201):
        answer = Client().post(
            f"{ROOT}/{path}", json.dumps(body), content_type="application/json", headers=self._headers
        )
        return self._told(answer, status)

    @staticmethod
    def _told(answer, status):
        assert answer.status_code == status, answer.content
        assert answer["Content-Type"] == ("application/json" if status < 400 else "application/problem+json")
        return answer.json()


@pytest.fixture
def reader(alice):
    return Caller(key_make(alice.tenant_id, scopes=["read"]).secret)


@pytest.fixture
def rule(alice):
    return rule_make(alice.tenant_id, name="per-user", type="user")


@pytest.mark.parametrize("path", READS)
def test_a_key_with_the_scope_read_reads(path, reader):
    told = reader.get(path)
    assert {"since", "until", "zone", "capped"} <= set(told)


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "unauthenticated"),
        ({"Authorization": "Bearer rl_live_nonsense"}, "unauthenticated"),
        ({"Authorization": "Basic YTpi"}, "unauthenticated"),
        ({"Authorization": "Bearer x", "X-API-Key": "x"}, "unauthenticated"),
    ],
)
def test_without_a_key_that_works_nothing_is_told(path, headers, code, db):
    answer = Client().get(f"{ROOT}/{path}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert answer["WWW-Authenticate"] == "Bearer"
    assert answer["Content-Type"] == "application/problem+json"


# A refusal rolls back the transaction it is in, also the one of a test.
apart = pytest.mark.django_db(transaction=True)


@apart
def test_a_key_without_the_scope_a_dead_one_and_a_suspended_tenants_are_refused(alice):
    checker = key_make(alice.tenant_id, scopes=["check"])
    assert Caller(checker.secret).get("series", status=403)["code"] == "forbidden"
    over = key_make(alice.tenant_id, scopes=["read"], expires_at=timezone.now() - HOUR)
    assert Caller(over.secret).get("series", status=401)["code"] == "unauthenticated"
    reading = Caller(key_make(alice.tenant_id, scopes=["read"]).secret)
    tenant_suspend(tenant_id=alice.tenant_id, at=timezone.now())
    assert reading.get("series", status=403)["detail"] == "this tenant is suspended"


def test_the_key_may_come_in_a_header_of_its_own(alice):
    secret = key_make(alice.tenant_id, scopes=["read"]).secret
    assert Client().get(f"{ROOT}/series", headers={"X-API-Key": secret, "Accept": "text/html"}).status_code == 200


def test_the_series_has_totals_and_percentiles(reader, rows):
    rows.checks("minute", timezone.now() - HOUR, allowed=90, denied=10, shadow=1, degraded=2, us=500)
    told = reader.get("series", range="6h")
    assert told["step"] == "1m"
    assert (told["totals"]["checks"], told["totals"]["denied"], told["totals"]["billable"]) == (100, 10, 90)
    assert 300 < told["totals"]["p99_us"] < 600
    assert len(told["points"]) in (360, 361)
    (busy,) = [point for point in told["points"] if point["checks"]]
    assert datetime.fromisoformat(busy["at"]).tzinfo
    assert told["points"][0]["p50_us"] is None


def test_a_series_is_in_the_steps_and_the_zone_that_are_asked_for_and_compared(reader, rows):
    now = timezone.now()
    rows.checks("minute", now - HOUR, allowed=5)
    rows.checks("minute", now - 25 * HOUR, allowed=3)
    told = reader.get("series", range="24h", step="1h", zone="Asia/Tokyo", compare="before")
    assert (told["step"], told["zone"]) == ("1h", "Asia/Tokyo")
    assert told["since"].endswith("+09:00")
    assert told["totals"]["checks"] == 0  # hours are read, and none was written
    told = reader.get("series", range="24h", compare="before")
    assert (told["totals"]["checks"], told["compared"]["totals"]["checks"]) == (5, 3)


def test_a_series_is_of_one_rule(reader, rows, rule):
    rows.rule("minute", timezone.now() - HOUR, rule.id, allowed=8, denied=2)
    assert reader.get("series", rule=rule.id)["totals"]["denied"] == 2
    assert reader.get("series", rule=rule.id + 1)["totals"]["denied"] == 0


def test_the_breakdown_names_rules_and_leaves_a_rest(reader, rows, rule):
    rows.rule("minute", timezone.now() - HOUR, rule.id, allowed=8, denied=2)
    rows.rule("minute", timezone.now() - HOUR, 99, allowed=1)
    told = reader.get("breakdown", limit=1)
    assert [(row["key"], row["label"], row["denied"]) for row in told["rows"]] == [(str(rule.id), "per-user", 2)]
    assert told["rest"]["checks"] == 1
    rows.dimension(timezone.now() - 3 * HOUR, "route", "POST /v1/chat", allowed=4)
    assert [row["label"] for row in reader.get("breakdown", by="route")["rows"]] == ["POST /v1/chat"]


def test_top_are_the_offenders(reader, rows, rule):
    rows.offender(timezone.now() - 3 * HOUR, rule.id, "user", "u_911", denied=50)
    rows.offender(timezone.now() - 3 * HOUR, 99, "ip", "203.0.113.9", denied=70)
    rows.dimension(timezone.now() - 3 * HOUR, "user", "u_911", denied=50)
    assert [one["label"] for one in reader.get("top")["offenders"]] == ["203.0.113.9", "u_911"]
    (one,) = reader.get("top", rule=rule.id)["offenders"]
    assert one == {"dimension": "user", "label": "u_911", "denied": 50, "shadow_denied": 0}


def test_events_say_what_each_rule_said(reader, rows, rule):
    rows.event(
        timezone.now() - MINUTE, "chk_1", allowed=False, user="u_911", route="POST /v1/chat",
        results=[(rule.id, DENIED), (99, SHADOW_DENIED)],
    )  # fmt: skip
    (event,) = reader.get("events", user="u_911", outcome="denied")["events"]
    assert (event["id"], event["outcome"], event["reason"], event["ip"]) == ("chk_1", "denied", "limit_exceeded", None)
    assert event["results"] == [
        {"rule_id": rule.id, "rule": "per-user", "outcome": "denied"},
        {"rule_id": 99, "rule": None, "outcome": "shadow_denied"},
    ]
    assert reader.get("events", check_id="chk_2")["events"] == []


def test_events_are_turned_page_by_page(reader, rows):
    for number in range(7):
        rows.event(timezone.now() - (number + 1) * MINUTE, f"chk_{number}")
    seen, query = [], {}
    while True:
        told = reader.get("events", limit=3, **query)
        seen += [event["id"] for event in told["events"]]
        if told["next"] is None:
            break
        query = {"cursor": told["next"]}
    assert seen == [f"chk_{number}" for number in range(7)]


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("series", {"range": "2h"}, "range"),
        ("series", {"since": "yesterday"}, "since"),
        ("series", {"until": "2026-01-01T00:00Z"}, "since"),
        ("series", {"zone": "Mars/Olympus"}, "zone"),
        ("series", {"zone": "../etc"}, "zone"),
        ("series", {"step": "2m"}, "step"),
        ("series", {"range": "30d", "step": "1m"}, "step"),
        ("series", {"rule": "per-user"}, "rule"),
        ("series", {"compare": "never"}, "compare"),
        ("breakdown", {"by": "colour"}, "by"),
        ("breakdown", {"limit": "0"}, "limit"),
        ("top", {"limit": "1000"}, "limit"),
        ("events", {"outcome": "maybe"}, "outcome"),
        ("events", {"cursor": "nonsense"}, "cursor"),
        ("events", {"key": "-1"}, "key"),
    ],
)
def test_what_is_not_valid_is_refused_beside_its_name(path, query, field, reader):
    told = reader.get(path, status=400, **query)
    assert told["code"] == "invalid"
    assert told["errors"][0]["pointer"] == f"/{field}"


@apart
def test_a_plan_hides_what_is_older_and_deletes_nothing(reader, rows, alice):
    old = timezone.now() - 20 * DAY
    rows.checks("hour", old, allowed=40)
    rows.checks("day", old, allowed=40)
    rows.event(old, "chk_old")
    plan_set(tenant_id=alice.tenant_id, code="free")
    hidden = reader.get("series", range="30d")
    assert (hidden["capped"], hidden["totals"]["checks"]) == (True, 0)
    assert datetime.fromisoformat(hidden["since"]) >= timezone.now() - timedelta(days=7, hours=1)
    assert reader.get("events", range="30d", check_id="chk_old")["events"] == []
    between = {"since": (old - DAY).isoformat(), "until": (old + DAY).isoformat()}
    assert reader.get("series", status=400, **between)["errors"][0]["pointer"] == "/until"
    plan_set(tenant_id=alice.tenant_id, code="startup")
    assert reader.get("series", range="30d")["totals"]["checks"] == 40
    assert len(reader.get("events", range="30d", check_id="chk_old")["events"]) == 1


def test_nobody_reads_another_tenants_numbers(reader, bobs_rows):
    now = timezone.now()
    bobs_rows.everywhere(now - HOUR, allowed=9, denied=1)
    bobs_rows.rule("minute", now - HOUR, 5, denied=1)
    bobs_rows.dimension(now - 3 * HOUR, "user", "u_bob", denied=1)
    bobs_rows.offender(now - 3 * HOUR, 5, "user", "u_bob", denied=1)
    bobs_rows.event(now - MINUTE, "chk_bob", allowed=False, user="u_bob")
    assert reader.get("series")["totals"]["checks"] == 0
    assert reader.get("series", rule=5)["totals"]["denied"] == 0
    for by in ("rule", "route", "key", "user", "ip", "namespace"):
        assert reader.get("breakdown", by=by)["rows"] == []
    assert reader.get("top")["offenders"] == []
    assert reader.get("events", check_id="chk_bob")["events"] == reader.get("events", user="u_bob")["events"] == []


@apart
def test_a_deploy_is_marked_with_a_key_that_may_change_things(alice, reader):
    admin = Caller(key_make(alice.tenant_id, scopes=["read", "admin"]).secret)
    at = (timezone.now() - HOUR).replace(microsecond=0)
    assert admin.post("markers", {"text": "v42", "at": at.isoformat()})["text"] == "v42"
    (marker,) = reader.get("markers")["markers"]
    assert (marker["kind"], datetime.fromisoformat(marker["at"])) == ("deploy", at)
    assert reader.post("markers", {"text": "v43"}, status=403)["code"] == "forbidden"


@apart
@pytest.mark.parametrize(
    "body",
    [
        {}, {"text": ""}, {"text": "x" * 81}, {"text": 5}, {"text": "x", "at": "now"}, {"text": "x", "at": 5}, [],
        {"text": "x", "at": "2999-01-01T00:00Z"}, {"text": "x", "at": "2026-01-01T00:00"},
        {"text": "x", "kind": "rule"},
    ],
)  # fmt: skip
def test_a_marker_that_cannot_be_is_refused(body, alice):
    admin = Caller(key_make(alice.tenant_id, scopes=["admin"]).secret)
    assert admin.post("markers", body, status=400)["code"] == "invalid"
    with tenant_scope(alice.tenant_id):
        assert not models.Marker.objects.exists()


@apart
def test_a_body_that_is_no_json_and_a_method_that_is_none_are_problems(alice):
    secret = key_make(alice.tenant_id, scopes=["read", "admin"]).secret
    headers = {"Authorization": f"Bearer {secret}"}
    answer = Client().post(f"{ROOT}/markers", "{", content_type="application/json", headers=headers)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    answer = Client().delete(f"{ROOT}/series", headers=headers)
    assert (answer.status_code, answer["Content-Type"]) == (405, "application/problem+json")


@pytest.mark.parametrize("path", ["series?compare=before", "breakdown?by=route", "top", "events?user=u_1", "markers"])
def test_an_answer_asks_no_more_than_fifteen_questions(path, alice, rows, rule, django_assert_max_num_queries):
    rows.event(timezone.now() - MINUTE, "chk_1", user="u_1", route="GET /")
    headers = {"Authorization": f"Bearer {key_make(alice.tenant_id, scopes=['read']).secret}"}
    with django_assert_max_num_queries(15):
        assert Client().get(f"{ROOT}/{path}", headers=headers).status_code == 200


def test_the_description_knows_every_address(client):
    paths = client.get("/api/schema?format=json").json()["paths"]
    assert {f"{ROOT}/{path}" for path in READS} <= set(paths)
    series = paths[f"{ROOT}/series"]["get"]
    assert {parameter["name"] for parameter in series["parameters"]} >= {"range", "since", "zone", "step", "compare"}
    assert set(series["responses"]) == {"200", "400", "401", "403", "429"}
    assert set(paths[f"{ROOT}/markers"]) == {"get", "post"}
