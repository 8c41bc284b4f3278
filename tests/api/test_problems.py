"""Every code that the product answers with has an entry in the catalogue, and a page."""

import ast
import importlib
import json
import re
from pathlib import Path

import pytest
from django.urls import reverse

from apps.core.catalogue import CATALOGUE
from apps.core.errors import ApplicationError
from ratelimiter.engine.errors import EngineError
from tests.api.calling import Caller

ROOT = Path(__file__).resolve().parents[2]
OF_DRF = {"parse_error": 400, "method_not_allowed": 405}


def _modules():
    for folder in ("apps", "ratelimiter"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if "sandbox" not in parts and "migrations" not in parts and _has_code(ast.parse(path.read_text())):
                yield ".".join(parts)


def _has_code(tree):
    return any(
        isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "code"
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for line in node.body
    )


def _errors():
    for name in _modules():
        for held in vars(importlib.import_module(name)).values():
            if isinstance(held, type) and issubclass(held, ApplicationError | EngineError) and held.__module__ == name:
                yield held


def test_the_catalogue_has_every_code_of_the_code_and_no_other():
    found = {(error.code, error.status) for error in _errors()} | set(OF_DRF.items())
    assert len(found) > 25
    assert found == {(code, known.status) for code, known in CATALOGUE.items()}


def test_no_code_is_made_while_running():
    made = [
        str(path)
        for folder in ("apps", "ratelimiter")
        for path in (ROOT / folder).rglob("*.py")
        if "sandbox" not in path.parts and re.search(r"\b(error|over|problem)\.code = ", path.read_text())
    ]
    assert made == []


@pytest.mark.parametrize("code", CATALOGUE)
def test_a_code_has_a_page_with_cause_fix_and_an_example(code, db, anonymous, settings):
    settings.PORTAL_URL = "https://portal.example"
    page = anonymous.get(reverse("core:problem", args=[code]))
    assert page.status_code == 200
    assert page.content.count(b"<h2") == 3
    known = CATALOGUE[code]
    assert all(len(text) > 10 for text in (known.title, known.cause, known.fix, known.example))
    assert f"/docs/errors/{code}".encode() in page.content
    assert f"/docs/errors/{code}".encode() in anonymous.get("/docs/errors").content


def test_an_unknown_code_has_no_page(db, anonymous):
    assert anonymous.get("/docs/errors/nonsense").status_code == 404


def test_the_type_of_a_problem_leads_to_its_page(db, anonymous, settings):
    told = Caller("rl_live_nonsense").get("rate-limits", status=401).json()
    assert told["type"] == f"{settings.PORTAL_URL}/docs/errors/unauthenticated"
    assert told["title"] == CATALOGUE["unauthenticated"].title
    page = anonymous.get(told["type"].removeprefix(settings.PORTAL_URL))
    assert json.dumps(told["title"])[1:-1].encode() in page.content
