"""A process that trains in children of its own and kills them: the driver of a test in tests/runs/test_folder.py.

Importing MXNet takes longer than a run of the tests, so it is done once, and each run is a fork.  What a run would
import beside it is imported once, too.
"""

import importlib
import itertools
import json
import os
import pkgutil
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
from made_digits import write_digits
from tiny import ALWAYS, FOX_NAMED, write_fox

from d2lrnn.cli import main as cli
from d2lrnn.cli import tasks
from d2lrnn.data import digits
from d2lrnn.data.corpora import CORPORA
from d2lrnn.runs.checkpoint import LAST
from d2lrnn.runs.trained import load_run

OF_A_RUN = ["d2lrnn.cli.train", "matplotlib.figure", "pooch"]
OF_A_RUN += [module.name for module in pkgutil.iter_modules(tasks.__path__, f"{tasks.__name__}.")]
for module_name in OF_A_RUN:
    importlib.import_module(module_name)

WRITING = ("fsync", "replace")  # the steps of a write that a kill may come before


def fork(arguments: list[str], fatal: str = "", count: int = 0) -> int:
    """Run a command of d2lrnn in a child that saves as often as it can; return the child's id.

    It kills itself before it calls ``os.fsync`` or ``os.replace`` for the ``count``-th time, if one is ``fatal``.
    """
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.fsync = lambda file, fsync=os.fsync: (fsync(file), time.sleep(0.005))  # a slow disk: more to interrupt
        if fatal:
            setattr(os, fatal, deadly(getattr(os, fatal), count))
        sys.stdout = open(os.devnull, "w")
        status = cli.main(arguments, pace=ALWAYS)
    finally:
        os._exit(status)


def deadly(function: Callable, count: int) -> Callable:
    """Return a function that does the same, and the ``count``-th time nothing, since the process is killed."""
    calls = itertools.count(1)

    def call(*arguments: Any) -> Any:
        if next(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)

    return call


def finish(child: int) -> None:
    """Wait for a child, which must succeed."""
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"a run ended with status {status}")


def kill_and_resume(begin: list[str], folder: Path, num_kills: int, longest: float) -> dict:
    """Kill a run again and again, at random moments at most ``longest`` seconds after its start, then let it end.

    One kill of three comes in the middle of writing a checkpoint.  There are more kills if none of these came after a
    step that was kept.  If the run ends before it is killed so often, since the machine has become faster, all begins
    anew with half the time.
    """
    killed_in_writing, positions = 0, []
    while len(positions) < num_kills or positions[-1] <= (1, 0):
        begun = (folder / LAST).exists()
        command = ["train", "--resume", str(folder)] if begun else begin
        if len(positions) % 3 == 2:
            child = fork(command, random.choice(WRITING), random.randrange(2, 6))
        else:
            child = fork(command)
            time.sleep(random.uniform(0, longest))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if status == 0:
            shutil.rmtree(folder)
            return kill_and_resume(begin, folder, num_kills, longest / 2)
        if status != signal.SIGKILL:
            raise SystemExit(f"the run ended with status {status} before it was killed")
        killed_in_writing += any(path.name.endswith(".part") for path in folder.glob("*"))
        positions.append((1, 0))
        if (folder / LAST).exists():
            position = load_run(folder, LAST).training.position
            positions[-1] = position.epoch, position.batch
    finish(fork(["train", "--resume", str(folder)]))
    return {"killed_in_writing": killed_in_writing, "positions": positions}


def main(out: Path, seed: int, num_kills: int, settings: list[str]) -> None:
    """Train once without a halt and once killed again and again, both below ``out``, and print what happened.

    The corpus is "rain", unless ``settings`` name another one.
    """
    random.seed(seed)
    numpy.random.seed(seed)
    write_fox(out / "data")
    digits.SOURCES.update(write_digits(out / "data", 60))
    CORPORA["rain"], os.environ["D2LRNN_DATA"] = FOX_NAMED, str(out / "data")
    settings = settings if "--corpus" in settings else ["--corpus", "rain", *settings]
    whole, killed = out / "whole", out / "killed"
    start = time.perf_counter()
    finish(fork(["train", "--out", str(whole), *settings]))
    seconds = time.perf_counter() - start
    begin = ["train", "--out", str(killed), *settings]
    print(json.dumps(kill_and_resume(begin, killed, num_kills, seconds / 8)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
