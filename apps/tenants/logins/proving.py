"""Somebody shows a program's way who they are: under the same limits, by account and by network, as at the login."""

from allauth.account.adapter import get_adapter
from allauth.mfa.base.forms import BaseAuthenticateForm
from allauth.mfa.utils import is_mfa_enabled
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from apps.core.errors import ApplicationError, Unauthenticated

RETRY_AFTER_S = 60


class LoginsTooMany(ApplicationError):
    """The account or the network has failed too often lately; nothing was looked at."""

    status = 429
    code = "logins_too_many"


class LoginWrong(Unauthenticated):
    code = "login_wrong"


class CodeNeeded(Unauthenticated):
    """Said to who knows the password only."""

    code = "code_needed"


class CodeWrong(Unauthenticated):
    code = "code_wrong"


def user_prove(request: HttpRequest, *, email: str, password: str, code: str) -> int:
    """The user's id; `code` is of an authenticator app or a recovery code, "" for who has neither.

    Raises LoginsTooMany, LoginWrong, which does not say what was wrong, CodeNeeded, CodeWrong.
    """
    try:
        user = get_adapter(request).authenticate(request, email=email, password=password)
    except ValidationError:
        raise LoginsTooMany("There were too many failed logins. Try again later.") from None
    if user is None or not user.is_active:
        raise LoginWrong("The e-mail address or the password is not right.")
    if is_mfa_enabled(user):
        _code_prove(user, code)
    return int(user.pk)


def _code_prove(user: AbstractBaseUser, code: str) -> None:
    """A code is good once, and counted with those of the login page. Raises CodeNeeded, CodeWrong, LoginsTooMany."""
    if not code:
        raise CodeNeeded("This account has a second step: send the code of the authenticator app as `code`.")
    form = BaseAuthenticateForm(user=user, data={"code": code})
    if form.is_valid():
        form.authenticator.record_usage()
    elif form.has_error("code", "too_many_login_attempts"):
        raise LoginsTooMany("There were too many failed logins. Try again later.")
    else:
        raise CodeWrong("The code is not right, or was used before.")
