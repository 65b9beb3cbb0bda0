"""Rollout and sampled paths, by models whose answers are known."""

import numpy
import pytest

from d2lrnn import D2lrnnError, Dropout, ModelConfig, build_model, set_seed
from d2lrnn._runtime import mx
from d2lrnn.generation.forecasts import next_values, rollout, sample_paths

np = mx.np


class Sum:
    """A model that forecasts the sum of the last two values, and of the horizon each 100 more."""

    def __init__(self, horizon=1):
        self.horizon = horizon

    def begin_state(self, batch_size, ctx=None):
        return (np.zeros((batch_size, 1), ctx=ctx or mx.cpu()),)

    def __call__(self, X, state):
        before = np.concatenate([np.zeros_like(X[:, :1]), X[:, :-1]], axis=1)
        return np.concatenate([X + before + 100 * k for k in range(self.horizon)], axis=2), state


def column(*values):
    return numpy.array(values, dtype="float32")[:, None]


def test_a_rollout_reads_its_own_forecasts():
    assert rollout(Sum(), column(1, 1), 6)[:, 0].tolist() == [2, 3, 5, 8, 13, 21]
    assert rollout(Sum(2), column(1, 1), 5)[:, 0].tolist() == [2, 102, 104, 204, 308]


def test_two_columns_do_not_mix():
    window = numpy.array([[1.0, 10.0], [1.0, 20.0]], dtype="float32")
    assert rollout(Sum(), window, 2).tolist() == [[2, 30], [3, 50]]
    assert next_values(Sum(2), window[None])[0].tolist() == [[2, 30], [102, 130]]


def test_many_windows_are_read_in_several_batches():
    windows = numpy.arange(2402, dtype="float32").reshape(1201, 2, 1)
    calls = []
    assert (next_values(Sum(), windows, lambda: calls.append(1))[:, 0, 0] == windows.sum(axis=(1, 2))).all()
    assert len(calls) == 3


def test_residuals_are_added_and_read():
    residuals = numpy.array([[[0.5]]])
    paths = sample_paths(Sum(), column(1, 1), 3, 4, residuals)
    assert paths.shape == (4, 3, 1)
    assert (paths[:, :, 0] == [2.5, 4.0, 7.0]).all()  # 1 + 1, 1 + 2.5, 2.5 + 4, and 0.5 each
    several = numpy.array([[[-1.0]], [[1.0]]])
    first, again, other = (sample_paths(Sum(), column(1, 1), 3, 50, several, seed) for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()
    assert set(first[:, 0, 0]) == {1.0, 3.0}


def test_the_bounds_of_a_random_walk_are_those_of_theory():
    class Last(Sum):
        def __call__(self, X, state):
            return X, state

    residuals = numpy.random.default_rng(1).normal(size=(4000, 1, 1))
    paths = sample_paths(Last(), column(0), 9, 4000, residuals)
    assert numpy.allclose(paths.std(axis=0)[:, 0], numpy.sqrt(numpy.arange(1, 10)), rtol=0.06)
    low, high = numpy.quantile(paths[:, 8, 0], [0.05, 0.95])
    assert (low, high) == (pytest.approx(-1.645 * 3, rel=0.1), pytest.approx(1.645 * 3, rel=0.1))


def test_masks_of_dropout_make_paths_differ_and_nothing_else_does():
    set_seed(3)
    shape = dict(num_hiddens=8, head="steps", num_outputs=1, input_size=1, init_scale=0.5)
    model = build_model(ModelConfig(**shape, dropout=Dropout(outputs=0.5)), None)
    window = column(0.5, -1, 2)
    first, again, other = (sample_paths(model, window, 3, 20, None, seed) for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()
    assert (first.std(axis=0) > 0).all()
    assert (rollout(model, window, 3) == rollout(model, window, 3)).all()  # without masks


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: rollout(Sum(), column(1, 1), 0), "steps is 0: expected a whole number, at least 1"),
        (lambda: rollout(Sum(), numpy.zeros((0, 1)), 2), r"the window has shape \(0, 1\): expected"),
        (lambda: sample_paths(Sum(), column(1, 1), 2, 1), "num_paths is 1: expected a whole number, at least 2"),
    ],
)
def test_what_cannot_be_forecast(call, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        call()


def test_paths_that_memory_cannot_hold_are_refused_before_they_are_drawn(monkeypatch):
    monkeypatch.setattr("d2lrnn.checks.memory", lambda: 24 * 5 * 4 * 2 - 1)
    window, residuals = numpy.zeros((3, 2)), numpy.zeros((1, 1, 2))
    with pytest.raises(D2lrnnError, match="5 paths of 4 steps would take 0.0 GiB of memory, .*: ask for fewer paths"):
        sample_paths(None, window, 4, 5, residuals)
