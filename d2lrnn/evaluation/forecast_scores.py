"""How far forecasts are from what came: MAE, RMSE and MASE, for one series or several."""

from __future__ import annotations

from typing import NamedTuple

import numpy

from d2lrnn.errors import D2lrnnError


class Scores(NamedTuple):
    """The errors of forecasts of one series, in its own unit but for the last."""

    mae: float  # mean absolute error
    rmse: float  # root of the mean squared error
    mase: float  # the mean absolute error in naive ones: below 1 the forecasts are better than the last value


def mean_absolute_error(forecasts, truth) -> float:
    """Return the mean of ``|forecast - truth|``; both are numbers of the same shape.

    Raises:
        D2lrnnError: for different shapes, or no numbers at all; all functions here raise it.
    """
    return float(numpy.abs(_errors(forecasts, truth)).mean())


def root_mean_squared_error(forecasts, truth) -> float:
    """Return the root of the mean of ``(forecast - truth) ** 2``; both are numbers of the same shape."""
    return float(numpy.sqrt((_errors(forecasts, truth) ** 2).mean()))


def naive_scale(series) -> float:
    """Return the mean absolute error of the forecast "as the last value" within a series, or several, along axis 1.

    Args:
        series: of the training, (count, length) with a length of at least 2.  One series has a count of 1.

    Raises:
        D2lrnnError: for another shape, and for a series that never changes.
    """
    series = numpy.asarray(series, dtype=numpy.float64)
    if series.ndim != 2 or series.shape[1] < 2 or not len(series):
        raise D2lrnnError(f"the series has shape {series.shape}: expected (count, length), the length at least 2")
    scale = float(numpy.abs(numpy.diff(series, axis=1)).mean())
    if scale == 0:
        raise D2lrnnError("the series never changes: a forecast cannot be held against that of the last value")
    return scale


def mean_absolute_scaled_error(forecasts, truth, scale: float) -> float:
    """Return the MASE (Hyndman and Koehler 2006): the mean absolute error over that of naive forecasts in training.

    Args:
        forecasts: numbers of any shape.
        truth: numbers of the same shape.
        scale: of :func:`naive_scale` over the series of the training.
    """
    return mean_absolute_error(forecasts, truth) / scale


def scores_of(forecasts, truth, scale: float) -> Scores:
    """Return all three errors; the arguments are those of :func:`mean_absolute_scaled_error`."""
    absolute = mean_absolute_error(forecasts, truth)
    return Scores(absolute, root_mean_squared_error(forecasts, truth), absolute / scale)


def _errors(forecasts, truth) -> numpy.ndarray:
    forecasts, truth = (numpy.asarray(numbers, dtype=numpy.float64) for numbers in (forecasts, truth))
    if forecasts.shape != truth.shape or not forecasts.size:
        raise D2lrnnError(f"forecasts have shape {forecasts.shape}, truth {truth.shape}: expected the same, not empty")
    return forecasts - truth
