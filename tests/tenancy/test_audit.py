"""What is done leaves a link of its tenant's chain, in its transaction; links cannot be changed, and a chain whose rows
the owner changed does not hold.
"""

from hashlib import sha256
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.urls import reverse

from apps.core.origin import Actor, acting, working
from apps.core.scope import tenant_scope
from apps.limits.services import rule_update
from apps.tenants.audit.chain import GENESIS, SecretInAudit, changes, record_write
from apps.tenants.audit.models import AuditEntry
from apps.tenants.audit.reading import Wanted, entries_of
from apps.tenants.audit.writing import ActionUnknown, Target, audit_write
from apps.tenants.services import tenant_update
from tests.database import owner_connection
from tests.factories import SpecFactory, key_make, rule_make


def entries(member, **wanted):
    """Newest first."""
    with tenant_scope(member.tenant_id):
        return entries_of(tenant_id=member.tenant_id, wanted=Wanted(**wanted), limit=1_000)


def verify(*arguments):
    """(exit code, what it printed)"""
    out = StringIO()
    try:
        call_command("verify_audit", *arguments, stdout=out)
    except CommandError as error:
        return error.returncode, out.getvalue() + str(error)
    return 0, out.getvalue()


def test_an_entry_says_who_did_what_to_which_thing_and_what_changed(alice):
    rule = rule_make(alice.tenant_id, name="user-rpm", limit=100)
    with acting(Actor("user", alice.user_id, alice.email)), tenant_scope(alice.tenant_id):
        rule_update(tenant_id=alice.tenant_id, rule_id=rule.id, spec=SpecFactory(name="user-rpm", limit=200))
    newest, made = entries(alice, target=f"rule:{rule.id}")
    assert (newest.action, newest.actor_kind, newest.actor_name) == ("rule.updated", "user", "alice@example.com")
    assert (newest.target_kind, newest.target_id, newest.target_name) == ("rule", str(rule.id), "user-rpm")
    assert (newest.before, newest.after) == ({"limit": 100}, {"limit": 200})
    assert (made.action, made.before, made.after["limit"]) == ("rule.created", None, 100)


def test_entries_are_a_chain_without_gaps(alice):
    rule_make(alice.tenant_id)
    key_make(alice.tenant_id)
    prev, chain = GENESIS, list(reversed(entries(alice)))
    assert [link.seq for link in chain] == list(range(1, len(chain) + 1))
    assert len(chain) >= 5
    for link in chain:
        assert link.prev_hash == prev
        prev = sha256(f"{prev}\n{link.seq}\n{link.record}".encode()).hexdigest()
        assert link.hash == prev


def test_what_rolls_back_leaves_no_entry(alice):
    before = entries(alice)

    def change_and_fail():
        with tenant_scope(alice.tenant_id):
            rule_make(alice.tenant_id)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert entries(alice) == before
    rule_make(alice.tenant_id)
    assert entries(alice)[0].seq == before[0].seq + 1


def test_saving_what_is_so_already_leaves_no_entry(alice):
    before = entries(alice)
    tenant_update(tenant_id=alice.tenant_id, name="Alice", timezone="UTC")
    assert entries(alice) == before


def test_nobody_reads_another_tenants_log(alice, bob):
    assert {entry.target_name for entry in entries(alice)}.isdisjoint(
        {"Bob"} | {entry.target_name for entry in entries(bob) if entry.action == "key.created"}
    )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tenants_audit_auditentry SET actor_name = 'nobody'",
        "DELETE FROM tenants_audit_auditentry",
        "TRUNCATE tenants_audit_auditentry",
    ],
)
def test_the_application_can_neither_change_nor_remove_entries(alice, statement):
    with pytest.raises(DatabaseError, match="permission denied"), tenant_scope(alice.tenant_id):
        connection.cursor().execute(statement)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tenants_audit_auditentry SET actor_name = 'nobody'",
        "DELETE FROM tenants_audit_auditentry",
        "TRUNCATE tenants_audit_auditentry",
    ],
)
def test_the_trigger_refuses_it_even_with_a_grant_too_many(alice, statement):
    role = connection.settings_dict["USER"]
    with owner_connection() as owner:
        [cell] = owner.execute("SELECT schema_name FROM tenants_cell LIMIT 1").fetchone()
        table = f'"{cell}".tenants_audit_auditentry'
        owner.execute(f'GRANT UPDATE, DELETE, TRUNCATE ON {table} TO "{role}"')
        try:
            with pytest.raises(DatabaseError, match="only appended to"), tenant_scope(alice.tenant_id):
                connection.cursor().execute(statement)
        finally:
            owner.execute(f'REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM "{role}"')


def test_secrets_and_unknown_actions_are_mistakes(alice):
    with pytest.raises(SecretInAudit):
        audit_write(tenant_id=alice.tenant_id, action="key.created", target=Target(1, "x"), after={"digest": "d"})
    with pytest.raises(ActionUnknown):
        audit_write(tenant_id=alice.tenant_id, action="key.lost", target=Target(1, "x"))


def test_the_log_holds_no_secret_of_a_key(alice):
    issued = key_make(alice.tenant_id)
    said = " ".join(entry.record for entry in entries(alice))
    assert issued.key.masked in said
    assert issued.secret not in said
    with tenant_scope(alice.tenant_id):
        from apps.apikeys.models import ApiKey

        assert ApiKey.objects.get(id=issued.key.id).digest not in said


def test_only_what_changed_is_kept_and_numbers_are_written_one_way():
    changed = changes({"a": 1, "b": (1, 2), "c": 3}, {"a": 1, "b": [1, 2], "d": 1.50})
    assert changed.before == {"c": 3}
    assert changed.after == {"d": "1.5"}
    assert record_write({"é": "“x”", "a": [True, None, 2**60]}) == '{"a":[true,null,1152921504606846976],"é":"“x”"}'


def test_commands_and_tasks_are_named(alice):
    with working("task", "billing.account_sync", "id-1"), tenant_scope(alice.tenant_id):
        rule_make(alice.tenant_id)
    newest = entries(alice)[0]
    assert (newest.actor_kind, newest.actor_name, newest.via, newest.request_id) == (
        "task", "billing.account_sync", "task", "id-1",
    )  # fmt: skip
    call_command("key_create", "--tenant", alice.slug, stdout=StringIO())
    newest = entries(alice)[0]
    assert (newest.action, newest.actor_name, newest.via) == ("key.created", "manage.py key_create", "command")


def test_without_anybody_it_is_the_system(alice):
    rule_make(alice.tenant_id)
    assert (entries(alice)[0].actor_kind, entries(alice)[0].via) == ("system", "system")


def test_a_page_is_its_readers_doing(alices, alice):
    alices.post(reverse("tenants:settings", args=[alice.slug]), {"name": "Alice & Co", "timezone": "UTC"})
    newest = entries(alice)[0]
    assert (newest.action, newest.actor_kind, newest.actor_id, newest.actor_name, newest.via, newest.ip) == (
        "tenant.updated", "user", alice.user_id, alice.email, "portal", "127.0.0.1",
    )  # fmt: skip
    assert newest.request_id
    assert (newest.before, newest.after) == ({"name": "Alice"}, {"name": "Alice & Co"})


def test_every_chain_that_nobody_touched_holds(alice, bob):
    rule_make(alice.tenant_id)
    code, printed = verify()
    assert (code, printed.split(" of ")[1]) == (0, "2 tenants hold\n")
    assert verify("--tenant", bob.slug)[1] == f"{len(entries(bob))} entries of 1 tenants hold\n"
    assert verify("--tenant", "nobody")[0] == 1


ADDED = """
INSERT INTO {entries} (tenant_id, seq, action, actor_kind, actor_name, target_kind, target_id, target_name, via, record,
                       prev_hash, hash, created_at)
SELECT tenant_id, seq + 1, action, actor_kind, actor_name, target_kind, target_id, target_name, via, record, hash,
       encode(sha256(convert_to(hash || E'\\n' || (seq + 1) || E'\\n' || record, 'UTF8')), 'hex'), created_at
FROM {entries} ORDER BY seq DESC LIMIT 1
"""
SWAPPED = """
UPDATE {entries} SET seq = CASE seq WHEN 1 THEN 2 ELSE 1 END + 1000 WHERE seq IN (1, 2);
UPDATE {entries} SET seq = seq - 1000 WHERE seq > 1000
"""
BROKEN = {
    "changed": ("UPDATE {entries} SET record = replace(record, 'Alice', 'Malice') WHERE seq = 1", "entry 1 has been c"),
    "its columns changed": ("UPDATE {entries} SET actor_name = 'nobody' WHERE seq = 2", "entry 2 says something else"),
    "its time changed": ("UPDATE {entries} SET created_at = now() WHERE seq = 2", "entry 2 says something else"),
    "removed": ("DELETE FROM {entries} WHERE seq = 2", "entry 2 is missing"),
    "the last removed": (
        "DELETE FROM {entries} WHERE seq = (SELECT max(seq) FROM {entries})", "is missing, the last one should be"
    ),
    "all removed": ("DELETE FROM {entries}", "entry 1 is missing"),
    "added at the end": (ADDED, "beyond the head"),
    "in another order": (SWAPPED, "entry 1 does not follow"),
}  # fmt: skip


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", BROKEN)
def test_an_entry_that_the_owner_changed_removed_or_added_is_found(what, alice, bob):
    with owner_connection() as owner:
        [cell] = owner.execute(
            "SELECT c.schema_name FROM tenants_cell c JOIN tenants_tenant t ON t.cell_id = c.id WHERE t.id = %s",
            [alice.tenant_id],
        ).fetchone()
        statement, words = BROKEN[what]
        mine = f'"{cell}".tenants_audit_auditentry'
        owner.execute("CREATE TEMPORARY VIEW mine AS SELECT * FROM " + mine + f" WHERE tenant_id = {alice.tenant_id}")
        owner.execute(statement.replace("{entries}", "mine"))
    code, printed = verify()
    assert code == 1
    assert f"{alice.slug}: " in printed
    assert words in printed
    assert "of 1 tenants hold" in printed  # Bob's
    assert verify("--tenant", bob.slug)[0] == 0


@pytest.mark.django_db(transaction=True)
def test_many_at_once_make_one_chain(alice):
    from concurrent.futures import ThreadPoolExecutor

    def change(number):
        try:
            key_make(alice.tenant_id)
        finally:
            connection.close()
        return number

    before = len(entries(alice))
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(change, range(40))) == list(range(40))
    assert len(entries(alice)) == before + 40
    assert verify() == (0, f"{before + 40} entries of 1 tenants hold\n")


def test_the_database_takes_no_number_twice(alice):
    with tenant_scope(alice.tenant_id):
        row = AuditEntry.objects.first()
        row.pk, row._state.adding = None, True
        with pytest.raises(IntegrityError), transaction.atomic():
            row.save(force_insert=True)
