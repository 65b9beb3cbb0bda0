"""Read a UTF-8 file as a text with one kind of line end; of any other file, say in the error what it seems to be."""

from __future__ import annotations

import codecs
import math
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Union

from d2lrnn.checks import check_whole
from d2lrnn.data.characters import LINE_END, with_line_feeds, without_blank_lines
from d2lrnn.data.encodings import SAMPLE, damage, other_format, seeming_encoding, with_nul
from d2lrnn.errors import D2lrnnError
from d2lrnn.paths import PathLike, kind_of, user_path

MAX_BYTES = 2**28  # of one text that is held in memory (PTB: 5 MB, text8: 100 MB)

MAX_CORPUS = 2**33  # of one text to learn from; an epoch on more of it would take days

PIECE = 2**20  # bytes that are read at once

Until = Callable[[str], bool]  # called with one piece of a text after another; True: no more of it is needed

Readable = Union[PathLike, IO[bytes]]  # a file, or a stream of bytes such as sys.stdin.buffer


class CorpusError(D2lrnnError):
    """A corpus cannot be used: its file is missing, damaged or not what it should be."""


class CorpusNotFoundError(CorpusError, FileNotFoundError):
    """A corpus is in none of the folders and could not be downloaded.

    Args:
        message: what was looked for, and where.
        to_do: what the user can do, in a line of its own; "": the message says it.
    """

    def __init__(self, message: str = "", to_do: str = "") -> None:
        super().__init__(message)
        self.to_do = to_do


@contextmanager
def reading(path: PathLike) -> Iterator[None]:
    """Turn the errors of reading a file or an archive into a CorpusError."""
    try:
        yield
    except OSError as error:
        if isinstance(error, D2lrnnError):
            raise
        raise CorpusError(f"{path} cannot be read or is damaged ({error.strerror or repr(error)})") from error
    except (EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise CorpusError(f"{path} cannot be read or is damaged ({error!r})") from error
    except MemoryError as error:
        raise CorpusError(
            f"{path} does not fit into the memory: keep less of it, --max-tokens or max_tokens=, or cut it into parts"
        ) from error
    except ValueError as error:
        if isinstance(error, D2lrnnError) or "\0" not in str(path):
            raise
        raise CorpusError(f"{str(path)!r} cannot be read: a path cannot hold the character NUL") from error


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a regular file to read its bytes.

    Raises:
        CorpusError: for anything but a regular file, and for an error while the file is read.
    """
    with reading(path):
        kind = kind_of(path)
        if kind:
            advice = " (evaluate reads standard input where it is named -)" if kind in ("a pipe", "a device") else ""
            raise CorpusError(f"{path} is {kind}: expected a text file{advice}")
        with path.open("rb") as stream:
            yield stream


@contextmanager
def named_stream(source: Any) -> Iterator[tuple[IO[bytes], str]]:
    """Open a file, or take a stream as it is; yield the stream and what to call it in errors."""
    if hasattr(source, "read"):
        with reading("standard input"):
            yield source, "standard input"
    else:
        path = user_path(source)
        with opened(path) as stream:
            yield stream, str(path)


def read_text(source: Readable, until: Until | None = None) -> tuple[str, str]:
    r"""Return a UTF-8 text, and what to call it in errors.

    Args:
        source: the file, or a stream of bytes.
        until: called with one piece of the text after another, until it returns True; None: the whole text is read.

    Returns:
        the text, or a beginning of it, with one kind of line end
        (:func:`d2lrnn.data.characters.with_line_feeds`); the path, or "standard input".

    Raises:
        CorpusError: if the file cannot be read, is empty, is no UTF-8 text, or has more than MAX_BYTES that are needed.
    """
    with named_stream(source) as (stream, what):
        if until is None and not hasattr(source, "read"):
            check_size(stream, what, MAX_BYTES)
        return decode(stream, what, until=until), what


def check_size(stream: IO[bytes], what: str, max_bytes: int) -> None:
    """Raise a CorpusError if a file has more than ``max_bytes``, before it is read."""
    if os.fstat(stream.fileno()).st_size > max_bytes:
        raise _too_long(what, max_bytes)


def decode(stream: IO[bytes], what: str, max_bytes: int = MAX_BYTES, until: Until | None = None) -> str:
    """Return the UTF-8 text of a stream, as :func:`read_text`; a CorpusError calls the stream ``what``."""
    return "".join(beginning(pieces(stream, what, max_bytes), what, until))


def beginning(parts: Iterator[str], what: str, until: Until | None = None) -> Iterator[str]:
    """Yield the pieces of a text, those that are needed.

    Raises:
        CorpusError: at the end, if these are but white space.
    """
    is_whole, is_text, size = True, False, 0
    for piece in parts:
        size += len(piece)
        is_text = is_text or not piece.isspace()
        yield piece
        if until is not None and until(piece):
            is_whole = False
            break
    if not is_text:
        found = "is empty" if is_whole else f"begins with {size:,} characters of white space"
        raise CorpusError(f"{what} {found}: expected text")


def pieces(stream: IO[bytes], what: str, max_bytes: int | None = MAX_BYTES) -> Iterator[str]:
    """Yield the UTF-8 text of a stream piece by piece, with one kind of line end.

    Raises:
        CorpusError: for NUL, for bytes that are not UTF-8, and for more than ``max_bytes``; None: any number.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    text, size, line, last = "", 0, 1, b""
    while True:
        data = stream.read(PIECE)
        size += len(data)
        if max_bytes is not None and size > max_bytes:
            raise _too_long(what, max_bytes)
        advice = None if last else other_format(data, what)
        if advice:
            raise CorpusError(f"{what} is not UTF-8: {advice}")
        try:
            text += decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise CorpusError(_not_utf8(error, what, size, line, last)) from error
        if "\0" in text:
            line += with_line_feeds(text[: text.index("\0")]).count(LINE_END)
            raise CorpusError(f"{what} has the character NUL, first in line {line}: {with_nul(data[:SAMPLE], what)}")
        kept = len(text) - (text.endswith("\r") and bool(data))  # whether a line feed follows, the next piece tells
        piece, text = with_line_feeds(text[:kept]), text[kept:]
        line += piece.count(LINE_END)
        if piece:
            yield piece
        if not data:
            return
        last = data


def _not_utf8(error: UnicodeDecodeError, what: str, size: int, line: int, last: bytes) -> str:
    """Return the message about the first byte that is not UTF-8.

    Args:
        error: of the decoder, about the bytes that it had.
        what: the text's name.
        size: of all that was read.
        line: of the text, in which the decoder's bytes begin.
        last: the bytes that were read before; at the end of the text, the decoder has hardly any itself.
    """
    data, start = error.object, error.start
    offset = size - len(data) + start
    line += with_line_feeds(data[:start].decode("utf-8", errors="replace")).count(LINE_END)
    if len(data) < 4:
        data = last + data if not last.endswith(data) else last
        start = len(data) - 1
    begin = 0 if start < SAMPLE // 2 else data.rfind(b"\n", 0, start) + 1
    sample = data[begin : begin + SAMPLE]
    advice = damage(sample, what) or seeming_encoding(sample, what)
    return f"{what} is not UTF-8: byte 0x{error.object[error.start]:02x} at offset {offset}, in line {line}; {advice}"


def _too_long(what: str, max_bytes: int) -> CorpusError:
    return CorpusError(
        f"{what} has more than {max_bytes:,} bytes: expected less; cut it into parts, or keep less of it, --max-tokens"
    )


def check_max_tokens(max_tokens: int | None) -> None:
    """Check how many tokens of a text are to be kept; None: all.

    Raises:
        D2lrnnError: for anything but None and a whole number, at least 1.
    """
    if max_tokens is not None:
        check_whole("max_tokens", max_tokens, most=math.inf)


def until_tokens(max_tokens: int | None, level: str, lines: bool = False) -> Until | None:
    """Return a function that says whether the pieces of a text hold more than ``max_tokens`` tokens; None for None.

    Args:
        max_tokens: how many tokens are kept.
        level: of the tokens.
        lines: whether empty lines, and spaces around the others, are left out.
    """
    if max_tokens is None:
        return None
    found = 0

    def until(piece: str) -> bool:
        nonlocal found
        found += max(_fewest_tokens(piece, level, lines), 0)
        return found > max_tokens

    return until


def _fewest_tokens(piece: str, level: str, lines: bool) -> int:
    """Return how many tokens a piece adds to a text, at the least: its first word or line may have begun before."""
    if lines:
        return len(without_blank_lines(piece.partition(LINE_END)[2].rpartition(LINE_END)[0]))
    return len(piece.split()) - 1 if level == "word" else len(piece) // (2 if level == "bigram" else 1)
