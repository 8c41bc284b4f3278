"""No change of what a tenant has goes unwritten: every public function of the rooms that writes rows is either in the
table of changes, which is carried out and looked for in the log, or in the table of exceptions with its reason.
"""

import ast
from contextlib import nullcontext
from pathlib import Path

import pytest
from django.db import transaction

from apps.core.scope import tenant_scope
from apps.tenants.audit.models import AuditEntry
from apps.tenants.models import Tenant
from tests.tenancy.audited import CHANGES, NOT_SAID

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("tenants", "plans", "notifications", "apikeys", "limits", "analytics", "billing")
LEFT_OUT = {"migrations", "sandbox", "gateways", "channels", "seeding", "ingest", "mirror", "house", "audit", "views"}
WRITES = {
    "create", "save", "update", "delete", "bulk_create", "bulk_update", "get_or_create", "update_or_create", "setval",
}  # fmt: skip
OPENS_ANOTHER = {"tenants.services.tenant_create", "apikeys.services.organisation_open"}
UNBOUND = {"save", "update", "delete"}
SQL = ("INSERT INTO", "UPDATE ", "DELETE FROM")


def _sources():
    for room in ROOMS:
        for path in sorted((ROOT / "apps" / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if not LEFT_OUT & set(parts) and parts[-1] not in ("admin", "models", "apps", "urls", "views"):
                yield ".".join(parts[1:]), ast.parse(path.read_text())


def _writes_itself(function):
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
            is_dicts = node.func.attr == "update" and node.args
            if "objects" in ast.unparse(node.func.value) or (node.func.attr in UNBOUND and not is_dicts):
                return True
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and any(sql in node.value for sql in SQL):
            return True
    return False


def _writers():
    """Public functions that write, themselves or through others of their module."""
    for module, tree in _sources():
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        writing = {name for name, node in functions.items() if _writes_itself(node)}
        more = writing
        while more:
            more = {name for name, node in functions.items() if name not in writing and writing & _called(node)}
            writing |= more
        yield from (f"{module}.{name}" for name in sorted(writing) if not name.startswith("_"))


def _called(function):
    return {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}


def test_the_tables_know_every_function_that_writes():
    found = set(_writers())
    assert {"limits.services.rule_create", "notifications.services.notify", "billing.giving.give"} <= found
    assert found - set(CHANGES) - set(NOT_SAID) == set()
    assert set(NOT_SAID) - found == set()
    assert not set(CHANGES) & set(NOT_SAID)


@pytest.mark.parametrize("name", CHANGES)
def test_it_leaves_its_entry(name, alice, counters, sent):
    action, prepare, change = CHANGES[name]
    with transaction.atomic():
        with tenant_scope(alice.tenant_id):
            prepared = prepare(alice)
            seen = AuditEntry.objects.latest("seq").seq
        with nullcontext() if name in OPENS_ANOTHER else tenant_scope(alice.tenant_id):
            change(alice, prepared)
    changed = Tenant.objects.latest("id")
    with tenant_scope(changed.id):
        said = AuditEntry.objects.filter(seq__gt=0 if name in OPENS_ANOTHER else seen)
        assert action in set(said.values_list("action", flat=True))
