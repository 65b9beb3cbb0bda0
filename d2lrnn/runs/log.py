"""The log of a training run: a line of JSON for its head, each epoch, each time that it went on, and the test."""

from __future__ import annotations

import math
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from d2lrnn._runtime import mx
from d2lrnn.config.fields import MAX_EPOCHS
from d2lrnn.errors import D2lrnnError, naming
from d2lrnn.paths import PathLike, is_there, user_path
from d2lrnn.runs.schema import MismatchError, any_number, anything, flag, measure, or_none, parse, record, text, whole
from d2lrnn.runs.whole_file import open_file
from d2lrnn.training.history import History

LOG = "log.jsonl"  # in the folder of a run
MAX_LOG, MAX_LINES = 2**28, 2 * MAX_EPOCHS  # bytes and lines of a log
MAX_LINE = 2**24  # bytes of a line: those of an epoch have some 300; in a head, the texts to begin with may be long

# The line of an epoch, with a number or null for each measure; and any other line, as far as it is read here.
_EPOCH = record({"event": text, "epoch": whole(1, MAX_EPOCHS)}, others=or_none(any_number))
_ENTRY = record(
    {},
    {
        "event": text,
        "epoch": whole(),
        "measure": text,
        "less_is_better": flag,
        "best": record({}, {"epoch": whole()}, others=measure),  # of the best model, if its epoch has no line
    },
    others=anything,
)


class RunError(D2lrnnError):
    """A folder holds no run, or another one than is asked for."""


def epoch_entry(history: History, epoch: int) -> dict[str, Any]:
    """Return a log's line for an epoch, from 1: all its measures, the one that the run is judged by first."""
    found, first = history.epochs[epoch - 1], (history.measure, history.valid_measure)
    names = [name for name in first if name in found] + [name for name in found if name not in first]
    return {"event": "epoch", "epoch": epoch, **{name: found[name] for name in names}}


def read_log(path: PathLike) -> list[dict[str, Any]]:
    """Read a run's log line by line; a last line that a kill cut short is left out.

    Such a line is whatever lacks its line feed after other lines; the first line also begins as a line of a log does.

    Raises:
        FileError: if the file cannot be read, or is no regular file but a pipe or a device.
        RunError: if there is no such file, or it is no such log.
    """
    path = user_path(path)
    if not is_there(path):
        raise RunError(
            f"{path} is not there: expected a folder that `train` wrote, or its {LOG}; an imported model has no log"
        )
    entries = []
    with open_file(path) as file, naming(path):
        size = os.fstat(file.fileno()).st_size
        if size > MAX_LOG:
            raise RunError(f"{path} has {size:,} bytes: expected a run's log, at most {MAX_LOG:,}")
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), b""), 1):
            if number > MAX_LINES:
                raise RunError(f"{path} has over {MAX_LINES:,} lines: expected a run's log, with one for each epoch")
            if line == b"\n":
                continue
            try:
                entries.append(_entry(line))
            except MismatchError as error:
                is_cut = not line.endswith(b"\n") and len(line) < MAX_LINE
                if is_cut and (entries or line.startswith(b"{")):  # else no log, such as a text of one line
                    break
                start = line[:50].decode(errors="replace").rstrip("\n")
                raise RunError(f"{path}, line {number} is not a line of a run's log: {start!r}: {error}") from None
    return entries


def _entry(line: bytes) -> dict[str, Any]:
    entry = parse(line.decode(errors="replace"))
    check = _EPOCH if isinstance(entry, dict) and entry.get("event") == "epoch" else _ENTRY
    check(entry)
    return entry


@dataclass(frozen=True)
class LoggedEpochs:
    """The epochs that a log tells of."""

    history: History  # an epoch that the log does not tell of has no measures
    missing: dict[str, list[int]]  # by measure that is drawn: epochs without a finite number, from 1 to the last one
    doubled: list[int]  # epochs with several lines, of which the last one counts


def read_epochs(run: PathLike) -> LoggedEpochs:
    """Return the epochs of a run's log, and which are missing or there twice.

    Args:
        run: the folder of the run, or its log.

    Raises:
        FileError, RunError: as :func:`read_log`; RunError also if no epoch is over.
    """
    run = user_path(run)
    with naming(run):
        path = run / LOG if run.is_dir() else run
    history, doubled = History(), set()
    by_number: dict[int, dict[str, float]] = {}
    for entry in read_log(path):
        if entry.get("event") == "epoch":
            number = entry["epoch"]
            if number in by_number:
                doubled.add(number)
            values = {name: value for name, value in entry.items() if name not in ("event", "epoch")}
            by_number[number] = {name: value for name, value in values.items() if value is not None}
        else:  # the head names the measure; in old logs it does not, and the measure is the perplexity
            history.measure = entry.get("measure", history.measure)
            history.less_is_better = entry.get("less_is_better", history.less_is_better)
    history.epochs = [by_number.get(number, {}) for number in range(1, max(by_number, default=0) + 1)]
    known = history.numbered(history.measure)
    if not known:
        raise RunError(f"{path} tells of no epoch yet: wait until the first one is over")
    return LoggedEpochs(history, _missing(history), sorted(doubled))


def _missing(history: History) -> dict[str, list[int]]:
    """Return the epochs that curves have no point of, by measure; an epoch that is missing altogether is named once."""
    finite = {
        name: {number for number, value in history.numbered(name).items() if math.isfinite(value)}
        for name in (history.measure, history.valid_measure, "grad_norm")
    }
    told = finite[history.measure]
    missing = {name: sorted(told - numbers) for name, numbers in finite.items() if history.numbered(name)}
    return {**missing, history.measure: [number for number in range(1, len(history.epochs) + 1) if number not in told]}


def read_history(run: PathLike) -> History:
    """Return the epochs of a run's log as a history; arguments and errors as for :func:`read_epochs`."""
    return read_epochs(run).history


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
