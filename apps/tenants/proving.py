"""Somebody shows a program's way who they are: under the same limits, by account and by network, as at the login."""

from allauth.account.adapter import get_adapter
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


def user_prove(request: HttpRequest, *, email: str, password: str) -> int:
    """The user's id. Raises LoginsTooMany, LoginWrong, which does not say what was wrong."""
    try:
        user = get_adapter(request).authenticate(request, email=email, password=password)
    except ValidationError:
        raise LoginsTooMany("There were too many failed logins. Try again later.") from None
    if user is None or not user.is_active:
        raise LoginWrong("The e-mail address or the password is not right.")
    return int(user.pk)
