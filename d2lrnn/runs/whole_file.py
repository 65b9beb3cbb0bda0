"""The files of a run: opened only if they are files; written so that they are there whole or not at all."""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from d2lrnn.errors import naming
from d2lrnn.paths import kind_of


def open_file(path: Path) -> IO[bytes]:
    """Open a regular file to read its bytes.

    Raises:
        FileError: if there is no such file, or it cannot be read; the message names it.
    """
    with naming(path):
        kind = kind_of(path)
        if kind not in ("", "a folder"):  # of a folder, open says what is wrong
            raise OSError(errno.EINVAL, f"{kind}, expected a file")
        return open(path, "rb")


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file beside ``path`` to write to, and move it to ``path`` in the end.

    After an exception ``path`` is what it was before.  After a kill :func:`remove_parts` removes what is left.

    Raises:
        FileError: if the file cannot be written, as on a full disk; the message names ``path``.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with naming(path), open(beside, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with naming(path):
            os.replace(beside, path)
    finally:
        with suppress(OSError):  # or an error here would hide the one above
            beside.unlink(missing_ok=True)


def remove_parts(path: Path) -> None:
    """Remove the unfinished files that killed processes left beside ``path``."""
    with naming(path.parent):
        for left in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
            left.unlink(missing_ok=True)
