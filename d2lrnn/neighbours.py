"""How many cores other programs use at the moment; imports neither MXNet nor NumPy."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from d2lrnn.cores import CONTAINER, affinity, container_cores

STAT = "/proc/stat"  # what each core has done since the machine was started
_TICK = os.sysconf("SC_CLK_TCK")  # the unit of STAT: so many are a second


def busy_seconds(cores: Collection[int], stat: str = STAT) -> float | None:
    """Return for how many seconds cores have computed since the machine was started, whoever let them.

    What a virtual machine's host gave to other machines meanwhile counts too.

    Args:
        cores: the cores' numbers.
        stat: the file of the kernel's.

    Returns:
        the sum over the cores; None where the kernel does not say.
    """
    names, ticks = {f"cpu{core}" for core in cores}, 0
    with contextlib.suppress(OSError, ValueError):
        for line in Path(stat).read_text().splitlines():
            name, *spent = line.split()
            if name in names:
                user, nice, system, _, _, irq, softirq, steal = (int(number) for number in spent[:8])
                ticks += user + nice + system + irq + softirq + steal
        return ticks / _TICK
    return None


class _Reading(NamedTuple):
    """Seconds that have passed, and seconds of computing, each since some moment of the past."""

    clock: float
    ours: float
    cores: float | None  # of all programs, on this process's cores; None: not known
    container: float | None  # of all programs of this container


class Neighbours:
    """Tells how many cores other programs use, on those cores that this process may use.

    Args:
        stat: the file of the kernel's that says what the cores have done.
        cgroup: the folder of the container's limit.

    Attributes:
        cores: how many cores this process may run on.
        limit: how many cores' time the container may use; None: there is no limit.
    """

    def __init__(self, stat: str = STAT, cgroup: str = CONTAINER) -> None:
        self._stat, self._cgroup, self._affinity = stat, cgroup, affinity()
        self.cores, self.limit = len(self._affinity), container_cores(cgroup)
        self._last = self._read()

    def used(self) -> float | None:
        """Return how many cores other programs have used since the last call; None where that is not known."""
        return max((used for _, used in self._look()), default=None)

    def excess(self, threads: int) -> float:
        """Return how many cores were missing since the last call, if this process is to have one for each thread.

        For example, on four cores with four threads, a neighbour that computes all the time gives 1.0; with two
        threads it gives 0.0, since two cores are left.  It is 0.0 where nothing is known.

        Args:
            threads: of this process.
        """
        return max((used - (there - threads) for there, used in self._look()), default=0.0)

    def _look(self) -> list[tuple[float, float]]:
        """Return how many cores there are, and how many of them others have used since the last call.

        This is a pair for the machine, and one for the container if it has a limit; without those that are not known.
        """
        last, self._last = self._last, self._read()
        passed, ours = self._last.clock - last.clock, self._last.ours - last.ours
        sources = ((self.cores, last.cores, self._last.cores), (self.limit, last.container, self._last.container))
        return [
            (there, max((after - before - ours) / passed, 0.0))
            for there, before, after in sources
            if there is not None and before is not None and after is not None and passed > 0
        ]

    def _read(self) -> _Reading:
        used = resource.getrusage(resource.RUSAGE_SELF)
        container = None if self.limit is None else self._container_seconds()
        return _Reading(
            time.monotonic(), used.ru_utime + used.ru_stime, busy_seconds(self._affinity, self._stat), container
        )

    def _container_seconds(self) -> float | None:
        """Return for how many seconds of one core the container has computed."""
        with contextlib.suppress(OSError, ValueError, KeyError):  # version 2
            lines = (line.split() for line in Path(self._cgroup, "cpu.stat").read_text().splitlines())
            return int(dict(lines)["usage_usec"]) / 1e6
        with contextlib.suppress(OSError, ValueError):  # version 1
            return int(Path(self._cgroup, "cpuacct/cpuacct.usage").read_text()) / 1e9
        return None
