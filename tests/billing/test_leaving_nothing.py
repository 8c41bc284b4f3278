"""A tenant that had everything is deleted, and no store knows its addresses, its callers or its name any more."""

import json
import os
import re
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from apps.billing.gateways.stripe import gateway
from apps.billing.mirroring import mirror_sync
from apps.billing.models import Account, KeptInvoice
from apps.core.counters import counters as counters_redis
from apps.core.scope import tenant_scope
from apps.limits import judge as judging
from apps.limits import publishing
from apps.limits.services import sharding_set
from apps.notifications import channel_services
from apps.plans.models import Contract, Plan
from apps.plans.services import plan_set
from apps.tenants.invitations import invite
from apps.tenants.privacy import erasing
from apps.tenants.privacy.deletion import deletion_ask
from apps.tenants.privacy.exporting import export_ask, export_make
from ratelimiter.events.buses import producer_make
from ratelimiter.events.ship import Shipper
from ratelimiter.events.spool import PARTITIONS
from tests.analytics.conftest import bus, counting  # noqa: F401 - fixtures
from tests.billing.sandbox.rig import DAY, START
from tests.database import as_owner, owner_connection
from tests.factories import PASSWORD, MemberFactory, colleague_make, key_make, notices_fill, override_make, rule_make
from tests.notifications.webhooks import webhook_make
from tests.people import Browser
from tests.stores import files_read, tables_read, valkey_read

COUNTERS = os.environ["COUNTERS_URL"]
NOW = datetime.now(UTC)
PERSON_IP, CALLER_IP = "198.51.100.77", "198.51.100.88"
CALLER, DEVICE, SPECIAL = "u_quagga_4711", "quagga-phone", "u_okapi"
# Name, slug and addresses of people all have the first in them.
NEEDLES = ("zebrafish", PERSON_IP, CALLER_IP, CALLER, DEVICE, SPECIAL)


@pytest.fixture
def spool(settings, tmp_path, judge):
    settings.EXPORT_DIR = str(tmp_path / "exports")
    return tmp_path / "spool"


@pytest.fixture
def zebrafish(transactional_db, counters, selling):
    return MemberFactory(email="mina@zebrafish.example", tenant_name="Zebrafish Widgets", plan="professional")


def found(spool, bus_url):
    """Needle → the places where it stands, in everything that this installation keeps."""
    places = {needle: set() for needle in NEEDLES}
    for name, text in (*_database(), *valkey_read(COUNTERS), *valkey_read(bus_url), *files_read(spool)):
        lowered = text.lower()
        for needle in NEEDLES:
            if needle.lower().encode() in lowered:
                places[needle].add(name)
    return places


def _database():
    """Cells by one name."""
    with owner_connection() as owner:
        for table, text in tables_read(owner):
            yield re.sub(r"^cell_\w+", "cell", table), text


def ship(spool, url):
    shipper = Shipper(spool, lambda: producer_make(url), max_bytes=2**24)
    while shipper.turn() or shipper._in_flight:
        pass
    shipper._farewell()


def fill(member, shop):
    """One of everything that an organisation can have."""
    tenant_id = member.tenant_id
    rule = rule_make(tenant_id, name="zebrafish-rule", type="user")
    override_make(tenant_id, rule.id, values=(SPECIAL,))
    notices_fill(member)
    webhook_make(member, "https://hooks.zebrafish.example/x")
    with tenant_scope(tenant_id):
        sharding_set(tenant_id=tenant_id, shards=2, dimension="user")
        channel_services.channel_create(
            tenant_id=tenant_id, medium="email", values={"address": "oncall@zebrafish.example"},
            given=channel_services.Settings(name="zebrafish on call"), owner_id=member.user_id, by=member.email,
            now=NOW,
        )  # fmt: skip
    colleague_make(tenant_id, "developer", "dev@zebrafish.example")
    invite(
        tenant_id=tenant_id, email="guest@zebrafish.example", role="viewer", by_id=member.user_id, by_role="owner",
        now=NOW,
    )  # fmt: skip
    plan = Plan.objects.get(code="enterprise")
    plan.code, plan.name, plan.is_listed = "zebrafish-deal", "Zebrafish deal", False
    plan.save(force_insert=True)
    Contract.objects.create(plan=plan, tenant_id=tenant_id, term_months=12)
    plan_set(tenant_id=tenant_id, code="zebrafish-deal")
    customer = shop.customer(email="bills@zebrafish.example", name="Zebrafish Widgets")
    shop.subscribe(customer)
    shop.advance(START + 32 * DAY)
    Account.objects.create(tenant_id=tenant_id, customer=customer.id)
    mirror_sync(gateway(), customer=customer.id, now=timezone.now())


def ask_checks(member):
    """Of the door in Django, with the same engine, spool and counters as the other one."""
    secret = key_make(member.tenant_id).secret
    publishing.sweep(now=timezone.now())
    body = {"route": "POST /v1/chat", "user": CALLER, "ip": CALLER_IP, "attributes": {"device": DEVICE}}
    for _ in range(3):
        answer = Browser().post(
            "/api/v1/check", json.dumps(body), content_type="application/json",
            headers={"authorization": f"Bearer {secret}"},
        )  # fmt: skip
        assert answer.status_code == 200, answer.content


def test_every_store_forgets(zebrafish, shop, spool, bus, counting, bob, sent):  # noqa: F811
    fill(zebrafish, shop)
    browser = Browser(REMOTE_ADDR=PERSON_IP).into(zebrafish.email)
    assert browser.post(f"/t/{zebrafish.slug}/settings", {"name": "Zebrafish Widgets", "timezone": "Europe/Berlin"})
    ask_checks(zebrafish)
    before = found(spool, bus.url)
    assert any((spool / name).is_file() for name in before[CALLER])
    judging.judge().close()
    ship(spool, bus.url)
    on_the_bus = found(spool, bus.url)
    counting().all()
    counted = found(spool, bus.url)
    for needle in NEEDLES:
        assert before[needle] | on_the_bus[needle] | counted[needle], f"the search would not find {needle}"
    for name in (
        "public.tenants_user",
        "cell.limits_rule",
        "cell.tenants_audit_auditentry",
        "public.djstripe_customer",
    ):
        assert name in counted["zebrafish"]
    assert any(name.startswith("valkey") for name in on_the_bus[CALLER])
    assert "analytics.identifier" in counted[CALLER_IP]

    export = export_ask(tenant_id=zebrafish.tenant_id, user_id=zebrafish.user_id, now=NOW)
    assert export_make(export_id=export.id, now=NOW)
    exports = spool.parent / "exports"
    assert list(exports.iterdir())
    own = f"*{{{zebrafish.tenant_id}*"
    assert counters_redis().keys(own)

    asked = deletion_ask(
        tenant_id=zebrafish.tenant_id, name="Zebrafish Widgets", user_id=zebrafish.user_id, password=PASSWORD, now=NOW
    )
    with as_owner():
        assert erasing.purge(deletion_id=asked.id, now=asked.due_at)
    bus.put_heartbeats(range(PARTITIONS), int(NOW.timestamp() * 1_000), boot="other")  # doors go on living
    counting().all()
    assert {needle: places for needle, places in found(spool, bus.url).items() if places} == {}
    assert [kept.total_cents for kept in KeptInvoice.objects.order_by("made_at")] == [4_900, 4_900]
    assert not counters_redis().keys(own)
    assert not list(exports.iterdir())
    assert Browser().into(bob.email).get(f"/t/{bob.slug}/rules").status_code == 200
