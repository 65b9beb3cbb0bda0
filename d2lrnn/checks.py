"""Check that a value is a number, and that what it asks for fits in memory; errors say what was expected."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import resource
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from d2lrnn.errors import D2lrnnError

MAX_SIZE = 2**31 - 1  # of an array's axis: MXNet counts in 32 bits; larger sizes crash it or give wrong results


def check_whole(name: str, value: Any, least: int = 1, most: int | None = None) -> None:
    """Check that the value of the setting ``name`` is a whole number, at least ``least`` and at most ``most``.

    Raises:
        D2lrnnError: if it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise D2lrnnError(f"{name} is {value!r}: expected a whole number, at least {least}")
    if most is not None and value > most:
        raise D2lrnnError(f"{name} is {value}: expected at most {most:,}")


def check_number(name: str, value: Any, below: float = math.inf) -> None:
    """Check that the value of the setting ``name`` is a number, at least 0 and below ``below``.

    Raises:
        D2lrnnError: if it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < below:
        raise D2lrnnError(f"{name} is {value!r}: expected a number, at least 0 and below {below}")


@functools.cache
def memory() -> int:
    """Return how many bytes this process can have: the machine's memory, or less in a container or by ``ulimit -v``."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *container_limits()]
    address_space = resource.getrlimit(resource.RLIMIT_AS)[0]
    return min(limits if address_space == resource.RLIM_INFINITY else [*limits, address_space])


def container_limits(
    processes: Path = Path("/proc/self/cgroup"), groups: Path = Path("/sys/fs/cgroup")
) -> Iterator[int]:
    """Yield the limits of memory, in bytes, that Linux sets the control groups of this process (versions 1 and 2)."""
    lines = []
    with contextlib.suppress(OSError):
        lines = processes.read_text().splitlines()
    for line in lines:
        controllers, path = line.split(":", 2)[1:]
        if controllers in ("", "memory"):
            place, file = (groups / "memory", "memory.limit_in_bytes") if controllers else (groups, "memory.max")
            for group in (PurePosixPath(path), *PurePosixPath(path).parents):
                with contextlib.suppress(OSError, ValueError):  # no such group from here; "max": no limit
                    yield int((place / group.relative_to("/") / file).read_text())


def check_memory(what: str, size: int, remedy: str) -> None:
    """Check that this process can have ``size`` bytes, before they are asked for.

    Args:
        what: what takes them, for the error.
        size: how many.
        remedy: what to make smaller, for the error.

    Raises:
        D2lrnnError: if it cannot.
    """
    if size > memory():
        raise D2lrnnError(
            f"{what} would take {size / 2**30:,.1f} GiB of memory, and there are {memory() / 2**30:,.1f}: {remedy}"
        )
