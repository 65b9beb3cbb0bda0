"""Training a classifier: a sequence comes in, its class goes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from d2lrnn.config.training import TrainConfig
from d2lrnn.data.batches import Batches
from d2lrnn.data.examples import Examples, Labelled
from d2lrnn.errors import D2lrnnError
from d2lrnn.evaluation.classes import class_probabilities
from d2lrnn.evaluation.losses import cross_entropy
from d2lrnn.evaluation.scores import accuracy
from d2lrnn.training.objective import Objective, Outcome
from d2lrnn.training.task import Task, check_needs_no_validation


class SequenceClass(Objective):
    """A classifier's objective: the cross-entropy of each sequence's class; the measure is the accuracy.

    A batch is ``(X, labels)`` or ``(X, labels, counted)``.  X is numbers (batch_size, num_steps, input_size), or ids
    (batch_size, num_steps); ``labels`` are whole numbers (batch_size,); ``counted`` is 1 for steps that count and 0 for
    padding, (batch_size, num_steps).
    """

    measure, less_is_better = "accuracy", False

    def loss(self, model: Any, batch: tuple, state: tuple | None) -> Outcome:
        """Compute the mean cross-entropy in nats, and how many classes are predicted rightly.

        Raises:
            D2lrnnError: if ``labels`` has another shape than (batch_size,), or a label that is no class of the model's.
        """
        X, labels, *counted = batch
        if labels.shape != (len(X),):
            raise D2lrnnError(f"labels has shape {labels.shape}, X {X.shape}: expected one label for each row of X")
        logits, _ = model(X, self.begin(model, batch), *counted)  # (batch_size, number of classes)
        right = (logits.argmax(axis=1).astype(labels.dtype) == labels).sum()
        return Outcome(cross_entropy(logits, labels.reshape(-1, 1)), (), right)

    def value(self, loss_sum: float, score_sum: float, count: int) -> float:
        """Return the accuracy."""
        return score_sum / count


class Classification(Task):
    """A model learns to tell the classes of sequences apart.

    Args:
        model: answers a batch by logits (batch_size, number of classes), such as a :class:`SequenceModel`.
        data: the examples; those for validation and for the test may be missing.
        config: how to train.

    Raises:
        D2lrnnError: if the model has not an output for each class, there are fewer examples than a batch has, or
            ``averaging`` or ``patience`` is set and there are none for validation.
    """

    def __init__(self, model: Any, data: Labelled, config: TrainConfig) -> None:
        super().__init__(model, config, SequenceClass())
        self.data = data
        self.validates, self.tests = data.valid is not None, data.test is not None
        if model.num_outputs != len(data.classes):
            raise D2lrnnError(
                f"the model has {model.num_outputs} outputs, and {data.name} has {len(data.classes)} classes: expected "
                "one output for each class"
            )
        if not self.validates:
            check_needs_no_validation(config, f"the accuracy in validation, but {data.name} has no examples for that")
        self.batches()  # raises before anything is computed

    def batches(self) -> Batches:
        """Return the batches of an epoch."""
        ctx = self.model.begin_state(1)[0].ctx
        return self.data.train.batches(self.config.batch_size, ctx, training=True)

    def validation(self, after_each: Callable[[], None]) -> float:
        """Return the accuracy in validation."""
        return accuracy_on(self.model, self.data.split("valid")[1], self.config.batch_size, after_each)

    def test(self, model: Any) -> dict[str, float]:
        """Return the accuracy on the examples for the test."""
        return {"accuracy": accuracy_on(model, self.data.split("test")[1], self.config.batch_size)}


def accuracy_on(
    model: Any, examples: Examples, batch_size: int = 100, after_each: Callable[[], None] | None = None
) -> float:
    """Return the share of the examples whose class a model predicts; ``after_each`` is called after each batch."""
    ctx = model.begin_state(1)[0].ctx
    probabilities = class_probabilities(model, examples.batches(batch_size, ctx), after_each)
    return accuracy(probabilities.argmax(axis=1), examples.labels)
