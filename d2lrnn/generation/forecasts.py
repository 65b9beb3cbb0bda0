"""From a forecaster to the values that follow: next to a window, step after step, and many paths with what may happen.

All functions read and return scaled numbers, as :class:`d2lrnn.data.scaling.Scaling` makes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy

from d2lrnn._runtime import mx
from d2lrnn.checks import check_memory, check_whole
from d2lrnn.config.fields import MAX_PRED_LEN
from d2lrnn.data.windows import to_numbers
from d2lrnn.errors import D2lrnnError

AT_ONCE = 500  # windows that are read in one batch


def next_values(
    model: Any, windows: numpy.ndarray, after_each: Callable[[], None] | None = None, dropping: bool = False
) -> numpy.ndarray:
    """Return what a model forecasts after the last step of each window.

    Args:
        model: with the head ``"steps"``.
        windows: scaled numbers (count, num_steps, num_columns).
        after_each: called after each call of the model.
        dropping: whether the model drops as in training, with new masks in each call.

    Returns:
        scaled numbers (count, horizon, num_columns).
    """
    found, ctx = [], model.begin_state(1)[0].ctx
    for begin in range(0, len(windows), AT_ONCE):
        X = to_numbers(windows[begin : begin + AT_ONCE], ctx)
        with mx.autograd.train_mode() if dropping else mx.autograd.predict_mode():
            outputs, _ = model(X, model.begin_state(len(X), ctx))
        found.append(outputs[:, -1].asnumpy())
        if after_each is not None:
            after_each()
    return numpy.concatenate(found).reshape(len(windows), -1, windows.shape[2])


def rollout(model: Any, window: numpy.ndarray, num_steps: int) -> numpy.ndarray:
    """Return forecasts of many steps: each forecast is taken as true and read to make the next.

    At each time the model reads as many of the last values as the window has, as in its training.

    Args:
        model: with the head ``"steps"``.
        window: the last values, scaled (length, num_columns).
        num_steps: how many steps to forecast.

    Returns:
        scaled numbers (num_steps, num_columns).
    """
    return _rolled_out(model, window[None], num_steps, lambda windows: next_values(model, windows))[0]


def sample_paths(
    model: Any,
    window: numpy.ndarray,
    num_steps: int,
    num_paths: int,
    residuals: numpy.ndarray | None = None,
    seed: int = 0,
) -> numpy.ndarray:
    """Return ways that a series may go on; their quantiles are prediction intervals.

    Args:
        model: with the head ``"steps"``.
        window: as for :func:`rollout`.
        num_steps: how many steps each path has.
        num_paths: how many paths.
        residuals: what came minus what was forecast, on windows that the model did not learn (count, horizon,
            num_columns): one of them, drawn at random, is added to each forecast before the next is made.  None: the
            paths differ in the masks of the model's dropout instead (Gal and Ghahramani 2016, arXiv 1506.02142), which
            tell how unsure the model is, but not how noisy the series is.
        seed: of what is drawn.

    Returns:
        scaled numbers (num_paths, num_steps, num_columns).

    Raises:
        D2lrnnError: as :func:`check_paths`.
    """
    check_paths(num_paths, num_steps, math.prod(window.shape[1:]))
    draw = numpy.random.RandomState(seed)
    mx.random.seed(seed)

    def following(windows: numpy.ndarray) -> numpy.ndarray:
        found = next_values(model, windows, dropping=residuals is None)
        return found if residuals is None else found + residuals[draw.randint(len(residuals), size=len(windows))]

    return _rolled_out(model, numpy.repeat(window[None], num_paths, axis=0), num_steps, following)


def check_paths(num_paths: int, num_steps: int, num_columns: int) -> None:
    """Check that so many paths can be drawn, put into the unit of the series, and sorted for their quantiles.

    Raises:
        D2lrnnError: if they cannot be, or if memory cannot hold each of their numbers three times in float64.
    """
    check_whole("num_paths", num_paths, 2, 100_000)
    check_whole("steps", num_steps, 1, MAX_PRED_LEN)
    what = f"{num_paths:,} paths of {num_steps:,} steps"
    check_memory(what, 24 * num_paths * num_steps * num_columns, "ask for fewer paths or steps")


def _rolled_out(model: Any, windows: numpy.ndarray, num_steps: int, following: Callable) -> numpy.ndarray:
    check_whole("steps", num_steps, 1, MAX_PRED_LEN)
    if windows.ndim != 3 or not windows.size:
        raise D2lrnnError(f"the window has shape {windows.shape[1:]}: expected (length, num_columns), none of them 0")
    length, parts, count = windows.shape[1], [], 0
    while count < num_steps:
        parts.append(following(windows))  # (paths, horizon, num_columns)
        count += parts[-1].shape[1]
        windows = numpy.concatenate([windows, parts[-1]], axis=1)[:, -length:]
    return numpy.concatenate(parts, axis=1)[:, :num_steps]
