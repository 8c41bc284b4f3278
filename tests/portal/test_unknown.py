"""Addresses of the API that lead nowhere."""

import pytest


@pytest.mark.parametrize("method", ["get", "post", "delete"])
@pytest.mark.parametrize("rest", ["", "analytics/nope", "rate-limits/a%0A/overrides/b", "me%0A", "%00", "a%2F%0D%0Ab"])
def test_programs_are_told_in_their_language(db, anonymous, method, rest):
    answer = getattr(anonymous, method)(f"/api/v1/{rest}")
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("application/problem+json")
    assert answer.json()["detail"] == "There is nothing at this address. /api/docs has those that there are."
