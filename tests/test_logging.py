"""What processes write to their logs, in both layouts."""

import json
import logging

import pytest

from config.logging import logging_config
from ratelimiter.snapshot.keyring import key_generate

KEY = key_generate(live=True)
SECRETS = {
    "key": KEY,
    "signing": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "stripe": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "access": "eyJhbGciOiJFZDI1NTE5In0.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl",
    "database": "postgresql://app:correct-horse@127.0.0.1/ratelimiter",
}
HELD = "a-password-in-a-variable"
PLAIN = [*list(SECRETS.values())[:4], "correct-horse"]


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


def written(layout):
    """Lines of a library's logger, and a mistake's traceback, as a process's handler writes them."""
    chosen = logging_config("INFO", layout)["formatters"]["structured"]
    form = chosen["()"](**{part: chosen[part] for part in chosen if part != "()"})
    logger, kept = logging.getLogger(f"tests.{layout}"), Kept()
    logger.addHandler(kept)
    try:
        for secret in SECRETS.values():
            logger.error("GET /x?key=%s", secret)
        mistake(logger, HELD)
    finally:
        logger.removeHandler(kept)
    return [form.format(record) for record in kept.records]


def mistake(logger, password):
    try:
        int(f"{SECRETS['key']} of {SECRETS['database']}")
    except ValueError:
        logger.exception("failed")


@pytest.mark.parametrize("layout", ["json", "console"])
def test_secrets_are_masked_by_their_look_and_no_variable_is_shown(layout):
    lines = written(layout)
    text = "\n".join(lines)
    assert text.count("[redacted]") >= len(SECRETS) + 2
    assert "with base 10: '[redacted] of postgresql://[redacted]@127" in text
    assert "ValueError" in text
    assert HELD not in text
    assert [secret for secret in PLAIN if secret in text] == []
    if layout == "json":
        assert [json.loads(line)["level"] for line in lines] == ["error"] * len(lines)
