"""The arrays of a checkpoint, read without trust: a file costs no more memory and time than its size warrants.

The archive is what ``numpy.savez`` writes, a ZIP file of uncompressed members, each the file of one array.  The members
are walked from the first to the last, so that their sizes add up to the file's, and nothing is read twice or unpacked.
"""

from __future__ import annotations

import math
import os
import re
import struct
from dataclasses import dataclass
from typing import IO, NamedTuple

import numpy

from d2lrnn.checks import MAX_SIZE, shown
from d2lrnn.errors import D2lrnnError

# What stands before a member in a ZIP file: signature, version, flags, compression, time, date, CRC, size stored, size
# unpacked, length of the name, length of what follows the name.
_MEMBER = struct.Struct("<4sHHHHHIIIHH")
_LARGE = struct.Struct("<HHQQ")  # follows the name where the sizes may need 64 bits: 1, 16, the sizes
_IN_LARGE = 2**32 - 1  # what stands in place of a size that follows the name
_ENTRY, _END, _MOST = 46, 22, 150  # bytes of the directory: an entry without its name, the end, what else may be there
_UTF8 = 0x800  # the one flag that may be set: the name is UTF-8

# What stands before the numbers of an array: a magic number, the version 1.0, the header's length, the header.
_ARRAY = struct.Struct("<6sHH")
_HEADER = re.compile(
    r"\{'descr': '([<|][biuf][1248]|<U\d{1,10})', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d{1,10}, )*\d{0,10},?)\), \} *\n"
)
_MAX_HEADER = 2**12


class ArchiveError(D2lrnnError):
    """A file holds no archive of arrays as ``numpy.savez`` writes it."""


class Kind(NamedTuple):
    """What an array is, but for its numbers."""

    shape: tuple[int, ...]
    dtype: numpy.dtype


@dataclass(frozen=True)
class Member:
    """An array in a file."""

    kind: Kind
    is_fortran: bool  # whether the first axis is the one that changes fastest
    begin: int  # where in the file its numbers begin
    size: int  # of its numbers in bytes


def members_of(file: IO[bytes]) -> dict[str, Member]:
    """Return the arrays of the archive that begins where a file is read next, by name.  No array is read.

    Raises:
        ArchiveError: if there is no such archive, or if it does not end where the file ends.
    """
    members: dict[str, Member] = {}
    size, position, directory = os.fstat(file.fileno()).st_size, file.tell(), _END
    while True:
        head = file.read(_MEMBER.size)
        if len(head) < _MEMBER.size or not head.startswith(b"PK\3\4"):
            break
        name, length, begin = _member(file, head, position)
        if name in members:
            raise ArchiveError(f"the array {shown(name)} is there twice")
        position, directory = begin + length, directory + _ENTRY + len(name.encode()) + len(".npy")
        if position > size:
            raise ArchiveError(f"the array {shown(name)} is cut off")
        members[name] = _array(file, name, begin, length)
        file.seek(position)
    if not head.startswith(b"PK\1\2"):
        raise ArchiveError(f"after {len(members)} arrays comes neither another one nor the directory of an archive")
    if not directory <= size - position <= directory + _MOST + _LARGE.size * len(members):
        raise ArchiveError("the sizes of its arrays do not add up to the size of the file")
    return members


def _member(file: IO[bytes], head: bytes, position: int) -> tuple[str, int, int]:
    """Return a member's name without .npy, its size, and where it begins; its header begins at ``position``."""
    _, _, flags, compression, _, _, _, stored, unpacked, name_length, more_length = _MEMBER.unpack(head)
    raw, more = file.read(name_length), file.read(more_length)
    if stored == unpacked == _IN_LARGE and len(more) >= _LARGE.size:
        number, length, stored, unpacked = _LARGE.unpack_from(more)
        if (number, length) != (1, 16):
            raise ArchiveError("a member's size is not where it should be")
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        raise ArchiveError("a member has a name that is not UTF-8") from None
    if compression or flags & ~_UTF8 or stored != unpacked:
        raise ArchiveError(f"the member {shown(name)} is compressed: expected arrays as they are")
    if not name.endswith(".npy"):
        raise ArchiveError(f"the member {shown(name)} is no array")
    return name[: -len(".npy")], stored, position + _MEMBER.size + name_length + more_length


def _array(file: IO[bytes], name: str, begin: int, length: int) -> Member:
    """Return the array in a member; the file is read next where the member begins."""
    head = file.read(min(length, _ARRAY.size))
    magic, version, header_length = _ARRAY.unpack(head) if len(head) == _ARRAY.size else (b"", 0, 0)
    if magic != b"\x93NUMPY" or version != 1 or not 0 < header_length <= min(_MAX_HEADER, length - _ARRAY.size):
        raise ArchiveError(f"the member {shown(name)} is no array")
    header = file.read(header_length).decode("latin-1")
    found = _HEADER.fullmatch(header)
    if found is None:
        raise ArchiveError(f"the array {shown(name)} is not one of numbers: {shown(header.strip())}")
    shape = tuple(int(axis) for axis in found[3].replace(",", " ").split())
    if len(shape) > 32 or max(shape, default=0) > MAX_SIZE:
        raise ArchiveError(f"the array {shown(name)} has the shape {shown(str(shape))}")
    dtype, size = _dtype(found[1]), length - _ARRAY.size - header_length
    if math.prod(shape) * dtype.itemsize != size:
        raise ArchiveError(f"the array {shown(name)} has {size:,} bytes, which do not fit its header {header.strip()}")
    return Member(Kind(shape, dtype), found[2] == "True", begin + _ARRAY.size + header_length, size)


def _dtype(name: str) -> numpy.dtype:
    try:
        return numpy.dtype(name)
    except (TypeError, ValueError):  # such as "<b4", or a text of more characters than NumPy can count
        raise ArchiveError(f"there is no type of numbers {name!r}") from None


def taken(members: dict[str, Member], prefix: str) -> dict[str, Member]:
    """Take the members whose names begin with a prefix out of ``members``, and return them by the rest of the name."""
    return {name[len(prefix) :]: members.pop(name) for name in list(members) if name.startswith(prefix)}


def read_array(file: IO[bytes], member: Member) -> numpy.ndarray:
    """Return an array of a file."""
    shape, dtype = member.kind
    file.seek(member.begin)
    numbers = numpy.fromfile(file, dtype, math.prod(shape))
    return numbers.reshape(shape, order="F" if member.is_fortran else "C")


def read_text(file: IO[bytes], member: Member) -> str:
    """Return a text, which is an array of shape () of characters, each of four bytes.

    Raises:
        ArchiveError: if the array is another one, or its numbers are no characters.
    """
    shape, dtype = member.kind
    if shape or dtype.kind != "U":
        raise ArchiveError(f"its description is an array of type {dtype} and shape {shape}: expected a text")
    file.seek(member.begin)
    try:
        return file.read(member.size).decode("utf-32-le")
    except UnicodeDecodeError:
        raise ArchiveError("its description has numbers that are no characters") from None
