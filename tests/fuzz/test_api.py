"""Schemathesis reads the OpenAPI document and calls every operation with what it says, and with what it does not.

FUZZ_CALLS says how many calls there are at least; `make fuzz-long` asks for 100,000. FUZZ_SEED begins elsewhere,
FUZZ_TURN at a later turn, whose examples are others.
"""

import os

import pytest
import schemathesis
from django.db import connections
from django.utils import timezone
from rest_framework.response import Response
from schemathesis.core.failures import FailureGroup
from schemathesis.engine import events, from_schema
from schemathesis.openapi.checks import IgnoredAuth, JsonSchemaError
from schemathesis.transport.wsgi import WSGI_TRANSPORT

from apps.core import enqueue
from apps.limits import publishing
from apps.tenants.api.tenant import TenantView
from config.celery import app as celery
from tests.fuzz.served import Served, credentials, description, lively

CALLS = int(os.environ.get("FUZZ_CALLS", "5000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
TURN = int(os.environ.get("FUZZ_TURN", "0"))
DONE_AT_ONCE = {"limits.snapshot_publish", "limits.key_publish"}  # what checks need; the rest is not sent
OF_SOCKETS = {"max_redirects", "verify", "cert", "proxies"}
REFUSED = [400, 401, 403, 404, 405, 409, 412, 413, 422, 428]
CHECKS = {
    # What else a body has to be (a name that is not taken, a plan that allows it) is more than a schema says.
    "positive_data_acceptance": {"enabled": False},
    # One who saw another state is told that before what else is wrong.
    "negative_data_rejection": {"expected-statuses": REFUSED},
    "missing_required_header": {"expected-statuses": REFUSED},
}
# Says of any body whether it would do.
OPERATIONS = [
    {
        "include-name": "POST /api/v1/rate-limits/validate",
        "checks": CHECKS | {"negative_data_rejection": {"enabled": False}},
    }
]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
]


@pytest.fixture
def served(alice, bob, judge, settings, monkeypatch):
    settings.API_LIMITER = "tests.api.calling.unlimited"
    celery.loader.import_default_modules()

    def send(task, arguments):
        if task in DONE_AT_ONCE:
            celery.tasks[task](**arguments)

    monkeypatch.setattr(enqueue, "_send", send)
    monkeypatch.setattr(WSGI_TRANSPORT, "send", without_sockets(WSGI_TRANSPORT.send))
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", None)
    publishing.sweep(now=timezone.now())
    made = Served()
    schemathesis.hook(lively(made, alice))
    yield made
    schemathesis.hooks.unregister_all()
    made.close()


def without_sockets(send):
    """The check for ignored credentials hands on settings of sockets, of which the transport for WSGI knows nothing."""

    def sent(case, *, session=None, **settings):
        return send(case, session=session, **{name: held for name, held in settings.items() if name not in OF_SOCKETS})

    return sent


def loaded(served, member, *, turn):
    """The first time every value at an edge, then what chance draws, and more of it each time."""
    drawn = {"generation": {"max-examples": 10 if turn == 0 else 100}}
    phases = {
        "examples": {"enabled": turn == 0},
        "coverage": {"enabled": turn == 0},
        "fuzzing": drawn,
        "stateful": drawn,
    }
    config = schemathesis.Config.from_dict({
        "seed": SEED + turn, "phases": phases, "checks": CHECKS, "operations": OPERATIONS, "continue-on-failure": True,
        "generation": {"database": "none", "no-shrink": True},
    })  # fmt: skip
    schema = schemathesis.openapi.from_dict(description(), config=config)
    schema.app = served
    schema.auth(refresh_interval=None)(credentials(served, member))
    return schema


def wrong_of(event):
    """What an event of the engine says against us, as (operation, check, what) and an example."""
    if isinstance(event, events.FatalError):
        raise event.exception
    if isinstance(event, events.NonFatalError):
        yield (event.label, event.info.title, event.info.message), ""
    if isinstance(event, events.ScenarioFinished):
        for node in (node for nodes in event.recorder.checks.values() for node in nodes if node.failure_info):
            failure = node.failure_info.failure
            example = f"{failure.message}\n{node.failure_info.code_sample}"
            yield (failure.operation, node.name, failure.title), example[:2_000]


def test_whatever_is_sent_is_answered_as_described(served, alice):
    wrong, turn = {}, TURN
    while served.answered.total() < CALLS:
        for event in from_schema(loaded(served, alice, turn=turn)).execute():
            for what, example in wrong_of(event):
                if wrong.setdefault(what, example) is example:
                    print(f"{what}\n{example}", flush=True)
            if isinstance(event, events.PhaseFinished):
                print(
                    f"turn {turn}, {event.phase.name}: {served.answered.total()} calls, {len(wrong)} wrong", flush=True
                )
        turn += 1
    print(f"{served.answered.total()} calls: {sorted(served.answered.items())}")
    assert wrong == {}, "\n\n".join(f"{what}\n{example}" for what, example in wrong.items())
    assert served.let_in == []
    assert {200, 201, 204, 400, 401, 403, 404, 405, 409, 412, 422, 428} <= set(served.answered)
    assert max(served.answered) < 500


def test_an_answer_that_is_not_described_and_an_ignored_credential_would_be_found(served, alice, monkeypatch):
    case = loaded(served, alice, turn=0)["/api/v1/tenants/current"]["GET"].Case()
    monkeypatch.setattr(TenantView, "get", lambda self, request: Response({"id": "seven"}))
    monkeypatch.setattr(TenantView, "initial", lambda self, request: None)
    with pytest.raises(FailureGroup) as found:
        case.call_and_validate()
    assert {type(one) for one in found.value.exceptions} >= {IgnoredAuth, JsonSchemaError}
    assert served.let_in
