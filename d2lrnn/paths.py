"""A path as a user gives it, and what there is."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Union

from d2lrnn.errors import D2lrnnError, FileError, naming

PathLike = Union[str, "os.PathLike[str]"]


def user_path(path: PathLike) -> Path:
    """Return a path with the home folder in place of ``~``, and of ``~name`` the home folder of that user.

    A shell does so only where ``~`` begins a word, as in ``--out ~/run`` but not in ``--out=~/run``.  A file that is
    there and whose own name begins with ``~`` keeps its name.

    Raises:
        D2lrnnError: if there is no such user, or if the value is no path, such as an empty text.
        FileError: for a name that the file system cannot have.
    """
    try:
        given = os.fsdecode(os.fspath(path))
    except TypeError:
        raise D2lrnnError(f"found {path!r}: expected a path") from None
    if not given:  # a Path of it would be the current folder
        raise D2lrnnError("found an empty text: expected a path")
    try:
        os.fsencode(given)
    except UnicodeEncodeError:  # in a locale that is not UTF-8; names of files are UTF-8 nearly everywhere
        given = os.fsdecode(_in_utf8(given))
    with naming(given):
        expanded = os.path.expanduser(given)
    if expanded.startswith("~") and not is_there(Path(given)):
        name = given.partition("/")[0]
        raise D2lrnnError(f"{given}: there is no home folder {name}; for a file of this name write ./{given}")
    path = Path(expanded)  # which drops the ./ of ./~name
    return Path.cwd() / path if path.parts[:1] and path.parts[0].startswith("~") else path


def is_there(path: Path) -> bool:
    """Return whether there is anything of this name, even a link that leads nowhere.

    Raises:
        FileError: if that cannot be found out, as for a name that is too long.
    """
    with naming(path):
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
    return True


def kind_of(path: Path) -> str:
    """Return what there is if it is no regular file: "a folder", "a pipe", "a socket" or "a device"; else "".

    To open a pipe may wait for ever, to read a terminal too, and to open a device may do harm.

    Raises:
        OSError: if there is nothing, or it cannot be found out.
    """
    kinds = {stat.S_IFREG: "", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(path.stat().st_mode), "a device")


def make_folder(folder: Path) -> None:
    """Make a folder and those that it is to be in, as far as they are not there.

    Raises:
        FileError: if that cannot be done; where a file stands in the place of a folder, the message names the file.
    """
    with naming(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            in_the_way = (path for path in (folder, *folder.parents) if os.path.lexists(path) and not path.is_dir())
            raise FileError(errno.ENOTDIR, "a file, expected a folder", str(next(in_the_way, folder))) from None


def _in_utf8(given: str) -> bytes:
    try:
        return given.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise D2lrnnError(f"found {given!r}: expected a path, which cannot hold half a surrogate pair") from None
