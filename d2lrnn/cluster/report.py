"""What a worker tells the launcher: by the keeper beside it, where there is one, and by its exit status."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable

# What a worker reports, a line each; its rank stands after the second word.
READY, RANK, WAITS, GOES_ON = "ready", "rank", "waits", "goes-on"

MISTAKE = 2  # the exit status of a worker that would fail again, as its user has to mend something

LOOK = 1.0  # seconds between two looks at whether a worker waits


def report_ready() -> None:
    """Tell that this worker has started and goes to meet the others."""
    _report(READY)


def report_rank(rank: int) -> None:
    """Tell that this worker has met the others, and which rank it has among them."""
    _report(f"{RANK} {rank}")


def report_waits(waits_since: Callable[[], float | None]) -> None:
    """From now on tell when this worker waits for the others for more than a moment, and when it goes on.

    Args:
        waits_since: returns the :func:`time.monotonic` at which the worker began to wait; None: it does not wait.
    """
    if _descriptor() is None:
        return
    over = threading.Event()
    thread = threading.Thread(target=_watch, args=(waits_since, over), daemon=True)
    thread.start()

    def end() -> None:  # a thread that wakes while Python ends, and MXNet waits for the other workers, aborts both
        over.set()
        thread.join()

    atexit.register(end)


def _watch(waits_since: Callable[[], float | None], over: threading.Event) -> None:
    told = None  # of which wait the launcher knows
    while not over.wait(LOOK):
        since = waits_since()
        if since is not None and time.monotonic() < since + LOOK:
            since = None
        if told is None and since is not None:
            _report(WAITS)
            told = since
        elif since != told:  # another wait is told at the next look, so that the launcher takes it for another one
            _report(GOES_ON)
            told = None


def _report(line: str) -> None:
    """Write a line for the keeper, if there is one."""
    descriptor = _descriptor()
    if descriptor is not None:
        os.write(descriptor, f"{line}\n".encode())


def _descriptor() -> int | None:
    """Return the descriptor that the environment names; without a keeper it names none."""
    found = os.environ.get("D2LRNN_KEEPER_FD", "")
    return int(found) if found.isdecimal() else None
