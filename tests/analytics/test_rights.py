"""Who may see and write what of analytics."""

from datetime import UTC, datetime

import psycopg
import pytest
from django.apps import apps
from django.db import ProgrammingError, connection, transaction

from apps.analytics import models
from apps.core.scope import tenant_scope
from tests.database import owner_connection

VIEWS = list(apps.get_app_config("analytics").get_models())
TENANTS = [model for model in VIEWS if model not in {models.Settled, models.Salt}]


def hour_write(ingest, tenant_id):
    ingest.execute("INSERT INTO analytics.rule_hour VALUES (%s, date_trunc('hour', now()), 1, 5, 0, 0, 5)", [tenant_id])


def test_a_tenant_sees_its_own_rows_only(alice, bob, ingest):
    for member in (alice, bob):
        hour_write(ingest, member.tenant_id)
    with tenant_scope(alice.tenant_id):
        assert [row.tenant_id for row in models.RuleHour.objects.all()] == [alice.tenant_id]
        assert not models.RuleHour.objects.filter(tenant_id=bob.tenant_id).exists()


@pytest.mark.parametrize("model", TENANTS, ids=lambda model: model.__name__)
def test_reading_without_a_scope_raises(db, model):
    with pytest.raises(ProgrammingError, match="no tenant scope is open"):
        model.objects.exists()


@pytest.mark.parametrize("model", [m for m in VIEWS if m not in {models.Preference, models.Marker}])
def test_the_application_writes_no_rollup(alice, model):
    table = model._meta.db_table
    with (
        tenant_scope(alice.tenant_id),
        connection.cursor() as cursor,
        pytest.raises(ProgrammingError, match="permission denied"),
        transaction.atomic(),
    ):
        cursor.execute(f"DELETE FROM {table}")


def test_the_application_reaches_no_table_behind_the_views(alice, ingest):
    for name in ("event", "identifier", f"check_minute_{datetime.now(UTC):%Y%m%d}"):
        with (
            pytest.raises(ProgrammingError, match="permission denied for schema analytics"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SELECT * FROM analytics.{name}")


def test_a_tenant_marks_its_own_time_axis_only(alice, bob):
    now = datetime.now(UTC)
    with tenant_scope(alice.tenant_id):
        models.Marker.objects.create(tenant_id=alice.tenant_id, at=now, kind="deploy", text="v1")
        with pytest.raises(ProgrammingError, match="check option"), transaction.atomic():
            models.Marker.objects.create(tenant_id=bob.tenant_id, at=now, kind="deploy", text="v1")


def test_ingest_owns_no_table_and_reads_no_secret_of_the_application(ingest, db):
    with owner_connection() as owner:
        query = "SELECT count(*) FROM pg_tables WHERE tableowner = 'rl_ingest' AND schemaname NOT LIKE 'pg\\_%%'"
        assert owner.execute(query).fetchone() == (0,)  # temporary ones apart
    for table in ("public.tenants_user", "public.django_session"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ingest.execute(f"SELECT 1 FROM {table}")
