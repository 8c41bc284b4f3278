"""The link in a mail that stops such mails, without a login: signed, because whoever has it may use it."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.core import signing

from apps.core.errors import NotFound

_SALT = "notifications.mute"


@dataclass(frozen=True, slots=True)
class Muting:
    tenant_id: int
    channel_id: int
    kinds: tuple[str, ...]


def mute_token(*, tenant_id: int, channel_id: int, kinds: Sequence[str]) -> str:
    """Never expires: a mail may be opened years later."""
    return signing.dumps([tenant_id, channel_id, list(kinds)], salt=_SALT)


def mute_read(token: str) -> Muting:
    """Raises NotFound."""
    try:
        tenant_id, channel_id, kinds = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        raise NotFound("this link is not ours") from None
    return Muting(tenant_id, channel_id, tuple(kinds))
