"""Tell whether a run is lost, and the error that ends it."""

from __future__ import annotations

import math

from d2lrnn.config.training import TrainConfig
from d2lrnn.errors import D2lrnnError
from d2lrnn.training.history import History, Position
from d2lrnn.training.objective import Objective, format_measure

RISE = 1.1  # a measure may become worse by a tenth: chance, as in dropout, moves the mean of an epoch a little
CUT = 0.5  # after a cut of the learning rate to less than this share, a run has time to recover; schedules cut less


class TrainingDivergedError(D2lrnnError, ArithmeticError):
    """A gradient or the measure became NaN or infinite, or the measure became worse than guessing.

    The model keeps the last parameters that were numbers.

    Attributes:
        history: of the epochs that were finished.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


def remedy(config: TrainConfig) -> str:
    """Return what to try after a run is lost; where nothing was clipped, no theta could be smaller."""
    if math.isinf(config.theta):
        return "theta is inf, so nothing was clipped: try a finite theta or a smaller lr"
    return "try a smaller lr or theta"


def error_of(reason: str, config: TrainConfig, history: History) -> TrainingDivergedError:
    """Return the error that ends a lost run."""
    return TrainingDivergedError(
        f"{reason}: training stopped and the model keeps the last parameters that were numbers; {remedy(config)}",
        history,
    )


def why_lost(
    objective: Objective, history: History, position: Position, found: float, limit: float | None
) -> str | None:
    """Return why a run is lost, by its measure over some batches; None if it is not lost.

    A run is lost if the measure is NaN or infinite.  It is also lost if the measure has become worse by more than a
    tenth since the last epoch and is now worse than the limit by more than a tenth, unless the learning rate was cut to
    less than half.  The first epoch may be worse than the limit.

    Args:
        objective: what is measured, and whether less of it is better.
        history: the finished epochs.
        position: where the run stands; its ``lr`` is that of the last batch.
        found: the measure over some batches of the epoch.
        limit: the measure of guessing at random; None: there is no such number.
    """
    epoch, name = position.epoch, objective.measure
    if not math.isfinite(found):
        return f"the {name} became {found} in epoch {epoch}"
    if not math.isfinite(position.loss_sum):
        return f"the loss became {position.loss_sum} in epoch {epoch}"
    if limit is None or not history.epochs or position.lr < CUT * history.lr[-1]:
        return None
    before = history[name][-1]
    if objective.less_is_better:
        moved, is_lost = "rose", found > RISE * max(before, limit)
    else:
        moved, is_lost = "fell", RISE * found < min(before, limit)
    if not is_lost:
        return None
    guess = limit if objective.limit is None else objective.limit
    return (
        f"the {name} {moved} from {format_measure(name, before)} to {format_measure(name, found)} in epoch {epoch}, "
        f"and to guess at random is one of {guess:,}"
    )
