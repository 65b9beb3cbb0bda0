"""Standard output and standard error that are not there, or that nobody takes any more.

The rule: ``train`` goes on without its output, says so once on standard error, and its exit status is that of the
training, since all that it makes stands in the run's folder.  The output of every other command is what the command is
for: without it the command ends with a line and status 1.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any

# How writing fails that is no fault of d2lrnn's: the reader has ended, as `head` does; the disk is full, or the user's
# share of it, or the file is as large as is allowed; the terminal is closed.
LOST = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def complain(text: str) -> None:
    """Print a line to standard error, if that can be done."""
    try:
        print(f"d2lrnn: {text}", file=sys.stderr)
    except OSError:
        discard(sys.stderr)


def discard(stream: Any) -> None:
    """Drop what a stream has not yet written, and all that follows, or Python would complain of it when it ends."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a file behind it
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)


@contextlib.contextmanager
def present() -> Iterator[None]:
    """Within the block, let there be standard output and standard error; what nobody takes goes nowhere.

    They are missing in daemons, after the shell's ``2>&-``, and in programs without a console.
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
    """Let no file that is opened later be taken for standard output or error, to which MXNet writes its messages."""
    number = 0
    while number <= 2:
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)


class LastingOutput:
    """A stream that may be lost: what is written then goes nowhere.  In all else it is the ``stream`` given.

    Args:
        stream: the stream, such as ``sys.stdout``.
        then: what happens once it is lost; it is said on standard error.
    """

    def __init__(self, stream: Any, then: str) -> None:
        self.stream, self.then, self.is_lost = stream, then, False

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

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def lasting_output(then: str) -> Iterator[None]:
    """Within the block, let standard output be a :class:`LastingOutput`."""
    with contextlib.redirect_stdout(LastingOutput(sys.stdout, then)):
        yield
