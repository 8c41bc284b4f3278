"""What one run of the benchmark found: plain values, kept as JSON so that the report can be written again."""

import msgspec

MAX_DEGRADED = 0.01


class Machine(msgspec.Struct, frozen=True):
    cores: int
    load: float  # runnable processes, the minute before the run
    versions: dict[str, str]


class Row(msgspec.Struct, frozen=True):
    """One contender at capacity. Microseconds are CPU time per check; `absent` says why there are none."""

    name: str
    says: str
    absent: str = ""
    checks_per_s: float = 0.0
    user_us: float = 0.0
    system_us: float = 0.0
    store_us: float = 0.0
    checks_per_call: float = 0.0  # of the store's script; 0 where scripts are not used
    degraded: float = 0.0  # the share of answers that came without the store

    @property
    def is_sound(self) -> bool:
        """False when too many answers came without the store for the row to say what a check costs."""
        return self.degraded <= MAX_DEGRADED

    @property
    def server_us(self) -> float:
        return self.user_us + self.system_us

    @property
    def per_server_core(self) -> float:
        return 1e6 / self.server_us

    @property
    def per_store_core(self) -> float:
        return 1e6 / self.store_us

    @property
    def per_cpu_s(self) -> float:
        """Of server and store together."""
        return 1e6 / (self.server_us + self.store_us)


class StoreRow(msgspec.Struct, frozen=True):
    """Redis alone, asked by pipelined EVALSHA; CPU time."""

    script: str
    checks: int  # a call; 0 for the empty script
    call_us: float

    @property
    def check_us(self) -> float:
        return self.call_us / self.checks if self.checks else 0.0


class Latency(msgspec.Struct, frozen=True):
    """The door at a share of its capacity, counted from when a request was due."""

    share: float
    rate: float
    p50_ms: float
    p99_ms: float
    p999_ms: float


class Fairness(msgspec.Struct, frozen=True):
    """p99 of one tenant's single checks, alone and beside another's batches."""

    alone_ms: float
    beside_ms: float
    batches_per_s: float
    batch_p50_ms: float


class Event(msgspec.Struct, frozen=True):
    """One event on the spool, by how many of them arrive in one turn of the event loop."""

    together: int
    cpu_us: float
    bytes: float


class Stage(msgspec.Struct, frozen=True):
    name: str
    us: float


class Results(msgspec.Struct, frozen=True):
    machine: Machine
    rows: list[Row]
    store: list[StoreRow]
    counter_bytes: float
    latencies: list[Latency]
    fairness: Fairness
    events: list[Event]
    stages: list[Stage]  # of a check of two rules
    leased: list[Stage]  # of a decision from a lease

    def row(self, name: str) -> Row | None:
        """None when it was not measured."""
        return next((row for row in self.rows if row.name == name and not row.absent), None)
