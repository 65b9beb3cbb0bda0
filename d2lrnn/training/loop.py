"""The training loop: a run can be halted, and goes on as if it had not been."""

from __future__ import annotations

import dataclasses
import math
import random
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, NoReturn

import numpy

from d2lrnn._runtime import mx
from d2lrnn.config.training import TrainConfig
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.parameters import trainable_parameters
from d2lrnn.models.protocol import Model
from d2lrnn.nd_arrays import as_np
from d2lrnn.training.divergence import TrainingDivergedError, why_lost
from d2lrnn.training.gradients import check_gradients, gradient_norm
from d2lrnn.training.history import History, Position
from d2lrnn.training.objective import Objective
from d2lrnn.training.optimisers import Average, learning_rate, make_update
from d2lrnn.training.progress import LINE_PERIOD, ProgressBar, say
from d2lrnn.training.snapshot import Snapshot

SEGMENT = 50  # batches between two places where a run can be halted within an epoch


class Step(NamedTuple):
    """What one step has shown."""

    loss: Any  # the mean loss, an array of shape ()
    # The gradient's norm before clipping, of the summed loss with ``sum_over_steps``, else of the mean loss.  If the
    # norm is NaN or infinite, the step changed no parameter.
    norm: float
    state: tuple  # after the batch
    score: Any  # of the batch, as the objective returned it


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and MXNet with one number."""
    random.seed(seed)
    numpy.random.seed(seed)
    mx.random.seed(seed)


class Training:
    """The one loop: truncated backpropagation through time for any model and any objective.

    A run can be halted and go on later, in another process, with the very numbers of a run that was never halted:
    :meth:`snapshot` returns what that takes.  A run can be halted where its random numbers are seeded anew: before each
    epoch, and after every ``segment`` batches of it.

    Python, NumPy and MXNet have one generator each for the whole process.  So of two trainings at the same time, in two
    threads, each takes the random numbers of the other: both learn, but only what draws no random numbers (consecutive
    batches without dropout) gives the same numbers again.

    Args:
        model: the model, trained in place; it keeps :class:`d2lrnn.models.protocol.Model`.
        config: how to train; its ``prefixes`` and ``pred_len`` do not matter here.
        objective: the loss of a batch, and the number that the run is judged by.
        segment: batches between two places where the run can be halted within an epoch.
        line_period: seconds between two lines of a log file within an epoch.

    Attributes:
        history: the measures of the finished epochs.
        position: where the run stands.
        carried: the state after the last batch; None: the next batch begins with the zero state.
        params: the parameters that are trained, by name.
        update: the optimiser.
        average: the mean of the parameters, once ``averaging`` has begun.

    Raises:
        D2lrnnError: if a parameter that is to be trained has no gradient.
    """

    def __init__(
        self,
        model: Model,
        config: TrainConfig,
        objective: Objective,
        segment: int = SEGMENT,
        line_period: float = LINE_PERIOD,
    ) -> None:
        self.model, self.config, self.objective, self.segment = model, config, objective, segment
        self._line_period = line_period
        self.history = History(measure=objective.measure, less_is_better=objective.less_is_better)
        self.position = Position()
        self.carried: tuple | None = None
        self.params = trainable_parameters(model)
        check_gradients(self.params)
        self.update = make_update(self.params.values(), config.optimizer, config.weight_decay)
        self.average = Average(self.params.values())

    def run(
        self,
        make_batches: Callable[[], Iterable],
        on_epoch: Callable[[int, History], None] | None = None,
        on_segment: Callable[[], None] | None = None,
    ) -> History:
        """Train to the end, from where the run stands.

        The state is carried from batch to batch within an epoch, or made afresh for each: ``config.carries_state``.
        Ctrl-C ends training cleanly: the history of the finished epochs is returned.

        Args:
            make_batches: called once an epoch; returns an iterable of batches, each as the objective takes it.  If it
                has a ``num_batches``, as :class:`d2lrnn.data.batches.Batches` has, ``one-cycle`` changes the learning
                rate with each batch, otherwise with each epoch.
            on_epoch: called after each epoch with its number, from 1, and the history so far.  It may add measures,
                Python numbers, to ``history.epochs[-1]``, such as the one in validation.
            on_segment: called wherever the run can be halted: after each epoch and in between.

        Returns:
            the history; ``history.stopped`` says why it is shorter than ``num_epochs``, if it is.

        Raises:
            TrainingDivergedError: if a gradient's norm becomes NaN or infinite, or the run is lost
                (:func:`d2lrnn.training.divergence.why_lost`); the model keeps the last parameters that were numbers.
        """
        history, last = self.history, self.config.num_epochs
        history.stopped = ""
        with ProgressBar(self.config, self.objective, self._line_period) as bar:
            try:
                while not self.over:
                    # Ctrl-C between an epoch's last step and its validation leaves only on_epoch to be done.
                    if len(history.epochs) < self.position.epoch:
                        self._run_epoch(make_batches, bar, on_segment)
                    if on_epoch is not None:
                        on_epoch(self.position.epoch, history)
                    self.check_validation()
                    self._maybe_average()
                    self.position, self.carried = Position(self.position.epoch + 1), None
                    if on_segment is not None:
                        on_segment()
                if self.exhausted:
                    say(self.config, f"no better in validation for {self.config.patience} epochs: training ends")
            except KeyboardInterrupt:
                history.stopped = f"interrupted after {len(history.epochs)} of {last} epochs"
                say(self.config, f"{history.stopped}; the model keeps what it has learnt")
        return history

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self.position.epoch > self.config.num_epochs or self.exhausted

    @property
    def exhausted(self) -> bool:
        """Whether validation has not improved for ``patience`` epochs."""
        history, patience = self.history, self.config.patience
        return 0 < patience <= max(history.validated, default=0) - history.best_epoch

    def _run_epoch(self, make_batches: Callable, bar: ProgressBar, on_segment: Callable | None) -> None:
        """Take the steps of an epoch that are still to take, and add the epoch to the history."""
        position, taken = self.position, self.position.batch
        self._seed(0)
        batches = make_batches()
        count, begun = getattr(batches, "num_batches", 0), dataclasses.replace(position)
        for i, batch in enumerate(batches):
            if i and i % self.segment == 0:
                self._seed(i)
                if i > taken:
                    self._check(begun, self.objective.segment_limit)
                    begun = dataclasses.replace(position)
                    if on_segment is not None:
                        on_segment()
            if i >= taken:
                self._take_step(batch, i / count if count else 0.0)
                bar.show(self.history, position, count)
        if not position.batch:
            raise D2lrnnError("make_batches() gave no batch: expected at least one")
        self._check(begun, self.objective.segment_limit)
        found = self._check(Position(), self.objective.limit)
        self.history.epochs.append(
            {
                self.objective.measure: found,
                "lr": position.lr,
                "grad_norm": position.norm_sum / position.batch,
                f"{self.objective.unit}_per_second": position.count / position.seconds,
                "seconds": position.seconds,
            }
        )

    def _check(self, begun: Position, limit: float | None) -> float:
        """Return the measure over the batches since ``begun``, or end the run if the measure shows that it is lost."""
        position = self.position
        if position.count == begun.count:  # a resumed run had taken all batches before
            return math.nan
        sums = (getattr(position, name) - getattr(begun, name) for name in ("loss_sum", "score_sum", "count"))
        found = self.objective.value(*sums)
        reason = why_lost(self.objective, self.history, position, found, limit)
        if reason:
            self.diverged(reason)
        return found

    def check_validation(self) -> None:
        """End the run if the measure in validation is NaN; the epoch is then one without validation.

        Raises:
            TrainingDivergedError: in that case.
        """
        epoch, name = self.history.epochs[-1], self.history.valid_measure
        if math.isnan(epoch.get(name, 0.0)):
            del epoch[name]
            self.diverged(f"the {self.objective.measure} in validation became NaN in epoch {self.position.epoch}")

    def _take_step(self, batch: tuple, share: float) -> None:
        """Take a step on a batch; ``share``, 0 to 1, is the share of the epoch's batches that came before it."""
        start, position = time.perf_counter(), self.position
        position.lr = learning_rate(self.config, position.epoch, share)
        loss, norm, state, score = self.step(batch, self.carried, position.lr)
        self.carried = state if self.config.carries_state else None
        position.batch += 1
        if not math.isfinite(norm):
            self.diverged(f"the gradient's norm became {norm} in epoch {position.epoch}, batch {position.batch}")
        if self.average.steps:
            self.average.add()
        count = self.objective.count(batch)
        position.loss_sum += float(loss) * count
        position.score_sum += float(score)
        position.count += count
        position.norm_sum += norm
        position.seconds += time.perf_counter() - start

    def step(self, batch: tuple, state: tuple | None, lr: float | None = None) -> Step:
        """Take a step on a batch.

        Args:
            batch: as the objective takes it.
            state: before the batch; None: the zero state.
            lr: the learning rate; None: the configuration's.
        """
        config = self.config
        if state is not None:
            # Gradients end where the batch begins.
            state = tuple(s.detach() for s in state) if config.carries_state else None
        with mx.autograd.record():
            loss, state, score = self.objective.loss(self.model, batch, state)
        loss.backward()
        factor = self.objective.count(batch) / len(batch[0]) if config.sum_over_steps else 1.0
        norm = factor * float(gradient_norm(self.params.values()))
        if math.isfinite(norm):
            clip = config.theta / norm if norm > config.theta else 1.0
            self.update(config.lr if lr is None else lr, factor * clip)
        return Step(as_np(loss.detach()), norm, state, as_np(score))

    def _seed(self, batch: int) -> None:
        """Reseed Python, NumPy and MXNet from (seed, epoch, batch).

        Pending operators are waited for first: their dropout must still draw from the old state.
        """
        mx.npx.waitall()
        sequence = numpy.random.SeedSequence((self.config.seed, self.position.epoch, batch))
        set_seed(int(sequence.generate_state(1)[0] >> 1))  # MXNet takes 31 bits

    def _maybe_average(self) -> None:
        """Begin to average if validation is worse than the best of more than ``averaging`` epochs ago.

        This is NT-ASGD (Merity et al. 2017, arXiv 1708.02182) as its authors' code has it.
        """
        sign = 1 if self.history.less_is_better else -1
        found, patience = [sign * value for value in self.history.valid], self.config.averaging
        if patience and found and not self.average.steps and found[-1] > min(found[: -1 - patience], default=math.inf):
            self.average.start()
            say(self.config, f"from epoch {self.position.epoch + 1} on, the parameters are averaged")

    def diverged(self, reason: str) -> NoReturn:
        """End the run with a :class:`TrainingDivergedError`."""
        self.history.stopped = reason
        raise TrainingDivergedError(
            f"{reason}: training stopped and the model keeps the last parameters that were numbers; "
            "try a smaller lr or theta",
            self.history,
        )

    def snapshot(self) -> Snapshot:
        """Return all that the run needs to go on, beside the parameters."""
        return Snapshot.of(self)

    def restore(self, snapshot: Snapshot) -> None:
        """Put the run where the snapshot was taken.

        Raises:
            D2lrnnError: if the snapshot is of another model, optimiser or objective; then nothing was changed.
        """
        snapshot.restore(self)
