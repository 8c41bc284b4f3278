"""How the portal is served in production: Django's own checks, cookies, and what answers say to browsers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.cache import cache

from config.settings.base import ACCOUNT_RATE_LIMITS
from tests.factories import PASSWORD

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "PORTAL_URL": "https://portal.example.com",
    "ALLOWED_HOSTS": "portal.example.com",
    "SECRET_KEY": "kA8-xPq2ZrT6nWm4VbY9eLs3HdJ7fGc5UoI1tRyQwEaSzXvBnMkL0pOiUy",
}
SAID = """
from django.test import Client, override_settings
from django.conf import settings
plain_files = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # nothing was collected
override_settings(STORAGES={**settings.STORAGES, "staticfiles": plain_files}).enable()
answer = Client().get("/accounts/login/", headers={"Host": "portal.example.com", "X-Forwarded-Proto": "https"})
print(answer.status_code, settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME)
for name, value in answer.headers.items():
    print(f"{name}: {value}")
for cookie in answer.cookies.values():
    print(cookie.output())
plain = Client().get("/accounts/login/", headers={"Host": "portal.example.com"})
print(plain.status_code, plain["Location"])
"""


def manage(*command):
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT, env={**os.environ, **PRODUCTION}, check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_djangos_checks_for_deployments_find_nothing():
    code, said, complained = manage("check", "--deploy", "--fail-level", "WARNING")
    assert (code, complained) == (0, "")
    assert said.strip() == "System check identified no issues (0 silenced)."


def test_what_production_says_to_browsers():
    code, said, complained = manage("shell", "--no-imports", "-c", SAID)
    assert code == 0, complained
    assert "200 __Host-session __Host-csrf" in said
    [cookie] = [line for line in said.splitlines() if line.startswith("Set-Cookie: __Host-csrf=")]
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    for line in (
        "Strict-Transport-Security: max-age=31536000; includeSubDomains; preload",
        "Cross-Origin-Opener-Policy: same-origin",
        "Cross-Origin-Resource-Policy: same-origin",
        "X-Content-Type-Options: nosniff",
        "X-Frame-Options: DENY",
        "301 https://portal.example.com/accounts/login/",
    ):
        assert line in said
    assert "Permissions-Policy: accelerometer=(), camera=()" in said
    assert "unsafe-inline" not in said


@pytest.fixture
def limited(settings):
    settings.ACCOUNT_RATE_LIMITS = ACCOUNT_RATE_LIMITS
    cache.clear()
    yield
    cache.clear()


def log_in(browser, email, password):
    return browser.post("/accounts/login/", {"login": email, "password": password})


def test_the_login_page_limits_failures_of_an_account(limited, alice, anonymous):
    for _ in range(5):
        assert "not correct" in log_in(anonymous, alice.email, "wrong").content.decode()
    assert "Too many failed login attempts" in log_in(anonymous, alice.email, PASSWORD).content.decode()


def test_the_login_page_limits_failures_of_a_network(limited, alice, anonymous):
    for number in range(10):
        log_in(anonymous, f"{number}@example.com", "wrong")
    assert "Too many failed login attempts" in log_in(anonymous, alice.email, PASSWORD).content.decode()


def test_logging_out_everywhere_else_keeps_this_session(alice, alices):
    from tests.people import Browser

    other = Browser().into(alice.email)
    assert alices.post("/account/logout-others").status_code == 302
    assert alices.get("/account").status_code == 200
    assert other.get("/account").status_code == 302
    assert alices.get("/account/logout-others").status_code == 405
