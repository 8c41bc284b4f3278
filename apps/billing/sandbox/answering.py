"""One API request: who asks, is it a repetition, what is answered. Without HTTP."""

import hashlib
import json
import sys
import threading
import traceback
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from urllib.parse import unquote

from apps.billing.sandbox.errors import ApiError
from apps.billing.sandbox.form import form_decode
from apps.billing.sandbox.ids import new_id
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.render import expand, render
from apps.billing.sandbox.routes import API, Request
from apps.billing.sandbox.settings import LIVE_KEY
from apps.billing.sandbox.store import Session, Store

KEY_LENGTH = 255
KEEP_ANSWERS_S = 86_400


@dataclass(frozen=True)
class Call:
    """`form`: the body of a POST, the query of everything else."""

    method: str
    path: str
    form: str
    headers: Message


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    request_id: str
    replayed: bool = False


class Answering:
    """An idempotency key's answer is stored in the transaction that it tells of; a repetition gets the same bytes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._busy: set[str] = set()
        self._guard = threading.Lock()

    def answer(self, call: Call) -> Answer:
        request_id = new_id("request", letters=14)
        try:
            _key_verify(call.headers.get("Authorization", ""))
            key = call.headers.get("Idempotency-Key", "") if call.method != "GET" else ""
            with self._alone(key), self._store.begin() as tx:
                tx.request = {"id": request_id, "idempotency_key": key or None}
                return self._answer(tx, call, key, request_id)
        except ApiError as error:
            return Answer(error.status, _json({"error": error.body}), request_id)
        except Exception:  # noqa: BLE001 - what is wrong here is told to the developer and answered as Stripe would
            sys.stderr.write(traceback.format_exc())
            body = {"error": {"type": "api_error", "message": "The stand-in has a fault; its log says more."}}
            return Answer(500, _json(body), request_id)

    def _answer(self, tx: Session, call: Call, key: str, request_id: str) -> Answer:
        """Raises ApiError for what leaves nothing behind."""
        mark = hashlib.sha256(f"{call.method} {call.path} {call.form}".encode()).hexdigest()
        if key:
            stored = tx.connection.execute("SELECT request, status, body FROM answer WHERE key = ?", (key,)).fetchone()
            if stored:
                return _replay(stored, mark, request_id)
        try:
            status, body = 200, _json(self._called(tx, call))
        except ApiError as error:
            if not error.keep:
                raise
            status, body = error.status, _json({"error": error.body})
        if key:
            tx.connection.execute("INSERT INTO answer VALUES (?, ?, ?, ?, ?)", (key, mark, status, body, tx.real_now))
        return Answer(status, body, request_id)

    def _called(self, tx: Session, call: Call) -> object:
        for method, pattern, handler in API:
            match = pattern.match(call.path)
            if match and method == call.method:
                params = Params(form_decode(call.form))
                expansions = params.texts("expand")
                args = {name: unquote(value) for name, value in match.groupdict().items()}
                item = handler(Request(tx, params, call.path, args))
                params.unread_refuse()
                shown = item if item["object"] == "list" else render(tx, item)
                for path in expansions:
                    expand(tx, shown, path.split("."), whole=path)
                return shown
        raise ApiError(
            f"Unrecognized request URL ({call.method}: {call.path}). The stand-in speaks a part of Stripe's API only.",
            status=404,
        )

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Raises ApiError 409 while the same key is being answered."""
        with self._guard:
            if key in self._busy:
                raise ApiError(
                    f"There is currently another in-progress request using this Idempotent Key: {key}.",
                    status=409,
                    kind="idempotency_error",
                    code="idempotency_key_in_use",
                )
            if len(key) > KEY_LENGTH:
                raise ApiError(f"Idempotency keys have at most {KEY_LENGTH} characters.", kind="idempotency_error")
            if key:
                self._busy.add(key)
        try:
            yield
        finally:
            with self._guard:
                self._busy.discard(key)


def answers_forget(tx: Session) -> None:
    """Keys are remembered for a day, as at Stripe."""
    tx.connection.execute("DELETE FROM answer WHERE at < ?", (tx.real_now - KEEP_ANSWERS_S,))


def _replay(stored: tuple[str, int, bytes], mark: str, request_id: str) -> Answer:
    request, status, body = stored
    if request != mark:
        raise ApiError(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. "
            "Try using a key other than the one you meant to use.",
            kind="idempotency_error",
        )
    return Answer(status, body, request_id, replayed=True)


def _key_verify(header: str) -> None:
    """Raises ApiError 401. Any test key is as good as any other: there is one account."""
    scheme, _, value = header.partition(" ")
    key = value.strip()
    if scheme.lower() == "basic":
        try:
            key = b64decode(key, validate=True).decode().partition(":")[0]
        except ValueError:
            key = ""
    if LIVE_KEY.search(key):
        raise ApiError("This is a stand-in for tests, and that is a live key. It was not stored.", status=401)
    if not key.startswith(("sk_test_", "rk_test_")) or len(key) < len("sk_test_") + 1:
        message = "You did not provide an API key." if not key else "Invalid API Key provided."
        raise ApiError(f"{message} Any that starts with sk_test_ will do here.", status=401)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
