"""The time by which a job is watched."""

from __future__ import annotations

import time

LONGEST = 1.0  # the most seconds that count between two looks


class AwakeClock:
    """Seconds in which this process was awake: they stand still while it is stopped, as by Ctrl-Z, or cannot print.

    Else the processes of a job would seem to have been silent for as long.  Look at it more often than once in
    :data:`LONGEST` seconds.
    """

    def __init__(self) -> None:
        self._seen, self._seconds = time.monotonic(), 0.0

    def now(self) -> float:
        """Return the seconds since the clock was made."""
        seen = time.monotonic()
        self._seconds += min(seen - self._seen, LONGEST)
        self._seen = seen
        return self._seconds
