"""A trained forecaster: its checkpoint, its model, its series, what it forecasts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from d2lrnn.checks import shown
from d2lrnn.config.forecasting import ForecastConfig
from d2lrnn.config.presets import FORECASTING
from d2lrnn.data.scaling import Scaling
from d2lrnn.data.series import Series, read_series
from d2lrnn.data.windows import GeneratedSeries, RecordedSeries, SeriesSource
from d2lrnn.device import ContextLike
from d2lrnn.errors import D2lrnnError
from d2lrnn.paths import PathLike, is_there, user_path
from d2lrnn.runs.checkpoint import Checkpoint, CheckpointError
from d2lrnn.runs.log import RunError
from d2lrnn.runs.origin import keep_origin, place_of
from d2lrnn.runs.trained import Run
from d2lrnn.training.forecasting import Forecasting


def data_of(columns: Sequence[str], time_column: str | None, plan: ForecastConfig, scaling: Scaling) -> dict[str, Any]:
    """Return what a checkpoint keeps of its series: which columns, what is forecast, and their scale."""
    return {
        "columns": [*columns],
        "time_column": time_column,
        "plan": dataclasses.asdict(plan),
        "mean": [*scaling.mean],
        "std": [*scaling.std],
    }


def origin_of_series(series: Series, path: PathLike, held_out: float) -> dict[str, Any]:
    """Return how a checkpoint finds its file again, and a SHA-256 to tell its values from others."""
    return {"given": place_of(path), "sha256": series.digest(), "held_out": held_out}


class ForecasterRun(Run):
    """A forecaster that a training left.

    Args:
        path: the run's folder, or a checkpoint file.
        checkpoint: of the run.
        ctx: the device for the model, as for :func:`d2lrnn.device.as_ctx`.

    Attributes:
        path, checkpoint: as given.
        name: the run's, which is its folder's.
        columns: of the series.
        plan: what is forecast.
        scaling: how values become numbers.

    Raises:
        RunError: if the run is of another task.
        CheckpointError: if what the checkpoint says of its series does not fit together.
    """

    TASK = FORECASTING
    EXPECTED = "a forecaster, such as `train --config series` makes"

    def __init__(self, path: PathLike, checkpoint: Checkpoint, ctx: ContextLike = None) -> None:
        super().__init__(path, checkpoint, ctx)
        data = checkpoint.data
        try:
            self.plan = ForecastConfig(**data["plan"])
        except D2lrnnError as error:
            raise CheckpointError(f"{checkpoint.path}: data.plan: {error}") from error
        self.columns: tuple[str, ...] = tuple(data["columns"])
        self.scaling = Scaling(tuple(data["mean"]), tuple(data["std"]), self.plan.logarithm, self.plan.difference)
        shape, count = checkpoint.shape, len(self.columns)
        sizes = (shape.head, shape.input_size, shape.num_outputs, len(data["mean"]), len(data["std"]))
        if sizes != ("steps", count, count * self.plan.horizon, count, count) or min(data["std"]) <= 0:
            raise CheckpointError(
                f"{checkpoint.path}: what it says of its series does not fit its model: expected head 'steps', "
                f"{count} inputs, {count * self.plan.horizon} outputs, of each column a mean and a deviation above 0"
            )

    def source(self, file: PathLike | None = None) -> SeriesSource:
        """Return the series: as in training, or that of another file with the same columns.

        If the file holds the values of the training, its place is kept as the series' new one.

        Raises:
            SeriesError, CorpusError: if the file cannot be used.
            RunError: if it is not there any more, or holds other values than in training and none was named.
        """
        origin = self.checkpoint.origin
        if file is None and not origin:
            if self.columns != GeneratedSeries.columns:
                raise RunError(
                    f"{self.path} does not say which series it was trained on: name a file with the columns "
                    f"{shown(', '.join(self.columns))}, --corpus FILE"
                )
            return GeneratedSeries(self.plan.noise)
        place = Path(origin["given"]) if file is None else user_path(file)
        if file is None and not is_there(place):
            raise RunError(f"the run's series is not at {place} any more: name its new place, --corpus FILE")
        series, held_out = read_series(place, self.columns, self.checkpoint.data["time_column"]), origin.get("held_out")
        if file is None:
            self.check_digest(series)
        elif series.digest() == origin.get("sha256"):
            self.checkpoint = keep_origin(self.checkpoint, origin_of_series(series, place, held_out or 0.1))
        return RecordedSeries(series, held_out or 0.1)

    def check_digest(self, series: Series) -> None:
        """Refuse other values than those that the run began with.

        Raises:
            RunError: with both SHA-256 digests.
        """
        expected, found = self.checkpoint.origin.get("sha256"), series.digest()
        if found != expected:
            raise RunError(
                f"the values of {shown(series.name)} are not those that the run began with: they have the SHA-256 "
                f"{found}, expected {expected}; to forecast what follows new values, name their file, --corpus FILE"
            )

    def task(self, source: SeriesSource, model: Any = None) -> Forecasting:
        """Return the task of the run's training; ``model`` None: the run's own model."""
        model = self.model if model is None else model
        return Forecasting(model, source, self.scaling, self.checkpoint.train_config, self.plan)
