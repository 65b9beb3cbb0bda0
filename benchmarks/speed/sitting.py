"""One sitting: round after round, all implementations take turns, and only one computes at a time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from speed.cases import FAMILIES, Case, num_steps_for
from speed.neighbours import Neighbours
from speed.work import SkippedError
from speed.workers import BENCHMARKS, PAUSE, WorkerProcess

STEPS_FOR_MEMORY = 10
# These start from the same parameters and, without dropout, have the same losses. Ours is the first.
SAME_START = ("ours gluon", "torch", "jax")
LARGEST_DIFFERENCE = 1e-4  # of a loss, relative; float32 differs by 1e-5 after a few steps
ROUNDS_FOR_MEMORY = 2  # two are enough: each is a fresh process, and they hardly differ


@dataclass(frozen=True)
class Options:
    """How long a sitting lasts."""

    rounds: int = 5
    seconds: float = 1.0  # of an implementation's turn
    least_steps: int = 3  # of a turn, however long it takes
    warm_up: int = 4


class Sitting:
    """Runs cases, and keeps each result at once, so that an interruption loses nothing."""

    def __init__(self, pythons: dict[str, str | None], environment: dict[str, str], options: Options) -> None:
        self.pythons, self.environment, self.options = pythons, environment, options
        self.workers = {family: self._worker(family) for family in pythons}
        self.neighbours = Neighbours()

    def _worker(self, family: str) -> WorkerProcess:
        return WorkerProcess(family, self.pythons[family], self.environment)

    def hello(self) -> dict:
        """Start every worker, and return what each says of itself."""
        said = {}
        for family, worker in self.workers.items():
            try:
                said[family] = worker.ask("hello")
            except SkippedError as reason:
                said[family] = {"skipped": str(reason)}
        return said

    def run(self, case: Case, result: dict) -> None:
        """Run one case and enter what was found into ``result``."""
        if case.task == "startup":
            self._rounds(case, result, self._start_up, self.options.rounds)
        elif case.group == "memory":
            rounds = min(self.options.rounds, ROUNDS_FOR_MEMORY)
            self._rounds(case, result, lambda name: self._memory(case, name), rounds)
        else:
            self._steps(case, result)

    def _rounds(self, case: Case, result: dict, measure: Callable[[str], list], rounds: int) -> None:
        """Give every implementation a turn in each round; each round begins with another implementation."""
        for i in range(rounds):
            here = self._taking_part(case, result)
            if not here:
                return
            order = here[i % len(here) :] + here[: i % len(here)]
            entry: dict = {"times": {}}
            result["rounds"].append(entry)  # now, so that an interruption keeps the turns before it
            self._others()
            if case.flops and case.group != "memory":
                entry["limit"] = self._limit()
            for name in order:
                _progress(f"{case.key}: round {i + 1} of {rounds}, {name}")
                try:
                    entry["times"][name] = measure(name)
                except SkippedError as reason:
                    _skip(result, case, name, reason)
            entry["others"] = self._others()

    def _others(self) -> float | None:
        """Return the share of the machine that others used since the last call."""
        living = [worker.process.pid for worker in self.workers.values() if worker.process is not None]
        try:
            return self.neighbours.share(living)
        except OSError:  # a worker died this moment
            return None

    def _limit(self) -> float | None:
        try:
            return self.workers["ours"].ask("limit")
        except SkippedError:
            return None

    def _steps(self, case: Case, result: dict) -> None:
        counts = {}
        for name in case.implementations:
            _progress(f"{case.key}: preparing {name}")
            request = {"task": case.task, "params": case.params, "warm_up": self.options.warm_up}
            try:
                milliseconds = self._ask(name, "prepare", **request)
            except SkippedError as reason:
                _skip(result, case, name, reason)
                continue
            counts[name] = num_steps_for(milliseconds, self.options.seconds, self.options.least_steps)
        self._compare_losses(case, result)
        self._rounds(case, result, lambda name: self._ask(name, "round", count=counts[name]), self.options.rounds)
        for worker in self.workers.values():
            if worker.process is not None:
                worker.ask("forget")

    def _compare_losses(self, case: Case, result: dict) -> None:
        """Leave out a peer whose first losses are not ours: it would not do the same work.

        Only those are compared that start from the same parameters, and only without dropout, which draws at random.
        """
        if case.task != "training" or case.params["dropout"]:
            return
        ours, *peers = (name for name in SAME_START if name in self._taking_part(case, result))
        expected = self._ask(ours, "losses")
        for name in peers:
            losses = self._ask(name, "losses")
            difference = max(abs(theirs / own - 1) for theirs, own in zip(losses, expected))
            result["differences"][name] = difference
            if not difference <= LARGEST_DIFFERENCE:
                _skip(result, case, name, SkippedError(f"its first losses are {losses}, those of {ours} {expected}"))

    def _taking_part(self, case: Case, result: dict) -> list[str]:
        return [name for name in case.implementations if name not in result["skipped"]]

    def _ask(self, name: str, do: str, **request):
        return self.workers[FAMILIES[name]].ask(do, implementation=name, **request)

    def _memory(self, case: Case, name: str) -> list[float]:
        """Return the peak memory of a fresh process after some steps."""
        worker = self._worker(FAMILIES[name])
        try:
            request = {"task": case.task, "params": case.params, "warm_up": STEPS_FOR_MEMORY}
            worker.ask("prepare", implementation=name, **request)
            return [worker.ask("memory")]
        finally:
            worker.stop()

    def _start_up(self, name: str) -> list[float]:
        """Return the milliseconds from starting a fresh Python to its end."""
        alias = "import numpy; numpy.bool = numpy.bool_; "
        commands = {
            "ours: import d2lrnn": (sys.executable, "-c", "import d2lrnn"),
            "ours: d2lrnn --help": (sys.executable, "-m", "d2lrnn", "--help"),
            "import mxnet": (sys.executable, "-c", alias + "import mxnet"),
            "from d2l import mxnet": (sys.executable, "-c", alias + "from d2l import mxnet"),
            "import torch": (self.pythons["torch"], "-c", "import torch"),
            "import jax": (self.pythons["jax"], "-c", "import jax"),
        }
        command = commands[name]
        if command[0] is None:
            raise SkippedError("the peers' environment could not be made")
        times = []
        for _ in range(2):  # the first one brings the files into memory
            start = time.perf_counter()
            done = subprocess.run(
                command, cwd=BENCHMARKS, env=self.environment, capture_output=True, stdin=subprocess.DEVNULL
            )
            times.append((time.perf_counter() - start) * 1e3)
            if done.returncode:
                raise SkippedError(done.stderr.decode().strip().split("\n")[-1][:300])
            time.sleep(PAUSE)
        return times[1:]

    def stop(self) -> None:
        """End all workers."""
        for worker in self.workers.values():
            worker.stop()


def new_result(case: Case) -> dict:
    """Return what is kept of a case, still without a round."""
    about = {"group": case.group, "name": case.name, "params": case.params, "unit": case.unit, "flops": case.flops}
    return {**about, "skipped": {}, "differences": {}, "rounds": []}


def _skip(result: dict, case: Case, name: str, reason: SkippedError) -> None:
    result["skipped"][name] = str(reason)
    say(f"{case.key}: {name} left out: {reason}")


def _progress(text: str) -> None:
    """Show what is going on, on one line that the next overwrites; a log file gets the finished cases alone."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def say(text: str) -> None:
    """Print a line that stays."""
    _progress("")
    print(text, flush=True)
