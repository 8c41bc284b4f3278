"""Who is at work and from where: what the audit log writes beside every change.

Set by whoever lets work in (middleware, API authentication, commands, tasks) and read by whoever writes it down, so
that services need not pass it along. Nobody has said it: it is `system`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial


@dataclass(frozen=True, slots=True)
class Actor:
    """`kind` is user, key, staff, command, task or system; `id` a user's or key's, `name` as people know it."""

    kind: str
    id: int | None
    name: str


@dataclass(frozen=True, slots=True)
class Origin:
    """`via` is portal, api, admin, command, task or system. The actor is asked for when something is written down,
    inside the tenant's scope: most requests change nothing.
    """

    actor: Callable[[], Actor]
    via: str
    ip: Callable[[], str]
    request_id: Callable[[], str]


def _nothing() -> str:
    return ""


_SYSTEM = Origin(partial(Actor, "system", None, "system"), "system", _nothing, _nothing)
_origin: ContextVar[Origin] = ContextVar("origin", default=_SYSTEM)


def origin_now() -> Origin:
    return _origin.get()


@contextmanager
def coming_from(origin: Origin) -> Iterator[None]:
    token = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(token)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Somebody else acts, from where it came before."""
    with coming_from(replace(_origin.get(), actor=lambda: actor)):
        yield


def actor_is(actor: Callable[[], Actor]) -> None:
    """For who recognises the caller on the way in; ends with the `coming_from` that it is inside of."""
    _origin.set(replace(_origin.get(), actor=actor))


@contextmanager
def working(kind: str, name: str, request_id: str = "") -> Iterator[None]:
    """A command or a task."""
    with coming_from(Origin(partial(Actor, kind, None, name), kind, _nothing, lambda: request_id)):
        yield
