"""When a run is lost."""

from __future__ import annotations

import math

from d2lrnn.errors import D2lrnnError
from d2lrnn.training.history import History, Position
from d2lrnn.training.objective import Objective, format_measure

RISE = 1.1  # a measure may rise by a tenth: chance, as that of dropout, moves the mean of an epoch a little
CUT = 0.5  # a learning rate that was cut to less than this share gets its chance; schedules cut less


class TrainingDivergedError(D2lrnnError, ArithmeticError):
    """A gradient or the measure became NaN or infinite, or the measure rose beyond what guessing reaches.

    The model keeps the last parameters that were numbers.

    Attributes:
        history: what was seen until then.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


def why_lost(
    objective: Objective, history: History, position: Position, found: float, limit: float | None
) -> str | None:
    """Return why the batches with the measure ``found`` show that a run is lost, or None if they do not.

    A run is lost where the measure is NaN or infinite.  It is also lost where the measure has risen by more than a
    tenth since the last epoch and is now beyond the limit, unless the learning rate was cut to less than half.  A first
    epoch may well be beyond the limit, and come down.

    Args:
        objective: what is measured.
        history: the finished epochs.
        position: where the run stands; its ``lr`` is that of the last batch.
        found: the measure over some batches of the epoch.
        limit: what guessing reaches; None: there is no such number.
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
