"""What a training is about: the model, its settings, its batches, and what is measured and shown after an epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from d2lrnn.config.training import TrainConfig
from d2lrnn.data.batches import Batches
from d2lrnn.errors import D2lrnnError
from d2lrnn.training.history import History, report_line
from d2lrnn.training.loop import Training
from d2lrnn.training.objective import Objective
from d2lrnn.training.progress import say


def check_needs_no_validation(config: TrainConfig, missing: str) -> None:
    """Check that a training can do without data for validation.

    Args:
        config: how the model is trained.
        missing: what ``averaging`` and ``patience`` go by, and why it is not there, for the error.

    Raises:
        D2lrnnError: if one of them is set.
    """
    needing = [name for name in ("averaging", "patience") if getattr(config, name)]
    if needing:
        raise D2lrnnError(f"{' and '.join(needing)} {'goes' if len(needing) == 1 else 'go'} by {missing}")


class Task:
    """A model that learns one kind of answer from one set of data; derive from it for each kind.

    :meth:`train` runs the one loop.  A derived class says what the batches of an epoch are, and may measure the model
    on data held out for validation and for the test.

    Args:
        model: the model, trained in place; it keeps :class:`d2lrnn.models.protocol.Model`.
        config: how it is trained.
        objective: the loss of a batch, and the number that the run is judged by.

    Attributes:
        model, config, objective: as given.
        validates: whether there are data for validation.
        tests: whether there are data for the test.
    """

    validates = False
    tests = False

    def __init__(self, model: Any, config: TrainConfig, objective: Objective) -> None:
        self.model, self.config, self.objective = model, config, objective

    def batches(self) -> Batches:
        """Return the batches of an epoch, each as the objective takes it."""
        raise NotImplementedError

    def validation(self, after_each: Callable[[], None]) -> float:
        """Return the measure on the data for validation; ``after_each`` is to be called after each call of the model.

        The model has its averaged parameters, once averaging has begun.
        """
        raise NotImplementedError

    def test(self, model: Any) -> dict[str, float]:
        """Return the measure of the run's best model on the data for the test, under its name; others may follow."""
        raise NotImplementedError

    @property
    def tested_with(self) -> dict[str, str]:
        """What :meth:`test` computed its numbers with, for the log; {}: there is nothing to know."""
        return {}

    def show(self, epoch: int, history: History, after_each: Callable[[], None]) -> None:
        """Show what the model can do; called after every ``pred_period`` epochs and after the last one."""

    def train(self, training: Training | None = None, on_segment: Callable[[], None] | None = None) -> History:
        """Train to the end, and return the history.

        Args:
            training: a training of this model, config and objective, which goes on from where it stands; None: a new
                one begins.
            on_segment: called wherever the run may be saved; if ``training.position.batch`` is 0, an epoch is over.

        Raises:
            TrainingDivergedError: as :meth:`Training.run`.
        """
        training = training or Training(self.model, self.config, self.objective)

        def report(epoch: int, history: History) -> None:
            with training.average.in_place():
                if self.validates and history.valid_measure not in history.epochs[-1]:
                    found = self.validation(training.check_halt) if training.devices.is_first else 0.0
                    history.epochs[-1][history.valid_measure] = training.devices.told(found)
                    training.check_validation()  # before the model is shown: it would fail
                if epoch % self.config.pred_period == 0 or epoch == self.config.num_epochs:
                    say(training.config, report_line(epoch, history))
                    if training.devices.is_first:
                        self.show(epoch, history, training.check_halt)

        return training.run(self.batches, report, on_segment)
