"""`make reset`: wipes var/, with data, passwords, demo and mails. Standard library only."""

import os
import shutil
import sys
from pathlib import Path

VAR = Path(__file__).resolve().parent.parent / "var"


def main() -> None:
    running = VAR / "launcher.pid"
    if running.exists() and _alive(int(running.read_text())):
        sys.stderr.write("The service is running; stop it with Ctrl-C first.\n")
        raise SystemExit(1)
    stand_in = VAR / "parts" / "postgres"
    if stand_in.is_symlink():  # the data of a PostgreSQL that cannot reach this folder
        shutil.rmtree(str(stand_in.resolve()), ignore_errors=True)
    shutil.rmtree(str(VAR), ignore_errors=True)
    print("var/ is gone; the next `make run` starts from nothing.")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
