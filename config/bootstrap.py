"""Makes the virtual environment: `python3 config/bootstrap.py ROLE` installs requirements/ROLE.txt into .venv.

Runs before anything is installed, so it uses the standard library only, and on old Pythons too, to say so in a
sentence. Does nothing when the lock has not changed since it was installed.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
OLDEST = (3, 11)
NEEDED_BYTES = 1_500_000_000


def main(role):
    if sys.version_info < OLDEST:
        refuse(
            "Python %d.%d or newer is needed; this is %d.%d. Try: make PYTHON=python3.12"
            % (OLDEST + sys.version_info[:2])
        )
    lock = os.path.join(ROOT, "requirements", role + ".txt")
    with open(lock, "rb") as file:
        content = file.read()
    wanted = hashlib.sha256(content + sys.version.encode()).hexdigest()
    stamp = os.path.join(VENV, "installed-" + role)
    if read(stamp) == wanted:
        return
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED_BYTES:
        refuse("There is too little disk: %d MB are free, %d MB are needed." % (free // 10**6, NEEDED_BYTES // 10**6))
    python = ensure_venv()
    install(python, lock, len(re.findall(rb"^[A-Za-z0-9].*==", content, re.MULTILINE)))
    with open(stamp, "w") as file:
        file.write(wanted)


def ensure_venv():
    python = os.path.join(VENV, "bin", "python")
    if not os.path.exists(os.path.join(VENV, "bin", "pip")):
        say("Creating a virtual environment in .venv")
        made = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], capture_output=True, text=True)
        if made.returncode:
            shutil.rmtree(VENV, ignore_errors=True)
            refuse(
                "Python cannot make virtual environments here. On Debian and Ubuntu: apt-get install python3-venv\n"
                + made.stderr.strip()
            )
    return python


def install(python, lock, total):
    """Hashes are checked and nothing is compiled; one line moves while pip works."""
    command = [
        python, "-m", "pip", "install", "--require-hashes", "--only-binary", ":all:", "--no-deps",
        "--disable-pip-version-check", "--no-input", "--progress-bar", "off", "-r", lock,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seen, tail = 0, []
    for line in process.stdout:
        tail = [*tail[-30:], line]
        name = re.match(r"(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9_.-]+)", line)
        if name:
            seen += 1
            progress("Installing %d of %d: %s" % (seen, total, name.group(1)))
        elif line.startswith("Installing collected packages"):
            progress("Unpacking %d packages" % seen)
    if process.wait():
        refuse("The packages could not be installed:\n" + "".join(tail))
    progress("Installed %d packages" % seen)
    if sys.stdout.isatty():
        print()


def progress(text):
    if sys.stdout.isatty():
        print("\r\033[K" + text, end="", flush=True)
    else:
        say(text)


def say(text):
    print(text, flush=True)


def refuse(text):
    sys.stderr.write("\n%s\n" % text)
    raise SystemExit(1)


def read(path):
    if not os.path.exists(path):
        return ""
    with open(path) as file:
        return file.read()


if __name__ == "__main__":
    main(sys.argv[1])
