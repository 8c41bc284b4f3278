import pytest

from tests.door.rig import rule


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/check/", "/v2/check", "/V1/CHECK", "/v1/check%2fbatch", "//v1/check", "*"]
)
def test_a_path_that_does_not_exist_is_not_found(door, path):
    answer = door.request("POST", path, b"{}")
    assert (answer.status, answer.json["code"], answer.headers["rl-decision"]) == (404, "not_found", "none")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_namespace_without_rules_is_not_found(door, keyring):
    answer = door.check(keyring.key(keyring.tenant(rule())), namespace="nowhere")
    assert (answer.status, answer.json["code"], answer.headers["rl-decision"]) == (404, "not_found", "none")
    assert "nowhere" in answer.json["detail"]
