"""Standard output and standard error that are missing, or to which nothing can be written any more.

The rule: ``train`` goes on without its output, says so once on standard error, and its exit status is that of the
training, since all that it makes stands in the run's folder.  The output of every other command is what the command is
for: without it the command ends with a line and status 1.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

# The errors of a lost output: its reader has ended, as `head` does; the disk is full, or the user's share of it, or the
# file is as large as is allowed; the terminal is closed.
LOST = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def complain(text: str) -> None:
    """Print a line to standard error, if that can be done."""
    try:
        print(f"d2lrnn: {text}", file=sys.stderr)
    except OSError:
        discard(sys.stderr)


def discard(stream: Any) -> None:
    """Drop what a stream has not yet written, and all that follows; else Python would complain as it ends."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a file behind it
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)


@contextlib.contextmanager
def present() -> Iterator[None]:
    """Within the block, let ``sys.stdout`` and ``sys.stderr`` be streams; one that was missing writes to nowhere.

    They are missing, and None, in daemons, after the shell's ``2>&-``, and in programs without a console.
    """
    missing = [name for name in ("stdout", "stderr") if getattr(sys, name) is None]
    if missing:
        _occupy()
    with contextlib.ExitStack() as stack:
        for name in missing:
            setattr(sys, name, stack.enter_context(open(os.devnull, "w", encoding="utf-8")))
            stack.callback(setattr, sys, name, None)
        yield


def _occupy() -> None:
    """Occupy the descriptors 0 to 2, so that no file gets 1 or 2 later, to which MXNet writes its messages."""
    number = 0
    while number <= 2:
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)


class StreamAround(ABC):
    """The base of streams that write in their own way to the ``stream`` given; all else is as that stream has it."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    @abstractmethod
    def write(self, text: str) -> int:
        """Write a text; return the number of its characters."""

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts one after another."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class LastingOutput(StreamAround):
    """A stream that may be lost: what is written after that goes nowhere.

    Args:
        stream: the stream, such as ``sys.stdout``.
        then: what happens once the stream is lost, in words for standard error.
    """

    def __init__(self, stream: Any, then: str) -> None:
        super().__init__(stream)
        self.then, self.is_lost = then, False

    def write(self, text: str) -> int:
        """Write a text, if the stream is not lost; return the number of its characters."""
        self._try("write", text)
        return len(text)

    def flush(self) -> None:
        """Write what waits to be written, if the stream is not lost."""
        self._try("flush")

    def _try(self, what: str, *arguments: Any) -> None:
        if self.is_lost:
            return
        try:
            getattr(self.stream, what)(*arguments)
        except OSError as error:
            self.is_lost = True
            discard(self.stream)
            complain(f"standard output is lost ({error.strerror}): {self.then}")


@contextlib.contextmanager
def lasting_output(then: str) -> Iterator[None]:
    """Within the block, let standard output be a :class:`LastingOutput`."""
    with contextlib.redirect_stdout(LastingOutput(sys.stdout, then)):
        yield
