"""Makes the virtual environment: `python3 config/bootstrap.py ROLE` installs requirements/ROLE.txt into .venv.

Runs before anything is installed, so it uses the standard library only, and nothing newer than Python 3.6 to be able to
say which Python is needed. Does nothing when the lock has not changed since it was installed.
"""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
OLDEST = (3, 11)
NEEDED_MB = 1_500


def main(role: str) -> None:
    if sys.version_info < OLDEST:
        found = ".".join(str(part) for part in sys.version_info[:2])
        refuse(f"Python 3.11 or newer is needed and python3 is {found}. Try: make PYTHON=python3.12")
    lock = ROOT / "requirements" / f"{role}.txt"
    content = lock.read_bytes()
    wanted = hashlib.sha256(content + sys.version.encode()).hexdigest()
    stamp = VENV / f"installed-{role}"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    free_mb = shutil.disk_usage(str(ROOT)).free // 10**6
    if free_mb < NEEDED_MB:
        refuse(f"There is too little disk: {free_mb} MB are free, {NEEDED_MB} MB are needed.")
    venv_ensure()
    install(lock, total=len(re.findall(rb"^[A-Za-z0-9].*==", content, re.MULTILINE)))
    stamp.write_text(wanted)


def venv_ensure() -> None:
    if (VENV / "bin" / "pip").exists():
        return
    print("Creating a virtual environment in .venv", flush=True)
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if made.returncode:
        shutil.rmtree(str(VENV), ignore_errors=True)
        reason = made.stdout.decode(errors="replace").strip()
        refuse(f"Python cannot make virtual environments here. On Debian: apt-get install python3-venv\n{reason}")


def install(lock: Path, *, total: int) -> None:
    """Hashes are checked and nothing is compiled; one line moves while pip works."""
    command = [
        str(VENV / "bin" / "python"), "-m", "pip", "install", "--require-hashes", "--only-binary", ":all:", "--no-deps",
        "--disable-pip-version-check", "--no-input", "--progress-bar", "off", "-r", str(lock),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    seen = 0
    said = []
    for raw in process.stdout:
        line = raw.decode(errors="replace")
        said.append(line)
        name = re.match(r"(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9_.-]+)", line)
        if name:
            seen += 1
            progress(f"Fetching packages: {seen} of at most {total}, {name[1].split('==')[0]}")
        elif line.startswith("Installing collected packages"):
            progress(f"Installing {seen} packages")
    if process.wait():
        refuse("The packages could not be installed:\n" + "".join(said[-30:]))
    progress(f"Installed {seen} packages")
    if sys.stdout.isatty():
        print()


def progress(text: str) -> None:
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="", flush=True)
    else:
        print(text, flush=True)


def refuse(text: str) -> None:
    sys.stderr.write(f"\n{text}\n")
    raise SystemExit(1)


if __name__ == "__main__":
    main(sys.argv[1])
