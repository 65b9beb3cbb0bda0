"""What the processes of a job print, as the launcher shows it."""

from __future__ import annotations

import codecs
import contextlib
import sys
from typing import Any

from d2lrnn.cluster.job import Member
from d2lrnn.visible import in_a_line

ENCODING = "utf-8"  # of what the processes print, whatever the locale of their host


class JobOutput:
    """Shows what the worker of rank 0 prints as it is, and of all others what they write to standard error.

    Each line of the others stands after the name of its process, such as "worker 2: ".

    Attributes:
        muted: whether the others' lines are left out, as those that the end of a job brings.
    """

    def __init__(self) -> None:
        self.muted = False
        self._decoders: dict[tuple[Member, str], Any] = {}
        self._begun: dict[Member, str] = {}  # lines of the others that have not come to their end

    def note(self, member: Member, message: dict[str, Any]) -> None:
        """Show what a message of a process's keeper says of its output, "out" or "err"."""
        stream, text = message["event"], message.get("text", "")
        if stream == "ended":
            if self._begun.get(member):
                self._show_lines(member, "\n")
        elif member.is_writer and stream in ("out", "err"):
            text = self._decoded(member, stream, text)
            _write(sys.stdout, text) if stream == "out" else _complain(text)
        elif stream == "err":
            self._show_lines(member, self._decoded(member, stream, text))

    def _decoded(self, member: Member, stream: str, text: str) -> str:
        """Return a text of whose bytes each is a character in the message; a character may be in two messages."""
        new = codecs.getincrementaldecoder(ENCODING)("backslashreplace")
        return self._decoders.setdefault((member, stream), new).decode(text.encode("latin-1"))

    def _show_lines(self, member: Member, text: str) -> None:
        *lines, self._begun[member] = (self._begun.get(member, "") + text).split("\n")
        if not self.muted:
            _complain("".join(f"{member.name}: {in_a_line(line)}\n" for line in lines))


def _complain(text: str) -> None:
    """Write to standard error; a job goes on without it."""
    with contextlib.suppress(OSError):
        _write(sys.stderr, text)


def _write(stream: Any, text: str) -> None:
    if text and stream is not None:
        stream.write(text)
        stream.flush()
