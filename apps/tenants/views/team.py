"""The team: who belongs to the organisation, who is invited, what roles may do, and changing it."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.core.errors import ApplicationError, NotFound
from apps.core.forms import errors_take
from apps.tenants.access import TenantRequest, member_view
from apps.tenants.forms import InviteForm, OwnershipForm, RoleForm
from apps.tenants.invitations import invitation_resend, invitation_revoke, invite
from apps.tenants.permissions import ROLE_PERMISSIONS, Permission
from apps.tenants.selectors import Colleague, invitations_open, members_of_tenant
from apps.tenants.team import member_leave, member_remove, member_role_set, ownership_transfer

_MAY_WORDS = {
    Permission.VIEW: "see rules, keys and numbers",
    Permission.RULES_EDIT: "change rules",
    Permission.KEYS_EDIT: "make, rotate and revoke keys",
    Permission.MEMBERS_EDIT: "invite, change and remove members",
    Permission.TENANT_EDIT: "change name, time zone and channels",
    Permission.AUDIT_VIEW: "read the audit log",
    Permission.BILLING_VIEW: "see plan and bills",
    Permission.BILLING_EDIT: "change what is paid",
    Permission.OWNERS_EDIT: "make and remove owners",
    Permission.TENANT_DELETE: "delete the organisation",
    Permission.TENANT_EXPORT: "export everything it has",
}


@require_safe
@member_view(Permission.VIEW)
def team(request: TenantRequest) -> HttpResponse:
    return _page(request, InviteForm(initial={"role": "developer"}, with_owner=_may_owners(request)))


@require_POST
@member_view(Permission.MEMBERS_EDIT)
def member_invite(request: TenantRequest) -> HttpResponse:
    form = InviteForm(request.POST, with_owner=_may_owners(request))
    if not form.is_valid():
        return _page(request, form)
    try:
        made = invite(
            tenant_id=request.tenant.id, by_id=request.member.user_id, by_role=request.member.role, now=timezone.now(),
            **form.cleaned_data,
        )  # fmt: skip
    except ApplicationError as error:
        errors_take(form, error)
        return _page(request, form)
    messages.success(request, f"{made.email} is invited as {made.role}. The link in the mail works for seven days.")
    return _back(request)


@require_POST
@member_view(Permission.MEMBERS_EDIT)
def resend(request: TenantRequest, invitation_id: int) -> HttpResponse:
    def act() -> str:
        held = invitation_resend(tenant_id=request.tenant.id, invitation_id=invitation_id, now=timezone.now())
        return f"{held.email} gets another mail. The link in the one before works no more."

    return _acted(request, act)


@require_POST
@member_view(Permission.MEMBERS_EDIT)
def revoke(request: TenantRequest, invitation_id: int) -> HttpResponse:
    def act() -> str:
        held = invitation_revoke(tenant_id=request.tenant.id, invitation_id=invitation_id, now=timezone.now())
        return f"The invitation of {held.email} is taken back; its link works no more."

    return _acted(request, act)


@require_POST
@member_view(Permission.MEMBERS_EDIT)
def role_set(request: TenantRequest, user_id: int) -> HttpResponse:
    person, role = _colleague_or_404(request, user_id), request.POST.get("role", "")

    def act() -> str:
        member_role_set(tenant_id=request.tenant.id, user_id=user_id, role=role, by_role=request.member.role)
        return f"{person.email} is {role} now."

    return _acted(request, act)


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.MEMBERS_EDIT)
def remove(request: TenantRequest, user_id: int) -> HttpResponse:
    person = _colleague_or_404(request, user_id)
    if request.method != "POST":
        return render(request, "tenants/member_remove.html", {"section": "team", "person": person})

    def act() -> str:
        member_remove(tenant_id=request.tenant.id, user_id=user_id, by_role=request.member.role)
        return f"{person.email} belongs to {request.tenant.name} no more."

    return _acted(request, act)


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.VIEW)
def leave(request: TenantRequest) -> HttpResponse:
    if request.method != "POST":
        return render(request, "tenants/leave.html", {"section": "team"})
    try:
        member_leave(tenant_id=request.tenant.id, user_id=request.member.user_id)
    except ApplicationError as error:
        messages.error(request, error.detail)
        return _back(request)
    messages.success(request, f"You belong to {request.tenant.name} no more.")
    return redirect("tenants:home")


@require_http_methods(["GET", "HEAD", "POST"])
@member_view(Permission.OWNERS_EDIT)
def ownership(request: TenantRequest) -> HttpResponse:
    others = [one for one in members_of_tenant(request.tenant.id) if one.user_id != request.member.user_id]
    choices = [(str(one.user_id), f"{one.name} ({one.email})" if one.name else one.email) for one in others]
    form = OwnershipForm(request.POST or None, members=choices)
    if request.method == "POST" and form.is_valid():
        try:
            ownership_transfer(
                tenant_id=request.tenant.id, from_id=request.member.user_id, to_id=form.cleaned_data["member"],
                password=form.cleaned_data["password"],
            )  # fmt: skip
        except ApplicationError as error:
            errors_take(form, error)
        else:
            messages.success(request, f"{request.tenant.name} has a new owner. You are an admin now.")
            return _back(request)
    context = {"section": "team", "form": form, "others": others}
    return render(request, "tenants/ownership.html", context, status=422 if form.errors else 200)


def _page(request: TenantRequest, form: InviteForm) -> HttpResponse:
    now = timezone.now()
    may_edit, may_owners = request.member.may(Permission.MEMBERS_EDIT), _may_owners(request)
    people = members_of_tenant(request.tenant.id)
    context: dict[str, Any] = {
        "section": "team",
        "people": [
            {
                "person": one,
                "form": _role_form(request, one) if may_edit and (may_owners or one.role != "owner") else None,
            }
            for one in people
        ],
        "invited": [(one, one.is_over(now)) for one in invitations_open(request.tenant.id)] if may_edit else [],
        "form": form,
        "may_hand_over": may_owners and len(people) > 1,
        "roles": [
            {"name": role, "words": ", ".join(words for permission, words in _MAY_WORDS.items() if permission in held)}
            for role, held in ROLE_PERMISSIONS.items()
        ],
    }
    return render(request, "tenants/team.html", context, status=422 if form.errors else 200)


def _role_form(request: TenantRequest, person: Colleague) -> RoleForm:
    return RoleForm(initial={"role": person.role}, with_owner=_may_owners(request), auto_id=f"id_%s_{person.user_id}")


def _acted(request: TenantRequest, act: Any) -> HttpResponse:
    """Says what was done, or why not, on the team's page."""
    try:
        messages.success(request, act())
    except NotFound:
        raise Http404 from None
    except ApplicationError as error:
        messages.error(request, error.detail)
    return _back(request)


def _may_owners(request: TenantRequest) -> bool:
    return request.member.may(Permission.OWNERS_EDIT)


def _colleague_or_404(request: TenantRequest, user_id: int) -> Colleague:
    for person in members_of_tenant(request.tenant.id):
        if person.user_id == user_id:
            return person
    raise Http404


def _back(request: TenantRequest) -> HttpResponse:
    return redirect("tenants:team", request.tenant.slug)
