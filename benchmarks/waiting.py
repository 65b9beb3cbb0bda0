"""How long OpenMP's threads should spin before they sleep, on an idle machine and beside one other program.

    python benchmarks/waiting.py                      # on an otherwise idle machine
    python benchmarks/waiting.py --only ptb --settings default GOMP_SPINCOUNT=2000

Each setting of the environment has a worker process of its own, which runs the module's own training step or its own
writing. The workers take turns, so that all settings meet the same machine. *Busy* is one more process that computes
all the time. The figures are medians over all turns, in milliseconds a step or a text.

``default`` is the module's own choice. It stands first among the settings: its turn then follows a pause, in which no
other worker computes. After another worker's turn, it would take that worker for another program for a second.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from speed.cases import GENERATION, LYRICS, PTB, num_steps_for
from speed.environment import describe, usable_cores
from speed.workers import WorkerProcess

_PTB_SMALL = {"cell": "lstm", "vocab_size": 10000, "num_layers": 2, "batch_size": 20, "embed_size": 200, **PTB["small"]}
JOBS = {
    "shipped job": ("ours gluon", "training", {**LYRICS, "embed_size": 128}),  # the shapes of `train`
    "one-hot, fast": ("ours fast", "training", LYRICS),
    "one-hot, scratch": ("ours scratch", "training", LYRICS),
    "ptb small": ("ours gluon", "training", _PTB_SMALL),
    "writing": ("ours gluon", "generation", {**GENERATION, "num_prefixes": 1}),
}
SETTINGS = (
    "default",
    *(f"GOMP_SPINCOUNT={count}" for count in (500, 1000, 2000, 20000, 300000)),
    "OMP_WAIT_POLICY=passive",
    "OMP_NUM_THREADS=1",
)
VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
WORLDS = ("idle", "busy")
SETTLING = 2.0  # seconds after a change of the world: the module notices it in a second at most


def main() -> None:
    """Measure all jobs under all settings in both worlds; print a table for each world."""
    args = _arguments()
    found: dict = {"environment": describe(usable_cores()), **{world: {} for world in WORLDS}}
    for name in (name for name in JOBS if args.only in name):
        medians = _measured(name, args.settings, args.rounds, args.seconds)
        for world in WORLDS:
            found[world][name] = medians[world]
        print(name, json.dumps(medians), flush=True)
    print("\n" + "\n\n".join(_table(world, found[world], args.settings) for world in WORLDS))
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure how OpenMP's threads should wait for one another.")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the jobs whose name has this text")
    parser.add_argument("--settings", nargs="+", default=SETTINGS, metavar="NAME=VALUE", help="of the environment")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each setting in each world (5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a turn, about (1)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the medians as JSON")
    return parser.parse_args()


def _measured(name: str, settings: Sequence[str], rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return the median milliseconds of one job by world and setting."""
    implementation, task, params = JOBS[name]
    workers = {setting: WorkerProcess("ours", sys.executable, _environment(setting)) for setting in settings}
    times: dict = {world: {setting: [] for setting in settings} for world in WORLDS}
    latest: dict = {}  # milliseconds a step, from which the next turn's number of steps follows
    try:
        for setting, worker in workers.items():
            first = worker.ask("prepare", implementation=implementation, task=task, params=params, warm_up=5)
            latest[setting] = dict.fromkeys(WORLDS, first)
        for _ in range(rounds):
            for world in WORLDS:
                with _another_program() if world == "busy" else contextlib.nullcontext():
                    time.sleep(SETTLING)
                    for setting, worker in workers.items():
                        count = num_steps_for(latest[setting][world], seconds, 2)
                        steps = worker.ask("round", implementation=implementation, count=count)
                        latest[setting][world] = statistics.median(steps)
                        times[world][setting] += steps
    finally:
        for worker in workers.values():
            worker.stop()
    return {world: {s: round(statistics.median(steps), 3) for s, steps in times[world].items()} for world in WORLDS}


def _environment(setting: str) -> dict[str, str]:
    """Return the environment of a worker: this process's, with nothing set for OpenMP but the setting."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return environment | dict(part.split("=", 1) for part in setting.split(",") if "=" in part)


@contextlib.contextmanager
def _another_program() -> Iterator[None]:
    """Let another program compute meanwhile, on one core."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _table(world: str, found: dict[str, dict[str, float]], settings: Sequence[str]) -> str:
    """Return a table in Markdown: a row a setting, a column a job; milliseconds, and how much above the column's best.

    The last column is the worst of the row's percentages.
    """
    lines = [f"| {world} | {' | '.join(found)} | worst |", "|---" * (len(found) + 2) + "|"]
    for setting in settings:
        above = {name: medians[setting] / min(medians.values()) - 1 for name, medians in found.items()}
        cells = [f"{found[name][setting]:.4g} (+{above[name]:.0%})" for name in found]
        lines.append(f"| `{setting}` | {' | '.join(cells)} | +{max(above.values()):.0%} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
