"""A process of a job as the launcher sees it: the keeper beside it, and what the keeper tells."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import sys
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired
from typing import Any

from d2lrnn.cluster.job import Member, Remote
from d2lrnn.cluster.report import RANK, WAITS
from d2lrnn.errors import naming

# A Python that reads the keeper's source and runs it.  The source comes by standard input, since another host may have
# another d2lrnn, and a command line would be quoted by two shells.
BOOT = "import json, sys; exec(compile(json.loads(sys.stdin.readline())['keeper'], 'keeper.py', 'exec'))"

UNREACHABLE = 255  # ssh's exit status where it could not connect, or has lost the connection

LONGEST = 300  # characters of a reason that is given

# No question may be asked, and a connection that is lost must be noticed.  ps-lite knows IPv4 alone.
SSH_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "10",
    "ServerAliveInterval": "2",
    "ServerAliveCountMax": "3",
    "AddressFamily": "inet",
    "ControlPath": "none",
}


class Kept:
    """One process of a job, and its keeper.

    Attributes:
        member: which process it is.
        hello: what the keeper has said of its host; empty until then.
        started: what the keeper has said of the start of its process; empty until then.
        ready: whether a worker has reported its start (:mod:`d2lrnn.cluster.report`).
        rank: of a worker; None as long as the workers have not met.
        waits: whether a worker has reported that it waits for the others.
        stopped: the signal by which the process has been stopped for a while, as SIGSTOP does; 0: it runs.
        status: how the process ended, as ``Popen.returncode`` has it; None as long as it runs.
        sources: the pipes from which :meth:`read` reads, by name.
        over: whether the keeper itself has ended.
        reason: why the keeper could not start the process, or the last line that it or ssh has complained of.
    """

    def __init__(self, member: Member, remote: Remote | None, port: int) -> None:
        self.member = member
        self.hello: dict[str, Any] = {}
        self.started: dict[str, Any] = {}
        self.ready = self.over = self.waits = False
        self.rank: int | None = None
        self.stopped = 0
        self.status: int | None = None
        self.reason = ""
        self._reported = ""
        self._unread = {"messages": b"", "complaints": b""}
        command = command_of(member, remote)
        with naming(command[0]):  # there may be no ssh here
            self._popen = Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, bufsize=0, start_new_session=True)
        self._pipes: dict[str, Any] = {
            "orders": self._popen.stdin,
            "messages": self._popen.stdout,
            "complaints": self._popen.stderr,
        }
        self.sources = {name: self._pipes[name] for name in ("messages", "complaints")}
        source = Path(__file__).with_name("keeper.py").read_text(encoding="utf-8")
        source += f"\nmain({port}, by_ssh={member.host is not None})\n"
        self._write(json.dumps({"keeper": source}).encode() + b"\n")
        for name in ("orders", "complaints"):  # a connection that hangs must not stop the launcher
            os.set_blocking(self._pipes[name].fileno(), False)

    def start(self, spec: dict[str, Any]) -> None:
        """Tell the keeper what to start."""
        self._write(json.dumps(spec).encode() + b"\n")

    def order(self, what: bytes) -> None:
        """Give the keeper an order: ``t`` for SIGTERM, ``k`` for SIGKILL, a line end as a sign of life."""
        if not self._pipes["orders"].closed:
            self._write(what)

    def read(self, pipe: str) -> list[dict[str, Any]] | None:
        """Return what the keeper has told since, one message after another; None at the end of the pipe."""
        found = os.read(self._pipes[pipe].fileno(), 2**16)
        *lines, self._unread[pipe] = (self._unread[pipe] + found).split(b"\n")
        if pipe == "complaints":
            told = [line.decode(errors="replace").strip() for line in lines]
            self.reason = next((line for line in reversed(told) if line), self.reason)
            return [] if found else None
        return [message for line in lines if (message := self._note(line))] if found else None

    def _note(self, line: bytes) -> dict[str, Any] | None:
        """Take note of a message and return it; None for a line that the shell of a host has printed before it."""
        try:
            message = json.loads(line)
            event = message["event"]
        except (ValueError, TypeError, KeyError):
            return None
        if event == "hello":
            self.hello = message
        elif event == "started":
            self.started = message
        elif event == "failed":
            self.reason = message["reason"]
        elif event == "stopped":
            self.stopped = message["signal"]
        elif event == "ended":
            self.status = message["status"]
        elif event == "report":
            *lines, self._reported = (self._reported + message["text"]).split("\n")
            for word, *values in map(str.split, lines):
                self.ready, self.waits = True, word == WAITS
                if word == RANK:
                    self.rank = int(values[0])
        return message

    def leave(self) -> None:
        """Have the process killed, and say nothing more to its keeper."""
        self.order(b"k")
        self._pipes["orders"].close()

    def end(self, seconds: float = 0.0) -> int:
        """Return the exit status of the keeper, which is killed if it has none after so many seconds."""
        self.over = True
        try:
            status = self._popen.wait(seconds)
        except TimeoutExpired:
            self._popen.kill()
            status = self._popen.wait()
        with contextlib.suppress(BlockingIOError, ValueError):  # there is nothing to read, or the pipe is closed
            while self.read("complaints") is not None:
                pass
        return status

    def close(self) -> None:
        """End the keeper, and close the pipes that lead to it."""
        self.end()
        for pipe in self._pipes.values():
            pipe.close()

    @property
    def failure(self) -> str:
        """Who has failed and why, as a sentence; empty if the process runs, or has ended with 0."""
        name, host = self.member.name, self.member.host
        if self.status is not None:
            return f"{name} {_how(self.status)}" if self.status else ""
        if not self.over:
            return f"{name} was stopped by {_signal(self.stopped)} and does not go on" if self.stopped else ""
        status = self.end(1.0)
        reason = f": {self.reason[:LONGEST]}" if self.reason else ""
        if host and status == UNREACHABLE:
            if self.hello:  # ssh has the same status for both
                return f"the connection to {name} is lost, or the keeper there was killed{reason}"
            return f"{host} cannot be reached by ssh{reason}"
        if reason and not self.started:
            return f"{name} cannot be started{reason}"
        return f"the keeper of {name} {_how(status)}{reason}"

    def _write(self, what: bytes) -> None:
        # The keeper is gone, which its output tells; or the pipe is full, since the connection hangs.
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            self._pipes["orders"].write(what)


def command_of(member: Member, remote: Remote | None) -> list[str]:
    """Return the command of a process's keeper, on this machine or by ssh."""
    if member.host is None or remote is None:
        return [sys.executable, "-I", "-S", "-c", BOOT]
    options = [word for name, value in SSH_OPTIONS.items() for word in ("-o", f"{name}={value}")]
    there = f"cd {shlex.quote(remote.folder)} && exec {shlex.quote(remote.python)} -I -S -c {shlex.quote(BOOT)}"
    return [*remote.ssh, "-T", *options, member.host, there]


def _how(status: int) -> str:
    return f"ended with status {status}" if status >= 0 else f"was killed by {_signal(-status)}"


def _signal(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"
