"""A whole number or a number; where a value is neither, a sentence that says what was expected."""

from __future__ import annotations

import math
from typing import Any

from d2lrnn.errors import D2lrnnError


def check_whole(name: str, value: Any, least: int = 1) -> None:
    """Refuse what is no whole number of at least ``least``, with a ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise D2lrnnError(f"{name} is {value!r}: expected a whole number, at least {least}")


def check_number(name: str, value: Any, below: float = math.inf) -> None:
    """Refuse what is no number from 0 to below ``below``, with a ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < below:
        raise D2lrnnError(f"{name} is {value!r}: expected a number, at least 0 and below {below}")
