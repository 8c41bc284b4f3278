"""What the API says of itself: valid OpenAPI, without a warning, of every address there is."""

from io import StringIO

import pytest
import yaml
from django.core.management import call_command

from config import api
from tests.api.calling import METHODS


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    path = tmp_path_factory.mktemp("openapi") / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(path), stdout=StringIO())
    return yaml.safe_load(path.read_text())


@pytest.fixture(scope="module")
def operations(described):
    """(path, method, operation, view)"""
    views = {f"/api/{one.pattern}": getattr(one.callback, "cls", None) for one in api.urlpatterns}
    named = {path.replace("<int:", "{").replace("<str:", "{").replace(">", "}"): view for path, view in views.items()}
    return [
        (path, method, said[method], named[path])
        for path, said in described["paths"].items()
        for method in METHODS
        if method in said and path in named
    ]


def test_every_method_of_every_view_is_described(operations):
    described = {(view, method) for _, method, _, view in operations if view}
    there = {
        (one.callback.cls, method)
        for one in api.urlpatterns
        for method in METHODS
        if getattr(one.callback, "cls", None) and one.callback.cls.__module__.startswith("apps.")
        and hasattr(one.callback.cls, method)
    }  # fmt: skip
    assert len(there) > 50
    assert there - described == set()


def test_operations_have_names_words_and_a_place(operations):
    names = [said["operationId"] for _, _, said, _ in operations]
    assert len(names) == len(set(names))
    for path, method, said, _ in operations:
        assert said["summary"], (path, method)
        assert len(said["tags"]) == 1, (path, method)


def test_what_may_be_refused_is_said(operations):
    admin = [one for one in operations if getattr(one[3], "is_admin_api", False)]
    assert len(admin) > 40
    for path, method, said, _ in admin:
        answers, headers = set(said["responses"]), {one["name"] for one in said["parameters"] if one["in"] == "header"}
        assert {"400", "401", "403", "429"} <= answers, path
        assert ("404" in answers) == ("{" in path), path
        assert "RL-Tenant" in headers
        if "If-Match" in headers:
            assert {"412", "428"} <= answers, path
        assert ("Idempotency-Key" in headers) == (method == "post"), path
        if method == "post":
            assert {"409", "422"} <= answers, path
        body = said.get("requestBody", {}).get("content", {}).get("application/json")
        assert body is None or body.get("examples"), path
        if "If-None-Match" in headers:
            assert "304" in answers, path
        problem = said["responses"]["401"]["content"]["application/problem+json"]
        assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert problem["examples"]
