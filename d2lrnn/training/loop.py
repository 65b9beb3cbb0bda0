"""The training loop: a run that can be halted and goes on as if it had not been."""

from __future__ import annotations

import dataclasses
import math
import random
import time
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import numpy

from d2lrnn._runtime import mx
from d2lrnn.config.training import TrainConfig
from d2lrnn.errors import D2lrnnError
from d2lrnn.evaluation.losses import cross_entropy, format_perplexity, perplexity
from d2lrnn.models.parameters import trainable_parameters
from d2lrnn.models.protocol import LanguageModel
from d2lrnn.training.divergence import TrainingDivergedError
from d2lrnn.training.gradients import gradient_norm
from d2lrnn.training.history import History, Position
from d2lrnn.training.optimisers import Average, learning_rate, make_update
from d2lrnn.training.progress import ProgressBar, say


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and MXNet with one number."""
    random.seed(seed)
    numpy.random.seed(seed)
    mx.random.seed(seed)


class Training:
    """The one loop: truncated backpropagation through time for a model from scratch or on Gluon.

    It can be halted and go on later, in another process, with the very numbers of a run that was never halted
    (:meth:`snapshot`).  It can be halted where random numbers begin anew: at an epoch, and every ``SEGMENT`` batches.

    Args:
        model: what is trained, in place.
        config: how; its ``prefixes`` and ``pred_len`` do not matter here.

    Attributes:
        history: what the epochs that are over have shown.
        position: where the run stands.
        average: the mean of the parameters, once ``averaging`` has begun.
    """

    SEGMENT = 50

    def __init__(self, model: LanguageModel, config: TrainConfig) -> None:
        self.model, self.config = model, config
        self.history, self.position = History(), Position()
        self.carried: tuple | None = None  # the state after the last batch; None: zero
        self._params = trainable_parameters(model)
        self.update = make_update(self._params.values(), config.optimizer, config.weight_decay)
        self.average = Average(self._params.values())

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
            make_batches: called once an epoch; returns pairs ``(X, Y)`` of ids of shape (batch_size, num_steps), or
                triples with ``counted`` as :func:`d2lrnn.evaluation.losses.cross_entropy` takes it; best as
                :class:`d2lrnn.data.batches.Batches`: without their number, ``one-cycle`` moves on with each epoch only.
            on_epoch: called after each epoch with its number, from 1, and the history so far.
            on_segment: called wherever the run can be halted: after each epoch and in between.

        Returns:
            the history; ``history.stopped`` says why it is shorter than ``num_epochs``, if it is.

        Raises:
            TrainingDivergedError: if a gradient or the perplexity becomes NaN or infinite, or the perplexity rises
                from that of the last epoch by more than a tenth to beyond ``vocab_size``, which is to guess, over an
                epoch, or to beyond its square over ``SEGMENT`` batches, and the learning rate was not cut to less than
                a half; the model keeps the last parameters that were numbers.
        """
        history, last = self.history, self.config.num_epochs
        history.stopped = ""
        with ProgressBar(self.config) as bar:
            try:
                while not self.over:
                    if len(history.perplexity) < self.position.epoch:  # or Ctrl-C came after its last step
                        self._run_epoch(make_batches, bar, on_segment)
                    if on_epoch is not None:
                        on_epoch(self.position.epoch, history)
                    self._maybe_average()
                    self.position, self.carried = Position(self.position.epoch + 1), None
                    if on_segment is not None:
                        on_segment()
                if self.exhausted:
                    say(self.config, f"no better in validation for {self.config.patience} epochs: training ends")
            except KeyboardInterrupt:
                history.stopped = f"interrupted after {len(history.perplexity)} of {last} epochs"
                say(self.config, f"{history.stopped}; the model keeps what it has learnt")
        return history

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self.position.epoch > self.config.num_epochs or self.exhausted

    @property
    def exhausted(self) -> bool:
        """Whether validation has not improved for as many epochs as ``patience`` grants."""
        history, patience = self.history, self.config.patience
        return 0 < patience <= len(history.valid_perplexity) - history.best_epoch

    def _run_epoch(self, make_batches: Callable, bar: ProgressBar, on_segment: Callable | None) -> None:
        """Take the steps of an epoch that are still to take, and enter what they showed into the history."""
        position, taken = self.position, self.position.batch
        self._seed(0)
        batches = make_batches()
        count, begun = getattr(batches, "num_batches", 0), dataclasses.replace(position)
        for i, batch in enumerate(batches):
            if i and i % self.SEGMENT == 0:
                self._seed(i)
                if i > taken:
                    self._check_segment(begun)
                    begun = dataclasses.replace(position)
                    if on_segment is not None:
                        on_segment()
            if i >= taken:
                self._take_step(batch, i / count if count else 0.0)
                bar.show(self.history, position, count)
        if not position.batch:
            raise D2lrnnError("make_batches() gave no batch: expected at least one pair (X, Y)")
        self._check_segment(begun)
        found = perplexity(position.loss_sum, position.num_tokens)
        self._check(found, self.model.vocab_size)
        self.history.perplexity.append(found)
        self.history.grad_norm.append(position.norm_sum / position.batch)
        self.history.seconds.append(position.seconds)
        self.history.tokens_per_second.append(position.num_tokens / position.seconds)
        self.history.lr.append(position.lr)

    def _check_segment(self, begun: Position) -> None:
        """Stop if the batches since ``begun`` show that the run has diverged, before it is kept where it stands."""
        num_tokens = self.position.num_tokens - begun.num_tokens
        if num_tokens:
            # Far beyond guessing, since a few batches may be much worse than the mean of an epoch.
            self._check(perplexity(self.position.loss_sum - begun.loss_sum, num_tokens), self.model.vocab_size**2)

    def _check(self, found: float, limit: float) -> None:
        """Stop if a perplexity of this epoch is no number, or has risen since the last epoch to beyond a limit."""
        epoch, history = self.position.epoch, self.history
        if not math.isfinite(found):
            self.diverged(f"the perplexity became {found} in epoch {epoch}")
        # A first epoch may well be beyond guessing, and come down; chance, as that of dropout, moves the mean of an
        # epoch a little; and a learning rate that was cut, more than schedules do, gets its chance.
        before = history.perplexity[-1] if history.perplexity else math.inf
        if found > 1.1 * max(before, limit) and self.position.lr >= 0.5 * history.lr[-1]:
            self.diverged(
                f"the perplexity rose from {format_perplexity(before)} to {format_perplexity(found)} in epoch {epoch}, "
                f"and to guess at random is one of {self.model.vocab_size:,}"
            )

    def _take_step(self, batch: tuple, share: float) -> None:
        """Take a step on a batch before which there went a share of the epoch."""
        start, position, config = time.perf_counter(), self.position, self.config
        position.lr = learning_rate(config, position.epoch, share)
        X, Y, *counted = batch
        loss, norm, self.carried = self.step(X, Y, self.carried, position.lr, *counted)
        position.batch += 1
        if not math.isfinite(norm):
            self.diverged(f"the gradient's norm became {norm} in epoch {position.epoch}, batch {position.batch}")
        if self.average.steps:
            self.average.add()
        num_tokens = int(counted[0].sum()) if counted else Y.size
        position.loss_sum += float(loss) * num_tokens
        position.num_tokens += num_tokens
        position.norm_sum += norm
        position.seconds += time.perf_counter() - start

    def step(self, X, Y, state: tuple | None, lr: float | None = None, counted=None) -> tuple:
        """Take a step on a batch.

        Args:
            X: ids of shape (batch_size, num_steps).
            Y: those that follow them.
            state: before the batch; None: zero.
            lr: the learning rate; None: the configuration's.
            counted: which of Y count, as :func:`d2lrnn.evaluation.losses.cross_entropy` takes it.

        Returns:
            the mean loss, an array of shape (); the norm before clipping of the gradient of the loss that the
            configuration means, a number; and the state after the batch.  A norm that is NaN or infinite leaves the
            parameters as they were.
        """
        model, config = self.model, self.config
        for name, array in (("Y", Y), ("counted", counted)):
            if array is not None and array.shape != X.shape:
                raise D2lrnnError(
                    f"{name} has shape {array.shape}, X {X.shape}, which is (batch_size, num_steps): expected the same"
                )
        if state is None or not config.carries_state:
            state = model.begin_state(X.shape[0], X.ctx)
        state = tuple(s.detach() for s in state)  # gradients end where the batch begins
        with mx.autograd.record():
            logits, state = model(X, state)
            loss = cross_entropy(logits, Y, counted)
        loss.backward()
        factor = 1.0
        if config.sum_over_steps:
            factor = (Y.size if counted is None else float(counted.sum())) / len(X)
        norm = factor * float(gradient_norm(self._params.values()))
        if math.isfinite(norm):
            clip = config.theta / norm if norm > config.theta else 1.0
            self.update(config.lr if lr is None else lr, factor * clip)
        return loss.detach(), norm, state

    def _seed(self, batch: int) -> None:
        """Let random numbers begin anew; what dropout asks for until here must be drawn before."""
        mx.npx.waitall()
        sequence = numpy.random.SeedSequence((self.config.seed, self.position.epoch, batch))
        set_seed(int(sequence.generate_state(1)[0] >> 1))  # MXNet takes 31 bits

    def _maybe_average(self) -> None:
        """Begin to average if validation is worse than the best of more than ``averaging`` epochs ago.

        This is NT-ASGD (Merity et al. 2017, arXiv 1708.02182) as its authors' code has it.
        """
        found, patience = self.history.valid_perplexity, self.config.averaging
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

    def snapshot(self) -> tuple[dict[str, Any], dict[str, numpy.ndarray]]:
        """Return what the run needs to go on beside the parameters: facts for JSON, and arrays by name."""
        memory = {**self._memory(), "state": {str(i): array for i, array in enumerate(self.carried or ())}}
        facts = {
            "history": dataclasses.asdict(self.history),
            "position": dataclasses.asdict(self.position),
            "steps": {"update": self.update.steps, "average": self.average.steps},
        }
        arrays = {f"{kind}.{name}": array.asnumpy() for kind, named in memory.items() for name, array in named.items()}
        return facts, arrays

    def restore(self, facts: dict[str, Any], arrays: dict[str, numpy.ndarray]) -> None:
        """Let the run stand where :meth:`snapshot` was taken.

        Raises:
            ValueError: if the snapshot is of another model or optimiser, or no snapshot; then nothing was changed.
        """
        ctx = self.model.begin_state(1)[0].ctx
        try:
            samples = [tuple(sample) for sample in facts["history"]["samples"]]
            history, position = History(**{**facts["history"], "samples": samples}), Position(**facts["position"])
            if not all(isinstance(value, (int, float)) for value in vars(position).values()):
                raise TypeError(f"{position}: expected numbers")
            steps = {name: int(facts["steps"][name]) for name in ("update", "average")}
        except (KeyError, TypeError, ValueError) as error:
            raise D2lrnnError(f"the run's history or position is not what it should be: {error!r}") from error
        kinds: dict[str, dict[str, numpy.ndarray]] = {}
        for name, array in arrays.items():
            kind, _, of = name.partition(".")
            kinds.setdefault(kind, {})[of] = array
        carried = list(kinds.pop("state", {}).values())
        rows = carried[0].shape[-2] if carried and carried[0].ndim > 1 else 1
        fitting = [(array.shape, array.dtype) for array in self.model.begin_state(rows)]
        if carried and [(array.shape, array.dtype) for array in carried] != fitting:
            raise D2lrnnError("the run's carried state is of another model")
        if steps["average"]:
            self.average.start()
        memory = self._memory()
        if _shapes(kinds) != _shapes(memory):
            self.average = Average(self._params.values())
            raise D2lrnnError(f"the run's memory is of another model or optimizer than {self.config.optimizer}")
        for kind, targets in memory.items():
            for name, target in targets.items():
                target[:] = mx.nd.array(kinds[kind][name], dtype=target.dtype)
        self.history, self.position = history, position
        self.carried = tuple(mx.np.array(array, dtype=array.dtype, ctx=ctx) for array in carried) or None
        self.update.steps, self.average.steps = steps["update"], steps["average"]

    def _memory(self) -> dict[str, dict[str, Any]]:
        """Return what optimiser and average remember: by its name an array for each parameter, by the parameter's."""
        kinds = {**self.update.memory, "average": self.average.arrays}
        return {kind: dict(zip(self._params, arrays)) for kind, arrays in kinds.items() if arrays}


def _shapes(kinds: dict[str, dict]) -> dict:
    return {kind: {name: tuple(array.shape) for name, array in named.items()} for kind, named in kinds.items()}
