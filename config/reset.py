"""`make reset`: wipes var/, with data, passwords, demo and mails. Standard library only."""

import fcntl
import shutil
import sys
from pathlib import Path

VAR = Path(__file__).resolve().parent.parent / "var"


def main() -> None:
    lock_path = VAR / "launcher.lock"
    if lock_path.exists():
        with lock_path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                sys.stderr.write("The service is running; stop it with Ctrl-C first.\n")
                raise SystemExit(1) from None
    stand_in = VAR / "parts" / "postgres"
    if stand_in.is_symlink():  # the data of a PostgreSQL that cannot reach this folder
        shutil.rmtree(str(stand_in.resolve()), ignore_errors=True)
    shutil.rmtree(str(VAR), ignore_errors=True)
    print("var/ is gone; the next `make run` starts from nothing.")


if __name__ == "__main__":
    main()
