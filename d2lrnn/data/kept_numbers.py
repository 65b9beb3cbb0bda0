"""The numbers of a text's tokens while the text is read: in memory, or in a file where memory would not hold them."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy

from d2lrnn.checks import memory
from d2lrnn.data.code_points import BLOCK
from d2lrnn.data.texts import CorpusError

SHARE = 4  # of the memory, this part may hold the numbers of a text; when they become ids, both are there for a moment


class KeptNumbers:
    """Numbers (int32) in the order of a text, added part by part, that become ids at the end.

    More numbers than memory should hold go to a file.  The file has no name, so it belongs to this process alone, and
    the system removes it when the process ends, however that comes about.  Nothing is left to be found by a later run:
    reading a text again takes less than a minute for a gigabyte, and a file that is kept would have to be told from
    that of another text, or of other settings, and be removed by somebody.

    Args:
        most_bytes: that are kept in memory; None: a quarter of what this process can have.
    """

    def __init__(self, most_bytes: int | None = None) -> None:
        self._most_bytes = memory() // SHARE if most_bytes is None else most_bytes
        self._parts: deque[numpy.ndarray] = deque()
        self._file: IO[bytes] | None = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, numbers: numpy.ndarray) -> None:
        """Keep more numbers.

        Raises:
            CorpusError: if they have to go to a file, and it cannot be written.
        """
        if self._file is None and 4 * (self._count + len(numbers)) > self._most_bytes:
            with _writing(self._most_bytes):
                self._file = tempfile.TemporaryFile(buffering=0, dir=folder())
            self._count = 0
            while self._parts:
                self.add(self._parts.popleft())
        if self._file is None:
            self._parts.append(numbers)
        else:
            with _writing(self._most_bytes):
                _write(self._file, numbers, self._count)
        self._count += len(numbers)

    def close(self) -> None:
        """Close the file, if there is one; ids that were made of it stay."""
        if self._file is not None:
            self._file.close()

    def ids(self, table: numpy.ndarray) -> numpy.ndarray:
        """Return the ids of all numbers, read-only, and keep nothing more.

        Args:
            table: the id (int32) of each number.

        Returns:
            the ids, int32 (len(self),): an array in memory, or one whose memory is the file.

        Raises:
            CorpusError: if the file cannot be written or mapped.
        """
        if self._file is None:
            ids, end = numpy.empty(self._count, numpy.int32), 0
            while self._parts:
                numbers = self._parts.popleft()
                begin, end = end, end + len(numbers)
                table.take(numbers, mode="clip", out=ids[begin:end])
            ids.setflags(write=False)
            return ids
        with _writing(self._most_bytes):
            for begin in range(0, self._count, BLOCK):
                numbers = numpy.frombuffer(os.pread(self._file.fileno(), 4 * BLOCK, 4 * begin), numpy.int32)
                _write(self._file, table[numbers], begin)
            # Written by system calls and mapped to be read: a full disk is an error here, and not a signal later.
            mapped = mmap.mmap(self._file.fileno(), 4 * self._count, access=mmap.ACCESS_READ)
            self.close()
            return numpy.frombuffer(mapped, numpy.int32)


def is_fixed(ids: numpy.ndarray) -> bool:
    """Return whether nobody can change an array's numbers: it and all that it is a view of are read-only."""
    found: Any = ids
    while isinstance(found, numpy.ndarray):
        if found.flags.writeable:
            return False
        found = found.base
    return found is None or isinstance(getattr(found, "obj", found), mmap.mmap)


def is_mapped(ids: numpy.ndarray) -> bool:
    """Return whether an array's memory is a file."""
    found: Any = ids
    while isinstance(found, numpy.ndarray):
        found = found.base
    return isinstance(getattr(found, "obj", found), mmap.mmap)


def folder() -> str:
    """Return the folder of the files: the one that TMPDIR names, or ``/var/tmp``.

    What stands in ``/tmp`` is in memory on many systems, where a large file would take what it is to save.
    """
    named = os.environ.get("TMPDIR")
    if not named and os.access("/var/tmp", os.W_OK | os.X_OK):
        return "/var/tmp"
    return named or tempfile.gettempdir()


@contextmanager
def _writing(most_bytes: int) -> Iterator[None]:
    """Turn the errors of the file into a CorpusError that says what the file is for."""
    try:
        yield
    except OSError as error:
        if isinstance(error, CorpusError):
            raise
        raise CorpusError(
            f"the text's ids take more than {most_bytes / 2**30:,.1f} GiB of memory, so they go to a file in "
            f"{folder()}, and it cannot be written ({error.strerror or repr(error)}): name a folder with more room, "
            "TMPDIR=FOLDER, or keep less of the text, --max-tokens"
        ) from error


def _write(file: IO[bytes], numbers: numpy.ndarray, place: int) -> None:
    """Write numbers to the file, of which ``place`` are before them."""
    data, place = numpy.ascontiguousarray(numbers, numpy.int32).data.cast("B"), 4 * place
    while data:
        written = os.pwrite(file.fileno(), data, place)
        data, place = data[written:], place + written
