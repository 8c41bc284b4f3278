"""The checks that contenders are asked: users and addresses vary, and are the same ones for everybody."""

import json
import random

from tests.door.rig import check_bytes

USERS, ADDRESSES = 300, 250
ROUTES = ("POST /v1/chat", "POST /v1/upload")
HEADERS = {"User-Agent": "bench", "Accept": "*/*", "Content-Type": "application/json"}


def check(number: int) -> dict[str, str]:
    return {
        "user": f"u{number % USERS}",
        "ip": f"198.51.100.{number % ADDRESSES}",
        "route": ROUTES[number // 2 % len(ROUTES)],
    }


def singles(keys: list[str], *, path: str = "/v1/check", total: int = 1_024) -> list[bytes]:
    """About `total` requests, at least 16 of each key, in an order that does not change from run to run."""
    found = [
        check_bytes(key, path=path, headers=HEADERS, **check(number))
        for key in keys
        for number in range(max(16, total // len(keys)))
    ]
    random.Random(1).shuffle(found)
    return found


def batches(keys: list[str], *, size: int, users: int = USERS) -> list[bytes]:
    """Requests of `size` checks; those of each key together ask about `users` different users, in turn."""
    numbers = range(size * -(-users // size))
    return [
        _batch(key, [check(number % users) for number in numbers[start : start + size]])
        for start in range(0, len(numbers), size)
        for key in keys
    ]


def _batch(key: str, checks: list[dict[str, str]]) -> bytes:
    body = json.dumps({"checks": checks}).encode()
    head = f"POST /v1/check/batch HTTP/1.1\r\nHost: door\r\nAuthorization: Bearer {key}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
