"""Accuracy, confusion matrix and probabilities of classes: numbers that were computed by hand."""

import math

import numpy
import pytest

from d2lrnn import D2lrnnError, accuracy, confusion_matrix
from d2lrnn._runtime import mx
from d2lrnn.evaluation.classes import class_probabilities, likeliest, softmax


def test_accuracy_by_hand():
    assert accuracy([0, 1, 2, 2], [0, 1, 1, 2]) == 0.75
    assert accuracy(numpy.array([5]), numpy.array([5])) == 1.0
    assert accuracy([1, 0], [0, 1]) == 0.0


def test_a_confusion_matrix_by_hand():
    labels = [0, 0, 0, 1, 1, 2]
    predicted = [0, 2, 2, 1, 0, 2]
    assert confusion_matrix(predicted, labels, 4).tolist() == [[1, 0, 2, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: accuracy([1, 2], [1]), "there are 2 predicted classes and 1 labels: expected as many"),
        (lambda: accuracy([], []), r"predicted has shape \(0,\) and type float64: expected one dimension of whole"),
        (lambda: accuracy([0.5], [1]), "type float64: expected one dimension of whole numbers"),
        (lambda: accuracy([1], [[1]]), r"labels has shape \(1, 1\)"),
        (lambda: confusion_matrix([3], [1], 3), "predicted has numbers from 3 to 3: expected 0 to 2"),
        (lambda: confusion_matrix([1], [-1], 3), "labels has numbers from -1 to -1: expected 0 to 2"),
        (lambda: confusion_matrix([1], [1], 0), "num_classes is 0: expected a whole number"),
    ],
)
def test_classes_that_are_none(call, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        call()


def test_softmax_by_hand():
    found = softmax(numpy.log(numpy.array([[1.0, 2.0, 5.0]])))
    assert numpy.allclose(found, [[0.125, 0.25, 0.625]], rtol=1e-15)
    assert softmax(numpy.array([[1e30, 0.0]], "float32")).tolist() == [[1.0, 0.0]]  # nothing overflows
    for lost in (math.nan, math.inf):
        with pytest.raises(D2lrnnError, match="the model's answers are no finite numbers"):
            softmax(numpy.array([[lost, 0.0]]))


def test_the_likeliest_come_first_and_of_equal_ones_the_first():
    assert likeliest(numpy.array([0.2, 0.5, 0.2, 0.1])) == [(1, 0.5), (0, 0.2), (2, 0.2)]
    assert likeliest(numpy.array([0.2, 0.8]), 5) == [(1, 0.8), (0, 0.2)]


class Sums:
    """Answers each row by its sum over the steps that count, and by 0."""

    def begin_state(self, batch_size, ctx=None):
        return (mx.np.zeros((1, batch_size, 1)),)

    def __call__(self, X, state, counted=None):
        total = (X if counted is None else X * counted).sum(axis=1)
        return mx.np.stack([total, mx.np.zeros_like(total)], axis=1), state


def test_probabilities_of_batches_of_any_size_and_with_padding():
    calls = []
    X = mx.np.array([[0.0, math.log(3)], [5.0, -5.0], [math.log(4), 9.0]])
    batches = [(X[:2], None), (X[2:], None, mx.np.array([[1.0, 0.0]]))]
    found = class_probabilities(Sums(), batches, lambda: calls.append(1))
    assert numpy.allclose(found, [[0.75, 0.25], [0.5, 0.5], [0.8, 0.2]], atol=1e-7) and len(calls) == 2
    with pytest.raises(D2lrnnError, match="there is no batch"):
        class_probabilities(Sums(), [])
