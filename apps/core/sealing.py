"""Secrets and people's addresses that must be read again, at rest: authenticated encryption.

The newest key seals; all of them open, so that a key can be exchanged: `manage.py reseal` brings everything to the
newest. What was sealed says nothing but its length.
"""

import hmac
from functools import cache
from hashlib import sha256
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import FieldError
from django.db import models


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


def is_newest(sealed: str) -> bool:
    """Whether the newest key sealed it."""
    try:
        _box_of((settings.SEALING_KEYS[0],)).decrypt(sealed.encode())
    except InvalidToken:
        return False
    return True


def blind_index(purpose: str, text: str) -> str:
    """Equal for equal texts of a purpose and for nothing else, to whoever has no key of ours: so that what is sealed
    can be unique, or found again. Does not change with the keys that seal.
    """
    return hmac.digest(settings.SECRET_KEY.encode(), f"{purpose}\0{text}".encode(), sha256).hex()


class SealedTextField(models.TextField):  # type: ignore[type-arg]
    """Text that is sealed in the database and plain in Python; the empty one stays empty. It cannot be searched."""

    def get_prep_value(self, value: Any) -> Any:
        return seal(str(value)) if value else value

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        """Raises SealBroken."""
        return unseal(value) if value else value

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name != "isnull":
            raise FieldError(f"{self.name} is sealed: the same text is another one every time")
        return super().get_lookup(lookup_name)


def _box() -> MultiFernet:
    return _box_of(tuple(settings.SEALING_KEYS))


@cache
def _box_of(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
