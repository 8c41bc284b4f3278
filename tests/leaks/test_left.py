"""The search that ends every run finds what it is to find; in a folder that is gone before that."""

import tempfile
from pathlib import Path

import pytest

from ratelimiter.snapshot.keyring import key_generate
from tests.factories import PASSWORD
from tests.leaks.left import secrets_in


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{key}", True), ("\0\x01{key}\xff", True), ("rl_live_" + "0" * 38, False), ("{masked}", False),
        (f"password={PASSWORD}", True), ("password=correct+horse+battery", True), ("correct horse", False),
        ("whsec_" + "a" * 32, True), ("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxMiJ9." + "x" * 86, True),
    ],
)  # fmt: skip
def test_a_secret_is_found_wherever_it_stands(folder, text, found):
    key = key_generate(live=True)
    path = folder / "spool" / "segment"
    path.parent.mkdir()
    path.write_bytes(text.format(key=key, masked=f"{key[:12]}…{key[-4:]}").encode("latin-1", "replace"))
    assert {where for _, where in secrets_in([folder])} == ({str(path)} if found else set())


def test_where_a_secret_is_meant_to_be_it_may_stand(folder):
    (folder / "login.json").write_text(key_generate(live=False))
    (folder / "sandbox.sqlite3-wal").write_text("whsec_" + "a" * 32)
    assert secrets_in([folder]) == set()
