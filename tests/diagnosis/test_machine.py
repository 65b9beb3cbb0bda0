"""What is told of the machine, from made-up files of Linux's."""

import os
import re
import time

import pytest

from d2lrnn.diagnosis import machine
from d2lrnn.diagnosis.finding import NOTE, OK, Finding, place

GIB = 2**20  # in the kB of /proc/meminfo


@pytest.fixture
def proc(tmp_path):
    """Return a function that writes files into a folder in place of /proc, and returns the folder."""

    def write(**files):
        folder = tmp_path / "proc"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
        return folder

    return write


@pytest.fixture
def limits(tmp_path):
    """Return a function that writes files into a folder in place of /sys/fs/cgroup, and returns the folder."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return str(tmp_path / "cgroup")

    return write


def check(finding, state, found):
    """Check a finding; only one with a state other than OK says what to do."""
    assert re.fullmatch(found, finding.found), finding.found
    assert finding.state == state and bool(finding.remedy) is (state != OK)


def test_the_system_has_its_name(tmp_path):
    (tmp_path / "release").write_text('NAME="Poet"\nPRETTY_NAME="Poet Linux 7 (spring)"\n')
    found = machine.system(tmp_path / "release").found
    assert found.endswith(", Poet Linux 7 (spring)") and os.uname().release in found
    assert machine.system(tmp_path / "none") == Finding(OK, "system", found.removesuffix(", Poet Linux 7 (spring)"))


@pytest.mark.parametrize(
    ("ours", "files", "state", "found"),
    [
        (8, {}, OK, "8 in the machine, all of them for this process"),
        (3, {}, OK, "8 in the machine, 3 of them for this process"),
        (8, {"cpu.max": "max 100000"}, OK, "8 in the machine, all of them for this process"),
        (8, {"cpu.max": "250000 100000"}, OK, "8 .* process; its container may take the time of 2.5"),
        (3, {"cpu.max": "200000 100000"}, OK, "8 .*, 3 of them for this process; its container may .* of 2"),
        (8, {"cpu.max": "50000 100000"}, NOTE, "8 .*; its container may take the time of 0.5"),
        (8, {"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000"}, OK, ".* time of 1.5"),
        (8, {"cpu.max": "nonsense"}, OK, "8 in the machine, all of them for this process"),
    ],
)
def test_the_cores(monkeypatch, limits, ours, files, state, found):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(ours)))
    check(machine.cores(limits(files)), state, found)


@pytest.fixture
def passing(monkeypatch, proc):
    """Return a function that lets others use so many of four cores while time passes, and returns the folder."""
    tick = os.sysconf("SC_CLK_TCK")

    def let(others):
        clock = [50.0]
        folder = proc(stat="cpu0 0 0 0 9 9 0 0 0\n", loadavg="0.52 1.20 2.10 2/97 1234\n")
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(4)))
        monkeypatch.setattr(time, "monotonic", lambda: clock[0])

        def sleep(seconds):
            clock[0] += seconds * 1000  # beside which what this process really computes is nothing
            proc(stat=f"cpu0 {round(others * seconds * 1000 * tick)} 0 0 9 9 0 0 0\n")

        monkeypatch.setattr(time, "sleep", sleep)
        return folder

    return let


@pytest.mark.parametrize(("others", "state"), [(0, OK), (0.2, OK), (0.4, NOTE), (3, NOTE)])
def test_the_other_programs(passing, limits, others, state):
    finding = machine.other_programs(passing(others), limits({}))
    check(finding, state, f"other programs use {others:.1f} of 4 cores; load average 0.52, 1.20, 2.10")


@pytest.mark.parametrize("stat", [None, "cpu{} nonsense\n", "cpu{} 1 2 3\n"])
def test_where_the_other_programs_cannot_be_told(proc, limits, stat):
    core = min(os.sched_getaffinity(0))
    folder = proc(**({} if stat is None else {"stat": stat.format(core)}))
    finding = machine.other_programs(folder, limits({}), seconds=0.01)
    assert finding == Finding(OK, "busy", "what other programs compute cannot be told here")


def test_a_file_of_loads_that_is_missing_is_left_out(passing, limits):
    folder = passing(1)
    (folder / "loadavg").unlink()
    check(machine.other_programs(folder, limits({})), NOTE, "other programs use 1.0 of 4 cores")


MEMINFO = f"MemTotal:       {16 * GIB} kB\nMemFree:  1 kB\nMemAvailable:   {5 * GIB} kB\nHugePages_Total:       0\n"
ALL = "5.0 GiB free of 16.0 GiB"


@pytest.mark.parametrize(
    ("groups", "files", "state", "found"),
    [
        ("", {}, OK, ALL),
        ("0::/\n", {"memory.max": "max\n"}, OK, ALL),
        ("0::/\n", {"memory.max": str(2**31)}, OK, f"{ALL}; its container may take 2.0 GiB"),
        ("0::/a/b\n", {"a/memory.max": str(2**29)}, NOTE, f"{ALL}; its container may take 0.5 GiB"),
        ("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": str(2**31)}, OK, f"{ALL}; its container may take 2.0 GiB"),
        ("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": "9223372036854771712"}, OK, ALL),
        ("nonsense\n", {}, OK, ALL),
    ],
)
def test_the_memory(proc, limits, groups, files, state, found):
    folder = proc(meminfo=MEMINFO)
    (folder / "self").mkdir()
    (folder / "self" / "cgroup").write_text(groups)
    check(machine.memory(folder, limits(files)), state, found)


def test_little_memory_is_noted(proc, limits):
    little = MEMINFO.replace(str(5 * GIB), str(GIB // 2))
    check(machine.memory(proc(meminfo=little), limits({})), NOTE, "0.5 GiB free of 16.0 GiB")


@pytest.mark.parametrize("meminfo", [None, "", "MemTotal: 5 kB\n", "MemTotal: many kB\nMemAvailable: few kB\n"])
def test_where_the_memory_cannot_be_told(proc, limits, meminfo):
    folder = proc(**({} if meminfo is None else {"meminfo": meminfo}))
    assert machine.memory(folder, limits({})) == Finding(OK, "memory", "how much is free cannot be told here")


CPUINFO = "processor\t: 0\nmodel name\t: Poetic Processor\nflags\t\t: fpu {}\n\nprocessor\t: 1\nflags\t\t: none\n"
SLOW = "; without FMA and AVX2 MXNet computes more slowly"


@pytest.mark.parametrize(
    ("flags", "state", "features"),
    [
        (" ".join(machine.FEATURES.values()), OK, "SSE4.1, AVX, FMA, AVX2, AVX-512, VNNI, BF16, AMX"),
        ("sse4_1 avx fma avx2", OK, "SSE4.1, AVX, FMA, AVX2"),
        ("sse4_1 avx", NOTE, f"SSE4.1, AVX{SLOW}"),
        ("avx512fp16", NOTE, f"none of the features that MXNet makes use of{SLOW}"),
    ],
)
def test_the_processor(proc, flags, state, features):
    check(machine.processor(proc(cpuinfo=CPUINFO.format(flags))), state, f"Poetic Processor: {features}")


@pytest.mark.parametrize("cpuinfo", [None, "", "processor : 0\nFeatures : fp asimd\n"])
def test_where_the_processor_cannot_be_told(proc, cpuinfo):
    folder = proc(**({} if cpuinfo is None else {"cpuinfo": cpuinfo}))
    assert machine.processor(folder) == Finding(OK, "processor", "its features cannot be told here")


def test_this_machine_is_told():
    findings = [machine.system(), machine.cores(), machine.memory(), machine.processor()]
    assert all(finding.found and finding.state in (OK, NOTE) for finding in findings)
    assert machine.other_programs(seconds=0.01).found.startswith(("other programs use ", "what other programs "))


def test_paths_are_shown_from_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place(tmp_path / "a" / "b") == "~/a/b" and place(tmp_path) == str(tmp_path)
    assert place(tmp_path.parent) == str(tmp_path.parent)
