"""A process of a job that takes milliseconds, in place of MXNet and a training.

Its arguments are a folder that the processes of the job share, and what some of them do, such as ``worker1=exit:3``.
With ``ranks=other`` the first worker has the highest rank, else rank 0.
"""

import os
import signal
import sys
import time
from pathlib import Path

FOLDER, ACTIONS = Path(sys.argv[1]), dict(word.split("=") for word in sys.argv[2:] if "=" in word)
WORKERS = range(int(os.environ["DMLC_NUM_WORKER"]))
ME = os.environ["D2LRNN_PROCESS"].replace(" ", "")
ACTION, _, VALUE = ACTIONS.get(ME, "").partition(":")


def report(line):
    os.write(int(os.environ["D2LRNN_KEEPER_FD"]), f"{line}\n".encode())


def keep(*_):
    print("the position is kept", flush=True)
    sys.exit(143)


def wait_for(sign):
    while not all((FOLDER / f"worker{number}.{sign}").exists() for number in WORKERS):
        time.sleep(0.01)


def act():
    """Do what the arguments ask of this process, or return."""
    if ACTION == "exit":
        sys.exit(int(VALUE))
    if ACTION == "kill":
        os.kill(os.getpid(), int(VALUE))
    if ACTION == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if ACTION in ("kill_keeper", "stop_keeper"):
        os.kill(os.getppid(), signal.SIGKILL if ACTION == "kill_keeper" else signal.SIGSTOP)
    if ACTION == "wait":
        report("waits")
    if ACTION == "last":
        while not (FOLDER / VALUE).exists():
            time.sleep(0.01)
        report("goes-on")
    if ACTION == "fail_once" and not (FOLDER / "failed").exists():
        (FOLDER / "failed").touch()
        if VALUE:
            (FOLDER / VALUE).write_text("a position")
        sys.exit(1)
    if ACTION in ("stay", "keep", "kill_keeper", "stop_keeper", "wait"):
        time.sleep(600)


if os.environ["DMLC_ROLE"] != "worker":
    act()
    wait_for("done")
    sys.exit()
if ACTION in ("keep", "stop"):
    signal.signal(signal.SIGTERM, keep)
if ACTION == "hang":
    time.sleep(600)
report("ready")
(FOLDER / f"{ME}.ready").touch()
if ACTION == "early":
    sys.exit(int(VALUE))
wait_for("ready")
if ACTION == "alone":
    time.sleep(600)
number = int(ME.removeprefix("worker"))
report(f"rank {WORKERS[-1] - number if ACTIONS.get('ranks') else number}")
print(f"{ME} prints", flush=True)
print(f"{ME} warns", file=sys.stderr, flush=True)
(FOLDER / f"{ME}.met").touch()
wait_for("met")
act()
(FOLDER / f"{ME}.done").touch()
