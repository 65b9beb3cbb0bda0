"""A whole number or a number; where a value is neither, a sentence that says what was expected."""

from __future__ import annotations

import math
from typing import Any

from d2lrnn.errors import D2lrnnError

MAX_SIZE = 2**31 - 1  # of an array's axis: MXNet counts with 32 bits, and crashes or goes wrong beyond


def check_whole(name: str, value: Any, least: int = 1, most: int | None = None) -> None:
    """Refuse what is no whole number of at least ``least``, or is above ``most``, with a D2lrnnError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise D2lrnnError(f"{name} is {value!r}: expected a whole number, at least {least}")
    if most is not None and value > most:
        raise D2lrnnError(f"{name} is {value}: expected at most {most:,}")


def check_number(name: str, value: Any, below: float = math.inf) -> None:
    """Refuse what is no number from 0 to below ``below``, with a ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < below:
        raise D2lrnnError(f"{name} is {value!r}: expected a number, at least 0 and below {below}")
