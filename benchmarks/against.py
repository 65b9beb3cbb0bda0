"""Hold this checkout's speed against another's: both run the same cases in turns, and the ratio is printed.

    .venv/bin/python benchmarks/against.py ../other-checkout [--only 'lyrics/lstm'] [--rounds 5]

The other checkout needs a .venv of its own (make venv there).  In each round this checkout's time is divided by the
other's, so that a machine which slows down meanwhile slows both.  The ratio is the median over the rounds.  A
ratio below 1 says that this checkout is faster.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
from pathlib import Path

from speed.cases import OURS, Case, all_cases, num_steps_for
from speed.environment import ROOT, usable_cores, worker_environment
from speed.work import SkippedError
from speed.workers import WorkerProcess


def compare(workers: dict[str, WorkerProcess], case: Case, implementation: str, rounds: int) -> str:
    """Return the milliseconds of both checkouts in one case, and the median of their ratios round by round."""
    count = {}
    for name, worker in workers.items():
        worker.ask("forget")
        once = worker.ask("prepare", implementation=implementation, task=case.task, params=case.params, warm_up=4)
        count[name] = num_steps_for(once, seconds=1.0, least=3)
    times: dict[str, list[float]] = {name: [] for name in workers}
    for i in range(rounds):
        for name in list(workers)[:: -1 if i % 2 else 1]:  # the two take turns in being first
            found = workers[name].ask("round", implementation=implementation, count=count[name])
            times[name].append(statistics.median(found))
    ratios = [this / other for this, other in zip(times["this"], times["other"])]
    this, other = (statistics.median(times[name]) for name in ("this", "other"))
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
    return f"{this:10.2f}{other:10.2f}{statistics.median(ratios):8.3f}   {spread}"


def main() -> None:
    """Compare all of our cases, or those that are named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("checkout", type=Path, help="the other checkout")
    parser.add_argument("--only", type=re.compile, default=re.compile(""), metavar="REGEX", help="only such cases")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each checkout (%(default)s)")
    args = parser.parse_args()
    environment, folder = worker_environment(usable_cores()), args.checkout.resolve()
    workers = {
        "this": WorkerProcess("ours", sys.executable, {**environment, "PYTHONPATH": str(ROOT)}),
        "other": WorkerProcess(
            "ours",
            str(folder / ".venv" / "bin" / "python"),
            {**environment, "PYTHONPATH": str(folder)},
            folder / "benchmarks",
        ),
    }
    print(f"{'case':42}{'this, ms':>10}{'other, ms':>10}{'ratio':>8}   of the rounds", flush=True)
    for case in all_cases():
        for implementation in case.implementations:
            name = f"{case.key}, {implementation}"
            if implementation in OURS and case.group not in ("startup", "memory") and args.only.search(name):
                try:
                    print(f"{name:42}{compare(workers, case, implementation, args.rounds)}", flush=True)
                except SkippedError as reason:
                    print(f"{name:42}  skipped: {reason}", flush=True)
    for worker in workers.values():
        worker.stop()


if __name__ == "__main__":
    main()
