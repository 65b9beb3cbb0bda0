"""Keeping two processes from training in one folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import weakref
from pathlib import Path
from typing import Any

from d2lrnn.errors import FileError, naming
from d2lrnn.runs.log import RunError

LOCK = "lock.json"  # the file that says who trains in a folder, where the file system knows no locks


class FolderLock:
    """Keeps other processes out of a folder until it is released, or this process ends.

    The system's own lock ends with the process, even with one that is killed.  Where the file system has no locks, as
    some network drives, a file in the folder names the machine and the process.  The file of a process that is gone is
    recognised on the same machine only.

    Args:
        folder: the folder, which is there.

    Raises:
        FileError: if the folder cannot be opened, or the file cannot be written.
        RunError: if another process holds the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with naming(folder):
            descriptor = os.open(folder, os.O_RDONLY)
        self._close = weakref.finalize(self, os.close, descriptor)
        self._descriptor, self._remove = descriptor, lambda: None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(_taken(folder)) from None
        except OSError:  # a file system without locks
            self._remove = weakref.finalize(self, _remove, _written(folder), os.getpid())

    @property
    def is_lost(self) -> bool:
        """Whether the folder was removed or renamed since it was locked."""
        held = os.fstat(self._descriptor)  # the folder stays in the system, without a name, as long as it is open
        try:
            found = os.stat(self._folder)
        except OSError:
            return True
        return (held.st_dev, held.st_ino) != (found.st_dev, found.st_ino)

    def release(self) -> None:
        """Let others in."""
        self._remove()
        self._close()


def _taken(folder: Path, by: str = "") -> str:
    return f"another process is training in {folder}{by}: wait until it ends, or name another folder (--out)"


def _written(folder: Path) -> Path:
    """Write the file that says who trains in a folder, and return its path; refuse a folder that has one already."""
    path = folder / LOCK
    if path.exists() and _is_stale(path):
        with naming(path):
            path.unlink(missing_ok=True)
    try:
        with naming(path), open(path, "x") as file:
            json.dump(_this_process(), file)
    except FileError as error:
        if error.errno != errno.EEXIST:
            raise
        owner = _owner(path)
        by = f" ({owner.get('host', 'its machine is unknown')}, process {owner.get('pid', 'unknown')})"
        raise RunError(f"{_taken(folder, by)}; if there is no such process, remove {path}") from None
    return path


def _is_stale(path: Path) -> bool:
    """Return whether a file was left by a process of this machine that is gone."""
    owner = _owner(path)
    is_here = owner.get("host") == socket.gethostname() and isinstance(owner.get("pid"), int)
    return is_here and owner.get("began") != _began(owner["pid"])


def _owner(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_text())
        if isinstance(found, dict):
            return found
    return {}


def _this_process() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "began": _began(os.getpid())}


def _began(pid: int) -> str:
    """Return when a process began, in the system's ticks, since its number may be given again; "" if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _remove(path: Path, pid: int) -> None:
    if os.getpid() == pid:  # not in a fork of the process
        with contextlib.suppress(OSError):
            path.unlink()
