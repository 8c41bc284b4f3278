"""Secrets that must be read again (addresses that are secrets, signing keys) at rest: authenticated encryption.

The newest key seals; all of them open, so that a key can be exchanged. What was sealed says nothing but its length.
"""

from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class SealBroken(RuntimeError):
    """None of the keys opens it: a key was lost, or the database is another installation's."""


def seal(text: str) -> str:
    return _box().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """Raises SealBroken."""
    try:
        return _box().decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise SealBroken("no key of SEALING_KEYS opens this") from None


def _box() -> MultiFernet:
    return _box_of(tuple(settings.SEALING_KEYS))


@cache
def _box_of(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
