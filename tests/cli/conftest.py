import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from ratelimiter.cli.main import app
from tests.factories import key_make


@pytest.fixture
def terminal(live_server, tmp_path):
    """Runs commands with a home of their own; with `as_json` it gives what they printed as JSON."""

    def run(*words, key="", typed="", code=0, as_json=False):
        environ = {
            "RATELIMITER_URL": live_server.url, "RATELIMITER_CONFIG": str(tmp_path / "home" / "login.json"),
            "RATELIMITER_API_KEY": key, "RATELIMITER_ORGANISATION": "", "COLUMNS": "200", "NO_COLOR": "1",
        }  # fmt: skip
        command = [*map(str, words), *(["--json"] if as_json else [])]
        done = CliRunner().invoke(app, command, input=typed, env=environ, catch_exceptions=False)
        assert done.exit_code == code, (done.stdout, done.stderr)
        return json.loads(done.stdout) if as_json else SimpleNamespace(out=done.stdout, err=done.stderr)

    return run


@pytest.fixture
def admin_key(transactional_db, alice, counters):
    return key_make(alice.tenant_id, scopes=["admin", "check"]).secret


@pytest.fixture
def ask(terminal, admin_key):
    """The terminal of somebody with a key that may everything."""
    return lambda *words, **more: terminal(*words, key=admin_key, **more)
