"""What a classifier takes examples for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy

from d2lrnn.checks import check_whole
from d2lrnn.errors import D2lrnnError


def class_probabilities(
    model: Any, batches: Iterable[tuple], after_each: Callable[[], None] | None = None
) -> numpy.ndarray:
    """Return the probability that a classifier gives each class, for each example.

    Args:
        model: answers a batch by logits (batch_size, number of classes).
        batches: ``(X, labels)`` or ``(X, labels, counted)``, as :meth:`d2lrnn.data.examples.Examples.batches` returns
            them.
        after_each: called after each call of the model, if it is given; what it raises ends the evaluation.

    Returns:
        float64 of shape (number of examples, number of classes); each row sums up to 1.

    Raises:
        D2lrnnError: if there is no batch, or the logits are not all finite.
    """
    found = []
    for X, _, *counted in batches:
        logits, _ = model(X, model.begin_state(len(X), X.ctx), *counted)
        found.append(softmax(logits.asnumpy()))
        if after_each is not None:
            after_each()
    if not found:
        raise D2lrnnError("there is no batch: expected at least one")
    return numpy.concatenate(found)


def softmax(logits: numpy.ndarray) -> numpy.ndarray:
    """Return the probabilities of logits (batch_size, number of classes), in float64.

    Raises:
        D2lrnnError: if the logits are not all finite.
    """
    if not numpy.isfinite(logits).all():
        raise D2lrnnError(
            "the model's answers are no finite numbers, so its weights are none or far too large: did it diverge in "
            "training? Take another checkpoint, or train again with less lr"
        )
    shifted = numpy.exp(logits.astype(numpy.float64) - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def likeliest(probabilities: numpy.ndarray, count: int = 3) -> list[tuple[int, float]]:
    """Return the likeliest classes of one example with their probabilities, the likeliest first."""
    order = numpy.argsort(-probabilities, kind="stable")[: check_whole("count", count)]
    return [(int(i), float(probabilities[i])) for i in order]
