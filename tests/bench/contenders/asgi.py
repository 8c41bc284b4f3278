"""The least that an ASGI server can do: uvicorn with uvloop and httptools reads a body and sends a constant answer."""

import sys
from contextlib import AbstractContextManager

from tests.bench.contenders.contender import Running, Site, serving
from tests.bench.requests import singles
from tests.bench.server import Server

UVICORN = [sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--workers", "1",
           "--no-access-log", "--log-level", "warning", "--lifespan", "off"]  # fmt: skip
ANSWER = b'{"allowed":true,"limit":1000000,"remaining":999999,"reset_ms":60000}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]


def start(site: Site) -> AbstractContextManager[Running]:
    server = Server([*UVICORN, f"{__name__}:app"], folder=site.folder)
    return serving(server, singles(["constant"]))


async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})
