"""Check that a value is a whole number or a number; the error says what was found and what was expected."""

from __future__ import annotations

import math
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
