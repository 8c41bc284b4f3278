"""/healthz says that the process serves; /readyz that it can judge: keys and rules are followed, Redis answers."""

import msgspec

from ratelimiter.engine.wire.render import JSON, Answer
from ratelimiter.snapshot.watch import Watch
from ratelimiter.store.topology import CheckStore

_encode = msgspec.json.Encoder().encode


class Health:
    def __init__(self, store: CheckStore, watch: Watch) -> None:
        self._store = store
        self._watch = watch
        self.draining = False

    def alive(self) -> Answer:
        return _answer(200, {"status": "ok"})

    def ready(self) -> Answer:
        parts = {
            "counters": self._store.is_up,
            "snapshots": self._watch.is_ready,
            "serving": not self.draining,
        }
        good = all(parts.values())
        return _answer(200 if good else 503, {"status": "ready" if good else "not ready", **parts})


def _answer(status: int, body: dict[str, object]) -> Answer:
    return Answer(status, JSON, "Cache-Control: no-store\r\n", _encode(body))
