"""Jobs on this machine: all of their processes end, whatever happens, and a line says why."""

import os
import re
import signal
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
from made_jobs import STAND_IN

from d2lrnn.cluster import watch
from d2lrnn.cluster.clock import AwakeClock
from d2lrnn.cluster.job import Checkpoint, JobError
from d2lrnn.cluster.launcher import run_job
from d2lrnn.cluster.output import JobOutput
from d2lrnn.cluster.report import MISTAKE

ENDED = "; all processes of the job have been ended"


@pytest.fixture
def run(capsys):
    """Run a job; returns its exit status or its error, what it said, and the lines of standard output and error."""

    def run(job, say=print):
        said = []
        capsys.readouterr()
        try:
            result = run_job(job, lambda line: (said.append(line), say(line)), said.append)
        except JobError as error:
            result = str(error)
        out, err = capsys.readouterr()
        return result, said, out.splitlines(), sorted(err.splitlines())

    return run


@pytest.fixture(autouse=True)
def usual_handlers():
    """Python's own handlers, whatever the tests were started by: a shell's background job ignores SIGINT."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    assert {number: signal.signal(number, handler) for number, handler in before.items()} == usual


def test_a_job_runs_to_its_end_and_shows_rank_0_as_it_is(job, run):
    result, said, out, err = run(job(num_workers=3, num_servers=2))
    assert (result, said) == (0, ["job      3 workers and 2 servers on this machine"])
    assert out == [*said, "worker0 prints"]
    assert err == ["worker 1: worker1 warns", "worker 2: worker2 warns", "worker0 warns"]


def test_what_is_printed_early_comes_after_the_line_on_the_job(job, run, monkeypatch):
    """As on a busy machine, where workers print before the launcher knows that all processes have started."""
    usual = watch.Watch._agree_on_the_checkpoint

    def late(self):
        self._quietly_until(lambda: all(kept.status is not None for kept in self._workers), 20)
        usual(self)

    monkeypatch.setattr(watch.Watch, "_agree_on_the_checkpoint", late)
    result, said, out, err = run(job())
    assert (result, out) == (0, [*said, "worker0 prints"])
    assert err == ["worker 1: worker1 warns", "worker0 warns"]


def test_the_worker_of_rank_0_need_not_be_the_first(job, run):
    result, _, out, err = run(job("ranks=other", num_workers=3))
    assert (result, out[1:]) == (0, ["worker2 prints"])
    assert err == ["worker 0: worker0 warns", "worker 1: worker1 warns", "worker2 warns"]


@pytest.mark.parametrize(
    ("actions", "who"),
    [
        (["worker1=exit:3"], "worker 1 ended with status 3"),
        (["worker0=kill:9", "worker1=stay"], "worker 0 was killed by signal 9 (SIGKILL)"),
        (["worker1=early:2"], "worker 1 ended with status 2"),
        (["server0=kill:11", "worker1=stay"], "server 0 was killed by signal 11 (SIGSEGV)"),
        (["scheduler0=kill:9", "worker1=stay"], "the scheduler was killed by signal 9 (SIGKILL)"),
        (["worker1=kill_keeper"], "the keeper of worker 1 was killed by signal 9 (SIGKILL)"),
        (["scheduler0=kill_keeper", "worker1=stay"], "the keeper of the scheduler was killed by signal 9 (SIGKILL)"),
    ],
    ids=" ".join,
)
def test_a_process_that_fails_ends_the_job(job, run, actions, who):
    assert run(job(*actions))[0] == who + ENDED


def test_workers_are_not_left_without_a_server(job, run, monkeypatch):
    monkeypatch.setattr(watch, "CLOSING", 0.1)
    assert run(job("server0=exit:0", "worker1=stay"))[0] == "server 0 ended before the workers did" + ENDED


@pytest.mark.parametrize(
    ("actions", "who"),
    [
        (["worker1=stop"], "worker 1 was stopped by signal 19 (SIGSTOP) and does not go on"),
        (["server0=stop", "worker1=stay"], "server 0 was stopped by signal 19 (SIGSTOP) and does not go on"),
        (["scheduler0=stop", "worker1=stay"], "the scheduler was stopped by signal 19 (SIGSTOP) and does not go on"),
    ],
    ids=" ".join,
)
def test_a_process_that_stands_still_ends_the_job(job, run, monkeypatch, actions, who):
    monkeypatch.setattr(watch, "STANDSTILL", 0.1)
    assert run(job(*actions))[0] == who + ENDED


def test_rank_0_keeps_its_position_when_it_was_stopped_itself(job, run, monkeypatch):
    monkeypatch.setattr(watch, "STANDSTILL", 0.1)
    result, _, out, _ = run(job("worker0=stop", "worker1=stay"))
    assert result == "worker 0 was stopped by signal 19 (SIGSTOP) and does not go on" + ENDED
    assert out[1:] == ["worker0 prints", "the position is kept"]


def test_a_keeper_that_stands_still_ends_the_job(job, run, monkeypatch):
    monkeypatch.setattr(watch, "LEASE", 3.0)
    result, *_ = run(job("worker1=stop_keeper", "worker0=stay"))
    assert result == "the keeper of worker 1 has given no sign of life for 3 seconds" + ENDED


def test_workers_that_wait_for_one_another_end_the_job(job, run):
    result, *_ = run(job("worker0=wait", "worker1=wait", step_timeout=0.2))
    assert result == "all workers have waited for one another for 0.2 seconds (--step-timeout)" + ENDED


def test_a_job_outlasts_a_stop_of_the_launcher(job, tmp_path, monkeypatch):
    """As by Ctrl-Z, and `fg` later."""
    monkeypatch.setattr(watch, "LEASE", 2.0)
    asked = job("worker0=last:go", start_timeout=120.0)
    launcher = os.fork()
    if not launcher:
        status = 99
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            status = run_job(asked, lambda line: None, lambda line: None)
        finally:
            os._exit(status)
    while not (tmp_path / "shared" / "worker1.met").exists():
        time.sleep(0.01)
    os.kill(launcher, signal.SIGSTOP)
    time.sleep(2.5)
    os.kill(launcher, signal.SIGCONT)
    (tmp_path / "shared" / "go").touch()
    assert os.waitstatus_to_exitcode(os.waitpid(launcher, 0)[1]) == 0


class Clock(AwakeClock):
    """A clock that is an hour ahead once a file is a second old."""

    file: Path

    def now(self):
        is_old = self.file.exists() and time.time() > self.file.stat().st_mtime + 1
        return super().now() + (3600 if is_old else 0)


@pytest.mark.parametrize(
    ("action", "what"),
    [
        ("hang", "worker 1 did not start within 60 seconds (--start-timeout)"),
        ("alone", "the workers did not meet the scheduler and all servers within 60 seconds"),
    ],
)
def test_a_job_that_never_comes_up_is_given_up(job, run, monkeypatch, tmp_path, action, what):
    monkeypatch.setattr(Clock, "file", tmp_path / "shared" / "worker0.ready", raising=False)
    monkeypatch.setattr(watch, "AwakeClock", Clock)
    monkeypatch.setattr(watch, "LEASE", 10_000.0)
    assert run(job(f"worker1={action}"))[0] == what + ENDED


def test_a_program_that_is_not_there(job, run, tmp_path):
    missing = str(tmp_path / "python")
    result, *_ = run(job(worker=(missing,)))
    reason = f"cannot be started: [Errno 2] No such file or directory: '{missing}'"
    assert result in [f"worker {number} {reason}{ENDED}" for number in (0, 1)]


def test_a_port_in_use(job, run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result, *_ = run(job(port=port))
    reason = (
        f"the scheduler cannot listen at 127.0.0.1, port {port}: Address already in use; name another --port, or none"
    )
    assert result == reason + ENDED


def test_rank_0_keeps_its_position_when_another_process_fails(job, run):
    result, _, out, _ = run(job("worker0=keep", "worker1=kill:9"))
    assert result == "worker 1 was killed by signal 9 (SIGKILL)" + ENDED
    assert out[1:] == ["worker0 prints", "the position is kept"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_job_and_rank_0_keeps_its_position(job, run, monkeypatch, number):
    class Interrupting(JobOutput):
        """It sends the launcher the signal once it is known which worker has rank 0."""

        sent = False

        def note(self, kept, message):
            super().note(kept, message)
            if kept.rank == 0 and not self.sent:
                self.sent = True
                os.kill(os.getpid(), number)

    monkeypatch.setattr(watch, "JobOutput", Interrupting)
    result, said, out, _ = run(job("worker0=keep", "worker1=stay"))
    assert (result, said[1:]) == (128 + number, ["all processes of the job have been ended"])
    assert out[-1] == "the position is kept"


def test_a_second_interrupt_ends_the_job_at_once(job, run):
    def interrupt(line):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()

    with pytest.raises(KeyboardInterrupt):
        run(job("worker0=stay"), interrupt)


def test_a_launcher_that_is_killed_takes_all_with_it(job, processes, tmp_path):
    asked = job("worker0=stay", "worker1=stay")
    launcher = os.fork()
    if not launcher:
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            run_job(asked, lambda line: None, lambda line: None)
        finally:
            os._exit(0)
    # There are four keepers, the scheduler, the server and the two workers, and none of them comes to its end.
    while not (tmp_path / "shared" / "worker1.met").exists() or len(processes()) < 8:
        time.sleep(0.01)
    os.kill(launcher, signal.SIGKILL)
    os.waitpid(launcher, 0)


def going_on(folder):
    """Return the checkpoint of a job of stand-ins, whose processes do nothing but come to their end."""
    return Checkpoint(str(folder / "last"), (*STAND_IN, str(folder)))


def test_a_job_that_fails_goes_on_from_its_checkpoint(job, run, tmp_path):
    checkpoint = going_on(tmp_path / "shared")
    result, said, out, _ = run(job("worker1=fail_once:last", restarts=2, checkpoint=checkpoint))
    assert result == 0
    assert said == [
        "job      2 workers and 1 server on this machine",
        f"worker 1 ended with status 1{ENDED}; the job is started again (1 of 2)",
        f"job      2 workers and 1 server on this machine; it goes on from {checkpoint.file}",
    ]
    assert out.count("worker0 prints") == 2


@pytest.mark.parametrize(
    ("actions", "is_told"),
    [
        (["worker1=fail_once:last", "worker0=stay"], True),  # worker 0 dies of SIGTERM
        (["worker1=fail_once:last", "worker0=keep"], False),  # worker 0 comes to its own end
        (["worker1=exit:1", "worker0=stay"], False),  # the position that is there is an earlier run's
    ],
)
def test_how_a_job_goes_on_is_told_if_no_worker_has_told_it(job, run, tmp_path, actions, is_told):
    asked = job(*actions, checkpoint=replace(going_on(tmp_path / "shared"), go_on="launch ... --resume"))
    (tmp_path / "shared" / "last").write_text("an earlier run")
    told = "; go on with it: launch ... --resume" if is_told else ""
    assert run(asked)[0] == f"worker 1 ended with status 1{ENDED}{told}"


@pytest.mark.parametrize("earlier", [False, True])
def test_a_job_without_a_checkpoint_of_its_own_begins_anew(job, run, tmp_path, earlier):
    """A file that an earlier run has left in the folder is no position of this job's."""
    asked = job("worker1=fail_once", restarts=1, checkpoint=going_on(tmp_path / "shared"))
    if earlier:
        (tmp_path / "shared" / "last").write_text("an earlier run")
    result, said, *_ = run(asked)
    assert result == 0
    assert said[2].endswith("; it begins anew, since it has kept no position yet")


def test_a_job_is_started_again_so_often_and_no_more(job, run, tmp_path):
    result, said, *_ = run(job("worker1=exit:1", restarts=2))
    assert result == "worker 1 ended with status 1" + ENDED
    assert [line[-8:] for line in said if "again" in line] == ["(1 of 2)", "(2 of 2)"]


def test_a_job_whose_user_has_to_mend_something_is_not_started_again(job, run):
    result, said, *_ = run(job(f"worker1=exit:{MISTAKE}", restarts=5))
    assert (result, len(said)) == (f"worker 1 ended with status 2{ENDED}", 1)


def test_a_job_whose_workers_never_met_is_not_started_again(job, run):
    result, said, *_ = run(job("worker1=early:1", restarts=5))
    assert result == "worker 1 ended with status 1" + ENDED
    assert not re.search("again", " ".join(said))
