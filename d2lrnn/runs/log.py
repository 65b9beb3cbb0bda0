"""The log of a training run: a line of JSON for its head, each epoch, each time that it went on, and the test."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from d2lrnn._runtime import mx
from d2lrnn.errors import D2lrnnError, naming
from d2lrnn.training.history import History

LOG = "log.jsonl"  # in the folder of a run


class RunError(D2lrnnError):
    """A folder holds no run, or another one than is asked for."""


def epoch_entry(history: History, epoch: int) -> dict[str, Any]:
    """Return a log's line for an epoch, from 1: all its measures, the one that the run is judged by first."""
    found, first = history.epochs[epoch - 1], (history.measure, history.valid_measure)
    names = [name for name in first if name in found] + [name for name in found if name not in first]
    return {"event": "epoch", "epoch": epoch, **{name: found[name] for name in names}}


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read a run's log; a last line that a kill cut short is left out.

    Raises:
        RunError: if the file is not there, or is no such log.
    """
    with naming(path):
        found = path.is_file()
    if not found:
        raise RunError(f"{path} is not there: expected a folder that `train` wrote, or its {LOG}")
    entries = []
    with naming(path):
        lines = path.read_text(errors="replace").split("\n")
    for number, line in enumerate(lines, 1):
        if not line:  # after the last line end
            continue
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict) or not isinstance(entry.get("epoch", 0), int):
                raise ValueError
        except ValueError:
            if number == len(lines):
                break
            raise RunError(f"{path}, line {number} is not a line of a run's log: {line[:50]!r}") from None
        entries.append(entry)
    return entries


def read_history(run: Path) -> History:
    """Return the epochs of a run's log.

    Args:
        run: the folder of the run, or its log.

    Raises:
        RunError: as :func:`read_log`; also if no epoch is over.
    """
    with naming(run):
        path = run / LOG if run.is_dir() else run
    history = History()
    for entry in read_log(path):
        if entry.get("event") == "epoch":
            numbers = {name: value for name, value in entry.items() if isinstance(value, (int, float))}
            history.epochs.append({name: value for name, value in numbers.items() if name != "epoch"})
        else:  # the head names the measure; in old logs it does not, and the measure is the perplexity
            history.measure = entry.get("measure", history.measure)
            history.less_is_better = entry.get("less_is_better", history.less_is_better)
    if not history.trained:
        raise RunError(f"{path} tells of no epoch yet: wait until the first one is over")
    return history


def machine() -> dict[str, Any]:
    """Return what a log says of the machine and the software."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
        "python": platform.python_version(),
        "mxnet": mx.__version__,
        "commit": _commit(),
    }


def _commit() -> str:
    """Return the commit of the checkout that d2lrnn is run from, with "-dirty" if files differ; "" for none."""
    package = Path(__file__).parents[1]
    command = ["git", "-C", str(package), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    if not (package.parent / ".git").exists():
        return ""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
