"""HTTP servers on loopback that stand for the outside."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace


class Receiver:
    """Writes down what comes. `answers` are (status, headers, body), then it is 200; `delay_s` comes first."""

    def __init__(self, host="127.0.0.1", delay_s=0.0):
        self.requests, self.answers, self.delay_s = [], [], delay_s
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append(
                    SimpleNamespace(path=self.path, headers=dict(self.headers.items()), body=body, at=time.monotonic())
                )
                time.sleep(receiver.delay_s)
                status, headers, answer = receiver.answers.pop(0) if receiver.answers else (200, {}, b"ok")
                self.send_response(status)
                for name, value in {**headers, "Content-Length": len(answer)}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://{host}:{self.port}/hooks"
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
