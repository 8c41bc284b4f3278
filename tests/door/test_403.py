"""Callers that are somebody, but may not."""

import pytest

from tests.door.rig import rule, wait_until


def forbidden(answer):
    return (answer.status, answer.json["code"], answer.headers["rl-decision"]) == (403, "forbidden", "none")


@pytest.mark.parametrize("path", ["/v1/check", "/v1/check/batch"])
def test_a_key_without_the_scope_may_not_check(door, keyring, path):
    key = keyring.key(keyring.tenant(rule()), scopes=("read", "admin"))
    assert forbidden(door.check(key, path=path))


def test_a_suspended_tenant_may_not_check_until_it_is_back(door, keyring):
    tenant = keyring.tenant(rule(), suspended=True)
    key = keyring.key(tenant)
    assert forbidden(door.check(key))
    keyring.rules(tenant, rule())
    wait_until(lambda: door.check(key).status == 200, within_s=1)
