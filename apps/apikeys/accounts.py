"""What is ours in signing up: an organisation, its first test key, and the way to the first check."""

from typing import Any, cast
from zoneinfo import available_timezones

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from django.contrib.auth.base_user import AbstractBaseUser
from django.forms import Form
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from apps.apikeys.handover import secret_put, workspace
from apps.apikeys.services import Opened, organisation_open
from apps.core.errors import ApplicationError
from apps.core.forms import errors_take
from apps.core.mail import MailFolders
from apps.core.origin import Actor, acting
from apps.tenants.logins.factors import CHANGES, factor_changed, session_keep
from apps.tenants.logins.sessions import session_note

FIRST_KEY_S = 3_600


class AccountAdapter(MailFolders, DefaultAccountAdapter):  # type: ignore[misc]
    def save_user(
        self,
        request: HttpRequest,
        user: AbstractBaseUser,
        form: Form,
        commit: bool = True,  # noqa: FBT001, FBT002
    ) -> AbstractBaseUser:
        """Inside the transaction of SignupForm.save, so that a refusal leaves no user behind."""
        user = super().save_user(request, user, form, commit)
        zone = form.cleaned_data["timezone"]
        try:
            with acting(Actor("user", cast("int", user.pk), str(user))):  # who is not logged in yet
                opened = organisation_open(
                    user_id=cast("int", user.pk),
                    name=form.cleaned_data["organisation"],
                    timezone=zone if zone in available_timezones() else "UTC",
                )
        except ApplicationError as error:
            errors_take(form, error)
            page = render(
                request, "account/signup.html", {"form": form, "login_url": reverse("account_login")}, status=422
            )
            raise ImmediateHttpResponse(page) from error
        request.opened = opened  # type: ignore[attr-defined]
        return user

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        super().login(request, user)
        session_note(request, user_id=cast("int", user.pk))

    def send_notification_mail(
        self,
        template_prefix: str,
        user: AbstractBaseUser,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        """All that changes how somebody logs in comes by here."""
        change = template_prefix.removeprefix("mfa/email/")
        if change in CHANGES:
            factor_changed(user_id=cast("int", user.pk), change=change)
            session_keep(self.request)
        elif template_prefix == "account/email/password_changed":
            session_note(self.request, user_id=cast("int", user.pk))  # it goes on under a new key
        said = {"email": str(user), "timestamp": f"{timezone.now():%-d %b %Y, %H:%M} UTC"}
        super().send_notification_mail(template_prefix, user, said | (context or {}), email)

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("tenants:account")

    def get_signup_redirect_url(self, request: HttpRequest) -> str:
        opened: Opened | None = getattr(request, "opened", None)
        if opened is None:
            return reverse("tenants:home")
        return reverse("limits:onboarding", args=[opened.tenant.slug])

    def post_login(self, request: HttpRequest, user: AbstractBaseUser, **details: Any) -> HttpResponseBase:
        response: HttpResponseBase = super().post_login(request, user, **details)
        opened: Opened | None = getattr(request, "opened", None)
        if opened is not None:
            secret_put(response, workspace(opened.tenant.slug), secret=opened.secret, max_age_s=FIRST_KEY_S)
        return response
