"""Tell whether the files in a run's folder are all of the run that is to go on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from d2lrnn.config.model import ModelConfig
from d2lrnn.errors import D2lrnnError
from d2lrnn.runs.checkpoint import BEST, LAST, Checkpoint
from d2lrnn.runs.log import LOG, RunError
from d2lrnn.training.history import History


def check_position(run: Checkpoint, num_batches: int) -> None:
    """Refuse a position after more batches than an epoch has.

    Raises:
        RunError: with both numbers.
    """
    if run.training and run.training.position.batch > num_batches:
        raise RunError(
            f"{run.path} stands after {run.training.position.batch:,} batches of an epoch: expected at most "
            f"{num_batches:,}, which its text gives; begin anew, or go on with another copy of the file"
        )


def check_best(folder: Path, best: Checkpoint, run: Checkpoint, history: History, entries: Sequence[Mapping]) -> None:
    """Refuse a best model that is not of the run: of another model, vocabulary, text or history.

    Args:
        folder: of the run.
        best: what its model.d2lrnn holds.
        run: what its last.d2lrnn holds, or what was made of it; parameters and training do not matter.
        history: of the run.
        entries: of the log.  The best model may be of an epoch that comes after the history, if the log tells of it.

    Raises:
        RunError: with what does not fit, and what to do.
    """
    if best.model_config != run.model_config:
        _refuse(folder, BEST, _difference(best.model_config, run.model_config))
    if best.vocabularies != run.vocabularies:
        _refuse(folder, BEST, "its vocabulary is another one")
    if best.origin.get("sha256") != run.origin.get("sha256"):
        _refuse(folder, BEST, f"it was trained on another text, {best.corpus}")
    epoch, name = best.reached.get("epoch"), history.valid_measure
    others = sorted(best.reached.keys() - {"epoch", name})
    if others:
        _refuse(folder, BEST, f"it was judged by {', '.join(others)}, not by {name}")
    if not epoch:
        return
    known = {found["epoch"]: found for entry in entries if (found := entry.get("best", {})).get("epoch")}
    known |= {entry["epoch"]: entry for entry in entries if entry.get("event") == "epoch"}
    known |= dict(enumerate(history.epochs, 1))
    if epoch not in known:
        _refuse(folder, BEST, f"it is of epoch {epoch}, and {LAST} stands after epoch {len(history.epochs)}")
    if name in best.reached and known[epoch].get(name) != best.reached[name]:
        found, expected = best.reached[name], known[epoch].get(name, "none")
        _refuse(folder, BEST, f"its {name} in epoch {epoch} is {found}, and the run's is {expected}")


def check_log(folder: Path, entries: Sequence[Mapping[str, Any]], run: Checkpoint, history: History) -> None:
    """Refuse a log that is not of the run: of two runs, of another model or another history.

    Arguments and errors are as for :func:`check_best`.
    """
    heads = [entry for entry in entries if entry.get("event") in ("begin", "resume")]
    if sum(entry["event"] == "begin" for entry in heads) > 1:
        _refuse(folder, LOG, "two runs begin in it")
    for head in heads:
        if head.get("measure", history.measure) != history.measure:
            _refuse(folder, LOG, f"its run was judged by {head['measure']}, not by {history.measure}")
        if "model" in head:
            model = _model_of(head["model"])
            if model != run.model_config:
                _refuse(folder, LOG, _difference(model, run.model_config))
    for entry in entries:
        epoch = entry.get("epoch", 0)
        if entry.get("event") != "epoch" or epoch > len(history.epochs):
            continue
        for name in (history.measure, history.valid_measure):
            found, expected = entry.get(name), history.epochs[epoch - 1].get(name)
            if not _same(found, expected):
                _refuse(folder, LOG, f"its {name} of epoch {epoch} is {found}, and that in {LAST} is {expected}")


def _same(found: float | None, expected: float | None) -> bool:
    return found == expected or (found is not None and expected is not None and math.isnan(found + expected))


def _model_of(settings: Any) -> Any:
    """Return the configuration in a log's head, or the value there if it is no configuration."""
    try:
        return None if settings is None else ModelConfig.from_dict(settings)
    except D2lrnnError:
        return settings


def _difference(found: Any, expected: Any) -> str:
    """Return in words how one configuration of a model differs from another."""
    if not (isinstance(found, ModelConfig) and isinstance(expected, ModelConfig)):
        return "it is of another model"
    names = [field.name for field in dataclasses.fields(found)]
    pairs = [(name, getattr(found, name), getattr(expected, name)) for name in names]
    different = [f"{name} {one}, not {other}" for name, one, other in pairs if one != other]
    return f"it is of another model: {'; '.join(different)}"


def _refuse(folder: Path, name: str, reason: str) -> None:
    anew = " (a log is made anew)" if name == LOG else ""
    raise RunError(
        f"{folder / name} is not of the run of {LAST}: {reason}; move it to another folder{anew}, and resume again"
    )
