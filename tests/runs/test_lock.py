"""Two processes in one folder, with the system's locks and without."""

import errno
import fcntl
import json
import os
import re
import socket
import subprocess

import pytest

from d2lrnn.runs.lock import LOCK, FolderLock, _began
from d2lrnn.runs.log import RunError


@pytest.fixture(params=["locks", "no locks"])
def locks(request, monkeypatch):
    """Whether the file system knows locks: one that does not lets the system's call fail."""
    if request.param == "no locks":
        monkeypatch.setattr(fcntl, "flock", fail)
    return request.param == "locks"


def fail(descriptor, operation):
    raise OSError(errno.ENOLCK, "No locks available")


def test_a_folder_has_one_owner(locks, tmp_path):
    lock = FolderLock(tmp_path)
    with pytest.raises(RunError, match=f"another process is training in {tmp_path}") as refusal:
        FolderLock(tmp_path)
    if not locks:
        whose = f"({socket.gethostname()}, process {os.getpid()}): wait until it ends, or name another folder (--out)"
        assert f"{whose}; if there is no such process, remove {tmp_path / LOCK}" in str(refusal.value)
    lock.release()
    assert list(tmp_path.iterdir()) == []
    again = FolderLock(tmp_path)
    del again, refusal
    FolderLock(tmp_path).release()


def test_the_folder_is_known_again(locks, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    lock = FolderLock(folder)
    assert not lock.is_lost
    folder.rename(tmp_path / "renamed")
    assert lock.is_lost
    folder.mkdir()
    assert lock.is_lost


def test_the_file_of_a_process_that_is_gone_is_recognised(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", fail)
    with subprocess.Popen(["sleep", "60"]) as process:
        owner = {"host": socket.gethostname(), "pid": process.pid, "began": _began(process.pid)}
        (tmp_path / LOCK).write_text(json.dumps(owner))
        with pytest.raises(RunError, match=f"{socket.gethostname()}, process {process.pid}"):
            FolderLock(tmp_path)
        process.kill()
    FolderLock(tmp_path).release()
    (tmp_path / LOCK).write_text(json.dumps({**owner, "pid": os.getpid()}))  # whose number another process has now
    FolderLock(tmp_path).release()


@pytest.mark.parametrize(
    ("content", "whose"),
    [
        ('{"host": "another", "pid": 7, "began": "1"}', "another, process 7"),
        ("", "its machine is unknown, process unknown"),  # whose writing was killed
        ("[1]", "its machine is unknown, process unknown"),
    ],
)
def test_the_file_of_another_machine_is_left_alone(tmp_path, monkeypatch, content, whose):
    monkeypatch.setattr(fcntl, "flock", fail)
    (tmp_path / LOCK).write_text(content)
    with pytest.raises(RunError, match=re.escape(f"({whose}): wait until it ends")):
        FolderLock(tmp_path)
    assert (tmp_path / LOCK).read_text() == content
