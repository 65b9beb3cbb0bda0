"""The objective of classifiers, and the task: numbers by hand, a training that learns, what does not go together."""

import dataclasses
import math

import numpy
import pytest
from made_digits import drawn

import d2lrnn
from d2lrnn import Classification, D2lrnnError, Images, Labelled, ModelConfig, SequenceClass, TrainConfig, build_model
from d2lrnn._runtime import mx
from d2lrnn.training import accuracy_on

np = mx.np

CLASSES = tuple("0123456789")
DATA = Labelled("drawn", CLASSES, Images(*drawn(200), shift=1), Images(*drawn(50, 1)), Images(*drawn(50, 2)))
SMALL = ModelConfig("gluon", "gru", 16, head="mean", num_outputs=10, input_size=28, init_scale=0.2)
CONFIG = TrainConfig(
    num_epochs=8, batch_size=20, batches="random", optimizer="adam", lr=0.02, theta=1.0, verbose=False, seed=1
)


def model_of(config=SMALL):
    d2lrnn.set_seed(1)
    return build_model(config, None)


class Answers:
    """Answers by its inputs at the last step that counts."""

    num_outputs = 3

    def begin_state(self, batch_size, ctx=None):
        return ()

    def __call__(self, X, state, counted=None):
        if counted is None:
            return X[:, -1], ()
        last = (counted.sum(axis=1) - 1).astype("int32")
        return np.stack([X[i, int(step)] for i, step in enumerate(last)]), ()


def test_the_loss_and_the_score_by_hand():
    """Probabilities 1/8, 2/8 and 5/8 in the first row, 1/2, 1/4 and 1/4 in the second."""
    logits = numpy.log([[[9.0, 1, 1], [1, 2, 5]], [[1, 9, 1], [2, 1, 1]]])
    batch = (np.array(logits, dtype="float32"), np.array([2, 1], dtype="int32"))
    outcome = SequenceClass().loss(Answers(), batch, None)
    assert float(outcome.loss) == pytest.approx(-(math.log(5 / 8) + math.log(1 / 4)) / 2, rel=1e-5)
    assert (float(outcome.score), outcome.state, SequenceClass().count(batch)) == (1.0, (), 2)
    padded = (*batch, np.array([[1.0, 0.0], [1.0, 1.0]]))  # of the first row one step: 9/11, 1/11, 1/11
    outcome = SequenceClass().loss(Answers(), padded, None)
    assert float(outcome.loss) == pytest.approx(-(math.log(1 / 11) + math.log(1 / 4)) / 2, rel=1e-5)
    assert SequenceClass().value(9.0, 3.0, 4) == 0.75


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ([[2, 1]], r"labels has shape \(1, 2\), X \(2, 1, 3\): expected one label for each row of X"),
        ([2, 3], "3"),
        ([-1, 0], "-1"),
    ],
)
def test_labels_that_are_none(labels, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        SequenceClass().loss(Answers(), (np.zeros((2, 1, 3)), np.array(labels, dtype="int32")), None)


@pytest.mark.parametrize(
    "change", [{}, {"head": "state", "bidirectional": True}, {"kind": "scratch", "head": "output"}]
)
def test_a_classifier_learns_and_is_measured_after_each_epoch(change):
    task = Classification(model_of(dataclasses.replace(SMALL, **change)), DATA, CONFIG)
    history = task.train()
    assert (history.measure, history.less_is_better, len(history.epochs)) == ("accuracy", False, 8)
    assert history.valid[-1] == accuracy_on(task.model, DATA.valid) > 0.5
    assert task.test(task.model) == {"accuracy": accuracy_on(task.model, DATA.test, 7)}
    assert "examples_per_second" in history.epochs[0]


def test_the_accuracy_does_not_depend_on_the_batch():
    model = model_of()
    assert accuracy_on(model, DATA.test, 7) == accuracy_on(model, DATA.test, 50)


@pytest.mark.parametrize(
    ("data", "config", "complaint"),
    [
        (
            dataclasses.replace(DATA, classes=("a", "b")),
            {},
            "the model has 10 outputs, and drawn has 2 classes",
        ),
        (
            dataclasses.replace(DATA, valid=None),
            {"patience": 2},
            "patience goes by the accuracy in validation, but drawn has",
        ),
        (DATA, {"batch_size": 201}, "batch_size is 201, and there are 200 images: expected no more than these"),
    ],
)
def test_what_does_not_go_together_is_said_before_anything_is_computed(data, config, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        Classification(model_of(), data, dataclasses.replace(CONFIG, **config))


def test_without_examples_for_validation_and_test_there_is_none():
    task = Classification(model_of(), Labelled("drawn", CLASSES, DATA.train), dataclasses.replace(CONFIG, num_epochs=1))
    assert (task.validates, task.tests) == (False, False)
    assert task.train().valid == []
