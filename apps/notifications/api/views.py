"""/api/v1/notifications: what was said, and where it goes."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.openapi import operation, shape
from apps.core.paging import PAGE, page_asked, page_schema
from apps.notifications.selectors import ChannelInfo, InboxRow, channels_of, inbox_of
from apps.tenants.permissions import Permission
from apps.tenants.principals import AdminView

TAG = "notifications"
_TEXT, _MOMENT = {"type": "string"}, {"type": "string", "format": "date-time"}
NOTICE = shape(
    id={"type": "integer"}, kind=_TEXT, severity=_TEXT, subject=_TEXT, line=_TEXT, url=_TEXT, at=_MOMENT,
    unread={"type": "boolean", "nullable": True, "description": "To the person who asks; null for an API key."},
)  # fmt: skip
CHANNEL = shape(
    id={"type": "integer"}, medium=_TEXT, name=_TEXT, label={"type": "string", "description": "Where it leads."},
    kinds={"type": "array", "items": _TEXT, "nullable": True, "description": "null: what is usual for the medium."},
    verified_at=_MOMENT | {"nullable": True}, disabled_at=_MOMENT | {"nullable": True}, disabled_reason=_TEXT,
    created_at=_MOMENT,
)  # fmt: skip


class InboxView(AdminView):
    permissions = {"GET": Permission.VIEW}

    @operation(
        "notifications_list", "Notices, newest first", tag=TAG, good=page_schema(NOTICE, "notifications"),
        parameters=PAGE, description="Those that the role hears of; a key with the scope admin hears what admins do.",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        page, principal = page_asked(request.query_params), self.principal
        with self.scope():
            rows = inbox_of(
                tenant=self.tenant, user_id=principal.user_id or 0, role=principal.role, before_id=page.cursor,
                limit=page.limit,
            )  # fmt: skip
        shown, following = page.cut(rows, [int(row.message.id) for row in rows])
        told = [notice_json(row, is_person=principal.kind == "user") for row in shown]
        return Response({"notifications": told, "next": following})


class ChannelsView(AdminView):
    permissions = {"GET": Permission.VIEW}

    @operation(
        "channels_list", "Channels", tag=TAG, good=shape(channels={"type": "array", "items": CHANNEL}),
        description="The oldest first, at most 20; members’ own mails are not among them.",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        with self.scope():
            return Response({"channels": [channel_json(one) for one in channels_of(self.tenant_id)]})


def notice_json(row: InboxRow, *, is_person: bool) -> dict[str, Any]:
    said = row.message
    return {
        "id": int(said.id), "kind": said.kind.code, "severity": said.kind.severity.value, "subject": said.subject,
        "line": said.line, "url": said.url, "at": said.at.isoformat(), "unread": row.is_unread if is_person else None,
    }  # fmt: skip


def channel_json(one: ChannelInfo) -> dict[str, Any]:
    return {
        "id": one.id, "medium": one.medium, "name": one.name, "label": one.label,
        "kinds": None if one.kinds is None else list(one.kinds),
        "verified_at": one.verified_at.isoformat() if one.verified_at else None,
        "disabled_at": one.disabled_at.isoformat() if one.disabled_at else None,
        "disabled_reason": one.disabled_reason, "created_at": one.created_at.isoformat(),
    }  # fmt: skip
