"""Ends what `make run` started when the launcher cannot: it was killed, or its terminal is gone.

`python -m config.reaper MARK` waits. The kernel sends it TERM when the launcher dies; then every process whose
environment carries MARK is told to end. Linux only: elsewhere nothing tells it.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

NAME = "RATELIMITER_RUN"


def main(mark: str) -> None:
    def reap(*_: Any) -> None:
        wanted = f"{NAME}={mark}".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if int(entry.name) != os.getpid() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGTERM)
        sys.exit(0)

    signal.signal(signal.SIGTERM, reap)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1])
