"""Forecasts that need no network: the last value, the value of a season ago, a linear autoregression.

All take windows ``X`` of shape (count, num_steps, num_columns) and return forecasts (count, horizon, num_columns).  A
network that does not beat them is not worth its training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from d2lrnn.checks import check_whole
from d2lrnn.errors import D2lrnnError


def naive(X: numpy.ndarray, horizon: int = 1) -> numpy.ndarray:
    """Return the last value of each window as the forecast of the next ``horizon`` ones."""
    check_whole("horizon", horizon)
    return numpy.repeat(_windows(X)[:, -1:], horizon, axis=1)


def seasonal_naive(X: numpy.ndarray, season: int, horizon: int = 1) -> numpy.ndarray:
    """Return what came a season ago; beyond a season, the last season again.

    For example, after 1 2 3 4 with a season of 3 the forecasts are 2 3 4 2 3 4 and so on.

    Raises:
        D2lrnnError: if the windows are shorter than a season.
    """
    num_steps = _windows(X).shape[1]
    check_whole("season", season, 1, num_steps)
    check_whole("horizon", horizon)
    return X[:, num_steps - season + numpy.arange(horizon) % season]


def best_season(X: numpy.ndarray, Y: numpy.ndarray) -> int:
    """Return the season whose seasonal naive forecasts have the least mean absolute error, at least 2 steps.

    Args:
        X: windows of the training, of at least two steps.
        Y: what came after each, (count, horizon, num_columns).  Each column counts in units of its mean absolute value
            around its mean.
    """
    num_steps, horizon = _windows(X).shape[1], Y.shape[1]
    check_whole("num_steps", num_steps, 2)
    spread = numpy.abs(Y - Y.mean(axis=(0, 1))).mean(axis=(0, 1))
    spread[spread == 0] = 1.0
    errors = [(numpy.abs(seasonal_naive(X, season, horizon) - Y) / spread).mean() for season in range(2, num_steps + 1)]
    return 2 + int(numpy.argmin(errors))


@dataclass(frozen=True)
class LinearAutoregression:
    """Each of the next values is a constant and a weighted sum of the last ``order`` values of all columns.

    :meth:`fit` finds the weights with the least squared error, by ``numpy.linalg.lstsq``.
    """

    order: int  # values of each column that count
    horizon: int
    weights: numpy.ndarray  # (1 + order * num_columns, horizon * num_columns), the first row is the constant

    @classmethod
    def fit(cls, X: numpy.ndarray, Y: numpy.ndarray, order: int | None = None) -> LinearAutoregression:
        """Return the autoregression that fits windows best.

        Args:
            X: windows of the training.
            Y: what came after each, (count, horizon, num_columns).
            order: values of each column that count; None: all of a window.

        Raises:
            D2lrnnError: for an order beyond the windows, and for fewer windows than weights.
        """
        num_steps = _windows(X).shape[1]
        order = check_whole("order", num_steps if order is None else order, 1, num_steps)
        inputs = _with_constant(X, order)
        if len(inputs) < inputs.shape[1]:
            raise D2lrnnError(
                f"there are {len(inputs)} windows for an autoregression of {inputs.shape[1]} weights: expected as "
                "many windows at least, take a longer series or fewer steps"
            )
        weights = numpy.linalg.lstsq(inputs, Y.reshape(len(Y), -1), rcond=None)[0]
        return cls(order, Y.shape[1], weights)

    @classmethod
    def best(cls, X: numpy.ndarray, Y: numpy.ndarray, held_out: tuple) -> LinearAutoregression:
        """Return the autoregression whose order has the least squared error on windows that it was not fitted to.

        Args:
            X: as for :meth:`fit`.
            Y: as for :meth:`fit`.
            held_out: such windows and what came after them, as X and Y.

        Raises:
            D2lrnnError: if there are too few windows for an order of 1.
        """
        num_steps, num_columns = _windows(X).shape[1:]
        most = min(num_steps, max((len(X) - 1) // num_columns, 1))
        found = [cls.fit(X, Y, order) for order in sorted({*_orders(most)})]
        spread = Y.std(axis=(0, 1))
        spread[spread == 0] = 1.0
        errors = [(((each.forecast(held_out[0]) - held_out[1]) / spread) ** 2).mean() for each in found]
        return found[int(numpy.argmin(errors))]

    def forecast(self, X: numpy.ndarray) -> numpy.ndarray:
        """Return forecasts after windows of at least ``order`` steps."""
        return (_with_constant(X, self.order) @ self.weights).reshape(len(X), self.horizon, X.shape[2])


def _orders(most: int) -> list[int]:
    """Return orders up to ``most``: each of the first twelve, and then every one that is a fifth larger."""
    orders = list(range(1, min(most, 12) + 1))
    while orders[-1] < most:
        orders.append(min(most, orders[-1] * 6 // 5))
    return orders


def _with_constant(X: numpy.ndarray, order: int) -> numpy.ndarray:
    """Return 1 and the last ``order`` values of each window: (count, 1 + order * num_columns)."""
    last = _windows(X)[:, -order:].reshape(len(X), -1)
    return numpy.concatenate([numpy.ones((len(X), 1)), last], axis=1)


def _windows(X: numpy.ndarray) -> numpy.ndarray:
    if X.ndim != 3 or not X.size:
        raise D2lrnnError(f"X has shape {X.shape}: expected windows (count, num_steps, num_columns), none of them 0")
    return X
