"""Keep one process of a job: start it, tell the launcher what becomes of it, and end it when the launcher is gone.

The launcher sends the source of this file to a fresh Python, here or by ssh on another host, so the file uses nothing
but the standard library.  The keeper's standard input and output lead to the launcher:

1. The launcher sends a line of JSON with this source.
2. The keeper says "hello" in a line of JSON: the host's address, a free port and the number of cores.
3. The launcher sends a second line of JSON, which says what to start.
4. From then on the keeper tells in lines of JSON what its process prints and reports, and how it ended.  The launcher
   sends single bytes: ``t`` to send the process SIGTERM, ``k`` to kill it, and others as signs of life.  The keeper
   gives signs of life, too, and tells when its process has been stopped for a while (SIGSTOP).

When standard input comes to an end, the launcher or the connection to it is gone.  The keeper then ends its process.  A
keeper that is killed takes its process with it.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import selectors
import signal
import socket
import time
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

TICK = 0.05  # seconds between two looks at whether the process has ended
PULSE = 1.0  # seconds between two signs of life for the launcher
GRACE = 5.0  # seconds that the process has between SIGTERM and SIGKILL when the launcher is gone
DRAIN = 1.0  # seconds in which to read what an ended process has printed: another process may hold its pipes open
WAITING = 120.0  # seconds to wait for the launcher's second line
CHUNK = 2**16  # bytes to read at once, and the most that may wait to be sent before the process has to wait
PR_SET_PDEATHSIG = 1  # <sys/prctl.h>

DESCRIPTOR = "D2LRNN_KEEPER_FD"  # the variable that tells a process where to report


def hello(port: int, by_ssh: bool) -> dict[str, Any]:
    """Return what the launcher has to know of this host.

    Args:
        port: for the scheduler; 0: any that is free.
        by_ssh: whether ssh has started this keeper.  The host's address is then the one at which ssh has reached it,
            the third word of SSH_CONNECTION; else other hosts are not to reach it.
    """
    address = os.environ["SSH_CONNECTION"].split()[2] if by_ssh else "127.0.0.1"
    found: dict[str, Any] = {"event": "hello", "address": address, "port": port}
    found["cores"] = len(os.sched_getaffinity(0))
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            found["port"] = probe.getsockname()[1]
    except OSError as error:
        found["refused"] = error.strerror or str(error)
    return found


def mark_of(file: str) -> list[int] | None:
    """Return what tells a file from another one that is later written in its place; None if there is no file."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return [found.st_mtime_ns, found.st_ino]


class Keeper:
    """Keeps a process.

    Args:
        spec: what to start: ``command``, ``variables`` to add to the environment, ``lease``, the seconds after which
            a silent launcher is taken for gone (None: only the end of standard input counts), ``standstill``, the
            seconds after which to tell that the process is stopped, and for a worker
            ``checkpoint``: the ``file`` from which the job can go on, the ``command`` that does so (None: the job
            begins), and the ``mark`` of a file of an earlier run, from which nothing can go on.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        self._lease, self._standstill = spec["lease"], spec["standstill"]
        self._heard = self._pulse = time.monotonic()
        self._stopped_since: float | None = None
        self._kill_at: float | None = None  # when to kill a process that was sent SIGTERM
        self._unsent = bytearray()
        self._selector = selectors.DefaultSelector()
        checkpoint = spec["checkpoint"] or {"file": "", "command": None, "mark": None}
        mark = mark_of(checkpoint["file"])
        goes_on = checkpoint["command"] is not None and mark not in (None, checkpoint["mark"])
        report, report_end = os.pipe()
        try:
            command = checkpoint["command"] if goes_on else spec["command"]
            self._process = self._start(command, spec["variables"], report_end)
        finally:
            os.close(report_end)
        self._sources = {"out": self._process.stdout.fileno(), "err": self._process.stderr.fileno(), "report": report}
        self._tell("started", pid=self._process.pid, goes_on=goes_on, mark=mark)

    @staticmethod
    def _start(command: list[str], variables: dict[str, str], report_end: int) -> Any:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DMLC_")}
        environment.update(variables)
        environment[DESCRIPTOR] = str(report_end)
        keeper, prctl = os.getpid(), ctypes.CDLL(None).prctl

        def die_with_the_keeper() -> None:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != keeper:  # which was killed before this process asked for the signal
                os._exit(1)

        return Popen(
            command,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env=environment,
            pass_fds=[report_end],
            start_new_session=True,
            preexec_fn=die_with_the_keeper,
        )

    def run(self) -> None:
        """Watch the process until it has ended and all of its output was sent."""
        for descriptor in (0, 1):
            os.set_blocking(descriptor, False)
        self._selector.register(0, selectors.EVENT_READ)
        try:
            while not self._has_ended():
                self._wait()
                self._mind_the_process()
                self._mind_the_launcher()
            self._signal(signal.SIGKILL)  # what the process has started and left behind
            until = time.monotonic() + DRAIN
            while self._sources and time.monotonic() < until:
                self._wait()
            self._tell("ended", status=self._process.wait())
            while self._unsent and time.monotonic() < until + DRAIN:
                self._wait()
        finally:
            self._signal(signal.SIGKILL)

    def _wait(self) -> None:
        """Send what is unsent and read what there is to read; return after a moment even if there is nothing."""
        if len(self._unsent) < CHUNK:
            for kind, descriptor in self._sources.items():
                self._selector.register(descriptor, selectors.EVENT_READ, kind)
        if self._unsent:
            self._selector.register(1, selectors.EVENT_WRITE)
        ready = self._selector.select(TICK)
        for descriptor in [key for key in self._selector.get_map() if key]:
            self._selector.unregister(descriptor)
        for key, _ in ready:
            if key.fd == 0:
                self._obey(os.read(0, CHUNK))
            elif key.fd == 1:
                self._send()
            else:
                self._forward(key.data)

    def _forward(self, kind: str) -> None:
        """Tell the launcher what the process has written to one of its descriptors."""
        found = os.read(self._sources[kind], CHUNK)
        if found:
            self._tell(kind, text=found.decode("latin-1"))  # a byte is a character: nothing is lost on the way
        else:
            del self._sources[kind]

    def _obey(self, order: bytes) -> None:
        self._heard = time.monotonic()
        if not order:
            self._selector.unregister(0)
            self._leave()
        if b"t" in order:
            self._terminate()
        if b"k" in order:
            self._signal(signal.SIGKILL)

    def _mind_the_process(self) -> None:
        """Tell once that the process has been stopped for a while."""
        found, now = self._found(), time.monotonic()
        if found is None or found.si_code != os.CLD_STOPPED:
            self._stopped_since = None
        elif self._stopped_since is None:
            self._stopped_since = now
        elif now > self._stopped_since + self._standstill:
            self._stopped_since = math.inf
            self._tell("stopped", signal=found.si_status)

    def _mind_the_launcher(self) -> None:
        now = time.monotonic()
        if now > self._pulse + PULSE and not self._unsent:  # a launcher that is stopped does not read
            self._pulse = now
            self._tell("pulse")
        if self._lease is not None and self._kill_at is None and now > self._heard + self._lease:
            self._leave()
        if self._kill_at is not None and now > self._kill_at:
            self._signal(signal.SIGKILL)

    def _leave(self) -> None:
        """End the process, since the launcher is gone."""
        self._terminate()
        self._kill_at = time.monotonic() + GRACE

    def _terminate(self) -> None:
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a process that is stopped gets SIGTERM once it goes on

    def _found(self) -> Any:
        """Return what has become of the process: it has ended, or is stopped; None: it runs."""
        # WNOWAIT: the process's number stays its own until wait() is called, so a signal meets no other process.
        options = os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, options)

    def _has_ended(self) -> bool:
        found = self._found()
        return found is not None and found.si_code in (os.CLD_EXITED, os.CLD_KILLED, os.CLD_DUMPED)

    def _signal(self, number: int) -> None:
        if self._process.returncode is None:
            os.killpg(self._process.pid, number)

    def _tell(self, event: str, **what: Any) -> None:
        self._unsent += json.dumps({"event": event, **what}).encode() + b"\n"

    def _send(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: os.write(1, self._unsent)]
        except BlockingIOError:
            pass
        except OSError:  # there is nobody left to tell
            self._unsent.clear()


def main(port: int, by_ssh: bool) -> None:
    """Say hello, wait for what to start, and keep it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # the launcher decides; a handler, since a child would inherit SIG_IGN
    print(json.dumps(hello(port, by_ssh)), flush=True)
    line = read_line(time.monotonic() + WAITING)
    if not line:
        return
    try:
        keeper = Keeper(json.loads(line))
    except OSError as error:
        print(json.dumps({"event": "failed", "reason": str(error)}), flush=True)
    else:
        keeper.run()


def read_line(until: float) -> bytes:
    """Return the next line of standard input, of which no more than that is read; nothing if it does not come."""
    line = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0, until - time.monotonic())):
                return b""
            found = os.read(0, 1)
            if not found:
                return b""
            line += found
    return bytes(line)
