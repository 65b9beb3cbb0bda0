"""What a task asks of a model: the loss of a batch, and the number that a run is judged by."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from d2lrnn.checks import check_whole
from d2lrnn.errors import D2lrnnError
from d2lrnn.evaluation.losses import cross_entropy, format_perplexity, perplexity


class Outcome(NamedTuple):
    """The loss of a batch, and what else training needs to know of it."""

    loss: Any  # the mean loss, an array of shape (); its gradient is taken
    state: tuple  # after the batch, shaped as begin_state's; (): no batch goes on from another
    score: Any = 0.0  # a number or an array of shape () to sum for the measure, such as how many answers are right


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
        X, Y, *rest = batch
        counted = rest[0] if rest else None
        for name, array in (("Y", Y), ("counted", counted)):
            if array is not None and array.shape != X.shape:
                raise D2lrnnError(
                    f"{name} has shape {array.shape}, X {X.shape}, which is (batch_size, num_steps): expected the same"
                )
        logits, state = model(X, self.begin(model, batch) if state is None else state)
        return Outcome(cross_entropy(logits, Y, counted), state)

    def count(self, batch: tuple) -> int:
        """Return how many tokens of the batch are no padding."""
        _, Y, *counted = batch
        return int(counted[0].sum()) if counted else Y.size

    def value(self, loss_sum: float, score_sum: float, count: int) -> float:
        """Return the perplexity."""
        return perplexity(loss_sum, count)


def format_measure(name: str, value: float) -> str:
    """Return a measure's value for printing: a perplexity with two digits after the point, another with four."""
    if name.endswith("perplexity"):
        return format_perplexity(value)
    return f"{value:.4f}" if abs(value) < 100 and math.isfinite(value) else f"{value:.5g}"
