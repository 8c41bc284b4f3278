"""Another tenant's rows do not exist, and a forgotten scope is an error: for every model that lives in a cell."""

import pytest
from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, IntegrityError, ProgrammingError, connection, transaction

from apps.core.scope import ScopeConflict, TenantUnknown, tenant_scope
from apps.limits.services import sharding_set
from apps.tenants.idempotency.answering import Answer, Asking, answer_keep
from tests.database import owner_connection
from tests.factories import key_make, notices_fill, override_make, rule_make

CELL_MODELS = [
    model for config in apps.get_app_configs() if config.name in settings.TENANT_APPS for model in config.get_models()
]
APPEND_ONLY = {"tenants_audit.AuditEntry"}
each_model = pytest.mark.parametrize("model", CELL_MODELS, ids=lambda model: model._meta.label)


def test_there_are_models_to_walk():
    assert {model._meta.label for model in CELL_MODELS} >= {"apikeys.ApiKey", "limits.Rule", "limits.Override"}


def cell_of(tenant_id):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.schema_name FROM tenants_cell c JOIN tenants_tenant t ON t.cell_id = c.id WHERE t.id = %s",
            [tenant_id],
        )
        return cursor.fetchone()[0]


def fill(member):
    rule = rule_make(member.tenant_id, name="mine", type="user")
    override_make(member.tenant_id, rule.id)
    with tenant_scope(member.tenant_id):
        sharding_set(tenant_id=member.tenant_id, shards=1, dimension="user")
    key_make(member.tenant_id)
    with tenant_scope(member.tenant_id):
        answer_keep(Asking(member.tenant_id, "key", 1, "once", "f"), Answer(201, {}, {}))
    notices_fill(member)


@each_model
def test_a_query_without_a_scope_raises_also_on_an_empty_table(db, model):
    with pytest.raises(ProgrammingError), transaction.atomic():
        model.objects.count()
    with connection.cursor() as cursor:
        cursor.execute("SELECT schema_name FROM tenants_cell LIMIT 1")
        cell = cursor.fetchone()[0]
    # Even with the cell's name in hand, before the first scope of the session and after one (null and empty setting).
    for _ in range(2):
        with (
            pytest.raises(ProgrammingError, match="no tenant scope is open"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f'SELECT 1 FROM "{cell}"."{model._meta.db_table}"')
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('app.tenant_id', '', false)")


@each_model
def test_after_a_scope_the_next_query_raises_again(alice, model):
    with tenant_scope(alice.tenant_id):
        model.objects.count()
    with pytest.raises(ProgrammingError), transaction.atomic():
        model.objects.count()


@each_model
def test_rows_of_another_tenant_of_the_same_cell_do_not_exist(alice, bob, model):
    fill(alice)
    assert cell_of(alice.tenant_id) == cell_of(bob.tenant_id)
    with tenant_scope(alice.tenant_id):
        mine = set(model.objects.values_list("id", flat=True))
    assert mine
    with tenant_scope(bob.tenant_id):
        assert not model.objects.filter(id__in=mine).exists()
        if model._meta.label not in APPEND_ONLY:
            assert model.objects.filter(id__in=mine).update(tenant_id=bob.tenant_id) == 0
            assert model.objects.filter(id__in=mine).delete()[0] == 0
    with tenant_scope(alice.tenant_id):
        assert set(model.objects.values_list("id", flat=True)) == mine


@each_model
def test_rows_cannot_be_written_for_or_moved_to_another_tenant(alice, bob, model):
    fill(alice)
    refusal = "permission denied" if model._meta.label in APPEND_ONLY else "row-level security"
    with pytest.raises(DatabaseError, match=refusal), tenant_scope(alice.tenant_id):
        model.objects.update(tenant_id=bob.tenant_id)
    with tenant_scope(alice.tenant_id):
        row = model.objects.first()
    row.pk, row.tenant_id, row._state.adding = None, alice.tenant_id, True
    with pytest.raises(DatabaseError, match="row-level security"), tenant_scope(bob.tenant_id):
        row.save(force_insert=True)


@each_model
def test_the_table_is_protected_and_referenced_by_tenant_and_id(alice, model):
    table = f'"{cell_of(alice.tenant_id)}"."{model._meta.db_table}"'
    with owner_connection() as owner:
        secured, forced = owner.execute(
            "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::regclass", [table]
        ).fetchone()
        policies = owner.execute(
            "SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = %s::regclass", [table]
        ).fetchall()
        constraints = owner.execute(
            "SELECT contype, pg_get_constraintdef(oid), confrelid::regclass::text FROM pg_constraint"
            " WHERE conrelid = %s::regclass",
            [table],
        ).fetchall()
    assert (secured, forced) == (True, False)
    assert policies == [("(tenant_id = app_tenant())",)]
    assert ("u", "UNIQUE (tenant_id, id)") in [constraint[:2] for constraint in constraints]
    for kind, definition, _target in constraints:
        if kind == "f":
            assert definition.startswith("FOREIGN KEY (tenant_id, ")


def test_no_foreign_key_leaves_a_cell(alice):
    with owner_connection() as owner:
        leaving = owner.execute(
            "SELECT c.conname FROM pg_constraint c JOIN pg_class a ON a.oid = c.conrelid"
            " JOIN pg_class b ON b.oid = c.confrelid JOIN pg_namespace n ON n.oid = a.relnamespace"
            " WHERE c.contype = 'f' AND n.nspname LIKE 'cell\\_%' AND a.relnamespace <> b.relnamespace"
        ).fetchall()
    assert leaving == []


def test_a_key_cannot_refer_to_another_tenants_key(alice, bob):
    theirs = key_make(bob.tenant_id).key
    mine = key_make(alice.tenant_id).key
    from apps.apikeys.models import ApiKey

    with pytest.raises(IntegrityError, match="in_tenant"), tenant_scope(alice.tenant_id):
        ApiKey.objects.filter(id=mine.id).update(rotated_from_id=theirs.id)
    with tenant_scope(bob.tenant_id):
        assert ApiKey.objects.get(id=theirs.id).rotated_from_id is None


def test_an_override_cannot_refer_to_another_tenants_rule(alice, bob):
    theirs = rule_make(bob.tenant_id, type="user")
    held = override_make(alice.tenant_id, rule_make(alice.tenant_id, type="user").id)
    from apps.limits.models import Override

    with pytest.raises(IntegrityError, match="in_tenant"), tenant_scope(alice.tenant_id):
        Override.objects.filter(id=held.id).update(rule_id=theirs.id)


def test_scopes_of_two_tenants_never_nest(alice, bob):
    with tenant_scope(alice.tenant_id):
        with tenant_scope(alice.tenant_id):
            pass
        with pytest.raises(ScopeConflict), tenant_scope(bob.tenant_id):
            pass


def test_a_scope_of_an_unknown_tenant_is_refused(db):
    with pytest.raises(TenantUnknown), tenant_scope(2**62):
        pass


def test_a_scope_leaves_nothing_behind_in_the_transaction_around_it(alice, bob):
    with transaction.atomic():
        with tenant_scope(alice.tenant_id):
            pass
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('app.tenant_id', true), current_setting('search_path')")
            tenant, path = cursor.fetchone()
        assert tenant == ""
        assert "cell_" not in path
        with tenant_scope(bob.tenant_id):
            pass


def test_a_failed_scope_leaves_nothing_behind_either(alice):
    def fail_in_scope():
        with tenant_scope(alice.tenant_id):
            rule_make(alice.tenant_id, name="gone")
            raise ZeroDivisionError

    with transaction.atomic():
        with pytest.raises(ZeroDivisionError):
            fail_in_scope()
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('app.tenant_id', true)")
            assert not cursor.fetchone()[0]
    with tenant_scope(alice.tenant_id):
        from apps.limits.models import Rule

        assert Rule.objects.count() == 0
