"""What a worker tells the keeper beside it, where there is one."""

from __future__ import annotations

import os

READY, RANK = "ready", "rank"  # what a worker reports, a line each; its rank stands after the second word


def report_ready() -> None:
    """Tell that this worker has started and goes to meet the others."""
    _report(READY)


def report_rank(rank: int) -> None:
    """Tell that this worker has met the others, and which rank it has among them."""
    _report(f"{RANK} {rank}")


def _report(line: str) -> None:
    """Write a line to the descriptor that the environment names; without a keeper it names none."""
    descriptor = os.environ.get("D2LRNN_KEEPER_FD", "")
    if descriptor.isdecimal():
        os.write(int(descriptor), f"{line}\n".encode())
