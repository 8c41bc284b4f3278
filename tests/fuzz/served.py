"""Django's WSGI application, called in this process, and who calls it.

Schemathesis calls from threads that it starts and ends. Django's connections belong to a thread, so all of it runs in
one thread of ours, whose connection is closed at the end.
"""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from schemathesis.core.parameters import ParameterLocation

from apps.apikeys.models import ApiKey
from apps.apikeys.services import key_revoke
from apps.core.errors import Conflict
from apps.core.scope import tenant_scope
from apps.limits.models import Override, Rule
from apps.tenants.invitations import invite
from apps.tenants.logins.tokens import tokens_begin
from apps.tenants.models import Invitation, Membership
from tests.factories import colleague_make, key_make, override_make, rule_make

PLACED = {"rule_id", "override_id", "key_id", "user_id", "invitation_id"}
SPARE = "spare"  # nobody calls with a key of that name
_numbers = count()
FRESH_S = 120  # a token lasts for five minutes
OPEN = "/api/v1/token"  # what is below it asks for no credential


def description():
    return json.loads(json.dumps(SchemaGenerator().get_schema(request=None, public=True), default=str))


class Served:
    """`answered` counts answers by status; `let_in` has those without a credential that works, which are none."""

    def __init__(self):
        self.answered = Counter()
        self.let_in = []
        self.given = set()  # Authorization headers that work, or did
        self.refused = set()
        self._django = WSGIHandler()
        self._thread = ThreadPoolExecutor(1)

    def __call__(self, environ, start_response):
        return self.within(self._answer, environ, start_response)

    def within(self, doing, *arguments):
        return self._thread.submit(doing, *arguments).result()

    def close(self):
        self.within(connections.close_all)
        self._thread.shutdown()

    def _answer(self, environ, start_response):
        said = []
        response = self._django(environ, lambda status, headers, error=None: said.append((status, headers)))
        body = [b"".join(response)]
        response.close()
        start_response(*said[0])
        self._note(environ, int(said[0][0].split()[0]))
        return body

    def _note(self, environ, status):
        self.answered[status] += 1
        header, path = environ.get("HTTP_AUTHORIZATION"), environ["PATH_INFO"]
        if status == 401:
            self.refused.add(header)
        if status < 400 and header not in self.given and not path.startswith(OPEN):
            self.let_in.append((environ["REQUEST_METHOD"], path, header, status))


def credentials(served, member):
    """A class that gives each case a credential that works there: a key for checks, elsewhere mostly one of an admin's
    and now and then the owner's token.
    """
    held, turn = {}, count()

    def token():
        return tokens_begin(user_id=member.user_id, now=timezone.now()).access

    def admin():
        return _key(member, scopes=["admin"]).secret

    def check():
        return _key(member, scopes=["check", "refund"]).secret

    def fits(case):
        if case.operation.path.startswith("/api/v1/check"):
            return check
        return admin if next(turn) % 4 else token

    class Credentials:
        def get(self, case, context):
            make = fits(case)
            header, until = held.get(make, ("", 0.0))
            if not header or header in served.refused or time.monotonic() > until:
                header, until = held[make] = f"Bearer {served.within(make)}", time.monotonic() + FRESH_S
                served.given.add(header)
            return header

        def set(self, case, data, context):
            case.headers["Authorization"] = data

    return Credentials


def lively(served, member):
    """A hook that lets most of the cases meet something: what they name is there, and nothing bars the way to it."""
    turns = count()

    def before_call(context, case, kwargs):
        turn = next(turns)
        if turn % 8 and not _is_wrong(case, ParameterLocation.HEADER):
            if case.headers.get("Idempotency-Key"):
                case.headers["Idempotency-Key"] = f"turn-{turn}"
            if case.headers.get("If-Match"):
                case.headers["If-Match"] = "*"
        # An empty parameter is none: that is how forms send it. tests/api/test_hostile.py has them.
        case.query = {name: value for name, value in case.query.items() if value != ""}
        is_placed = not PLACED.isdisjoint(case.path_parameters)
        if turn % 4 and is_placed and not _is_wrong(case, ParameterLocation.PATH):
            there = served.within(_there, member)
            case.path_parameters.update({name: there[name] for name in case.path_parameters if name in there})

    return before_call


def _is_wrong(case, part):
    """Whether that part of a case was made to be refused, and so has to stay as it is."""
    made = case.meta.components.get(part) if case.meta else None
    return made is not None and made.mode.is_negative


def _there(member):
    """One of everything that a path may name, made again where it is gone."""
    tenant_id = member.tenant_id
    with tenant_scope(tenant_id):
        rule = Rule.objects.first()
        override = rule and Override.objects.filter(rule_id=rule.id).first()
        key = ApiKey.objects.filter(name=SPARE, revoked_at=None).first()
    colleague = Membership.objects.filter(tenant_id=tenant_id).exclude(user_id=member.user_id).first()
    asked = Invitation.objects.filter(tenant_id=tenant_id, accepted_at=None, revoked_at=None).first()
    rule_id = rule.id if rule else rule_make(tenant_id, name="there", type="user").id
    return {
        "rule_id": rule_id,
        "override_id": override.id if override else override_make(tenant_id, rule_id, ("u_there",)).id,
        "key_id": key.id if key else _key(member, name=SPARE).key.id,
        "user_id": colleague.user_id if colleague else colleague_make(tenant_id, "viewer", _address()),
        "invitation_id": asked.id if asked else _invited(member),
    }


def _key(member, **fields):
    """Where there are as many as there may be, all of those that a case may have made go first."""
    try:
        return key_make(member.tenant_id, **fields)
    except Conflict:
        with tenant_scope(member.tenant_id):
            for key_id in ApiKey.objects.filter(revoked_at=None).values_list("id", flat=True):
                key_revoke(tenant_id=member.tenant_id, key_id=key_id, now=timezone.now())
        return key_make(member.tenant_id, **fields)


def _invited(member):
    """The id of an invitation; 0, which is none's, where as many were made today as may be."""
    try:
        made = invite(
            tenant_id=member.tenant_id, email=_address(), role="viewer", by_id=member.user_id, by_role="owner",
            now=timezone.now(),
        )  # fmt: skip
    except Conflict:
        return 0
    return made.id


def _address():
    return f"{next(_numbers)}@example.com"
