"""Open a text file of word vectors, compressed or not, and yield its lines; say what another file seems to be."""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from d2lrnn.data.encodings import SAMPLE, other_format, with_nul
from d2lrnn.errors import D2lrnnError, naming
from d2lrnn.paths import PathLike, is_there, kind_of, user_path

MAX_LINE = 2**20  # bytes of a line; a word with 10,000 numbers has about a tenth of it
MAX_NUMBERS = MAX_LINE // 2  # of a line, each with a space before it

# Binary formats in which vectors are kept too: the bytes that a file begins with, and the format's name.
_BINARIES = (
    (b"\x93NUMPY", "an array of NumPy's"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\xba\x16\x4f\x2f", "a binary model of fastText, whose text file ends in .vec"),
    *((b"\x80" + bytes([protocol]), "a Python pickle, as gensim's own files are") for protocol in range(2, 6)),
)
# word2vec's first line.  Of thousands of digits, which Python refuses to read as a number, the first 18 are read.
_HEADER = re.compile(rb"(\d{1,18})[ \t]+(\d{1,18})\d*[ \t\r]*\n")


class VectorsError(D2lrnnError):
    """A file of word vectors cannot be used: it is missing, damaged or not what it should be."""


@contextmanager
def opened_vectors(path: PathLike) -> Iterator[tuple[IO[bytes], str]]:
    """Open a text file of vectors; yield a stream of its bytes, and what to call it in errors.

    Args:
        path: the file; it may be compressed by gzip, or a zip archive.  Of an archive with several files, one is named
            as if the archive were a folder: ``glove.6B.zip/glove.6B.100d.txt``.

    Raises:
        FileError: if the file cannot be read.
        VectorsError: for anything but a regular file of text.
    """
    file, member = _file_and_member(user_path(path))
    name = str(file / member) if member else str(file)
    with ExitStack() as stack, _damage_named(name):
        kind = kind_of(file)
        if kind:
            raise VectorsError(f"{file} is {kind}: expected a text file of word vectors")
        stream: Any = stack.enter_context(file.open("rb"))
        head = stream.read(4)
        stream.seek(0)
        if head.startswith(b"\x1f\x8b"):
            stream = stack.enter_context(gzip.open(stream))
        elif head in (b"PK\x03\x04", b"PK\x05\x06"):  # the second, of an empty archive
            stream = stack.enter_context(_member(stack.enter_context(zipfile.ZipFile(stream)), member, file))
        elif member:
            raise VectorsError(f"{file} is no zip archive: expected one, of which {member} is a file")
        _check_text(stream.read(SAMPLE), name)
        stream.seek(0)
        yield stream, name


def lines_of(stream: IO[bytes], name: str) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a stream that are not blank, each with its number from 1; only LF ends a line.

    Raises:
        VectorsError: for a line that is too long for a word and its numbers.
    """
    number = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise VectorsError(
                f"{name}: line {number:,} has more than {MAX_LINE:,} bytes: expected a word and its numbers, and a "
                "line feed after them"
            )
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")  # the byte order mark of UTF-8
        if not line.isspace():
            yield number, line


def header_in(first: bytes, second: bytes) -> tuple[int, int] | None:
    """Return what the first line of word2vec says, the number of words and of their numbers; None: it is a word's.

    A first line of two whole numbers is a word's only if the second line has one number too, and the first line, read
    as word2vec's, would ask for more.
    """
    found = _HEADER.fullmatch(first if first.endswith(b"\n") else first + b"\n")
    if not found:
        return None
    count, size = int(found[1]), int(found[2])
    return None if len(second.split()) == 2 and size != 1 else (count, size)


def _file_and_member(path: Path) -> tuple[Path, str]:
    """Return the file of a path, and the file in it if it is an archive that the path names like a folder."""
    for parent in () if is_there(path) else path.parents:
        with naming(parent):
            if parent.is_file():
                return parent, path.relative_to(parent).as_posix()
    return path, ""


@contextmanager
def _damage_named(name: str) -> Iterator[None]:
    """Name the file in the errors of reading it."""
    try:
        with naming(name):
            yield
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise VectorsError(f"{name} is damaged or cut off ({error}): take another copy") from error


def _member(archive: zipfile.ZipFile, member: str, file: Path) -> Any:
    """Open the one file of an archive that is asked for, or the only one."""
    infos = [info for info in archive.infolist() if not info.is_dir() and not info.filename.startswith("__MACOSX")]
    names = [info.filename for info in infos]
    if not names or (member and member not in names):
        found = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "none"
        raise VectorsError(f"{file} has no file {member or 'in it'}: expected a text file of vectors, found {found}")
    if not member and len(names) > 1:
        listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        raise VectorsError(f"{file} holds {len(names)} files: name one of them, such as {file / names[0]} ({listed})")
    try:
        return archive.open(member or names[0])
    except RuntimeError as error:  # an encrypted file; or, as its subclass NotImplementedError, another compression
        raise VectorsError(f"{file} cannot be unpacked here ({error}): unpack it, and name the text file") from error


def _check_text(sample: bytes, name: str) -> None:
    """Refuse a file whose beginning is not that of a text of vectors.

    Raises:
        VectorsError: with the name of the format, if it is known.
    """
    if not sample.strip():
        raise VectorsError(f"{name} is empty: expected lines of a word and its numbers")
    for magic, what in _BINARIES:
        if sample.startswith(magic):
            raise VectorsError(f"{name} is {what}: expected text, a word and its numbers in each line")
    if _is_word2vec_binary(sample):
        raise VectorsError(
            f"{name} is a binary of word2vec: expected its text form, which gensim writes: "
            "KeyedVectors.load_word2vec_format(FILE, binary=True).save_word2vec_format(NEW)"
        )
    other = other_format(sample, name)
    if other:
        raise VectorsError(f"{name} is no text of vectors: {other}")
    if b"\0" in sample:
        raise VectorsError(f"{name} has the character NUL: {with_nul(sample, name)}")


def _is_word2vec_binary(sample: bytes) -> bool:
    """Return whether a file has word2vec's first line, and after it no text but a word and numbers in binary."""
    header = _HEADER.match(sample)
    if not header:
        return False
    rest = sample[header.end() :]
    if re.search(rb"[\0-\x08\x0e-\x1f]", rest):
        return True
    line = rest.partition(b"\n")[0]
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return error.start < SAMPLE - 4 and len(line.split()) <= int(header[2])
    return False
