"""The application's role is bound by row security, and every process makes sure of it."""

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection, transaction

from apps.core.guard import role_problem, role_verify
from tests.database import as_owner


def test_the_application_may_serve(db):
    assert role_problem() is None
    role_verify()


@pytest.mark.django_db(transaction=True)
def test_the_owner_must_not_serve():
    with as_owner():
        assert "owns tables" in role_problem()
        with pytest.raises(ImproperlyConfigured, match="owns tables"):
            role_verify()
    role_verify()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE public.mine (id int)",
        "CREATE SCHEMA mine",
        "ALTER TABLE public.tenants_tenant ADD COLUMN mine int",
        "SET row_security = off; SELECT count(*) FROM {cell}.limits_rule",
        "ALTER TABLE {cell}.limits_rule DISABLE ROW LEVEL SECURITY",
        "TRUNCATE {cell}.limits_rule",
    ],
)
def test_the_application_cannot_change_the_structure_or_step_around_it(db, statement):
    with connection.cursor() as cursor:
        cursor.execute("SELECT schema_name FROM tenants_cell LIMIT 1")
        cell = cursor.fetchone()[0]
        with pytest.raises(DatabaseError), transaction.atomic():
            cursor.execute(statement.format(cell=cell))


def test_the_system_checks_find_nothing(db):
    assert run_checks(databases=["default"]) == []


def test_a_short_pepper_is_refused(settings):
    settings.KEY_PEPPERS = [(1, "1f" * 8)]
    assert [message.id for message in run_checks()] == ["tenants.E003"]
