"""The same request twice is one change: a POST with an Idempotency-Key is carried out once within a day.

The answer is a row of the transaction that made the change, so that both are there or neither: what failed left nothing
and is tried anew. A key is its caller's own, and while a transaction is under way it holds a lock on it. Answers are
sealed, because that of a new API key holds its secret.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from django.db import connection

from apps.core.errors import ApplicationError, Conflict, Invalid
from apps.core.scope import TenantUnknown, tenant_scope
from apps.core.sealing import seal, unseal
from apps.tenants.idempotency.models import IdempotentAnswer
from apps.tenants.selectors import tenants_published

KEPT = timedelta(hours=24)
MAX_KEY = 255


class KeyReused(ApplicationError):
    status = 422
    code = "idempotency_key_reused"


class InFlight(Conflict):
    code = "idempotency_in_flight"


@dataclass(frozen=True, slots=True)
class Asking:
    """A request with a key: who, for which tenant, and what exactly."""

    tenant_id: int
    kind: str
    principal_id: int
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any
    headers: dict[str, str]


def key_read(text: str) -> str:
    """Raises Invalid."""
    if not 1 <= len(text) <= MAX_KEY or not text.isascii() or not text.isprintable():
        raise Invalid(f"Idempotency-Key has 1 to {MAX_KEY} printable characters of ASCII.")
    return text


def fingerprint_of(*parts: Any) -> str:
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def answer_find(asking: Asking, *, now: datetime) -> Answer | None:
    """Inside the tenant's scope, which keeps the key for this request until its end; None for a new one.

    Raises KeyReused, InFlight.
    """
    with connection.cursor() as cursor:
        name = f"idempotency:{asking.tenant_id}:{asking.kind}:{asking.principal_id}:{asking.key}"
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [name])
        if not cursor.fetchone()[0]:
            raise InFlight("A request with this Idempotency-Key is under way; ask again in a moment.")
    row = _rows(asking).first()
    if row is None or row.created_at <= now - KEPT:
        return None
    if row.fingerprint != asking.fingerprint:
        raise KeyReused("This Idempotency-Key was used for another request. Use a new one for each thing to be done.")
    body, headers = json.loads(unseal(row.sealed))
    return Answer(row.status, body, headers)


def answer_keep(asking: Asking, answer: Answer) -> None:
    """In the transaction of what was done."""
    _rows(asking).delete()  # what is over
    IdempotentAnswer.objects.create(
        tenant_id=asking.tenant_id, principal_kind=asking.kind, principal_id=asking.principal_id, key=asking.key,
        fingerprint=asking.fingerprint, status=answer.status, sealed=seal(json.dumps([answer.body, answer.headers])),
    )  # fmt: skip


def answers_purge(*, now: datetime) -> int:
    """What is over, tenant by tenant, each in its own transaction. Returns how many went."""
    gone, after_id = 0, 0
    while page := tenants_published(after_id=after_id):
        for state in page:
            try:
                with tenant_scope(state.tenant_id):
                    over = IdempotentAnswer.objects.filter(tenant_id=state.tenant_id, created_at__lte=now - KEPT)
                    gone += over.delete()[0]
            except TenantUnknown:
                continue
        after_id = page[-1].tenant_id
    return gone


def _rows(asking: Asking) -> Any:
    return IdempotentAnswer.objects.filter(
        tenant_id=asking.tenant_id, principal_kind=asking.kind, principal_id=asking.principal_id, key=asking.key
    )
