"""/api/v1/members: who belongs to the organisation, who is invited, and what they may."""

from typing import Any

import msgspec
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.bodies import body_read
from apps.core.openapi import closed, operation, shape
from apps.core.paging import PAGE, page_asked, page_schema
from apps.tenants.invitations import invitation_resend, invitation_revoke, invite
from apps.tenants.permissions import ROLE_PERMISSIONS, Permission
from apps.tenants.principals import AdminView
from apps.tenants.selectors import Colleague, InvitationInfo, invitations_open, member_get, members_page
from apps.tenants.team import member_remove, member_role_set

TAG = "members"
_TEXT, _MOMENT = {"type": "string"}, {"type": "string", "format": "date-time"}
_ROLE = {"type": "string", "enum": list(ROLE_PERMISSIONS)}
_EMAIL = {"type": "string", "maxLength": 254}
MEMBER = shape(user_id={"type": "integer"}, email=_TEXT, name=_TEXT, role=_ROLE, joined_at=_MOMENT)
INVITATION = shape(
    id={"type": "integer"}, email=_TEXT, role=_ROLE, invited_by=_TEXT, asked_at=_MOMENT,
    sent_at=_MOMENT | {"nullable": True}, expires_at=_MOMENT,
)  # fmt: skip
INVITATIONS = shape(invitations={"type": "array", "items": INVITATION})


class RoleWanted(msgspec.Struct, forbid_unknown_fields=True):
    role: str


class Invited(msgspec.Struct, forbid_unknown_fields=True):
    email: str
    role: str


class MembersView(AdminView):
    permissions = {"GET": Permission.VIEW}

    @operation("members_list", "Members", tag=TAG, good=page_schema(MEMBER, "members"), parameters=PAGE)
    def get(self, request: Request) -> Response:
        page = page_asked(request.query_params)
        rows = members_page(tenant_id=self.tenant_id, after_id=page.cursor, limit=page.limit + 1)
        shown, following = page.cut(rows, [row.user_id for row in rows])
        return Response({"members": [member_json(row) for row in shown], "next": following})


class MemberView(AdminView):
    permissions = {
        "GET": Permission.VIEW, "PATCH": Permission.MEMBERS_EDIT, "DELETE": Permission.MEMBERS_EDIT,
    }  # fmt: skip

    @operation("member", "A member", tag=TAG, good=MEMBER, also=(404,))
    def get(self, request: Request, user_id: int) -> Response:
        return Response(member_json(member_get(tenant_id=self.tenant_id, user_id=user_id)))

    @operation(
        "member_change", "Give a member another role", tag=TAG, good=MEMBER, also=(404, 409),
        body=closed(shape(role=_ROLE)), example={"role": "developer"},
        description="Only owners make and change owners, and one stays.",
    )  # fmt: skip
    def patch(self, request: Request, user_id: int) -> Response:
        wanted = body_read(request.data, RoleWanted)
        with self.scope():
            member_role_set(tenant_id=self.tenant_id, user_id=user_id, role=wanted.role, by_role=self.principal.role)
            return Response(member_json(member_get(tenant_id=self.tenant_id, user_id=user_id)))

    @operation("member_remove", "Remove a member", tag=TAG, good=None, status=204, also=(404, 409))
    def delete(self, request: Request, user_id: int) -> Response:
        with self.scope():
            member_remove(tenant_id=self.tenant_id, user_id=user_id, by_role=self.principal.role)
        return Response(status=204)


class InvitationsView(AdminView):
    permissions = {"GET": Permission.VIEW, "POST": Permission.MEMBERS_EDIT}

    @operation(
        "invitations_list", "Open invitations", tag=TAG, good=INVITATIONS, description="Newest first; at most 50."
    )
    def get(self, request: Request) -> Response:
        return Response({"invitations": [invitation_json(one) for one in invitations_open(self.tenant_id)]})

    @operation(
        "member_invite", "Invite somebody by mail", tag=TAG, good=INVITATION, status=201, also=(409,),
        body=closed(shape(email=_EMAIL, role=_ROLE)), example={"email": "sam@example.com", "role": "viewer"},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        wanted = body_read(request.data, Invited)
        with self.scope():
            made = invite(
                tenant_id=self.tenant_id, email=wanted.email, role=wanted.role, by_id=self.principal.user_id,
                by_role=self.principal.role, now=timezone.now(),
            )  # fmt: skip
        return Response(invitation_json(made), 201)


class InvitationResendView(AdminView):
    permissions = {"POST": Permission.MEMBERS_EDIT}

    @operation(
        "invitation_resend", "Send an invitation again", tag=TAG, good=INVITATION, also=(404, 409),
        description="With a new link for seven days; the one before ends.",
    )  # fmt: skip
    def post(self, request: Request, invitation_id: int) -> Response:
        with self.scope():
            sent = invitation_resend(tenant_id=self.tenant_id, invitation_id=invitation_id, now=timezone.now())
        return Response(invitation_json(sent))


class InvitationRevokeView(AdminView):
    permissions = {"POST": Permission.MEMBERS_EDIT}

    @operation("invitation_revoke", "Take an invitation back", tag=TAG, good=INVITATION, also=(404,))
    def post(self, request: Request, invitation_id: int) -> Response:
        with self.scope():
            ended = invitation_revoke(tenant_id=self.tenant_id, invitation_id=invitation_id, now=timezone.now())
        return Response(invitation_json(ended))


def member_json(one: Colleague) -> dict[str, Any]:
    return {
        "user_id": one.user_id, "email": one.email, "name": one.name, "role": one.role,
        "joined_at": one.joined_at.isoformat(),
    }  # fmt: skip


def invitation_json(one: InvitationInfo) -> dict[str, Any]:
    return {
        "id": one.id, "email": one.email, "role": one.role, "invited_by": one.by,
        "asked_at": one.asked_at.isoformat(), "sent_at": one.sent_at.isoformat() if one.sent_at else None,
        "expires_at": one.expires_at.isoformat(),
    }  # fmt: skip
