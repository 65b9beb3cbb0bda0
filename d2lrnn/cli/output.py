"""Standard output of the command line: what a terminal would obey is written so that it can be seen."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from d2lrnn.cli.options import prepare_stdout
from d2lrnn.cli.streams import StreamAround
from d2lrnn.visible import visible


class VisibleOutput(StreamAround):
    """A stream that writes text as :func:`d2lrnn.visible.visible` shows it."""

    def write(self, text: str) -> int:
        """Write a text as it can be shown; return the number of its characters."""
        self.stream.write(visible(text))
        return len(text)


@contextlib.contextmanager
def visible_output() -> Iterator[None]:
    """Within the block, print what a terminal would obey so that it can be seen, and each line at once."""
    prepare_stdout()
    with contextlib.redirect_stdout(VisibleOutput(sys.stdout)):
        yield


def text_output() -> TextIO:
    """Return where to print texts that belong to the user: a file gets them as they are.

    A pipe is no file: what it leads to, such as ``head`` or ``less``, may show the text in a terminal.
    """
    out: Any = sys.stdout
    return out.stream if isinstance(out, VisibleOutput) and _is_file(out.stream) else out


def _is_file(stream: Any) -> bool:
    try:
        return isinstance(stream, io.TextIOWrapper) and stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # there is nothing behind it, or it is closed
        return False
