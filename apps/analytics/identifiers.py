"""The text behind digests, inside the tenant's scope. Where identifiers are pseudonymised there is none, and a digest
reads as `#` and 16 hexadecimal digits.
"""

import re
from collections.abc import Iterable

from apps.analytics.ingest.identifiers import identifier_digest
from apps.analytics.models import Identifier, Preference, Salt

_PSEUDONYM = re.compile(r"#([0-9a-f]{16})")


def identifier_texts(digests: Iterable[int]) -> dict[int, str]:
    """Those that have a text."""
    wanted = {digest for digest in digests if digest}
    if not wanted:
        return {}
    return dict(Identifier.objects.filter(digest__in=wanted).values_list("digest", "value"))


def identifier_digests(text: str, *, kinds: Iterable[str] | None = None) -> dict[str, list[int]]:
    """Digests by kind of what somebody types: the text of an identifier, or a pseudonym, which may be of any kind.

    Of pseudonymised people no text is kept, so theirs is digested anew; attributes are found by a pseudonym only.
    """
    written = _PSEUDONYM.fullmatch(text.strip())
    if written:
        digest = int(written[1], 16)
        digest -= 1 << 64 if digest >= 1 << 63 else 0
        return {kind: [digest] for kind in kinds or ("ip", "user", "route")}
    rows = Identifier.objects.filter(value=text.strip())
    if kinds is not None:
        rows = rows.filter(kind__in=list(kinds))
    found: dict[str, list[int]] = {}
    for kind, digest in rows.values_list("kind", "digest")[:100]:
        found.setdefault(kind, []).append(digest)
    people = [kind for kind in ("ip", "user") if kind not in found and (kinds is None or kind in kinds)]
    return found | _digested(text.strip(), people) if people else found


def _digested(text: str, kinds: Iterable[str]) -> dict[str, list[int]]:
    held = Preference.objects.filter(pseudonymise=True).first()
    if held is None:
        return {}
    salt = bytes(Salt.objects.get().salt)
    return {kind: [identifier_digest(salt, held.tenant_id, kind, text)] for kind in kinds}


def pseudonym(digest: int) -> str:
    return f"#{digest & (1 << 64) - 1:016x}"
