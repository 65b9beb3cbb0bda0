"""MAE, RMSE, MASE and the baselines are held to numbers worked out by hand."""

import numpy
import pytest

from d2lrnn import D2lrnnError
from d2lrnn.evaluation.baselines import LinearAutoregression, best_season, naive, seasonal_naive
from d2lrnn.evaluation.forecast_scores import (
    mean_absolute_error,
    mean_absolute_scaled_error,
    naive_scale,
    root_mean_squared_error,
    scores_of,
)


def column(*rows):
    """Return windows of one column."""
    return numpy.array(rows, dtype="float64")[:, :, None]


def test_the_errors_by_hand():
    forecasts, truth = [1.0, 2.0, 3.0, 4.0], [1.0, 4.0, 2.0, 8.0]  # off by 0, 2, 1, 4
    assert mean_absolute_error(forecasts, truth) == 7 / 4
    assert root_mean_squared_error(forecasts, truth) == pytest.approx((21 / 4) ** 0.5, rel=1e-15)
    assert naive_scale([[1, 2, 4, 1]]) == 2.0  # steps of 1, 2, 3
    assert naive_scale([[1, 2], [5, 2]]) == 2.0
    assert mean_absolute_scaled_error(forecasts, truth, 2.0) == 7 / 8
    assert scores_of(forecasts, truth, 2.0) == (1.75, pytest.approx(5.25**0.5), 0.875)


def test_naive_forecasts_have_a_mase_of_one_where_the_series_goes_on_as_in_training():
    series = numpy.array([[0.0, 1.0] * 10])
    X, Y = series.T[:-1, None, :], series.T[1:, None, :]
    assert mean_absolute_scaled_error(naive(X), Y, naive_scale(series)) == 1.0


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: mean_absolute_error([1], [1, 2]), r"forecasts have shape \(1,\), truth \(2,\): expected the same"),
        (lambda: mean_absolute_error([], []), "expected the same, not empty"),
        (lambda: naive_scale([[3, 3, 3]]), "the series never changes"),
        (lambda: naive_scale([1, 2]), r"the series has shape \(2,\): expected \(count, length\)"),
        (lambda: naive(numpy.zeros((2, 3))), r"X has shape \(2, 3\): expected windows"),
        (lambda: naive(numpy.zeros((2, 3, 1)), 0), "horizon is 0"),
        (lambda: seasonal_naive(numpy.zeros((2, 3, 1)), 4), "season is 4: expected a whole number, at least 1 and at"),
        (lambda: LinearAutoregression.fit(column([1, 2], [2, 3]), column([3], [4])), "there are 2 windows for an auto"),
        (lambda: LinearAutoregression.fit(column([1, 2]), column([3]), 3), "order is 3"),
    ],
)
def test_what_cannot_be_measured(call, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        call()


def test_the_naive_forecasts_by_hand():
    X = numpy.array([[[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]]])
    assert naive(X, 2).tolist() == [[[4.0, 40.0], [4.0, 40.0]]]
    assert seasonal_naive(X, 3, 5)[0, :, 0].tolist() == [2.0, 3.0, 4.0, 2.0, 3.0]
    assert seasonal_naive(X, 3, 5)[0, :, 1].tolist() == [20.0, 30.0, 40.0, 20.0, 30.0]
    assert (seasonal_naive(X, 1, 3) == naive(X, 3)).all()


def test_the_season_is_found():
    series = numpy.tile([1.0, 5.0, 2.0, 7.0, 3.0], 20)
    windows = numpy.lib.stride_tricks.sliding_window_view(series, 9)[:, :, None]
    assert best_season(windows[:, :8], windows[:, 8:]) == 5


def test_an_autoregression_finds_the_weights_of_its_series():
    """x(t) = 1 + 0.5 x(t - 1) - 0.25 x(t - 2), from several beginnings."""
    draw, rows = numpy.random.default_rng(1), []
    for _ in range(30):
        row = list(draw.normal(size=2))
        for _ in range(4):
            row.append(1 + 0.5 * row[-1] - 0.25 * row[-2])
        rows.append(row)
    series = column(*rows)
    found = LinearAutoregression.fit(series[:, :4], series[:, 4:5], order=2)
    assert numpy.allclose(found.weights[:, 0], [1, -0.25, 0.5], atol=1e-12)
    assert numpy.allclose(found.forecast(series[:, :4]), series[:, 4:5], atol=1e-12)
    two = LinearAutoregression.fit(series[:, :4], series[:, 4:], order=2)  # two steps at once
    assert numpy.allclose(two.forecast(series[:, :4]), series[:, 4:], atol=1e-12)
    # x(t + 2) = 1 + 0.5 (1 + 0.5 x(t) - 0.25 x(t - 1)) - 0.25 x(t)
    assert numpy.allclose(two.weights[:, 1], [1.5, -0.125, 0], atol=1e-12)


def test_an_autoregression_of_two_columns_by_hand():
    """The first column is the second one a step ago; the second is new noise each time."""
    noise = numpy.random.default_rng(2).normal(size=60)
    series = numpy.stack([numpy.roll(noise, 1), noise], axis=1)[1:]
    windows = numpy.lib.stride_tricks.sliding_window_view(series, 3, axis=0).swapaxes(1, 2)
    found = LinearAutoregression.fit(windows[:, :2], windows[:, 2:], order=1)
    assert numpy.allclose(found.weights[:, 0], [0, 0, 1], atol=1e-12)


def test_the_order_that_is_best_on_other_windows_is_chosen():
    draw = numpy.random.default_rng(3)
    series = numpy.zeros(3000)
    for t in range(3, 3000):
        series[t] = 0.9 * series[t - 3] + draw.normal()
    windows = numpy.lib.stride_tricks.sliding_window_view(series, 9)[:, :, None]
    half = len(windows) // 2
    X, Y, held_out = windows[:half, :8], windows[:half, 8:], (windows[half:, :8], windows[half:, 8:])
    found = LinearAutoregression.best(X, Y, held_out)
    errors = {
        order: ((LinearAutoregression.fit(X, Y, order).forecast(held_out[0]) - held_out[1]) ** 2).mean()
        for order in range(1, 9)
    }
    assert found.order == min(errors, key=errors.get) >= 3
