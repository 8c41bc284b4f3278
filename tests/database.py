"""The database of the tests: made by the owner, used as the application's role, emptied by the owner."""

import os
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from psycopg import sql

MIRRORED = [  # by dj-stripe's tables
    "coupon", "customer", "discount", "invoice", "invoiceitem", "lineitem", "paymentmethod", "price", "product",
    "productfeature", "subscription", "subscriptionitem", "taxid",
]  # fmt: skip
# Rows that migrations and cells_ensure made stay.
KEPT = {"django_migrations", "django_content_type", "auth_permission", "plans_plan", "tenants_cell"}


def database_make():
    name = f"test_ratelimiter{os.environ.get('PYTEST_XDIST_WORKER', '')}"
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as owner:
        owner.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with as_owner(name):
        call_command("migrate_schemas", verbosity=0, interactive=False)
        call_command("cells_ensure", verbosity=0)
        call_command("analytics_ensure", days=70, verbosity=0)  # tests write into the past
    settings.DATABASE_INGEST_URL = urlsplit(os.environ["DATABASE_INGEST_URL"])._replace(path=f"/{name}").geturl()


def database_drop():
    """Without FORCE: the owner may not end an autovacuum worker, but a plain DROP asks it to go and waits."""
    connection.close()
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as owner:
        name = sql.Identifier(connection.settings_dict["NAME"])
        owner.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(name))


@contextmanager
def as_owner(name=None):
    """Django's connection with the owner's role; afterwards with the application's again."""
    _become("DATABASE_OWNER_URL", name, is_owner=True)
    try:
        yield
    finally:
        _become("DATABASE_URL", name, is_owner=False)


@contextmanager
def owner_connection():
    """A second connection, as the owner, whom row security does not bind."""
    url = urlsplit(os.environ["DATABASE_OWNER_URL"])._replace(path=f"/{connection.settings_dict['NAME']}")
    with psycopg.connect(url.geturl(), autocommit=True) as owner:
        yield owner


def database_empty(*_):
    """Instead of Django's flush, for which the application's role has no right."""
    connection.close()
    with owner_connection() as owner:
        tables = owner.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = 'public' OR schemaname LIKE 'cell\\_%'"
        ).fetchall()
        names = [
            sql.Identifier(schema, table)
            for schema, table in tables
            if table not in KEPT and not table.startswith("djstripe_")
        ]
        owner.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(names)))
        _mirror_empty(owner)
        owner.execute("UPDATE public.tenants_cell SET tenant_count = 0, is_open = true")
        _counted_empty(owner)


def _mirror_empty(owner):
    """Dj-stripe has sixty tables, all tied to each other: deleting few rows from few is quicker than truncating."""
    if owner.execute(
        "SELECT EXISTS (SELECT 1 FROM djstripe_customer) OR EXISTS (SELECT 1 FROM djstripe_product)"
    ).fetchone()[0]:
        with owner.transaction():  # references are checked at its end
            for name in MIRRORED:
                owner.execute(f"DELETE FROM djstripe_{name}")


def _counted_empty(owner):
    """What the metering role writes. Most tests leave nothing there, and looking is quicker than truncating."""
    tables = owner.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname IN ('analytics', 'billing') AND c.relkind IN ('r', 'p')"
        " AND NOT c.relispartition AND c.relname NOT IN ('secret', 'settled', 'folded', 'posted')"
    ).fetchall()
    names = [sql.Identifier(*table) for table in tables]
    full = [name for name in names if owner.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(name)).fetchone()]
    if full:
        owner.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(full)))
    for watermark in ("analytics.settled", "analytics.folded"):
        owner.execute(f"UPDATE {watermark} SET until = 'epoch' WHERE until <> 'epoch'")
    owner.execute(
        "UPDATE billing.posted SET until = 'epoch', late_until = 'epoch', overage_number = 0, relayed_number = 0,"
        " differing = 0 WHERE (until, late_until, overage_number, relayed_number, differing)"
        " <> ('epoch', 'epoch', 0, 0, 0)"
    )


def _become(variable, name, *, is_owner):
    url = urlsplit(os.environ[variable])
    connection.close()
    connection.settings_dict.update(
        USER=unquote(url.username),
        PASSWORD=unquote(url.password),
        HOST=url.hostname,
        PORT=url.port,
        NAME=name or connection.settings_dict["NAME"],
    )
    settings.DATABASE_IS_OWNER = is_owner
