"""Where somebody is logged in: which browser, from where, since when; and ending one of them.

A row says where a session began; whether it still holds says Django's own: there, not over, and begun under what the
person logs in with today.
"""

from dataclasses import dataclass
from datetime import datetime
from importlib import import_module

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef
from django.http import HttpRequest

from apps.core.errors import NotFound
from apps.core.origin import origin_now
from apps.tenants.models import LoginSession, User

_BROWSERS = (("Firefox/", "Firefox"), ("Edg/", "Edge"), ("OPR/", "Opera"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Windows", "Windows"), ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SessionInfo:
    id: int
    browser: str
    ip: str
    since: datetime
    is_current: bool


def session_note(request: HttpRequest, *, user_id: int) -> None:
    """After the login, when the session has its key."""
    agent = request.headers.get("User-Agent", "")
    LoginSession.objects.update_or_create(
        session_key=request.session.session_key,
        defaults={"user_id": user_id, "ip": origin_now().ip()[:45], "user_agent": agent.replace("\0", "")[:400]},
    )


def session_renamed(*, before: str | None, after: str | None) -> None:
    """The session has another key now."""
    LoginSession.objects.filter(session_key=before).update(session_key=after)


def sessions_of(*, user_id: int, current: str | None, now: datetime) -> list[SessionInfo]:
    """Those that hold, newest first; `current` is the key of the one that asks."""
    auth_hash = User.objects.get(id=user_id).get_session_auth_hash()
    rows = {row.session_key: row for row in LoginSession.objects.filter(user_id=user_id).order_by("-id")}
    holding = {
        held.session_key
        for held in Session.objects.filter(session_key__in=rows, expire_date__gt=now)
        if held.get_decoded().get(HASH_SESSION_KEY) == auth_hash
    }
    return [
        SessionInfo(row.id, browser_words(row.user_agent), row.ip, row.created_at, is_current=key == current)
        for key, row in rows.items()
        if key in holding
    ]


def session_end(*, user_id: int, session_id: int) -> None:
    """Raises NotFound, also for another person's."""
    row = LoginSession.objects.filter(user_id=user_id, id=session_id).first()
    if row is None:
        raise NotFound(f"there is no session {session_id}")
    import_module(settings.SESSION_ENGINE).SessionStore(row.session_key).delete()
    row.delete()


def sessions_purge() -> int:
    """Rows of sessions that Django has no more. Returns how many."""
    held = Session.objects.filter(session_key=OuterRef("session_key"))
    return LoginSession.objects.filter(~Exists(held)).delete()[0]


def browser_words(agent: str) -> str:
    """“Firefox on Windows”; what it does not know it calls so."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "An unknown browser")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    return f"{browser} on {system}" if system else browser
