"""The training loop: a run can be halted, and goes on as if it had not been."""

from __future__ import annotations

import dataclasses
import math
import signal
import time
from collections.abc import Callable, Iterable
from typing import NoReturn

from d2lrnn.checks import check_number, check_whole
from d2lrnn.config.training import TrainConfig
from d2lrnn.errors import D2lrnnError
from d2lrnn.interrupts import HaltError, none_dropped, on_first
from d2lrnn.models.gluon.stand_ins import StandIns
from d2lrnn.models.parameters import is_on_gluon, trainable_parameters
from d2lrnn.models.protocol import Model
from d2lrnn.nd_arrays import as_np
from d2lrnn.training.devices import Devices
from d2lrnn.training.divergence import error_of, why_lost
from d2lrnn.training.gradients import check_frozen, check_gradients, gradient_norm
from d2lrnn.training.history import History, Position, Step
from d2lrnn.training.objective import Objective, has_own_backward
from d2lrnn.training.optimisers import Average, is_time_to_average, learning_rate, make_update
from d2lrnn.training.progress import LINE_PERIOD, ProgressBar, say
from d2lrnn.training.seeds import seed_batch
from d2lrnn.training.snapshot import Snapshot

SEGMENT = 50  # batches of an epoch between two places where a run may be saved


class Training:
    """The one loop: truncated backpropagation through time for any model and any objective.

    A run can be halted between any two batches and go on later, in another process, with the very numbers of a run that
    was never halted: :meth:`snapshot` returns what that takes.  Random numbers are seeded anew before each epoch and
    after every ``segment`` batches of it.  A run that was halted within a segment first reads the segment's batches up
    to there without learning from them, so that dropout goes on with the random numbers that come next.

    Python, NumPy and MXNet have one generator each for the whole process.  So of two trainings at the same time, in two
    threads, each takes the random numbers of the other: both learn, but only what draws no random numbers (consecutive
    batches without dropout) gives the same numbers again.

    Args:
        model: the model, trained in place; it keeps :class:`d2lrnn.models.protocol.Model`.
        config: how to train; its ``prefixes`` and ``pred_len`` do not matter here.
        objective: the loss of a batch, and the number that the run is judged by.
        segment: batches of an epoch between two calls of ``on_segment``.
        line_period: seconds between two lines of a log file within an epoch.
        devices: of the model, over which the rows of each batch are divided; None: the model's device alone.

    Attributes:
        history: the measures of the finished epochs.
        position: where the run stands.
        carried: the state after the last batch; None: the next batch begins with the zero state.
        params: the parameters that are trained, by name.
        update: the optimiser.
        average: the mean of the parameters, once ``averaging`` has begun.
        is_whole: whether parameters and position fit together, as they do between two batches; False if an exception
            has ended the run in the middle of an update.

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
        devices: Devices | None = None,
    ) -> None:
        self.model, self.config, self.objective = model, config, objective
        self.segment = check_whole("segment", segment)
        self._line_period = check_number("line_period", line_period, most=math.inf)
        self.history = History(measure=objective.measure, less_is_better=objective.less_is_better)
        self.position = Position()
        self.carried: tuple | None = None
        self.devices = devices or Devices(model)
        self.params = check_gradients(trainable_parameters(model))
        self.update = make_update(self.params.values(), config.optimizer, config.weight_decay)
        self.stand_ins = StandIns(model, self.devices.is_alone and is_on_gluon(model))
        self.average = Average(self.params.values())
        self.is_whole, self._halt = True, ""

    def run(
        self,
        make_batches: Callable[[], Iterable],
        on_epoch: Callable[[int, History], None] | None = None,
        on_segment: Callable[[], None] | None = None,
    ) -> History:
        """Train to the end, from where the run stands.

        The state is carried from batch to batch within an epoch, or made afresh for each: ``config.carries_state``.
        The first Ctrl-C halts the run as :meth:`halt` does; a second one raises KeyboardInterrupt at once.

        Args:
            make_batches: called once an epoch; returns an iterable of batches, each as the objective takes it.  If it
                has a ``num_batches``, as :class:`d2lrnn.data.batches.Batches` has, ``one-cycle`` changes the learning
                rate with each batch, otherwise with each epoch.
            on_epoch: called after each epoch with its number, from 1, and the history so far.  It may add measures,
                Python numbers, to ``history.epochs[-1]``, such as the one in validation.
            on_segment: called wherever the run may be saved: after each epoch and in between.

        Returns:
            the history; ``history.stopped`` says what has ended training, if it is not ``num_epochs``.

        Raises:
            TrainingDivergedError: if a gradient's norm becomes NaN or infinite, or the run is lost
                (:func:`d2lrnn.training.divergence.why_lost`); the model keeps the last parameters that were numbers.
            D2lrnnError: if a parameter has been frozen or unfrozen since the training was made.
        """
        check_frozen(self.params, trainable_parameters(self.model))
        history, last = self.history, self.config.num_epochs
        history.stopped, self.is_whole = "", True
        interrupts = on_first(lambda number: self.halt(), signal.SIGINT)
        with ProgressBar(self.config, self.objective, self._line_period) as bar, none_dropped(), interrupts:
            try:
                self.check_halt()
                while not self.over:
                    self._finish_epoch(make_batches, bar, on_epoch, on_segment)
                if self.exhausted:
                    say(self.config, f"no better in validation for {self.config.patience} epochs: training ends")
                self.check_halt()
            except (HaltError, KeyboardInterrupt) as error:
                if self._halt and isinstance(error, KeyboardInterrupt):
                    raise  # the second one
                self.devices.gather(self.carried)
                history.stopped = f"{self._halt or 'interrupted'} after {len(history.epochs)} of {last} epochs"
                say(self.config, f"{history.stopped}; the model keeps what it has learnt")
            finally:
                self._halt = ""
        return history

    def halt(self, how: str = "interrupted") -> None:
        """Ask the run to stop after the present batch; for signals' handlers, and for functions that :meth:`run` calls.

        The run then returns its history, whose ``stopped`` begins with ``how``.  It can go on from where it stands.
        """
        self._halt = self._halt or how
        self.devices.ask_to_halt()

    def check_halt(self) -> None:
        """Raise a HaltError, which :meth:`run` catches, if the run was asked to stop and may."""
        if self.devices.may_halt and (self._halt or self.devices.workers):
            raise HaltError(self._halt)

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self.position.epoch > self.config.num_epochs or self.exhausted

    @property
    def exhausted(self) -> bool:
        """Whether validation has not improved for ``patience`` epochs."""
        return 0 < self.config.patience <= max(self.history.validated, default=0) - self.history.best_epoch

    @property
    def finished(self) -> History:
        """The history of the epochs that are over, validation and samples included."""
        return self.history.until(self.position.epoch - 1)

    def _finish_epoch(
        self, make_batches: Callable, bar: ProgressBar, on_epoch: Callable | None, on_segment: Callable | None
    ) -> None:
        """Do what is left of an epoch, and stand before the next one."""
        # Of an epoch that was halted after its last batch, only on_epoch is left to be done.
        if len(self.history.epochs) < self.position.epoch:
            self._run_epoch(make_batches, bar, on_segment)
        if on_epoch is not None:
            on_epoch(self.position.epoch, self.history)
        self.check_validation()
        self._maybe_average()
        self.position, self.carried = Position(self.position.epoch + 1), None
        self._meet(on_segment)
        if not self.over:
            self.check_halt()

    def _meet(self, on_segment: Callable | None) -> None:
        """Let the run be saved, here and in the other workers of a job."""
        self.devices.gather(self.carried)
        if on_segment is not None:
            on_segment()

    def _run_epoch(self, make_batches: Callable, bar: ProgressBar, on_segment: Callable | None) -> None:
        """Take the steps of an epoch that are still to take, and add the epoch to the history."""
        position, taken = self.position, self.position.batch
        self.objective.begin_epoch(position.epoch)
        seed_batch(self.config.seed, position.epoch, 0)
        batches = make_batches()
        count, begun = getattr(batches, "num_batches", 0), dataclasses.replace(position)
        for i, batch in enumerate(batches):
            if i and i % self.segment == 0:
                seed_batch(self.config.seed, position.epoch, i)
                if i > taken:
                    self._check(begun, self.objective.segment_limit)
                    begun = dataclasses.replace(position)
                    self._meet(on_segment)
            if i >= taken:
                self._take_step(batch, i / count if count else 0.0)
                bar.show(self.history, position, count)
            elif i >= taken - taken % self.segment:
                self._call(self.devices.read, batch)  # draws its step's random numbers
            self.check_halt()
        if not position.batch:
            raise D2lrnnError("make_batches() gave no batch: expected at least one")
        self._check(begun, self.objective.segment_limit)
        found, objective = self._check(Position(), self.objective.limit), self.objective
        self.history.epochs.append(position.as_epoch(objective.measure, found, objective.unit))

    def _check(self, begun: Position, limit: float | None) -> float:
        """Return the measure over the batches since ``begun``, or end the run if the measure shows that it is lost."""
        position = self.position
        if position.count == begun.count:  # a resumed run had taken all batches before
            return math.nan
        sums = (getattr(position, name) - getattr(begun, name) for name in ("loss_sum", "score_sum", "count"))
        found = self.objective.value(*sums)
        if reason := why_lost(self.objective, self.history, position, found, limit):
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
        self.average.add()
        position.add(float(loss), float(score), self.objective.count(batch), norm)
        position.seconds += time.perf_counter() - start
        self.is_whole = True

    def step(self, batch: tuple, state: tuple | None, lr: float | None = None) -> Step:
        """Take a step on a batch; the parameters' gradients are then a multiple of the mean loss's.

        Args:
            batch: as the objective takes it.
            state: before the batch; None: the zero state.
            lr: the learning rate; None: the configuration's.
        """
        config = self.config
        if state is not None:
            # Gradients end where the batch begins.
            state = tuple(s.detach() for s in state) if config.carries_state else None
        loss, state, score, scale, _ = self._call(self.devices.backward, batch, state)
        params = self.stand_ins.instead_of(self.params.values())
        factor = scale * (self.objective.count(batch) / len(batch[0]) if config.sum_over_steps else 1.0)
        norm = factor * float(as_np(gradient_norm(params)))
        if math.isfinite(norm):
            clip = config.theta / norm if norm > config.theta else 1.0
            self.is_whole = False
            self.update(config.lr if lr is None else lr, factor * clip, params)
            self.stand_ins.write()
            self.devices.share()
        return Step(as_np(loss.detach()), norm, state, as_np(score))

    def _call(self, method: Callable, *args):
        """Call a method of the devices; in it, rows stand for embeddings if nobody needs these or their gradients."""
        allowed = self.update.keeps_unused and not has_own_backward(self.objective)
        return self.stand_ins.within(allowed, method, self.objective, *args)

    def _maybe_average(self) -> None:
        """Begin to average if it is time."""
        if not self.average.steps and is_time_to_average(self.history, self.config.averaging):
            self.average.start()
            say(self.config, f"from epoch {self.position.epoch + 1} on, the parameters are averaged")

    def diverged(self, reason: str) -> NoReturn:
        """End the run with a :class:`TrainingDivergedError`."""
        self.history.stopped = reason
        raise error_of(reason, self.config, self.history)

    def snapshot(self) -> Snapshot:
        """Return all that the run needs to go on, beside the parameters."""
        return Snapshot.of(self)

    def restore(self, snapshot: Snapshot) -> None:
        """Put the run where the snapshot was taken.

        Raises:
            D2lrnnError: if the snapshot is of another model, optimiser or objective; then nothing was changed.
        """
        snapshot.restore(self)
