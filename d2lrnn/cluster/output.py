"""What the processes of a job print, as the launcher shows it."""

from __future__ import annotations

import codecs
import contextlib
import sys
from typing import Any

from d2lrnn.cluster.kept import Kept
from d2lrnn.visible import in_a_line

ENCODING = "utf-8"  # of what the processes print, whatever the locale of their host

HELD = 2**20  # characters of a worker's output that are kept until it is known which worker has rank 0


class JobOutput:
    """Shows what the worker of rank 0 prints as it is, and of all others what they write to standard error.

    Each line of the others stands after the name of its process, such as "worker 2: ".  Which worker has rank 0 is
    known once all have met.  Until then all workers are others, and what they print to standard output is kept.

    Attributes:
        muted: whether the others' lines are left out, as those that the end of a job brings.
    """

    def __init__(self) -> None:
        self.muted = False
        self._decoders: dict[tuple[Kept, str], Any] = {}
        self._held: dict[Kept, str] = {}  # standard output of workers without a rank
        self._begun: dict[Kept, str] = {}  # lines of the others that have not come to their end

    def note(self, kept: Kept, message: dict[str, Any]) -> None:
        """Show what a message of a process's keeper says of its output, "out" or "err"."""
        stream = message["event"]
        text = self._decoded(kept, stream, message["text"]) if stream in ("out", "err") else ""
        if stream == "err" and kept.rank != 0:
            self._show_lines(kept, text)
        elif stream == "err":
            _complain(text)
        elif kept.rank == 0:
            _write(sys.stdout, self._held.pop(kept, "") + text)
        elif kept.rank is None:
            self._held[kept] = (self._held.get(kept, "") + text)[-HELD:]
        if self._begun.get(kept) and (stream == "ended" or kept.rank == 0):
            self._show_lines(kept, "\n")

    def _decoded(self, kept: Kept, stream: str, text: str) -> str:
        """Return a text of whose bytes each is a character in the message; a character may be in two messages."""
        new = codecs.getincrementaldecoder(ENCODING)("backslashreplace")
        return self._decoders.setdefault((kept, stream), new).decode(text.encode("latin-1"))

    def _show_lines(self, kept: Kept, text: str) -> None:
        *lines, self._begun[kept] = (self._begun.get(kept, "") + text).split("\n")
        if not self.muted:
            _complain("".join(f"{kept.member.name}: {in_a_line(line)}\n" for line in lines))


def _complain(text: str) -> None:
    """Write to standard error; a job goes on without it."""
    with contextlib.suppress(OSError):
        _write(sys.stderr, text)


def _write(stream: Any, text: str) -> None:
    if text and stream is not None:
        stream.write(text)
        stream.flush()
