"""One contender's server: a process of its own on loopback, stopped by its id."""

import os
import signal
import socket
import subprocess
from pathlib import Path

from config.embedded import end_with_parent
from tests.door.rig import HOST, ROOT, free_port, response_read, wait_until

START_WITHIN_S = 30


class Server:
    """`command` may name {port}. It inherits nothing of the environment but where programs are."""

    def __init__(self, command: list[str], *, folder: Path, port: int = 0, **environment: str):
        self.port = port or free_port()
        self.log = folder / f"server-{self.port}.log"
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [part.replace("{port}", str(self.port)) for part in command],
                cwd=ROOT, env=inherited | environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent(signal.SIGTERM),  # noqa: PLW1509 - it makes one system call
            )  # fmt: skip

    def wait_until_answers(self, payload: bytes) -> None:
        """Raises AssertionError with the log's end."""
        try:
            wait_until(lambda: self._answers(payload), within_s=START_WITHIN_S, what="the first answer")
        except AssertionError as error:
            said = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
            self.stop()
            raise AssertionError(f"{error}; its log ends with\n{said}") from None

    def _answers(self, payload: bytes) -> bool:
        assert self.process.poll() is None, "the server has ended"
        with socket.create_connection((HOST, self.port), timeout=5) as connection:
            connection.sendall(payload)
            return response_read(connection).status in {200, 429}

    def stop(self) -> None:
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)  # its own session: the workers go with it
            self.process.wait()
