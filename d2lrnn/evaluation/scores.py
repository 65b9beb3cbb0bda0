"""The numbers that judge classifiers."""

from __future__ import annotations

import numpy

from d2lrnn.checks import check_whole
from d2lrnn.errors import D2lrnnError


def accuracy(predicted, labels) -> float:
    """Return the share of the examples whose class was predicted rightly.

    For example, three of these four are right::

        >>> from d2lrnn import accuracy
        >>> accuracy([7, 1, 2, 9], [7, 1, 2, 4])
        0.75

    Args:
        predicted: the classes that a model predicts, whole numbers in one dimension.
        labels: the classes that are right, in the same order.

    Raises:
        D2lrnnError: if the two are not as long as one another, or there are none.
    """
    predicted, labels = _both(predicted, labels)
    return float((predicted == labels).mean())


def confusion_matrix(predicted, labels, num_classes: int) -> numpy.ndarray:
    """Return how many examples of each class were taken for each class.

    Args:
        predicted: as for :func:`accuracy`, numbers from 0 to ``num_classes - 1``.
        labels: likewise.
        num_classes: how many classes there are.

    Returns:
        whole numbers of shape (num_classes, num_classes): the row is the right class, the column the predicted one.

    Raises:
        D2lrnnError: as :func:`accuracy`; also for a number that is no class.
    """
    predicted, labels = _both(predicted, labels)
    check_whole("num_classes", num_classes)
    for name, values in (("predicted", predicted), ("labels", labels)):
        if values.min() < 0 or values.max() >= num_classes:
            raise D2lrnnError(
                f"{name} has numbers from {values.min()} to {values.max()}: expected 0 to {num_classes - 1}"
            )
    counts = numpy.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def _both(predicted, labels) -> tuple[numpy.ndarray, numpy.ndarray]:
    arrays = numpy.asarray(predicted), numpy.asarray(labels)
    for name, array in zip(("predicted", "labels"), arrays):
        if array.ndim != 1 or not array.size or array.dtype.kind not in "iu":
            raise D2lrnnError(
                f"{name} has shape {array.shape} and type {array.dtype}: expected one dimension of whole numbers, at "
                "least one"
            )
    if len(arrays[0]) != len(arrays[1]):
        raise D2lrnnError(f"there are {len(arrays[0])} predicted classes and {len(arrays[1])} labels: expected as many")
    return arrays[0].astype(numpy.int64), arrays[1].astype(numpy.int64)
