"""Start the processes of a job, watch them, and end them all as soon as one of them fails."""

from __future__ import annotations

import math
import selectors
from collections.abc import Callable, Sequence
from typing import Any

from d2lrnn.cluster.clock import AwakeClock
from d2lrnn.cluster.job import HERE, SCHEDULER, SERVER, WORKER, Job, JobError, MistakeError
from d2lrnn.cluster.kept import Kept
from d2lrnn.cluster.output import ENCODING, JobOutput
from d2lrnn.cluster.report import MISTAKE
from d2lrnn.cores import usable_cores

TICK = 0.05  # seconds between two looks at the time
PULSE = 1.0  # seconds between two signs of life for the keepers
LEASE = 8.0  # seconds without one after which a keeper on another host ends its process, and without one of a keeper's
STANDSTILL = 5.0  # seconds after which a process that was stopped is taken for lost
CLOSING = 5.0  # seconds between the first process that ends as it should and the last one
GRACE = 5.0  # seconds that the worker of rank 0 has to keep its position
KILLED = 3.0  # seconds in which killed processes are gone


class Watch:
    """One start of a job: its processes, from their start until all have ended.

    Args:
        job: the job.
        begins: whether it begins, or has been started again and goes on from its checkpoint.
        mark: of the file that was in the checkpoint's place before the job began.
        signals: the signals that the launcher has been sent; the job ends when there is one.

    Attributes:
        goes_on: whether the job goes on from its checkpoint.
        mark: of the file in the checkpoint's place when this job was started.
    """

    def __init__(self, job: Job, begins: bool, mark: Sequence[int] | None, signals: Sequence[int]) -> None:
        self.job, self.goes_on, self.mark = job, False, mark
        self._begins, self._signals = begins, signals
        self._clock = AwakeClock()
        self._deadline = job.start_timeout
        self._output = JobOutput()
        self._early: list[tuple[Kept, dict[str, Any]]] | None = []  # messages before the line on the job's start
        self._pulse = 0.0
        self._alone_since = math.inf  # since when workers have been without a server or the scheduler
        self._wait_since = math.inf  # since when all workers have waited for one another
        self._heard: dict[Kept, float] = {}  # when a keeper has last given a sign of life
        self._selector = selectors.DefaultSelector()
        self._all: list[Kept] = []

    def run(self, say: Callable[[str], None] = lambda line: None) -> None:
        """Start the job and watch it until all of its processes have ended.

        Args:
            say: called with a line on the job once it has been started.

        Raises:
            JobError: if one of the processes fails, or cannot be started.
            KeyboardInterrupt: in case of a second Ctrl-C.
        """
        graceful = False
        try:
            for member in self.job.members:
                port = self.job.port if member.role == SCHEDULER else 0
                self._add(Kept(member, self.job.remote, port))
            self._start()
            say(self._line())
            self._show_early()
            self._meet()
            self._until(lambda: all(kept.status == 0 for kept in self._workers))
            self._quietly_until(lambda: all(kept.over for kept in self._all), CLOSING)
            graceful = True
        except JobError:
            graceful = True
            raise
        finally:
            self._end(graceful)

    @property
    def met(self) -> bool:
        """Whether all workers have met, so that the training has begun."""
        return all(kept.rank is not None for kept in self._workers)

    @property
    def has_told(self) -> bool:
        """Whether the worker of rank 0 has come to its end, which is where it tells how the run goes on."""
        return any(kept.rank == 0 and (kept.status or 0) > 0 for kept in self._all)

    @property
    def _workers(self) -> list[Kept]:
        return [kept for kept in self._all if kept.member.role == WORKER]

    def _add(self, kept: Kept) -> None:
        self._all.append(kept)
        for name, pipe in kept.sources.items():
            self._selector.register(pipe, selectors.EVENT_READ, (kept, name))

    def _start(self) -> None:
        """Wait until all keepers have said hello, and tell them what to start."""
        if not self._until(lambda: all(kept.hello for kept in self._all), self._time_left):
            silent = [kept.member for kept in self._all if not kept.hello]
            who = " and ".join(dict.fromkeys(member.host or member.name for member in silent))
            raise JobError(f"{who} did not answer within {self.job.start_timeout:g} seconds")
        scheduler = self._all[0]
        root = scheduler.hello["address"], scheduler.hello["port"]
        self._check_addresses()
        for kept in self._all:
            remote = kept.member.host is not None
            cores = kept.hello["cores"] if remote else usable_cores()
            variables = self.job.variables_of(kept.member, root, kept.hello["address"], cores)
            spec = {
                "command": list(self.job.command_of(kept.member)),
                "variables": {**variables, "PYTHONIOENCODING": ENCODING},
                "lease": LEASE if remote else None,
                "standstill": STANDSTILL,
                "checkpoint": self.job.checkpoint_of(kept.member, self._begins, self.mark),
            }
            kept.start(spec)
        # A process that fails at once is told after the line that says what has been started.
        self._quietly_until(lambda: self._signals or all(k.started or k.failure for k in self._all), self._time_left)
        late = [kept for kept in self._all if not kept.started]
        if late:
            self._check()
            raise self._too_late(late)
        self._agree_on_the_checkpoint()

    def _check_addresses(self) -> None:
        """Check that each process can listen where the others will look for it."""
        for kept in self._all:
            found = kept.hello
            if "refused" in found:
                remedy = "name another --port, or none" if kept.member.role == SCHEDULER and self.job.port else ""
                where = f"{found['address']}, port {found['port']}" if found["port"] else found["address"]
                what = f"{kept.member.name} cannot listen at {where}: {found['refused']}"
                raise JobError(f"{what}; {remedy}" if remedy else what)
        inner = {kept.member.host for kept in self._all if kept.hello["address"].startswith("127.")}
        outer = {kept.member.host for kept in self._all} - inner
        if inner and outer:
            one, other = min(map(str, inner)), min(map(str, outer))
            raise JobError(
                f"ssh reached {one} at {HERE}, where {other} cannot reach it: name {one} as the other hosts know it"
            )

    def _agree_on_the_checkpoint(self) -> None:
        found = {kept.started["goes_on"]: kept.member for kept in self._workers}
        if len(found) > 1 and self.job.checkpoint is not None:
            raise JobError(
                f"{found[True].name} finds {self.job.checkpoint.file} and {found[False].name} does not: the run's "
                "folder has to be on a file system that all hosts share"
            )
        self.goes_on = True in found
        if self._begins:
            self.mark = self._workers[0].started["mark"]

    def _line(self) -> str:
        """Return the line that says what has been started."""
        counts = {SERVER: self.job.num_servers, WORKER: self.job.num_workers}
        what = " and ".join(f"{count} {role}{'s' * (count > 1)}" for role, count in reversed(counts.items()))
        num_hosts = len({kept.member.host for kept in self._all})
        where = "this machine" if not self.job.hosts else f"{num_hosts} host{'s' * (num_hosts > 1)}"
        line = f"job      {what} on {where}"
        if self._begins:
            return line
        if self.goes_on and self.job.checkpoint:
            return f"{line}; it goes on from {self.job.checkpoint.file}"
        return f"{line}; it begins anew, since it has kept no position yet"

    def _meet(self) -> None:
        """Wait until all workers have met."""
        if not self._until(lambda: self.met, self._time_left):
            late = [kept for kept in self._workers if not kept.ready]
            if late:
                raise self._too_late(late)
            what = f"the workers did not meet the scheduler and all servers within {self.job.start_timeout:g} seconds"
            raise JobError(f"{what}; does something block the ports of the hosts?" if self.job.hosts else what)

    def _too_late(self, late: Sequence[Kept]) -> JobError:
        who = " and ".join(kept.member.name for kept in late)
        return JobError(f"{who} did not start within {self.job.start_timeout:g} seconds (--start-timeout)")

    @property
    def _time_left(self) -> float:
        return self._deadline - self._clock.now()

    def _until(self, done: Callable[[], bool], seconds: float | None = None) -> bool:
        """Go on until something is done, and return True; False after so many seconds.

        Raises:
            JobError: if a process fails in the meantime, or the launcher is sent a signal.
        """
        deadline = None if seconds is None else self._clock.now() + seconds
        while not done():
            if deadline is not None and self._clock.now() > deadline:
                return False
            self._tick()
            self._check()
        return True

    def _check(self) -> None:
        if self._signals:
            raise JobError("stopped")
        now = self._clock.now()
        for kept in self._all:
            if kept.failure:
                self._show_early()
                self._output.muted = True
                is_mistake = kept.member.role == WORKER and kept.status == MISTAKE
                raise (MistakeError if is_mistake else JobError)(kept.failure)
            if self._is_silent(kept):
                raise JobError(f"the keeper of {kept.member.name} has given no sign of life for {LEASE:g} seconds")
        running = [kept for kept in self._workers if kept.status is None]
        # The last worker and the servers end at the same time.
        early = [kept.member for kept in self._all if kept.status is not None and kept.member.role != WORKER]
        self._alone_since = min(self._alone_since, now) if early and running else math.inf
        if now > self._alone_since + CLOSING:
            raise JobError(f"{early[0].name} ended before the workers did")
        self._wait_since = min(self._wait_since, now) if running and all(k.waits for k in running) else math.inf
        if now > self._wait_since + self.job.step_timeout:
            raise JobError(
                f"all workers have waited for one another for {self.job.step_timeout:g} seconds (--step-timeout)"
            )

    def _is_silent(self, kept: Kept) -> bool:
        """Whether a keeper has given no sign of life for so long that it is taken for stopped, or its host for gone."""
        return bool(kept.started) and not kept.over and self._clock.now() > self._heard[kept] + LEASE

    def _tick(self) -> None:
        """Wait a moment for messages, and take note of them."""
        for key, _ in self._selector.select(TICK):
            kept, pipe = key.data
            messages = kept.read(pipe)
            if messages is None:
                self._selector.unregister(key.fileobj)
                kept.over = kept.over or pipe == "messages"
            for message in messages or ():
                self._heard[kept] = self._clock.now()
                if self._early is None:
                    self._output.note(kept, message)
                else:
                    self._early.append((kept, message))
        if self._clock.now() > self._pulse + PULSE:
            self._pulse = self._clock.now()
            for kept in self._all:
                if kept.started:
                    kept.order(b"\n")

    def _show_early(self) -> None:
        """Show what the processes have printed before the line on the job's start."""
        early, self._early = self._early or [], None
        for kept, message in early:
            self._output.note(kept, message)

    def _end(self, graceful: bool) -> None:
        """End all processes that still run.

        First the worker of rank 0 gets SIGTERM, since it can keep its position as long as the others answer it.
        """
        self._show_early()
        first = [kept for kept in self._all if kept.rank == 0 and kept.status is None and not self._is_silent(kept)]
        if graceful and first:
            first[0].order(b"t")
            self._quietly_until(lambda: first[0].over, GRACE)
        for kept in self._all:
            kept.leave()
        gone = KILLED if graceful else 0.5
        self._quietly_until(lambda: all(kept.over or self._is_silent(kept) for kept in self._all), gone)
        self._selector.close()
        for kept in self._all:
            kept.close()

    def _quietly_until(self, done: Callable[[], Any], seconds: float) -> None:
        deadline = self._clock.now() + seconds
        while not done() and self._clock.now() < deadline:
            self._tick()
