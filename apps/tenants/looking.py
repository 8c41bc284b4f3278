"""Staff see an organisation as one of its members does: for half an hour, with a reason, without changing anything.

What is kept of it is in the staff's own session; the organisation's audit log has who looked, as whom, why and until
when. Outside of that organisation's pages staff stay themselves.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.http import HttpRequest
from django.utils import timezone

from apps.core.errors import Invalid, NotFound
from apps.core.scope import tenant_scope
from apps.tenants.audit.writing import Target, audit_write
from apps.tenants.models import Membership, User

LASTS = timedelta(minutes=30)
LEAST_REASON, MOST_REASON = 8, 200
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_SESSION_KEY = "staff_look"
_READING = ("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK", "SET")


@dataclass(frozen=True, slots=True)
class Look:
    """`user` is the member whose eyes are lent."""

    user: User
    tenant_id: int
    until: datetime


class LookingOnly(PermissionDenied):
    """Something was to be changed."""

    def __init__(self) -> None:
        super().__init__("You look at this organisation as one of its members. Nothing can be changed.")


@transaction.atomic
def look_begin(*, tenant_id: int, user_id: int, reason: str, now: datetime) -> datetime:
    """Returns when it ends. Raises Invalid, NotFound."""
    if not LEAST_REASON <= len(reason.strip()) <= MOST_REASON:
        text = f"Say in {LEAST_REASON} to {MOST_REASON} characters why; the organisation can read it."
        raise Invalid("A reason is needed.", fields={"reason": text})
    until = now + LASTS
    with tenant_scope(tenant_id):
        audit_write(
            tenant_id=tenant_id, action="member.looked_as", target=_target(tenant_id, user_id),
            after={"reason": reason.strip(), "until": until},
        )  # fmt: skip
    return until


@transaction.atomic
def look_end(*, tenant_id: int, user_id: int) -> None:
    """Raises NotFound."""
    with tenant_scope(tenant_id):
        audit_write(tenant_id=tenant_id, action="member.look_ended", target=_target(tenant_id, user_id))


def look_keep(request: HttpRequest, *, tenant_id: int, user_id: int, until: datetime) -> None:
    request.session[_SESSION_KEY] = {"tenant": tenant_id, "user": user_id, "until": until.isoformat()}


def look_forget(request: HttpRequest) -> None:
    request.session.pop(_SESSION_KEY, None)


def look_of(request: HttpRequest) -> Look | None:
    """What the staff member who asks looks at now."""
    kept = request.session.get(_SESSION_KEY)
    if kept is None or not (request.user.is_authenticated and request.user.is_staff):
        return None
    until = datetime.fromisoformat(kept["until"])
    member = Membership.objects.select_related("user").filter(tenant_id=kept["tenant"], user_id=kept["user"]).first()
    if member is None or until <= timezone.now():
        return None
    return Look(member.user, kept["tenant"], until)


@contextmanager
def reading_only() -> Iterator[None]:
    """Inside, a statement that would change a row raises LookingOnly."""
    with connection.execute_wrapper(_refuse_changes):
        yield


def _refuse_changes(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django's signature
    if not str(sql).lstrip("( ").upper().startswith(_READING):
        raise LookingOnly
    return execute(sql, params, many, context)


def _target(tenant_id: int, user_id: int) -> Target:
    """Raises NotFound."""
    member = Membership.objects.select_related("user").filter(tenant_id=tenant_id, user_id=user_id).first()
    if member is None:
        raise NotFound("there is no such member")
    return Target(user_id, member.user.email)
