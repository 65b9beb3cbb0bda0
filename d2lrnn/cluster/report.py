"""What a worker tells the keeper beside it, where there is one."""

from __future__ import annotations

import os

READY, MET = "ready", "met"  # what a worker reports, a line each


def report_ready() -> None:
    """Tell that this worker has started and goes to meet the others."""
    _report(READY)


def report_met() -> None:
    """Tell that this worker has met the others, so that the KVStore works."""
    _report(MET)


def _report(line: str) -> None:
    """Write a line to the descriptor that the environment names; without a keeper it names none."""
    descriptor = os.environ.get("D2LRNN_KEEPER_FD", "")
    if descriptor.isdecimal():
        os.write(int(descriptor), f"{line}\n".encode())
