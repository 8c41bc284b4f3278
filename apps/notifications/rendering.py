"""The words of a notice, from its kind's folder; what a channel sends is made of a Message."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.template import Context, engines
from django.urls import reverse

from apps.notifications.kinds import Kind
from apps.tenants.selectors import TenantInfo


@dataclass(frozen=True, slots=True)
class Message:
    """`subject` and `line` are plain text of one line; `url` is where `word` leads."""

    id: str
    kind: Kind
    subject: str
    line: str
    url: str
    word: str
    tenant: TenantInfo
    context: Mapping[str, Any]
    at: datetime


def message_make(
    *, message_id: str, kind: Kind, tenant: TenantInfo, context: Mapping[str, Any], at: datetime
) -> Message:
    values = words_of(kind, tenant, context)
    return Message(
        message_id, kind, _line(kind, "subject.txt", values), _line(kind, "line.txt", values), values["url"],
        kind.word, tenant, context, at,
    )  # fmt: skip


def words_of(kind: Kind, tenant: TenantInfo, context: Mapping[str, Any]) -> dict[str, Any]:
    """What templates of the kind may name."""
    url = settings.PORTAL_URL + reverse(kind.path, kwargs={"slug": tenant.slug})
    return {**context, "tenant": tenant, "url": url, "word": kind.word, "severity": kind.severity.value}


def _line(kind: Kind, name: str, values: Mapping[str, Any]) -> str:
    template = engines["django"].get_template(f"mail/{kind.folder}/{name}").template  # type: ignore[attr-defined]
    return " ".join(template.render(Context(values, autoescape=False)).split())
