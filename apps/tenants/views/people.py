"""Where somebody is logged in, and ending that."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.core.errors import NotFound
from apps.tenants.logins import sessions as logins
from apps.tenants.logins.factors import session_keep
from apps.tenants.logins.tokens import logins_end


@require_safe
@login_required
def sessions(request: HttpRequest) -> HttpResponse:
    found = logins.sessions_of(
        user_id=cast("int", request.user.pk), current=request.session.session_key, now=timezone.now()
    )
    return render(request, "tenants/sessions.html", {"sessions": found})


@require_POST
@login_required
def session_end(request: HttpRequest, session_id: int) -> HttpResponse:
    try:
        logins.session_end(user_id=cast("int", request.user.pk), session_id=session_id)
    except NotFound:
        raise Http404 from None
    messages.success(request, "Logged out there.")
    return redirect("tenants:sessions")


@require_POST
@login_required
def logout_others(request: HttpRequest) -> HttpResponse:
    """Ends the person's other sessions and all tokens of programs."""
    logins_end(user_id=cast("int", request.user.pk))
    session_keep(request)
    messages.success(request, "You are logged out everywhere else, and programs have to log in again.")
    return redirect("tenants:sessions")
