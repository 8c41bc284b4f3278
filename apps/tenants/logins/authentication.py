"""A token of POST /api/v1/token as the credential of the admin API, and the organisation that it is used in."""

from functools import partial

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from apps.core.errors import Forbidden, Invalid
from apps.core.origin import Actor, actor_is
from apps.tenants.logins.tokens import token_holder
from apps.tenants.permissions import ROLE_PERMISSIONS
from apps.tenants.principals import Principal
from apps.tenants.selectors import MemberInfo, memberships_of

TENANT_HEADER = "RL-Tenant"
_KEYS = "rl_"  # what API keys begin with


class TokenAuthentication(BaseAuthentication):
    """Reads every bearer text that is no API key."""

    def authenticate(self, request: Request) -> tuple[None, Principal] | None:
        """Raises TokenInvalid, Invalid where the organisation has to be named, Forbidden."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token.strip().startswith(_KEYS):
            return None
        holder = token_holder(access=token.strip(), now=timezone.now())
        actor_is(partial(Actor, "user", holder.user_id, holder.email))
        place = _place(holder.user_id, request.headers.get(TENANT_HEADER, ""))
        return None, Principal(place.tenant.id, "user", holder.user_id, place.role, ROLE_PERMISSIONS[place.role])

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _place(user_id: int, slug: str) -> MemberInfo:
    """An empty slug is the only one that they belong to. A stranger's is as one that is not there."""
    places = memberships_of(user_id)
    found = [place for place in places if place.tenant.slug == slug] if slug else places
    if slug and not found:
        raise Forbidden(f"you belong to no organisation “{slug}”")
    if len(found) != 1:
        slugs = ", ".join(place.tenant.slug for place in places) or "none"
        raise Invalid(f"Name the organisation in the header {TENANT_HEADER}. You belong to {slugs}.")
    return found[0]
