"""The stand-in's environment, read once. What looks like a live key anywhere in it stops the process."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LIVE_KEY = re.compile(r"(?:sk|rk|pk)_live_")
AFTER_RETRIES = ("unpaid", "canceled", "past_due")


class Refused(SystemExit):
    """Stops the process with one sentence on standard error."""


@dataclass(frozen=True)
class Settings:
    """`retry_days`: days of clock time between one failed attempt on an invoice and the next.

    `faults`: the share of API requests that go wrong on purpose.
    """

    host: str
    port: int
    path: Path
    url: str
    webhook_url: str | None
    webhook_secret: str | None
    retry_days: tuple[int, ...]
    after_retries: str
    draft_s: int
    faults: float


def settings_read(environ: Mapping[str, str]) -> Settings:
    """Raises Refused."""
    for name, value in environ.items():
        if LIVE_KEY.search(value):
            raise Refused(f"{name} holds what looks like a live Stripe key; the stand-in refuses to run beside one.")
    host, _, port = environ.get("SANDBOX_BIND", "127.0.0.1:8005").rpartition(":")
    if not (host and port.isdecimal() and int(port) < 65_536):
        raise Refused("SANDBOX_BIND makes no sense: it is host:port, as in 127.0.0.1:8005.")
    after = environ.get("SANDBOX_AFTER_RETRIES", "unpaid")
    if after not in AFTER_RETRIES:
        raise Refused(f"SANDBOX_AFTER_RETRIES makes no sense: it is one of {', '.join(AFTER_RETRIES)}.")
    url, secret = environ.get("SANDBOX_WEBHOOK_URL") or None, environ.get("SANDBOX_WEBHOOK_SECRET") or None
    if (url is None) != (secret is None):
        raise Refused("SANDBOX_WEBHOOK_URL and SANDBOX_WEBHOOK_SECRET go together; only one of them is set.")
    return Settings(
        host=host,
        port=int(port),
        path=Path(environ.get("SANDBOX_FILE") or "var/stripe-sandbox.sqlite3"),
        url=(environ.get("SANDBOX_URL") or "").rstrip("/"),
        webhook_url=url,
        webhook_secret=secret,
        retry_days=_days(environ.get("SANDBOX_RETRY_DAYS", "3,5,7")),
        after_retries=after,
        draft_s=_seconds(environ.get("SANDBOX_DRAFT_SECONDS", "3600")),
        faults=_share(environ.get("SANDBOX_FAULTS", "0")),
    )


def _days(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() and int(part) for part in parts):
        raise Refused("SANDBOX_RETRY_DAYS makes no sense: it is days between attempts, as in 3,5,7.")
    return tuple(int(part) for part in parts)


def _share(text: str) -> float:
    if not re.fullmatch(r"0|1|0?\.\d{1,6}", text):
        raise Refused("SANDBOX_FAULTS makes no sense: it is a share of all requests, as in 0.05.")
    return float(text)


def _seconds(text: str) -> int:
    if not text.isdecimal():
        raise Refused("SANDBOX_DRAFT_SECONDS makes no sense: it is how long a draft waits to be finalized, as in 3600.")
    return int(text)
