"""What a task asks of a model: the loss of a batch, and the number that a run is told by."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from d2lrnn.errors import D2lrnnError
from d2lrnn.evaluation.losses import cross_entropy, format_perplexity, perplexity


class Outcome(NamedTuple):
    """What a model made of a batch."""

    loss: Any  # the mean loss, an array of shape (), of which the gradient is taken
    state: tuple  # after the batch; () for a model without one
    score: Any = 0.0  # what the measure adds up beside the loss, such as the number of right answers: a number or array


class Objective:
    """What :class:`d2lrnn.training.loop.Training` must know of a task: derive from it and write :meth:`loss`.

    For example, a classifier is told by its accuracy, and more is better::

        class Classification(Objective):
            measure, less_is_better, unit = "accuracy", False, "images"

            def loss(self, model, batch, state):
                X, labels = batch
                logits, state = model(X, self.begin(model, batch))
                right = (logits.argmax(axis=1) == labels).sum()
                return Outcome(loss_of(logits, labels).mean(), state, right)

            def value(self, loss_sum, score_sum, count):
                return score_sum / count
    """

    measure = "loss"  # the name of the number that a run is told by; its value in validation is valid_<measure>
    less_is_better = True
    unit = "examples"  # what :meth:`count` counts
    # Beyond this value of the measure a run is lost if it was better before: over an epoch, and over a few batches.
    limit: float | None = None  # None: a run is lost only where a number is NaN or infinite
    segment_limit: float | None = None

    def loss(self, model: Any, batch: tuple, state: tuple | None) -> Outcome:
        """Compute the mean loss of a batch; gradients are recorded.

        Args:
            model: what is trained.
            batch: as the task's iterator yields it; the first axis of its first array is the batch's rows.
            state: that of the batch before, without its gradients; None: begin anew (:meth:`begin`).
        """
        raise NotImplementedError

    def count(self, batch: tuple) -> int:
        """Return over how many the loss of a batch is a mean: by default over its rows."""
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
    """A language model's objective: the cross-entropy of each next token, told as perplexity.

    A batch is ``(X, Y)`` or ``(X, Y, counted)``, each of shape (batch_size, num_steps): ids, those that follow them,
    and 1 for what counts and 0 for padding.

    Args:
        vocab_size: the perplexity of guessing at random.
    """

    measure, unit = "perplexity", "tokens"

    def __init__(self, vocab_size: int) -> None:
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
        """Return how many tokens of the batch count."""
        _, Y, *counted = batch
        return int(counted[0].sum()) if counted else Y.size

    def value(self, loss_sum: float, score_sum: float, count: int) -> float:
        """Return the perplexity."""
        return perplexity(loss_sum, count)


def format_measure(name: str, value: float) -> str:
    """Return a measure's value as it is printed: a perplexity with two digits after the point, others with four."""
    if name.endswith("perplexity"):
        return format_perplexity(value)
    return f"{value:.4f}" if abs(value) < 100 and math.isfinite(value) else f"{value:.5g}"
