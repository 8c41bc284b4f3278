import pytest


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/check", "POST"), ("PUT", "/check", "POST"), ("DELETE", "/v1/check/batch", "POST"),
        ("OPTIONS", "/v1/check", "POST"), ("POST", "/healthz", "GET, HEAD"), ("POST", "/readyz", "GET, HEAD"),
    ],
)  # fmt: skip
def test_another_method_is_refused_and_the_right_one_named(door, method, path, allowed):
    answer = door.request(method, path)
    assert (answer.status, answer.json["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == allowed
    assert answer.headers["rl-decision"] == "none"
