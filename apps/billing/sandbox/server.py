"""HTTP: threads that read a request, ask `answering` or a hosted page, and write what they say."""

import random
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from apps.billing.sandbox.answering import Answering, Call
from apps.billing.sandbox.errors import ApiError
from apps.billing.sandbox.form import form_decode
from apps.billing.sandbox.html import notice
from apps.billing.sandbox.params import Params
from apps.billing.sandbox.routes import PAGES, Page, Request
from apps.billing.sandbox.settings import Refused, Settings
from apps.billing.sandbox.store import Store

LARGEST_BODY = 1_000_000
LOST = -1
REFUSALS = {
    429: b'{"error":{"type":"invalid_request_error","code":"rate_limit","message":"SANDBOX_FAULTS: too many."}}',
    500: b'{"error":{"type":"api_error","message":"SANDBOX_FAULTS: nothing was done."}}',
}
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, settings: Settings, store: Store) -> None:
        try:
            super().__init__((settings.host, settings.port), Handler)
        except OSError as error:
            raise Refused(f"SANDBOX_BIND: {settings.host}:{settings.port} cannot be used: {error.strerror}.") from None
        self.store = store
        store.url = settings.url or f"http://{settings.host}:{self.server_address[1]}"
        self.answering = Answering(store)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no fault of ours."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "stripe-sandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    timeout = 120

    def do_GET(self) -> None:
        self._handle("GET")

    def do_POST(self) -> None:
        self._handle("POST")

    def do_DELETE(self) -> None:
        self._handle("DELETE")

    def _handle(self, method: str) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            self.close_connection = True
            self._send(413, b"", "text/plain", {})
            return
        body = self.rfile.read(int(length)).decode("utf-8", "replace")
        target = urlsplit(self.path)
        form = body if method == "POST" else "&".join(part for part in (target.query, body) if part)
        if target.path.startswith("/v1/"):
            self._api(Call(method, target.path, form, self.headers))
        else:
            self._page(method, target.path, form)

    def _api(self, call: Call) -> None:
        fault = self._fault(call)
        if fault in REFUSALS:
            self._send(fault, REFUSALS[fault], "application/json", {})
            return
        answer = self.server.answering.answer(call)
        if fault:
            self.close_connection = True  # done, and nobody is told: the caller cannot know
            return
        headers = {"Request-Id": answer.request_id}
        for name in ("Stripe-Version", "Idempotency-Key"):
            if call.headers.get(name):
                headers[name] = call.headers[name]
        if answer.replayed:
            headers["Idempotent-Replayed"] = "true"
        self._send(answer.status, answer.body, "application/json", headers)

    def _fault(self, call: Call) -> int:
        """0, a status to refuse with before anything is done, or LOST."""
        settings = self.server.store.settings
        if not settings.faults or call.path.startswith("/v1/test_helpers/"):
            return 0
        dice = random.random()  # noqa: S311 - no secret
        return random.choice((*REFUSALS, LOST)) if dice < settings.faults else 0  # noqa: S311

    def _page(self, method: str, path: str, form: str) -> None:
        try:
            page = self._found(method, path, form)
        except ApiError as error:
            page = notice("Not found" if error.status == 404 else "This did not work", str(error), status=error.status)
        except Exception:  # noqa: BLE001 - the page says so, the log says why
            sys.stderr.write(traceback.format_exc())
            page = notice("The stand-in has a fault", "Its log says more.", status=500)
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        if page.location:
            headers["Location"] = page.location
        self._send(page.status, page.body, page.kind, headers | page.headers)

    def _found(self, method: str, path: str, form: str) -> Page:
        for wanted, pattern, handler in PAGES:
            match = pattern.match(path)
            if match and wanted == method:
                with self.server.store.begin() as tx:
                    args = {name: unquote(value) for name, value in match.groupdict().items()}
                    params = Params(form_decode(form))
                    return handler(Request(tx, params, path, args))
        raise ApiError("There is no such page.", status=404)

    def _send(self, status: int, body: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value.replace("\r", "").replace("\n", ""))
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Quiet: one line per request would drown the launcher's log."""
