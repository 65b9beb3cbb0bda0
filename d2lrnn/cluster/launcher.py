"""Run a job to its end, and start it again where it fails."""

from __future__ import annotations

import signal
from collections.abc import Callable

from d2lrnn.cluster.job import Job, JobError, MistakeError
from d2lrnn.cluster.keeper import mark_of
from d2lrnn.cluster.watch import Watch
from d2lrnn.interrupts import on_first

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # as they stop a training of one process


def run_job(job: Job, say: Callable[[str], None], complain: Callable[[str], None]) -> int:
    """Run a job until all of its processes have ended, and return the exit status for the command line.

    Ctrl-C, SIGTERM and SIGHUP end the job: the worker of rank 0 first keeps its position.  A second Ctrl-C ends all at
    once.

    A job that fails is started again, ``job.restarts`` times at most.  It is not if the workers have never met, or one
    of them has told a mistake (:class:`MistakeError`): then the arguments, the data or the hosts are at fault, and
    would be again.

    Args:
        job: the job.
        say: called with the lines on its progress.
        complain: called with the lines on its failures, but for the last.

    Returns:
        0, or 128 and the number of the signal that has ended the job.

    Raises:
        JobError: if the job has failed.
        KeyboardInterrupt: in case of a second Ctrl-C.
    """
    signals: list[int] = []
    with on_first(signals.append, *STOPPING):
        has_met, mark = False, None
        for attempt in range(job.restarts + 1):
            watch = Watch(job, attempt == 0, mark, signals)
            try:
                watch.run(say)
                return 0
            except JobError as error:
                if signals:
                    complain("all processes of the job have been ended")
                    return 128 + signals[0]
                has_met, mark = has_met or watch.met, watch.mark
                ended = f"{error}; all processes of the job have been ended"
                if attempt == job.restarts or not has_met or isinstance(error, MistakeError):
                    raise JobError(ended + _where_to_go_on(job, watch)) from None
                complain(f"{ended}; the job is started again ({attempt + 1} of {job.restarts})")
    raise AssertionError("the last attempt returns or raises")


def _where_to_go_on(job: Job, watch: Watch) -> str:
    """Return what to add to the reason why a job has ended, if a position of it is there and no worker has said so."""
    checkpoint = job.checkpoint
    if checkpoint is None or not checkpoint.go_on or watch.has_told:
        return ""
    is_kept = mark_of(checkpoint.file) not in (None, watch.mark)
    return f"; go on with it: {checkpoint.go_on}" if is_kept else ""
