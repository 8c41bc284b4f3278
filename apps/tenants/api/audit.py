"""/api/v1/audit: the audit log for programs. An API key with the scope `admin`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.errors import Invalid
from apps.core.openapi import AUTH, answers
from apps.core.paging import number_asked
from apps.tenants.audit.chain import moment_write
from apps.tenants.audit.reading import EntryInfo, Wanted, entries_of
from apps.tenants.permissions import Permission
from apps.tenants.principals import AdminView

MOST = 1_000
_TEXT = {"type": "string"}
_FIELDS = {"type": "object", "additionalProperties": True, "nullable": True}
_ENTRY: dict[str, Any] = {
    "seq": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}, "action": _TEXT,
    "actor": {"type": "object", "additionalProperties": True, "description": "kind, id, name"},
    "target": {"type": "object", "additionalProperties": True, "description": "kind, id, name"},
    "from": {"type": "object", "additionalProperties": True, "description": "via, ip, request_id"},
    "before": _FIELDS, "after": _FIELDS, "prev_hash": _TEXT, "hash": _TEXT,
    "record": {"type": "string", "description": "The text that was hashed; docs/audit.md says how."},
}  # fmt: skip


def _parameter(name: str, description: str, **schema: Any) -> OpenApiParameter:
    return OpenApiParameter(name, {"type": "string"} | schema, description=description)


_PARAMETERS = [
    _parameter("actor", "A part of a name, or `kind:` and one of user, key, staff, command, task, system."),
    _parameter("action", "A code such as `rule.updated`, or `rule` for all that is done to rules."),
    _parameter("target", "A part of a name, or kind and id such as `rule:4711`."),
    _parameter("since", "ISO 8601 with an offset."),
    _parameter("until", "ISO 8601 with an offset."),
    _parameter("cursor", "`next` of the page before.", type="integer"),
    _parameter("limit", "Entries a page.", type="integer", minimum=1, maximum=MOST, default=100),
]
_ANSWERS = answers(
    {
        "type": "object", "required": ["entries", "next"],
        "properties": {
            "entries": {"type": "array", "items": {"type": "object", "required": list(_ENTRY), "properties": _ENTRY}},
            "next": {"type": "integer", "nullable": True},
        },
    }
)  # fmt: skip


class AuditView(AdminView):
    permissions = {"GET": Permission.AUDIT_VIEW}

    @extend_schema(
        operation_id="audit", summary="Who did what, newest first", tags=["audit"],
        description="Pages by cursor: none is skipped or repeated, however many come meanwhile.",
        parameters=_PARAMETERS, responses=_ANSWERS, auth=AUTH,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Raises Invalid."""
        asked = request.query_params
        wanted = Wanted(
            _text(asked, "actor"), _text(asked, "action"), _text(asked, "target"), _moment(asked, "since"),
            _moment(asked, "until"),
        )  # fmt: skip
        limit = number_asked(asked, "limit", MOST) or 100
        with self.scope():
            found = entries_of(
                tenant_id=self.tenant_id,
                wanted=wanted,
                before_seq=number_asked(asked, "cursor", 2**62),
                limit=limit + 1,
            )
        following = found[limit - 1].seq if len(found) > limit else None
        return Response({"entries": [_entry(one) for one in found[:limit]], "next": following})


def _entry(entry: EntryInfo) -> dict[str, Any]:
    return {
        "seq": entry.seq, "at": moment_write(entry.at), "action": entry.action,
        "actor": {"kind": entry.actor_kind, "id": entry.actor_id, "name": entry.actor_name},
        "target": {"kind": entry.target_kind, "id": entry.target_id, "name": entry.target_name},
        "from": {"via": entry.via, "ip": entry.ip, "request_id": entry.request_id},
        "before": entry.before, "after": entry.after, "prev_hash": entry.prev_hash, "hash": entry.hash,
        "record": entry.record,
    }  # fmt: skip


def _text(asked: Mapping[str, str], name: str) -> str:
    text = asked.get(name, "")
    if len(text) > 254 or "\0" in text:
        raise Invalid(f"{name} is not valid.", fields={name: "Use at most 254 characters."})
    return text


def _moment(asked: Mapping[str, str], name: str) -> datetime | None:
    text = asked.get(name)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not 1970 <= at.year <= 9998:
        raise Invalid(f"{name} is not valid.", fields={name: "Use ISO 8601 with an offset."})
    return at.astimezone(UTC)  # PostgreSQL knows no offset past 15:59
