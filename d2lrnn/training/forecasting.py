"""Training a forecaster on a series, and its errors beside those of forecasts that need no network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from d2lrnn.config.forecasting import ForecastConfig
from d2lrnn.config.training import TrainConfig
from d2lrnn.data.batches import Batches
from d2lrnn.data.scaling import Scaling
from d2lrnn.data.windows import RecordedSeries, SeriesSource, Windows, data_iter_series, windows_of
from d2lrnn.errors import D2lrnnError
from d2lrnn.evaluation.baselines import LinearAutoregression, best_season, naive, seasonal_naive
from d2lrnn.evaluation.forecast_scores import Scores, naive_scale, scores_of
from d2lrnn.generation.forecasts import next_values
from d2lrnn.models.protocol import check_causal
from d2lrnn.training.objective import Objective, Outcome
from d2lrnn.training.task import Task


class NextValues(Objective):
    """A forecaster's objective: at each step, the squared or absolute error of the next values.

    The loss is the mean over all steps.  The measure, ``error``, is the mean over the last step of each window, where
    the whole window has been read; in validation it is the same.  A batch is ``(X, Y)`` as
    :func:`d2lrnn.data.windows.inputs_and_targets` makes them, and the state does not go from batch to batch.

    Args:
        loss: ``"squared"`` or ``"absolute"``.
    """

    measure, unit = "error", "windows"

    def __init__(self, loss: str = "squared") -> None:
        self.kind = ForecastConfig(loss=loss).loss

    def loss(self, model: Any, batch: tuple, state: tuple | None) -> Outcome:
        """Compute the mean error over all steps.

        Raises:
            D2lrnnError: if the model's outputs have another shape than Y.
        """
        X, Y = batch
        outputs, _ = model(X, self.begin(model, batch))
        if outputs.shape != Y.shape:
            raise D2lrnnError(
                f"the outputs have shape {outputs.shape}, Y {Y.shape}, which is (batch_size, num_steps, horizon * "
                "num_columns): expected the same"
            )
        errors = self.errors(outputs, Y)
        return Outcome(errors.mean(), (), errors.detach()[:, -1].mean() * len(X))

    def errors(self, outputs, Y):
        """Return the error of each number."""
        return abs(outputs - Y) if self.kind == "absolute" else (outputs - Y) ** 2

    def value(self, loss_sum: float, score_sum: float, count: int) -> float:
        """Return the mean error of the last steps."""
        return score_sum / count


class Forecasting(Task):
    """A model learns to forecast a series: next values, their error, and the scores of the test.

    Args:
        model: with the head ``"steps"``.
        source: the series.
        scaling: how its values become numbers.
        config: how to train; windows come at random, or in order where ``batches`` is ``"consecutive"``.
        plan: what is forecast.

    Raises:
        LooksAheadError: for a bidirectional model, which would see what it is to forecast.
        D2lrnnError: for batches that are none of a series; for a series that is too short.
    """

    validates = tests = True

    def __init__(
        self, model: Any, source: SeriesSource, scaling: Scaling, config: TrainConfig, plan: ForecastConfig
    ) -> None:
        super().__init__(model, config, NextValues(plan.loss))
        self._errors = NextValues(plan.loss).errors
        self.source, self.scaling, self.plan = source, scaling, plan
        check_causal(model)
        if config.batches not in ("random", "consecutive"):
            raise D2lrnnError(
                f"batches are {config.batches!r}: expected 'random' or 'consecutive', which here is in order"
            )
        if isinstance(source, RecordedSeries):
            source.check(config.num_steps, plan.horizon, scaling)
        self.batches()  # raises before anything is computed
        self._held_out = self.windows("valid")

    def windows(self, split: str) -> Windows:
        """Return the windows of ``"train"``, ``"valid"`` or ``"test"``, always the same."""
        return windows_of(self.source, split, self.config.num_steps, self.plan.horizon, self.scaling)

    def batches(self) -> Batches:
        """Return the batches of an epoch."""
        shape = (self.config.batch_size, self.config.num_steps, self.plan.horizon)
        in_order, ctx = self.config.batches == "consecutive", self.model.begin_state(1)[0].ctx
        return data_iter_series(self.source, self.scaling, shape, self.plan.stride, in_order, ctx)

    def validation(self, after_each: Callable[[], None]) -> float:
        """Return the error of the forecasts after the windows for validation."""
        num_steps, scaled = self.config.num_steps, self._held_out.scaled
        found = next_values(self.model, scaled[:, :num_steps], after_each)
        return float(self._errors(found.astype("float64"), scaled[:, num_steps:]).mean())

    def test(self, model: Any) -> dict[str, float]:
        """Return the scores of a model's forecasts on the test: of one column all, of several the mean MASE."""
        found = self.scores("test", {"network": self.forecasts(model, self.windows("test"))})["network"]
        if len(found) == 1:
            return {"MAE": found[0].mae, "RMSE": found[0].rmse, "MASE": found[0].mase}
        return {"MASE": float(numpy.mean([scores.mase for scores in found]))}

    def forecasts(self, model: Any, windows: Windows) -> numpy.ndarray:
        """Return a model's forecasts after windows, in the unit of the series, (count, horizon, num_columns)."""
        found = next_values(model, windows.scaled[:, : windows.num_steps])
        return self.scaling.undo(found, windows.X[:, -1])

    def residuals(self, model: Any) -> numpy.ndarray:
        """Return what came minus what a model forecasts on the windows for validation, scaled."""
        num_steps, scaled = self.config.num_steps, self._held_out.scaled
        return scaled[:, num_steps:] - next_values(model, scaled[:, :num_steps])

    def compare(self, model: Any, split: str = "test") -> dict[str, list[Scores]]:
        """Return the scores of a model and of the baselines on a split, by name, for each column.

        The baselines learn from the same windows as the model: the season and the weights are those that are best in
        training, the order of the autoregression the one that is best in validation.
        """
        train, valid, held_out = (self.windows(each) for each in ("train", "valid", split))
        X, horizon = held_out.X, self.plan.horizon
        found = {"network": self.forecasts(model, held_out), "naive": naive(X, horizon)}
        if self.config.num_steps > 1:
            season = self.plan.season or best_season(train.X, train.Y)
            found[f"seasonal naive, {season} steps"] = seasonal_naive(X, season, horizon)
        linear = LinearAutoregression.best(train.X, train.Y, (valid.X, valid.Y))
        found[f"linear autoregression, order {linear.order}"] = linear.forecast(X)
        return self.scores(split, found)

    def scores(self, split: str, forecasts: dict[str, numpy.ndarray]) -> dict[str, list[Scores]]:
        """Return the scores of forecasts after the windows of a split, by name, for each column."""
        truth = self.windows(split).Y
        values = self.source.training_values(self.config.num_steps + 1)
        values = values[None] if values.ndim == 2 else values  # (count, length, num_columns)
        scales = [naive_scale(values[:, :, i]) for i in range(len(self.source.columns))]
        return {
            name: [scores_of(found[:, :, i], truth[:, :, i], scale) for i, scale in enumerate(scales)]
            for name, found in forecasts.items()
        }


def forecast_table(found: dict[str, list[Scores]], columns: tuple[str, ...]) -> str:
    """Return the table of :meth:`Forecasting.compare`, a line for each forecast of each column."""
    width = max(map(len, found))
    lines = []
    for i, column in enumerate(columns):
        lines.append(f"{column[:width]:{width}}  {'MAE':>10}  {'RMSE':>10}  {'MASE':>8}")
        lines += [
            f"{name:{width}}  {scores[i].mae:>10.4g}  {scores[i].rmse:>10.4g}  {scores[i].mase:>8.4f}"
            for name, scores in found.items()
        ]
    return "\n".join(lines)
