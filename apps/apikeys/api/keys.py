"""/api/v1/api-keys: list, make, rotate, revoke. A secret is in the answer that made it and nowhere else."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from apps.apikeys.models import SCOPES
from apps.apikeys.selectors import KeyInfo, key_get, keys_page
from apps.apikeys.services import LONGEST_OVERLAP, KeyIssued, key_create, key_revoke, key_rotate
from apps.core.bodies import body_read
from apps.core.openapi import closed, operation, shape
from apps.core.paging import PAGE, page_asked, page_schema
from apps.tenants.permissions import Permission
from apps.tenants.principals import AdminView

TAG = "api-keys"
_TEXT, _MOMENT = {"type": "string"}, {"type": "string", "format": "date-time"}
_MAYBE = _MOMENT | {"nullable": True}
_SCOPES = {"type": "array", "items": {"type": "string", "enum": SCOPES}, "minItems": 1}
_MEMBERS: dict[str, Any] = {
    "id": {"type": "integer"}, "name": _TEXT, "live": {"type": "boolean"}, "scopes": _SCOPES,
    "masked": {"type": "string", "description": "Its beginning and its last four characters."},
    "created_at": _MOMENT, "expires_at": _MAYBE, "revoked_at": _MAYBE,
    "last_used_at": _MAYBE | {"description": "Half a minute old at most; null: never, or not known right now."},
    "rotated_from_id": {"type": "integer", "nullable": True},
}  # fmt: skip
KEY = shape(**_MEMBERS)
ISSUED = shape(**_MEMBERS, secret={"type": "string", "description": "Shown this once."})
_NAME = {"type": "string", "minLength": 1, "maxLength": 64}
KEY_REQUEST = closed(
    shape(("name",), name=_NAME, live={"type": "boolean", "default": False}, scopes=_SCOPES, expires_at=_MAYBE)
)
_MOST_S = int(LONGEST_OVERLAP.total_seconds())
ROTATE_REQUEST = closed(
    shape((), overlap_s={
        "type": "integer", "minimum": 0, "maximum": _MOST_S, "default": 86_400,
        "description": "Seconds for which the old one goes on working; 0 ends it at once.",
    })
)  # fmt: skip


class KeyWanted(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    live: bool = False
    scopes: list[str] = msgspec.field(default_factory=lambda: ["check"])
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    overlap_s: Annotated[int, msgspec.Meta(ge=0, le=_MOST_S)] = 86_400


class KeysView(AdminView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.KEYS_EDIT}

    @operation(
        "api_keys_list", "API keys", tag=TAG, good=page_schema(KEY, "api_keys"), parameters=PAGE,
        description="By id, those that have ended too.",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        page = page_asked(request.query_params)
        with self.scope():
            rows = keys_page(tenant_id=self.tenant_id, after_id=page.cursor, limit=page.limit + 1)
        shown, following = page.cut(rows, [row.id for row in rows])
        return Response({"api_keys": [key_json(row) for row in shown], "next": following})

    @operation(
        "api_key_create", "Make an API key", tag=TAG, good=ISSUED, status=201, also=(409,), body=KEY_REQUEST,
        example={"name": "api-production", "live": True, "scopes": ["check", "refund"]},
        description="A test key unless `live`, with the scope `check` unless others are named. Nobody gives a key more "
        "than they may themselves.",
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        wanted = body_read(request.data, KeyWanted)
        with self.scope():
            issued = key_create(
                tenant_id=self.tenant_id, name=wanted.name, live=wanted.live, scopes=wanted.scopes,
                expires_at=wanted.expires_at, created_by_id=self.principal.user_id,
                granted_by=self.principal.permissions,
            )  # fmt: skip
        return _issued(issued, request.path)


class KeyView(AdminView):
    permissions = {"GET": Permission.VIEW}

    @operation("api_key", "An API key", tag=TAG, good=KEY, also=(404,))
    def get(self, request: Request, key_id: int) -> Response:
        with self.scope():
            return Response(key_json(key_get(tenant_id=self.tenant_id, key_id=key_id)))


class KeyRotateView(AdminView):
    permissions = {"POST": Permission.KEYS_EDIT}

    @operation(
        "api_key_rotate", "A new key like an old one", tag=TAG, good=ISSUED, status=201, also=(404, 409),
        body=ROTATE_REQUEST, example={"overlap_s": 86_400},
    )  # fmt: skip
    def post(self, request: Request, key_id: int) -> Response:
        wanted = body_read(request.data, Rotation)
        with self.scope():
            issued = key_rotate(
                tenant_id=self.tenant_id, key_id=key_id, overlap=timedelta(seconds=wanted.overlap_s),
                now=timezone.now(), created_by_id=self.principal.user_id, granted_by=self.principal.permissions,
            )  # fmt: skip
        return _issued(issued, request.path.rsplit("/", 2)[0])


class KeyRevokeView(AdminView):
    permissions = {"POST": Permission.KEYS_EDIT}

    @operation(
        "api_key_revoke", "End an API key", tag=TAG, good=KEY, also=(404,), description="For good; again is no error."
    )
    def post(self, request: Request, key_id: int) -> Response:
        with self.scope():
            key_revoke(tenant_id=self.tenant_id, key_id=key_id, now=timezone.now())
            return Response(key_json(key_get(tenant_id=self.tenant_id, key_id=key_id)))


def key_json(key: KeyInfo) -> dict[str, Any]:
    return {
        "id": key.id, "name": key.name, "live": key.live, "scopes": list(key.scopes), "masked": key.masked,
        "created_at": key.created_at.isoformat(), "expires_at": _iso(key.expires_at),
        "revoked_at": _iso(key.revoked_at), "last_used_at": _iso(key.last_used_at),
        "rotated_from_id": key.rotated_from_id,
    }  # fmt: skip


def _issued(issued: KeyIssued, root: str) -> Response:
    told = key_json(issued.key) | {"secret": issued.secret}
    return Response(told, 201, headers={"Location": f"{root}/{issued.key.id}", "Cache-Control": "no-store"})


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
