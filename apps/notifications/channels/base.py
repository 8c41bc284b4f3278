"""What every channel is: it sends one envelope and says what came of it. A refusal is a value, never an exception."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, Protocol

from apps.core.errors import Invalid
from apps.notifications.rendering import Message

RESPONSE_KEPT = 2_048


class Result(StrEnum):
    SENT = "sent"
    RETRY = "retry"  # try again later
    REFUSED = "refused"  # this one never; others may go through
    GONE = "gone"  # the receiver wants no more
    UNKNOWN = "unknown"  # it may have arrived; for channels that must not say things twice


@dataclass(frozen=True, slots=True)
class Outcome:
    """`response` is the beginning of what was answered, `after` how long the receiver asked to be left alone."""

    result: Result
    reason: str = ""
    status_code: int | None = None
    response: str = ""
    after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """`messages` has more than one where quiet hours held several; the last is the newest, and its id is the
    envelope's. `address` is a member's own, `secret` what the channel keeps sealed.
    """

    channel_id: int
    delivery_id: int
    attempt: int
    messages: tuple[Message, ...]
    name: str
    address: str
    secret: Mapping[str, Any] = field(repr=False)
    code: str = field(default="", repr=False)

    @property
    def message(self) -> Message:
        return self.messages[-1]


@dataclass(frozen=True, slots=True)
class Connected:
    """What is kept of a channel that is being connected: sealed, and to be read by people."""

    secret: Mapping[str, Any] = field(repr=False)
    label: str


@dataclass(frozen=True, slots=True)
class Field:
    """Asked of whoever connects a channel."""

    name: str
    label: str
    help: str
    placeholder: str = ""


class Sender(Protocol):
    """One a medium, in the table; stateless, safe for threads. Speaks to the network, never to the database."""

    def send(self, envelope: Envelope) -> Outcome: ...


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Medium:
    """`retries` are the waits after each failed try; `disable_after` failures in a row switch the channel off.

    `connect` raises Invalid for values that it cannot use. `is_quietable`: people read it, so quiet hours hold and
    coalesce. `sends_once`: what is not known to have arrived is shown, not sent again. `is_offered`: whether this
    installation has what it needs for it. `admit` says why one more must not be sent now, and counts it otherwise.
    """

    code: str
    label: str
    promise: str
    sender: Sender
    retries: tuple[timedelta, ...]
    connect: Callable[[Mapping[str, str]], Connected]
    fields: tuple[Field, ...]
    confirms_by: Literal["code", "test"]
    disable_after: int = 0
    is_quietable: bool = True
    sends_once: bool = False
    needs_webhooks: bool = False
    is_offered: Callable[[], bool] = _always
    admit: Callable[[int, Mapping[str, Any], datetime], str] | None = None


def field_refused(name: str, text: str) -> Invalid:
    return Invalid(text, fields={name: text})
