"""The import contracts cover every room there is, and the source stays in readable pieces."""

import ast
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APPS = sorted(path.name for path in (ROOT / "apps").iterdir() if (path / "__init__.py").exists())
PRIVATE = ("models", "views", "tasks", "api")
SOURCES = [
    path
    for folder in ("apps", "config", "ratelimiter")
    for path in (ROOT / folder).rglob("*.py")
    if "migrations" not in path.parts
]


def contracts():
    parser = ConfigParser()
    parser.read(ROOT / ".importlinter")
    return parser


def test_every_app_is_built_in_floors_and_keeps_its_private_parts():
    parser = contracts()
    floors = parser["importlinter:contract:floors"]["containers"].split()
    assert sorted(floors) == [f"apps.{app}" for app in APPS if app != "core"]
    for app in APPS:
        if app != "core":
            private = parser[f"importlinter:contract:private-{app}"]
            there = [part for part in PRIVATE if list((ROOT / "apps" / app).glob(f"{part}*"))]
            assert private["protected_modules"].split() == [f"apps.{app}.{part}" for part in there]
            assert private["allowed_importers"].split() == [f"apps.{app}", "config"]


def too_long(path):
    text = path.read_text()
    if text.count("\n") > 400:
        yield str(path.relative_to(ROOT))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= 60:
            yield f"{path.relative_to(ROOT)}:{node.name}"


def test_files_and_functions_fit_on_a_screen():
    assert [name for path in SOURCES for name in too_long(path)] == []


def test_work_is_handed_to_celery_in_one_place_only():
    senders = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if any(call in path.read_text() for call in (".delay(", ".apply_async(", ".send_task("))
    ]
    assert senders == ["apps/core/enqueue.py"]


def test_packages_say_at_most_what_they_are():
    filled = [
        str(path.relative_to(ROOT)) for path in SOURCES if path.name == "__init__.py" and _statements(path.read_text())
    ]
    assert filled == ["config/__init__.py"]


def _statements(text):
    """All but the docstring."""
    module = ast.parse(text)
    return module.body[1:] if ast.get_docstring(module) else module.body
