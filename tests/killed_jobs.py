"""Jobs of `launch` that lose a process: the driver of the tests in tests/cluster/test_kills.py.

Importing MXNet takes longer than such a job, so it is done once: the launcher, the keepers and what they keep are forks
of one process.  All else is as it is: MXNet's KVStore on loopback, sessions, pipes and signals.
"""

import contextlib
import ctypes
import gc
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

from tiny import ALWAYS, FOX_NAMED, write_fox

from d2lrnn._runtime import mx
from d2lrnn.cli import main as cli
from d2lrnn.cluster import kept, watch
from d2lrnn.cluster.kept import BOOT
from d2lrnn.cluster.output import JobOutput
from d2lrnn.data.corpora import CORPORA
from d2lrnn.runs.checkpoint import LAST
from d2lrnn.runs.trained import load_run

PR_SET_CHILD_SUBREAPER = 36  # <sys/prctl.h>
AT_ONCE = 5  # jobs that run at the same time: most of their time they wait
# What a process tells in whose output a phase of a job begins.
PHASES = {
    "start": "started",
    "training": "parameters, on",
    "writing": "parameters, on",
    "end": "model    ",
    "never": "\0",
}
USUAL = "300"  # --step-timeout
ROLES = ("scheduler", "server", "worker")
VICTIM, SENT = "victim", "sent"  # files with the process that is to be killed, and when it was
REAL = subprocess.Popen


class Forked(subprocess.Popen):
    """A fork of this process, where a command would start a fresh Python."""

    def _execute_child(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *others):
        stdin, _, _, stdout, _, stderr = others[3:9]
        is_ready, ready = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                os.setsid()
                become(args[1:], preexec_fn, pass_fds, env, (stdin, stdout, stderr))
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        self._child_created = True
        os.close(ready)
        os.read(is_ready, 1)  # the fork has a session of its own, and has closed its end
        for descriptor in (is_ready, stdin, stdout, stderr):
            os.close(descriptor)


def become(words, preexec_fn, pass_fds, env, descriptors):
    """Be in this process, a fork, what a fresh one would be."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    bounds = [2, *sorted(pass_fds), 4096]
    for before, after in zip(bounds, bounds[1:]):
        os.closerange(before + 1, after)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin, sys.stdout, sys.stderr = (open(n, mode, closefd=False) for n, mode in enumerate("rww"))
    if env is not None:
        os.environ.clear()
        os.environ.update(env)
    if preexec_fn is not None:
        preexec_fn()
    status = run_command(words)
    gc.collect()  # the KVStore says farewell
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def run_command(words):
    """Do what the command of a keeper, a server or the scheduler, or a worker does; return the exit status."""
    if words[-1] == BOOT:
        subprocess.Popen = Forked  # for the keeper's source, which this reads
        exec(BOOT, {})
        return 0
    subprocess.Popen = REAL
    if words[0] == "-c":
        with contextlib.suppress(SystemExit):
            mx.kvstore.kvstore_server._init_kvstore_server_module()
        return 0
    sys.argv = words[1:]
    cli.main = lambda real=cli.main: real(pace=ALWAYS)
    kill_in_writing(Path(words[words.index("--out" if "--out" in words else "--resume") + 1]).parent)
    return cli.program()


def kill_in_writing(folder):
    """Let the worker that writes kill the victim in the middle of writing a checkpoint, if it is told which one."""
    calls = itertools.count(1)

    def fsync(file, real=os.fsync):
        real(file)
        with contextlib.suppress(FileNotFoundError):
            number, count = map(int, (folder / VICTIM).read_text().split())
            if next(calls) == count:
                (folder / VICTIM).unlink()
                (folder / SENT).write_text(str(time.monotonic()))
                os.kill(number, signal.SIGKILL)

    os.fsync = fsync


class Losing(JobOutput):
    """The output of a job, which sees what its processes do, and sends one of them a signal.

    Attributes:
        plan: the role of the victim, in which phase it gets the signal, how late in it, and which signal.
        folder: of the job.
        victim: the name of the process; empty as long as its phase has not begun.
        missed: whether the process had come to its end by itself when the signal was sent.
    """

    plan: dict = {}
    folder, victim, missed = Path(), "", False

    def __init__(self):
        super().__init__()
        self._candidates = []

    def note(self, kept, message):
        super().note(kept, message)
        event = message["event"]
        if event == "started" and kept.member.role == self.plan["role"]:
            self._candidates.append(kept)
        if Losing.victim or not self._candidates or PHASES[self.plan["phase"]] not in message.get("text", event):
            return
        victim = self._candidates[self.plan["which"] % len(self._candidates)]
        Losing.victim, pid = victim.member.name, victim.started["pid"]
        if self.plan["phase"] == "writing":
            (self.folder / "part").write_text(f"{pid} {self.plan['late']}")
            os.replace(self.folder / "part", self.folder / VICTIM)  # it is there as a whole, or not
        else:
            threading.Timer(self.plan["late"], self._send, [pid]).start()

    def _send(self, pid):
        (self.folder / SENT).write_text(str(time.monotonic()))
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            Losing.missed = state == "Z"  # nobody has waited for it yet
            os.kill(pid, self.plan["signal"])
        except (FileNotFoundError, ProcessLookupError):
            Losing.missed = True


def lose(plan, folder):
    """Run a job that loses a process, in this fork; write what became of it."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # what loses its parent becomes a child of this process
    Losing.plan, Losing.folder, watch.JobOutput = plan, folder, Losing
    kept.Popen = Forked
    train = ["train", "--corpus", "rain", "--num-hiddens", "8", "--pred-period", "1000", "--out", str(folder / "run")]
    more = ["--num-epochs", str(plan["num_epochs"]), *plan["options"]]
    words = ["launch", "--restarts", str(plan["restarts"]), "--step-timeout", plan["step_timeout"], "--", *train, *more]
    if plan["step_timeout"] != USUAL:
        watch.STANDSTILL = 600.0  # the workers are to notice
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout, sys.stderr = (open(n, "w", closefd=False) for n in (1, 2))
    status = cli.main(words)
    found = {"status": status, "victim": Losing.victim, "missed": Losing.missed, "left": are_left()}
    if (folder / SENT).exists():
        found["seconds"] = time.monotonic() - float((folder / SENT).read_text())
    sys.stdout.flush()
    sys.stderr.flush()
    (folder / "found").write_text(json.dumps(found))


def are_left():
    """Whether a process that this one has started, or one of those has started, still runs."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    return False


def plans_of(seed):
    """Return what is lost, and when: ten kills of each role, and a stop of each, and a kill that a job outlasts.

    The plan before the last two is a stop of a server that the workers alone notice.  The last two are those of jobs
    that lose nothing: with compression, and without.
    """
    random.seed(seed)
    plans = []
    for role in ROLES:
        for phase in ["start"] * 3 + ["training"] * 3 + ["writing"] * 2 + ["end"] * 2:
            latest = {"start": 0.5, "training": 1.0, "end": 0.02}.get(phase)
            late = random.uniform(0, latest) if latest else random.randrange(6, 25)
            plan = {"role": role, "phase": phase, "late": late, "which": random.randrange(2)}
            plan.update(signal=signal.SIGKILL, restarts=0, num_epochs=1 if phase == "end" else 1000)
            plans.append({**plan, "options": [], "step_timeout": USUAL})
        plans.append({**plans[-3], "restarts": 1, "num_epochs": 2, "late": random.randrange(1, 6)})
        plans.append({**plans[-8], "signal": signal.SIGSTOP})
    whole = {**plans[0], "phase": "never", "num_epochs": 2}
    unnoticed = {**plans[15], "signal": signal.SIGSTOP, "step_timeout": "2"}
    return [*plans, unnoticed, {**whole, "options": ["--compression", "0.001"]}, whole]


def main(out, seed):
    """Let all jobs run, a few at a time, and print what became of each."""
    write_fox(out / "data")
    CORPORA["rain"], os.environ["D2LRNN_DATA"] = FOX_NAMED, str(out / "data")
    plans, running = plans_of(seed), {}
    for number, plan in enumerate(plans):
        folder = out / str(number)
        folder.mkdir()
        while len(running) >= AT_ONCE:
            running.pop(os.waitpid(-1, 0)[0], None)
        child = os.fork()
        if not child:
            try:
                lose(plan, folder)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        running[child] = number
    for child in running:
        os.waitpid(child, 0)
    print(json.dumps([{**plan, **outcome(out / str(number))} for number, plan in enumerate(plans)]))


def outcome(folder):
    """Return what became of a job: its exit status, what it said last, and the position that is kept."""
    found = json.loads((folder / "found").read_text())
    found["said"] = (folder / "err").read_text().splitlines()
    found["kept"] = (1, 0)
    if (folder / "run" / LAST).exists():
        position = load_run(folder / "run", LAST).training.position
        found["kept"] = position.epoch, position.batch
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
