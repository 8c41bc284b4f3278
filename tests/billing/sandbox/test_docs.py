"""The stand-in's page names every variable and every test card there is."""

import re

import pytest

from apps.billing.sandbox import settings
from apps.billing.sandbox.cards import NAMES, NUMBERS
from tests.billing.sandbox.rig import ROOT

PAGE = (ROOT / "docs" / "billing-sandbox.md").read_text()
SOURCE = (ROOT / "apps" / "billing" / "sandbox" / "settings.py").read_text()


@pytest.mark.parametrize("name", sorted(set(re.findall(r'"(SANDBOX_\w+)"', SOURCE))))
def test_every_variable_is_documented(name):
    assert f"`{name}`" in PAGE


def test_every_card_is_documented():
    digits = {re.sub(r"\D", "", cell) for cell in re.findall(r"^\| ([\d ]{15,}) \|", PAGE, re.MULTILINE)}
    assert digits == set(NUMBERS)
    assert all(f"`{name}`" in PAGE for name in NAMES)


def read(**environ):
    return settings.settings_read(environ)


def test_defaults_are_those_of_the_page():
    made = read()
    assert (made.host, made.port, str(made.path)) == ("127.0.0.1", 8005, "var/stripe-sandbox.sqlite3")
    assert (made.retry_days, made.after_retries, made.draft_s, made.faults) == ((3, 5, 7), "unpaid", 3_600, 0.0)


@pytest.mark.parametrize(
    "environ",
    [
        {"SANDBOX_BIND": "8005"},
        {"SANDBOX_BIND": "127.0.0.1:http"},
        {"SANDBOX_BIND": "127.0.0.1:70000"},
        {"SANDBOX_RETRY_DAYS": "soon"},
        {"SANDBOX_RETRY_DAYS": "0"},
        {"SANDBOX_AFTER_RETRIES": "forgiven"},
        {"SANDBOX_DRAFT_SECONDS": "-1"},
        {"SANDBOX_FAULTS": "2"},
        {"SANDBOX_WEBHOOK_URL": "http://127.0.0.1:1"},
        {"SANDBOX_WEBHOOK_SECRET": "whsec_x"},
        {"ANYTHING": "pk_live_" + "0" * 24},
        {"ANYTHING": "left rk_live_" + "0" * 24 + " lying about"},
    ],
)
def test_nonsense_stops_it_with_a_sentence(environ):
    with pytest.raises(settings.Refused, match=next(iter(environ))):
        read(**environ)
