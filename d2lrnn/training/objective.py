"""What a task asks of a model: the loss of a batch, and the number that a run is judged by."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from d2lrnn._runtime import mx
from d2lrnn.checks import check_whole
from d2lrnn.errors import D2lrnnError
from d2lrnn.evaluation.losses import cross_entropy, format_perplexity, loss_and_gradient, perplexity
from d2lrnn.nd_arrays import as_np


class Outcome(NamedTuple):
    """The loss of a batch, and what else training needs to know of it."""

    loss: Any  # the mean loss, an array of shape (); its gradient is taken
    state: tuple  # after the batch, shaped as begin_state's; (): no batch goes on from another
    score: Any = 0.0  # a number or an array of shape () to sum for the measure, such as how many answers are right
    scale: float = 1.0  # the gradients that Objective.backward has written, times this, are those of the mean loss
    exact: Callable[[], Any] | None = None  # computes the loss anew, where the array is infinite and the loss is not

    def settled(self) -> Outcome:
        """Return the outcome with its exact loss; this waits for the loss, and so comes after all that can be begun."""
        return self if self.exact is None or not math.isinf(self.loss) else self._replace(loss=self.exact())


class Objective:
    """What :class:`d2lrnn.training.loop.Training` must know of a task: derive from it and write :meth:`loss`.

    For example, a classifier is judged by its accuracy, and more is better::

        class Class(Objective):
            measure, less_is_better, unit = "accuracy", False, "images"

            def loss(self, model, batch, state):
                X, labels = batch
                logits, _ = model(X, self.begin(model, batch))
                right = (logits.argmax(axis=1) == labels).sum()
                return Outcome(loss_of(logits, labels).mean(), (), right)

            def value(self, loss_sum, score_sum, count):
                return score_sum / count
    """

    measure = "loss"  # the name of the number that a run is judged by; in validation it is called valid_<measure>
    less_is_better = True
    unit = "examples"  # what :meth:`count` counts
    # A run is lost if its measure was better than a limit and becomes worse (d2lrnn.training.divergence.why_lost).
    limit: float | None = None  # over an epoch; None: a run is lost only if a number is NaN or infinite
    segment_limit: float | None = None  # over a few batches

    def loss(self, model: Any, batch: tuple, state: tuple | None) -> Outcome:
        """Compute the mean loss of a batch; gradients are recorded.

        Args:
            model: what is trained.
            batch: as the task's iterator yields it; the first axis of its first array is batch_size.
            state: the state after the previous batch, detached from its gradients; None: begin anew (:meth:`begin`).
        """
        raise NotImplementedError

    def backward(self, model: Any, batch: tuple, state: tuple | None, share: float | None = None) -> Outcome:
        """Compute the mean loss of a batch, and write its gradient into the parameters.

        Override this where the gradient can be had faster than by :meth:`loss` and autograd, or where gradients are to
        be read or changed; :meth:`loss` does not find them in the parameters.

        Args:
            model: as for :meth:`loss`.
            batch: as for :meth:`loss`.
            state: as for :meth:`loss`.
            share: the gradient is to be multiplied by this number, the share of the batch in a greater one; None: it is
                the whole batch, and the gradient may be any multiple, which the outcome's ``scale`` tells.
        """
        with mx.autograd.record():
            outcome = self.loss(model, batch, state)
            loss = outcome.loss if share is None else outcome.loss * share
        loss.backward()
        return outcome

    def begin_epoch(self, epoch: int) -> None:
        """Do what changes from epoch to epoch; called before the batches of an epoch, from 1, or what is left of it."""

    def count(self, batch: tuple) -> int:
        """Return how many examples the mean loss of a batch is over: by default the batch's rows."""
        return len(batch[0])

    def value(self, loss_sum: float, score_sum: float, count: int) -> float:
        """Return the measure over some batches, by default the mean loss.

        Args:
            loss_sum: the sum of all losses, each batch's mean times its count.
            score_sum: the sum of the batches' scores.
            count: the sum of the batches' counts.
        """
        return loss_sum / count

    def begin(self, model: Any, batch: tuple) -> tuple:
        """Return the model's zero state for a batch, on its device."""
        return model.begin_state(len(batch[0]), batch[0].ctx)


class NextToken(Objective):
    """A language model's objective: the cross-entropy of each next token; the measure is the perplexity.

    A batch is ``(X, Y)`` or ``(X, Y, counted)``, each of shape (batch_size, num_steps).  X is ids, Y the ids that
    follow them; ``counted`` is 1 for tokens that count and 0 for padding.

    Args:
        vocab_size: the number of tokens, which is the perplexity of guessing at random.
    """

    measure, unit = "perplexity", "tokens"

    def __init__(self, vocab_size: int) -> None:
        check_whole("vocab_size", vocab_size)
        self.limit = vocab_size
        self.segment_limit = vocab_size**2  # a few batches may be much worse than the mean of an epoch

    def loss(self, model: Any, batch: tuple, state: tuple | None) -> Outcome:
        """Compute the mean cross-entropy in nats.

        Raises:
            D2lrnnError: if Y or ``counted`` has another shape than X.
        """
        logits, state = self._logits(model, batch, state)
        return Outcome(cross_entropy(logits, *batch[1:]), state)

    def backward(self, model: Any, batch: tuple, state: tuple | None, share: float | None = None) -> Outcome:
        """Compute the mean cross-entropy in nats, and write its gradient; errors are those of :meth:`loss`."""
        if len(batch) > 2 or type(self).loss is not NextToken.loss:  # with padding, or a loss of another kind
            return super().backward(model, batch, state, share)
        with mx.autograd.record():
            logits, state = self._logits(model, batch, state)
        logits, Y, scale = as_np(logits), batch[1], 1 / batch[1].size
        loss, gradient = loss_and_gradient(logits, Y)
        if share is not None or logits.dtype != "float32":  # an optimiser takes its scale with float32's digits alone
            gradient *= (share or 1.0) * scale
            scale = 1.0
        logits.backward(gradient)
        return Outcome(loss, state, scale=scale, exact=functools.partial(cross_entropy, logits, Y))

    def _logits(self, model: Any, batch: tuple, state: tuple | None) -> tuple:
        """Return logits, and the state after the batch."""
        X, *others = batch
        for name, array in zip(("Y", "counted"), others):
            if array is not None and array.shape != X.shape:
                raise D2lrnnError(
                    f"{name} has shape {array.shape}, X {X.shape}, which is (batch_size, num_steps): expected the same"
                )
        return model(X, self.begin(model, batch) if state is None else state)

    def count(self, batch: tuple) -> int:
        """Return how many tokens of the batch are no padding."""
        _, Y, *counted = batch
        return int(counted[0].sum()) if counted else Y.size

    def value(self, loss_sum: float, score_sum: float, count: int) -> float:
        """Return the perplexity."""
        return perplexity(loss_sum, count)


def has_own_backward(objective: Objective) -> bool:
    """Return whether an objective has a ``backward`` of a user's, which may read and change gradients."""
    return type(objective).backward not in (Objective.backward, NextToken.backward)


def format_measure(name: str, value: float) -> str:
    """Return a measure's value for printing: a perplexity with two digits after the point, another with four."""
    if name.endswith("perplexity"):
        return format_perplexity(value)
    return f"{value:.4f}" if abs(value) < 100 and math.isfinite(value) else f"{value:.5g}"
