"""What other programs use, by made-up files of the kernel's."""

import os
import resource
import time
from types import SimpleNamespace

import pytest

from d2lrnn.neighbours import Neighbours, busy_seconds

TICK = os.sysconf("SC_CLK_TCK")
STAT = """cpu  10 20 30 400 50 6 7 8 0 0
cpu0 100 20 30 4000 50 6 7 37 0 0
cpu1 1000 0 0 9000 0 0 0 0 9 9
cpu10 5 5 5 5 5 5 5 5 0 0
intr 123
"""


def test_the_seconds_of_some_cores(tmp_path):
    path = tmp_path / "stat"
    path.write_text(STAT)
    assert busy_seconds([0], str(path)) * TICK == 100 + 20 + 30 + 6 + 7 + 37
    assert busy_seconds([0, 1], str(path)) * TICK == 200 + 1000
    assert busy_seconds([10], str(path)) * TICK == 30
    assert busy_seconds([7], str(path)) == 0


@pytest.mark.parametrize("text", [None, "cpu0 1 2 3\n", "cpu0 a b c d e f g h\n"])
def test_a_kernel_that_does_not_say(tmp_path, text):
    path = tmp_path / "stat"
    if text is not None:
        path.write_text(text)
    assert busy_seconds([0], str(path)) is None
    neighbours = Neighbours(str(path), str(tmp_path))
    assert (neighbours.used(), neighbours.excess(8)) == (None, 0.0)


class Machine:
    """A made-up machine of four cores, a clock, and a container's account."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.clock, self.ours, self.all = folder, 100.0, 5.0, 50.0
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(4)))
        monkeypatch.setattr(time, "monotonic", lambda: self.clock)
        monkeypatch.setattr(resource, "getrusage", lambda who: SimpleNamespace(ru_utime=self.ours, ru_stime=0.0))
        self.write()

    def write(self, container=0.0):
        (self.folder / "stat").write_text(f"cpu2 {round(self.all * TICK)} 0 0 77 77 0 0 0 0 0\n")
        (self.folder / "cpu.stat").write_text(f"usage_usec {round(container * 1e6)}\nuser_usec 1\n")

    def neighbours(self):
        return Neighbours(str(self.folder / "stat"), str(self.folder))

    def pass_by(self, ours, others, container=0.0, seconds=0.5):
        """Let half a second pass, in which this process and others use so many cores."""
        self.clock += seconds
        self.ours += ours * seconds
        self.all += (ours + others) * seconds
        self.write(container)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("ours", "others", "threads", "missing"),
    [(4, 0, 4, 0), (3, 1, 4, 1), (2, 1, 2, -1), (2, 2, 2, 0), (1.5, 2.5, 2, 0.5), (0, 0, 4, 0), (0, 3, 4, 3)],
)
def test_missing_cores(machine, ours, others, threads, missing):
    neighbours = machine.neighbours()
    machine.pass_by(ours, others)
    assert neighbours.excess(threads) == pytest.approx(missing, abs=0.05)
    machine.pass_by(ours, others)
    assert neighbours.used() == pytest.approx(others, abs=0.05)


def test_a_containers_account_counts_too(machine):
    (machine.folder / "cpu.max").write_text("200000 100000\n")
    neighbours = machine.neighbours()
    assert neighbours.limit == 2
    machine.pass_by(1, 1, container=1.0)  # the container has used 2 of its 2 cores, we 1
    assert neighbours.excess(2) == pytest.approx(1.0, abs=0.05)
    assert machine.neighbours().excess(2) == 0.0  # no time has passed


def test_a_containers_account_of_version_1(machine):
    (machine.folder / "cpu").mkdir()
    (machine.folder / "cpu/cpu.cfs_quota_us").write_text("200000\n")
    (machine.folder / "cpu/cpu.cfs_period_us").write_text("100000\n")
    (machine.folder / "cpuacct").mkdir()
    account = machine.folder / "cpuacct/cpuacct.usage"
    account.write_text("0\n")
    neighbours = machine.neighbours()
    (machine.folder / "cpu.stat").unlink()
    neighbours.used()
    machine.pass_by(1, 0.5)
    (machine.folder / "cpu.stat").unlink()
    account.write_text(f"{10**9}\n")  # 2 cores for half a second
    assert neighbours.used() == pytest.approx(1.0, abs=0.05)
