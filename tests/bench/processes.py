"""CPU time of processes, from /proc/<pid>/stat: what a busy machine does to the clock, it hardly does to this."""

import os
from pathlib import Path
from typing import NamedTuple

TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")


class Cpu(NamedTuple):
    user_us: float
    system_us: float

    def since(self, earlier: "Cpu", *, per: int) -> "Cpu":
        return Cpu((self.user_us - earlier.user_us) / per, (self.system_us - earlier.system_us) / per)

    @property
    def total_us(self) -> float:
        return self.user_us + self.system_us


def cpu(pid: int) -> Cpu:
    """Of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Cpu(int(fields[11]) * TICK_US, int(fields[12]) * TICK_US)


def tree_cpu(pid: int) -> Cpu:
    """Of the process and all that it has started; none of them may end between two readings."""
    found = [cpu(one) for one in _tree(pid)]
    return Cpu(sum(one.user_us for one in found), sum(one.system_us for one in found))


def _tree(pid: int) -> list[int]:
    children = " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return [pid, *(below for child in children.split() for below in _tree(int(child)))]
