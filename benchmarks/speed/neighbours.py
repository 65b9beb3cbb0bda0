"""How much of the machine other programs use meanwhile, which tells how far the times can be trusted."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable
from pathlib import Path

from d2lrnn.neighbours import busy_seconds

TICKS = os.sysconf("SC_CLK_TCK")  # the kernel's unit of CPU time, a second


class Neighbours:
    """Watches the CPU time that other programs use, and that the host of a virtual machine takes away."""

    def __init__(self) -> None:
        self.mark: tuple[float, float, float] | None = None

    def share(self, own: Iterable[int]) -> float | None:
        """Return the share of all cores that others used since the last call; None at first.

        Args:
            own: the process ids of the workers that live; this process and those that ended are ours too.
        """
        before, self.mark = self.mark, self._now(own)
        if before is None:
            return None
        elapsed, busy, ours = (b - a for a, b in zip(before, self.mark))
        return round(max(busy - ours, 0.0) / (elapsed * (os.cpu_count() or 1)), 3)

    def _now(self, own: Iterable[int]) -> tuple[float, float, float]:
        """Return the time, the seconds that all cores were busy, and those of them that were ours."""
        busy = busy_seconds(range(os.cpu_count() or 1)) or 0.0
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours = time.process_time() + ended.ru_utime + ended.ru_stime + sum(map(cpu_seconds, own))
        return time.perf_counter(), busy, ours


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process; /proc/PID/stat has it behind the name, which may have blanks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
