#!/usr/bin/env python
import fcntl
import json
import os
import sys
from pathlib import Path

RUNNING = Path(__file__).resolve().parent / "var" / "environment.json"


def is_running() -> bool:
    """The launcher holds a lock as long as it lives; what it wrote may outlive it."""
    with RUNNING.with_name("launcher.lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def main() -> None:
    """Beside a running `make run` a command without an environment of its own uses that one's."""
    if "DATABASE_URL" not in os.environ and RUNNING.exists() and is_running():
        os.environ.update(json.loads(RUNNING.read_text()))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
