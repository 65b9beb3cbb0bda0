"""The command ``forecast``: how a series goes on, as CSV and as a picture."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy

from d2lrnn.checks import check_number, check_whole, shown
from d2lrnn.cli.options import option_of
from d2lrnn.config.fields import MAX_PRED_LEN, MAX_SEED, settings_in
from d2lrnn.config.model import Dropout
from d2lrnn.data.windows import RecordedSeries, SeriesSource
from d2lrnn.errors import D2lrnnError
from d2lrnn.generation.forecasts import check_paths, rollout, sample_paths
from d2lrnn.plotting.forecasts import ForecastPicture, plot_forecast
from d2lrnn.runs.forecaster import ForecasterRun

OF_BOUNDS = ("level", "paths", "seed")  # the fields of a request that only bounds need


@dataclass(frozen=True)
class ForecastRequest:
    """What a trained forecaster is to say.

    Raises:
        D2lrnnError: for numbers that cannot be.
    """

    run: Path  # a folder that `train` wrote, or a checkpoint in it
    steps: int = 24  # how many
    begin: str = "end"  # what is read first: the series' end or begin, the values before the test, or zeros
    corpus: Path | None = None  # a CSV file with the same columns; None: as in training
    intervals: str = "residuals"  # or dropout, or none
    level: float = 0.9  # the share of the values that is to be between the bounds
    paths: int = 500  # ways to go on that are drawn for the bounds
    seed: int = 0  # of what is drawn
    picture: Path | None = None  # a file to draw into; None: no picture
    ctx: str = "auto"  # the device

    def __post_init__(self) -> None:
        check_whole("steps", self.steps, 1, MAX_PRED_LEN)
        check_whole("paths", self.paths, 2, 100_000)
        check_whole("seed", self.seed, 0, MAX_SEED)
        check_number("level", self.level, above=0, below=1)

    @classmethod
    def read(cls, args: argparse.Namespace) -> ForecastRequest:
        """Return what the arguments of the command ask for.

        Raises:
            D2lrnnError: for arguments about bounds where none are asked for; and as the record.
        """
        given = settings_in(cls, vars(args))
        needless = [option_of(name) for name in OF_BOUNDS if name in given]
        if args.intervals == "none" and needless:
            raise D2lrnnError(f"{', '.join(needless)} given with --intervals none, which draws nothing: leave one out")
        return cls(**given)


@dataclass(frozen=True)
class Forecast:
    """How a series goes on: numbers (steps, num_columns) in its unit."""

    middle: numpy.ndarray  # each forecast read to make the next
    low: numpy.ndarray | None  # the bounds; None: none were asked for
    high: numpy.ndarray | None


def forecast(args: argparse.Namespace) -> int:
    """Print a forecast, draw it, and return the exit status."""
    request = ForecastRequest.read(args)
    run = ForecasterRun.open(request.run, request.ctx)
    source = run.source(request.corpus)
    length = run.checkpoint.train_config.num_steps + run.scaling.lost
    if request.begin == "zeros":
        one = numpy.ones if run.plan.logarithm else numpy.zeros  # its logarithm is 0
        before, truth = one((length, len(run.columns))), numpy.empty((0, len(run.columns)))
    else:
        before, truth = source.cut(request.begin, length, request.steps)
    _check_readable(run, before)
    found = _forecast(request, run, source, before)
    print(_as_csv(found, run.columns, _times(request, run, source, length)), end="")
    if request.picture is not None:
        title = f"{run.name}: {source.name}, {request.steps} steps"
        drawn = ForecastPicture(run.columns, before, found.middle, found.low, found.high, truth, request.level)
        plot_forecast(drawn, request.picture, title)
        print(f"picture  {request.picture}", file=sys.stderr)
    return 0


def _check_readable(run: ForecasterRun, values: numpy.ndarray) -> None:
    if run.plan.logarithm and (values <= 0).any():
        raise D2lrnnError("the model reads logarithms, and the series has values that are not above 0")


def _forecast(request: ForecastRequest, run: ForecasterRun, source: SeriesSource, before: numpy.ndarray) -> Forecast:
    """Return the forecast after some values (length, num_columns)."""
    if request.intervals != "none":
        check_paths(request.paths, request.steps, len(run.columns))  # before anything is computed
    window, last = run.scaling.apply(before).astype(numpy.float32), before[-1]
    middle = run.scaling.undo(rollout(run.model, window, request.steps), last)
    if request.intervals == "none":
        return Forecast(middle, None, None)
    residuals = None
    if request.intervals == "residuals":
        # The file of the training tells how large errors are; another one need not have so many rows.
        residuals = run.task(source if request.corpus is None else run.source()).residuals(run.model)
    elif run.checkpoint.shape.dropout == Dropout():
        raise D2lrnnError(
            f"{request.run} was trained without dropout, which --intervals dropout needs: expected --intervals "
            "residuals, or a run of train --dropout 0.1 or so"
        )
    paths = sample_paths(run.model, window, request.steps, request.paths, residuals, request.seed)
    values = run.scaling.undo(paths, numpy.broadcast_to(last, (request.paths, len(last))))
    low, high = numpy.quantile(values, [(1 - request.level) / 2, (1 + request.level) / 2], axis=0)
    return Forecast(middle, low, high)


def _times(request: ForecastRequest, run: ForecasterRun, source: SeriesSource, length: int) -> dict[str, list[str]]:
    """Return the name of the series' column of times, and the times of the steps; {}: the steps have no times.

    Where the series has times that are not evenly apart, a line on standard error says so.
    """
    name = run.checkpoint.data["time_column"]
    if name is None or request.begin == "zeros" or not isinstance(source, RecordedSeries):
        return {}
    times = source.times_after_cut(request.begin, length, request.steps)
    if times is None:
        print(
            f"the times in column {shown(name)} are not evenly apart, so the steps have numbers and no times",
            file=sys.stderr,
        )
        return {}
    return {name: times}


def _as_csv(found: Forecast, columns: tuple[str, ...], times: dict[str, list[str]]) -> str:
    """Return a forecast as CSV.

    Its columns are the step, its time if it is known, and the forecast and its bounds of each column.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names, parts = [], []
    for i, column in enumerate(columns):
        for end, numbers in (("", found.middle), ("_low", found.low), ("_high", found.high)):
            if numbers is not None:
                names.append(column + end)
                parts.append(numbers[:, i])
    writer.writerow(["step", *times, *names])
    for i, row in enumerate(zip(*parts)):
        writer.writerow([i + 1, *(each[i] for each in times.values()), *(f"{value:.6g}" for value in row)])
    return text.getvalue()
