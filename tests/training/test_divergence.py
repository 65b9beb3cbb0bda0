"""When a run is lost, by measures of which less is better and of which more is better."""

import math

import pytest

from d2lrnn import History, Objective, TrainConfig
from d2lrnn.training.divergence import remedy, why_lost
from d2lrnn.training.history import Position


class Accuracy(Objective):
    measure, less_is_better, limit, segment_limit = "accuracy", False, 0.1, 0.01


class Error(Objective):
    measure, limit, segment_limit = "error", 4.0, 16.0


def reason(objective, before, found, limit, lr=1.0):
    """Return why a run is lost whose epochs so far have the measures ``before``, all with the learning rate 1."""
    history = History([{objective.measure: value, "lr": 1.0} for value in before], measure=objective.measure)
    return why_lost(objective, history, Position(len(before) + 1, 1, lr=lr), found, limit)


@pytest.mark.parametrize("found, lost", [(0.9, False), (0.3, False), (0.1, False), (0.092, False), (0.09, True)])
def test_an_accuracy_is_lost_where_it_falls_below_guessing(found, lost):
    why = reason(Accuracy(), [0.2, 0.4], found, 0.1)
    told = f"the accuracy fell from 0.4000 to {found:.4f} in epoch 3, and to guess at random is one of 0.1"
    assert why == (told if lost else None)


@pytest.mark.parametrize("found, lost", [(0.5, False), (4.0, False), (4.3, False), (4.5, True)])
def test_an_error_is_lost_where_it_rises_above_its_limit(found, lost):
    why = reason(Error(), [3.0, 2.0], found, 4.0)
    told = f"the error rose from 2.0000 to {found:.4f} in epoch 3, and to guess at random is one of 4.0"
    assert why == (told if lost else None)


@pytest.mark.parametrize("objective, found", [(Accuracy(), 0.01), (Error(), 100.0)])
def test_a_run_is_not_lost_where_it_was_no_better_before_or_its_learning_rate_was_cut(objective, found):
    assert reason(objective, [], found, objective.limit) is None
    assert reason(objective, [found], found, objective.limit) is None
    assert reason(objective, [2.0], found, objective.limit)
    assert reason(objective, [2.0], found, objective.limit, lr=0.4) is None
    assert reason(objective, [2.0], found, None) is None


@pytest.mark.parametrize("objective", [Accuracy(), Error()])
@pytest.mark.parametrize("found", [math.nan, math.inf])
def test_a_measure_that_is_no_number_is_lost_at_once(objective, found):
    assert reason(objective, [], found, None) == f"the {objective.measure} became {found} in epoch 1"


def test_a_limit_over_few_batches_needs_none_over_an_epoch():
    objective = Error()
    objective.limit = None
    assert reason(objective, [2.0], 20.0, 16.0).endswith("one of 16.0")


@pytest.mark.parametrize(
    "theta, told",
    [
        (math.inf, "theta is inf, so nothing was clipped: try a finite theta or a smaller lr"),
        (1.0, "try a smaller lr or theta"),
    ],
)
def test_a_smaller_theta_is_advised_only_where_there_was_one(theta, told):
    assert remedy(TrainConfig(theta=theta)) == told
