"""Where the link of an invitation leads: joining with an account or a new one."""

from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.core.errors import ApplicationError, Conflict, Forbidden, NotFound
from apps.core.forms import errors_take
from apps.tenants.forms import JoinForm
from apps.tenants.invitations import (
    InvitationOver,
    invitation_accept,
    invitation_by_token,
    invitation_sign_up,
    is_invited,
)
from apps.tenants.models import User
from apps.tenants.selectors import InvitationInfo


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Posting accepts: with the account that is logged in, else with a new one. Looking at it changes nothing, because
    mail programs look, too.
    """
    try:
        held = invitation_by_token(token, now=timezone.now())
    except (NotFound, InvitationOver) as error:
        return render(request, "tenants/invitation_over.html", {"problem": error}, status=error.status)
    if request.user.is_authenticated:
        return _joined(request, token, held)
    return _signed_up(request, token, held)


def _joined(request: HttpRequest, token: str, held: InvitationInfo) -> HttpResponse:
    user_id, problem, status = request.user.pk or 0, "", 200
    if request.method == "POST":
        try:
            invitation_accept(token=token, user_id=user_id, now=timezone.now())
        except Forbidden as error:
            problem, status = error.detail, error.status
        except (NotFound, InvitationOver) as error:
            return render(request, "tenants/invitation_over.html", {"problem": error}, status=error.status)
        else:
            return _welcome(request, held)
    context = {"invitation": held, "is_other": not is_invited(held.email, user_id), "problem": problem}
    return render(request, "tenants/invitation.html", context, status=status)


def _signed_up(request: HttpRequest, token: str, held: InvitationInfo) -> HttpResponse:
    form = JoinForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user_id, _ = invitation_sign_up(token=token, now=timezone.now(), **form.cleaned_data)
        except (NotFound, InvitationOver) as error:
            return render(request, "tenants/invitation_over.html", {"problem": error}, status=error.status)
        except Conflict:
            form.add_error(None, f"{held.email} has an account already. Log in with it; you come back here.")
        except ApplicationError as error:
            errors_take(form, error)
        else:
            user = User.objects.get(id=user_id)
            login(request, user, backend="django.contrib.auth.backends.ModelBackend")
            return _welcome(request, held)
    context = {"invitation": held, "form": form}
    return render(request, "tenants/invitation.html", context, status=422 if form.errors else 200)


def _welcome(request: HttpRequest, held: InvitationInfo) -> HttpResponse:
    messages.success(request, f"You belong to {held.tenant.name} now.")
    return redirect("analytics:overview", held.tenant.slug)
