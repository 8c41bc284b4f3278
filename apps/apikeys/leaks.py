"""Reports of keys that were found in public, as GitHub's secret scanning partners get them: a signed list of tokens.

A key that is ours and still works is revoked and its owners are told, in one transaction; a repeated report changes
nothing. The answer says of each token whether it is one of ours. Tokens are in no log.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from django.conf import settings

from apps.apikeys.models import ApiKey
from apps.apikeys.selectors import key_info
from apps.apikeys.services import key_revoke
from apps.core.errors import Forbidden, Invalid
from apps.core.origin import Actor, acting
from apps.core.scope import TenantUnknown, tenant_scope
from apps.notifications.kinds import KEY_LEAKED
from apps.notifications.services import notify
from apps.tenants.selectors import KeyEntry, key_entry_by_digest
from ratelimiter.snapshot.keyring import Pepper, key_digest, key_is_well_formed

MAX_TOKENS = 500
MAX_SOURCE = 300

log = structlog.get_logger(__name__)


class SignatureWrong(Forbidden):
    code = "signature_wrong"


@dataclass(frozen=True, slots=True)
class Found:
    """A token and where it was seen; `type` is the scanner's name for its kind."""

    token: str = field(repr=False)
    type: str
    url: str


def report_verify(body: bytes, *, key_id: str, signature: str) -> None:
    """ECDSA with SHA-256 by one of SECRET_SCANNING_KEYS. Raises SignatureWrong."""
    encoded = settings.SECRET_SCANNING_KEYS.get(key_id)
    if encoded is None:
        raise SignatureWrong("The report is signed with a key that is not known here.")
    key = load_der_public_key(base64.b64decode(encoded))
    assert isinstance(key, EllipticCurvePublicKey)
    try:
        key.verify(base64.b64decode(signature, validate=True), body, ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error):
        raise SignatureWrong("The report's signature does not fit.") from None


def report_read(body: bytes) -> list[Found]:
    """Raises Invalid."""
    try:
        entries = msgspec.json.decode(body, type=list[dict[str, str | None]])
        found = [Found(one["token"] or "", one.get("type") or "", one.get("url") or "") for one in entries]
    except (msgspec.MsgspecError, KeyError):
        raise Invalid("The report is not a list of tokens.") from None
    if len(found) > MAX_TOKENS:
        raise Invalid(f"A report holds {MAX_TOKENS} tokens at most.")
    return found


def leaks_handle(found: Sequence[Found], *, now: datetime) -> list[dict[str, str]]:
    """An answer for each: whether it was one of ours, working or not."""
    return [_answer(one, _handle(one, now)) for one in found]


def _handle(found: Found, now: datetime) -> bool:
    if not key_is_well_formed(found.token):
        return False
    peppers = [Pepper(version, bytes.fromhex(pepper)) for version, pepper in settings.KEY_PEPPERS]
    entry = key_entry_by_digest(key_digest(found.token, pepper) for pepper in peppers)
    if entry is None:
        return False
    if entry.revoked_at is None and (entry.expires_at is None or entry.expires_at > now):
        _revoke(entry, found.url[:MAX_SOURCE] or "a public place", now)
    return True


def _revoke(entry: KeyEntry, source: str, now: datetime) -> None:
    try:
        with acting(Actor("system", None, "secret scanner")), tenant_scope(entry.tenant_id):
            row = ApiKey.objects.get(tenant_id=entry.tenant_id, id=entry.key_id)
            key_revoke(tenant_id=entry.tenant_id, key_id=row.id, now=now)
            notify(
                tenant_id=entry.tenant_id, kind=KEY_LEAKED, dedupe_key=str(row.id), user_id=row.created_by_id,
                context={"name": row.name, "masked": key_info(row).masked, "key_id": row.id, "found_at": source},
            )  # fmt: skip
    except TenantUnknown:
        return
    log.warning("key_leaked", tenant=entry.tenant_id, key=entry.key_id, source=source)


def _answer(found: Found, is_ours: bool) -> dict[str, str]:  # noqa: FBT001 - a pair
    label = "true_positive" if is_ours else "false_positive"
    return {"token_raw": found.token, "token_type": found.type, "label": label}
