"""Writing a file that is there whole or not at all, however the writing ends."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from d2lrnn.errors import naming


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file to write to that lies beside ``path``, and move it there in the end.

    After an exception ``path`` is what it was before; after a kill :func:`remove_parts` removes what is left.

    Raises:
        FileError: if it cannot be written, as on a full disk; it names ``path``.
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
    """Remove what processes that were killed left beside ``path``."""
    with naming(path.parent):
        for left in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
            left.unlink(missing_ok=True)
