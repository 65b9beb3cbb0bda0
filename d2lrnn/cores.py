"""How many cores this process may use; imports neither MXNet nor NumPy."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

CONTAINER = "/sys/fs/cgroup"  # the folder that holds a container's limits


def usable_cores(cgroup: str = CONTAINER) -> int:
    """Return how many cores this process may use: its CPU affinity or its container's limit, whichever is less.

    Args:
        cgroup: the folder that holds the container's limit, which is rounded up to whole cores.
    """
    limit = container_cores(cgroup)
    return cores_by_affinity() if limit is None else min(cores_by_affinity(), math.ceil(limit))


def affinity() -> set[int]:
    """Return the numbers of the cores on which the system lets this process run, as ``taskset`` sets it."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def cores_by_affinity() -> int:
    """Return on how many cores the system lets this process run."""
    return len(affinity())


def container_cores(cgroup: str = CONTAINER) -> float | None:
    """Return how many cores' time the container may take, such as 1.5; None where there is no limit."""
    limits = []
    for files in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):  # version 2, version 1
        with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
            quota, period = (int(number) for file in files for number in Path(cgroup, file).read_text().split())
            if quota > 0 and period > 0:
                limits.append(quota / period)
    return min(limits, default=None)
