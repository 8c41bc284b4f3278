"""The command line against a running service: what people and programs read, and how it ends."""

import json
import stat

import pytest
import typer.main
from django.utils import timezone

from apps.apikeys.selectors import keys_of
from apps.core.scope import tenant_scope
from apps.limits import publishing
from ratelimiter.cli.main import app
from tests.factories import PASSWORD, key_make, rule_make


class TestAccess:
    def test_a_key_is_asked_for_tried_and_kept_where_only_its_owner_reads(self, terminal, admin_key, alice, tmp_path):
        told = terminal("login", typed=f"{admin_key}\n")
        assert "Logged in to" in told.out
        assert admin_key not in told.out
        kept = tmp_path / "home" / "login.json"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert terminal("whoami", as_json=True)["organisation"]["slug"] == alice.slug
        terminal("logout")
        assert not kept.exists()
        assert "You are not logged in" in terminal("whoami", code=2).err

    def test_a_key_that_only_checks_is_kept_too(self, terminal, transactional_db, alice, counters):
        told = terminal("login", typed=f"{key_make(alice.tenant_id, scopes=['check']).secret}\n")
        assert "with the API key" in told.out
        assert "nothing but the check API" in terminal("whoami").out

    def test_a_key_that_does_not_work_is_not_kept(self, terminal, transactional_db, counters, tmp_path):
        assert "unknown" in terminal("login", typed="rl_live_nonsense\n", code=3).err
        assert not (tmp_path / "home" / "login.json").exists()

    def test_a_person_logs_in_with_a_password_and_out_for_good(
        self, terminal, transactional_db, alice, counters, tmp_path
    ):
        told = terminal("login", "--email", alice.email, typed=f"{PASSWORD}\n")
        assert "as owner" in told.out
        assert PASSWORD not in told.out + told.err + (tmp_path / "home" / "login.json").read_text()
        assert terminal("whoami", as_json=True)["kind"] == "user"
        assert "with an API key" in terminal("check", "--user", "u_1", code=2).err
        kept = (tmp_path / "home" / "login.json").read_text()
        terminal("logout")
        (tmp_path / "home" / "login.json").write_text(kept)
        assert terminal("whoami", code=3).err

    def test_an_access_token_that_is_over_is_renewed_and_the_new_pair_kept(
        self, terminal, transactional_db, alice, counters, tmp_path
    ):
        terminal("login", "--email", alice.email, typed=f"{PASSWORD}\n")
        kept = tmp_path / "home" / "login.json"
        old = json.loads(kept.read_text())
        kept.write_text(json.dumps(old | {"access_token": "over"}))
        assert terminal("whoami", as_json=True)["kind"] == "user"
        assert json.loads(kept.read_text())["refresh_token"] != old["refresh_token"]
        assert terminal("whoami", as_json=True)["kind"] == "user"

    def test_nobody_there_is_said_without_the_key(self, terminal):
        told = terminal("login", "--url", "http://127.0.0.1:9", typed="rl_live_secret\n", code=3)
        assert "did not answer: there is no connection." in told.err
        assert "rl_live_secret" not in told.out + told.err


class TestCheck:
    @pytest.fixture
    def published(self, admin_key, judge):
        """What is there now, as doors and the portal's own check know it."""
        return lambda: publishing.sweep(now=timezone.now())

    def test_it_says_what_each_rule_says_and_ends_with_one_when_denied(self, ask, alice, published):
        rule_make(alice.tenant_id, name="one-only", limit=1)
        published()
        assert "allowed (ok)" in ask("check", "--user", "u_1").out
        denied = ask("check", "--user", "u_1", code=1)
        assert "denied (limit_exceeded)" in denied.out
        assert "one-only" in denied.out
        assert ask("check", "--user", "u_1", "--peek", code=1, as_json=True)["allowed"] is False

    def test_attributes_are_pairs(self, ask, published):
        published()
        assert "is not name=value" in ask("check", "--attribute", "plan", code=2).err
        assert ask("check", "--attribute", "plan=pro", as_json=True)["allowed"] is True

    def test_what_is_not_valid_is_said_with_its_field(self, ask, published):
        published()
        told = ask("check", "--ip", "not-an-address", code=2)
        assert "/ip" in told.err


class TestKeys:
    def test_made_listed_rotated_and_revoked(self, ask, alice):
        made = ask("keys", "create", "ci", "--scope", "check", "--scope", "read", as_json=True)
        assert made["secret"].startswith("rl_test_")
        assert made["id"] in [key["id"] for key in ask("keys", "list", as_json=True)["api_keys"]]
        assert "check read" in ask("keys", "list").out
        rotated = ask("keys", "rotate", made["id"], "--overlap", "0", as_json=True)
        assert rotated["rotated_from_id"] == made["id"]
        assert "is revoked" in ask("keys", "revoke", rotated["id"]).out
        with tenant_scope(alice.tenant_id):
            assert [key.revoked_at is None for key in keys_of(alice.tenant_id) if key.name == "ci"] == [False, False]

    def test_what_the_key_may_not_is_refused(self, terminal, alice, transactional_db, counters):
        reader = key_make(alice.tenant_id, scopes=["read"]).secret
        told = terminal("keys", "create", "mine", key=reader, code=3)
        assert "lacks the scope “admin”" in told.err


class TestUsage:
    def test_it_is_there_before_the_first_check(self, ask):
        told = ask("usage", as_json=True)
        assert told["totals"]["checks"] == 0
        assert told["billing"]["usage"]["checks"] == 0
        told = ask("usage").out
        assert "0 checks, 0 denied" in told
        assert "its first hour is not counted yet" in told

    def test_who_may_not_see_bills_sees_the_rest(self, terminal, alice, transactional_db, counters):
        reader = key_make(alice.tenant_id, scopes=["read"]).secret
        assert terminal("usage", key=reader, as_json=True)["billing"] is None

    def test_a_range_that_is_none_is_said(self, ask):
        assert "is no range" in ask("usage", "--range", "forever", code=2).err

    def test_tail_ends_when_it_is_to(self, ask):
        assert ask("tail", "--seconds", "0.1").out == ""


def commands(command, path=()):
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))
    else:
        yield path, command


@pytest.mark.parametrize(("path", "command"), list(commands(typer.main.get_command(app))))
def test_every_command_has_json_and_an_example(path, command):
    assert any("--json" in parameter.opts for parameter in command.params)
    assert f"Example: ratelimiter {' '.join(path)}" in command.help
