"""Texts in archives, or beside one another in a folder; archives are read in memory."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from d2lrnn.data.texts import MAX_BYTES, CorpusError, decode, opened, reading

MAX_UNPACKED = 2**30  # bytes of all members of a tar archive (simple-examples.tgz: 0.1 of it)

MAX_HEADERS = 2**24  # bytes of all members' names and attributes; a tar archive's may be of any length


def read_texts(path: Path, names: list[str], max_bytes: int = MAX_BYTES) -> list[str]:
    """Read the texts called ``names`` from the archive ``path``, or from the folder of the file ``path``.

    Each text may have ``max_bytes`` at most.

    Raises:
        CorpusError: if the archive or a text is damaged or too large, or a text is missing or not UTF-8.
    """
    members: dict[str, Callable]
    called = {name: f"{path}: {name}" for name in names}  # in errors
    with reading(path), ExitStack() as stack:
        if path.suffix == ".zip":
            archive = stack.enter_context(zipfile.ZipFile(stack.enter_context(opened(path))))
            members = {name: partial(archive.open, name) for name in archive.namelist()}
        elif path.suffix == ".tgz":
            members = _members_of_tar(stack.enter_context(opened(path)), path, stack)
        else:
            siblings = {name: path.with_name(name) for name in names}
            called = {name: str(file) for name, file in siblings.items()}
            members = {name: partial(file.open, "rb") for name, file in siblings.items() if file.is_file()}
        members = {PurePosixPath(name).name: open_member for name, open_member in members.items()}
        missing = [name for name in names if name not in members]
        if missing:
            raise CorpusError(f"{path} is damaged or lacks {', '.join(missing)}: expected {', '.join(names)}")
        return [decode(stack.enter_context(members[name]()), called[name], max_bytes) for name in names]


def _members_of_tar(file: IO[bytes], path: Path, stack: ExitStack) -> dict[str, Callable]:
    """Return a function for each file of a gzipped tar archive, by name, that opens it."""
    unpacked = _Unpacked(stack.enter_context(gzip.open(file)), path)
    tar = stack.enter_context(tarfile.open(fileobj=unpacked, mode="r:"))  # type: ignore[call-overload]
    members: dict[str, Callable] = {info.name: partial(tar.extractfile, info) for info in tar if info.isfile()}
    unpacked.to_read = MAX_UNPACKED
    return members


class _Unpacked:
    """An unpacked tar archive of which only so much can be read: tarfile itself reads headers of any length.

    Attributes:
        to_read: bytes that may still be read.
    """

    def __init__(self, stream: Any, path: Path) -> None:
        self._stream, self._path, self.to_read = stream, path, MAX_HEADERS

    def read(self, size: int) -> bytes:
        self.to_read -= size
        if self.to_read < 0:
            raise CorpusError(f"{self._path} has more than {MAX_HEADERS:,} bytes of names: expected a smaller archive")
        return self._stream.read(size)

    def seek(self, place: int) -> int:
        if place > MAX_UNPACKED:
            raise CorpusError(f"{self._path} has more than {MAX_UNPACKED:,} bytes, unpacked: expected a smaller one")
        return self._stream.seek(place)

    def tell(self) -> int:
        return self._stream.tell()
