"""What a whole run of tests leaves on disk holds no secret in plain; see `_no_secret_is_left` in tests/conftest.py.

Searched, before any of it is removed: PostgreSQL's data folder (rows that were rolled back or deleted since are still
in its pages, others in its write-ahead log) and its log; every write to both Valkeys, which keep an append-only file
for that; and all that tests wrote below their temporary folders: logs of processes, spools, topics of Kafka (LZ4 leaves
what it sees first as it is), mails, dumps.
"""

import os
import re
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import quote_plus, unquote, urlsplit

from ratelimiter.snapshot.keyring import key_is_well_formed
from tests.billing.sandbox import rig
from tests.factories import PASSWORD
from tests.parts import TEST_SECRETS

FORMS = re.compile(
    rb"rl_(?:live|test)_[0-9A-Za-z]{38}"  # an API key
    rb"|whsec_[A-Za-z0-9+/]{32}"  # the key that signs webhooks
    rb"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{40,}"  # a token
)
BEGINNINGS = (b"rl_live_", b"rl_test_", b"whsec_", b"eyJ")  # of these, which are looked for faster
# Where one is meant to be: files for their owner's eyes, of the parts, of PgBouncer, of who runs the demo, of who uses
# the command, of a gateway that asks with its key; and what Stripe keeps, whose place the stand-in takes.
MEANT = ("passwords.json", "users.txt", "demo.json", "login.json", "nginx.conf", "sandbox.sqlite3*")


def known():
    """The secrets that the tests and their parts work with, by name."""
    named = {"the password of everybody": PASSWORD, "Stripe's key": rig.KEY, "Stripe's signing key": rig.SECRET}
    named["SECRET_KEY"] = TEST_SECRETS["SECRET_KEY"]
    for name in ("KEY_PEPPERS", "TOKEN_KEYS"):
        for one in TEST_SECRETS[name].split(","):
            version, secret = one.split(":")
            named[f"{name} {version}"] = secret
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_INGEST_URL", "COUNTERS_URL", "BUS_URL"):
        if password := urlsplit(os.environ[name]).password:
            named[f"password in {name}"] = unquote(password)
    return named


def secrets_in(folders):
    """(what, path) of every secret that stands in a file below them."""
    spelled = {(word.encode(), name) for name, secret in known().items() for word in (secret, quote_plus(secret))}
    found = set()
    for path in _files(folders):
        text = _read(path)
        found |= {(name, str(path)) for word, name in spelled if word in text}
        if any(beginning in text for beginning in BEGINNINGS):
            found |= {(one[:12].decode() + "…", str(path)) for one in FORMS.findall(text) if _is_one(one)}
    return found


def _files(folders):
    for folder in folders:
        for place, _, names in os.walk(folder):
            yield from (Path(place, name) for name in names if not _is_meant(name))


def _read(path):
    """Nothing of what is no file, or goes while it is looked at: PostgreSQL is at work until the end."""
    try:
        return path.read_bytes() if path.is_file() and not path.is_symlink() else b""
    except FileNotFoundError:
        return b""


def _is_meant(name):
    return any(fnmatch(name, pattern) for pattern in MEANT)


def _is_one(text):
    return not text.startswith(b"rl_") or key_is_well_formed(text.decode())
