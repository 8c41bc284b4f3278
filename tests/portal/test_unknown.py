"""Addresses of the API that lead nowhere."""

import pytest


@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_programs_are_told_in_their_language(db, anonymous, method):
    answer = getattr(anonymous, method)("/api/v1/analytics/nope")
    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("application/problem+json")
    assert answer.json()["detail"] == "There is nothing at this address. /api/docs has those that there are."
