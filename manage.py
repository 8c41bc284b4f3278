#!/usr/bin/env python
import json
import os
import sys
from pathlib import Path

RUNNING = Path(__file__).resolve().parent / "var" / "environment.json"


def main() -> None:
    """Beside a running `make run` a command without an environment of its own uses that one's."""
    if "DATABASE_URL" not in os.environ and RUNNING.exists():
        os.environ.update(json.loads(RUNNING.read_text()))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
