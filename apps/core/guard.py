"""Row-level security binds neither owners nor superusers nor BYPASSRLS: a process that serves must be none of them."""

from django.core.exceptions import ImproperlyConfigured
from django.db import connection

_QUESTION = """
SELECT rolsuper, rolbypassrls,
       EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%%')
FROM pg_catalog.pg_roles r WHERE rolname = current_user
"""


def role_problem() -> str | None:
    """A sentence when the connection's role would see every tenant's rows."""
    with connection.cursor() as cursor:
        cursor.execute(_QUESTION, [])
        superuser, bypasses, owns = cursor.fetchone()
    if superuser or bypasses or owns:
        what = "is a superuser" if superuser else "has BYPASSRLS" if bypasses else "owns tables"
        return f"The database role {what}, so row-level security would not bind it. Use the application's role."
    return None


def role_verify() -> None:
    """Raises ImproperlyConfigured; called by every process before it serves."""
    problem = role_problem()
    if problem:
        raise ImproperlyConfigured(problem)
