"""The errors that d2lrnn raises for a wrong value, file or device; any other exception is a defect of d2lrnn."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from d2lrnn.visible import in_a_line


class D2lrnnError(ValueError):
    """The base class of the project's errors: the message says what was found, what was expected and what to do.

    The command line and the page show such an error as one line, in which nothing acts unseen
    (:func:`d2lrnn.visible.in_a_line`).  Every other exception is a defect of d2lrnn and keeps its traceback.

    Attributes:
        to_do: what the user can do, if it takes a line of its own.
    """

    to_do = ""

    def __str__(self) -> str:
        return "\n".join(in_a_line(line) for line in (super().__str__(), self.to_do) if line)


class UnknownCellError(D2lrnnError):
    """There is no cell of this name."""


class FileError(OSError, D2lrnnError):
    """A file cannot be read or written, as on a full disk; the message names the file."""

    def __str__(self) -> str:
        return in_a_line(OSError.__str__(self))


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the errors that Python raises for a path into a :class:`FileError` that names ``path``.

    These are every OSError, such as that of a full disk, which names no file, and that of a name that is too long; and
    the ValueErrors for a path with the character NUL, or with one that the locale's encoding lacks.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, D2lrnnError) or error.errno is None:
            raise
        raise FileError(error.errno, error.strerror, str(path)) from error
    except UnicodeEncodeError as error:
        if error.object != str(path):
            raise
        characters = ascii(error.object[error.start : error.end])
        reason = f"paths are in {error.encoding} here, which has no {characters}"
        raise FileError(errno.EINVAL, reason, str(path)) from error
    except ValueError as error:
        if isinstance(error, D2lrnnError) or "\0" not in str(path):
            raise
        raise FileError(errno.EINVAL, "a path cannot hold the character NUL", str(path)) from error
