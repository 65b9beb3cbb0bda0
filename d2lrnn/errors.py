"""The errors that d2lrnn raises for a wrong value, file or device; any other exception is a defect of d2lrnn."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager


class D2lrnnError(ValueError):
    """The base class of the project's errors: the message says what was found, what was expected and what to do.

    The command line and the page show such an error as one line.  Every other exception is a defect of d2lrnn and keeps
    its traceback.
    """


class UnknownCellError(D2lrnnError):
    """There is no cell of this name."""


class FileError(OSError, D2lrnnError):
    """A file cannot be read or written, as on a full disk; the message names the file."""


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the errors that Python raises for a path into a :class:`FileError` that names ``path``.

    These are every OSError, such as that of a full disk, which names no file, and that of a name that is too long; and
    the ValueError for a path with the character NUL.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, D2lrnnError) or error.errno is None:
            raise
        raise FileError(error.errno, error.strerror, str(path)) from error
    except ValueError as error:
        if isinstance(error, D2lrnnError) or "\0" not in str(path):
            raise
        raise FileError(errno.EINVAL, "a path cannot hold the character NUL", str(path)) from error
