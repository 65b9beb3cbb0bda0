"""The cross-entropy and its gradient, against NumPy and autograd."""

import math

import numpy
import pytest
from known import Scaled
from tiny import quiet, rain, tiny_model

import d2lrnn
from d2lrnn import NextToken, Outcome, Training
from d2lrnn._runtime import mx
from d2lrnn.evaluation.losses import loss_and_gradient
from d2lrnn.models.parameters import named_parameters, numbers_of

CORPUS = rain(times=8)


def test_cross_entropy_equals_numpy():
    rng = numpy.random.default_rng(1)
    logits, Y = rng.normal(0, 30, (6, 5)), rng.integers(0, 5, (2, 3))  # logits that would overflow a plain exp
    flat = Y.T.reshape(-1)
    peak = logits.max(axis=1, keepdims=True)
    expected = (numpy.log(numpy.exp(logits - peak).sum(axis=1)) + peak[:, 0] - logits[numpy.arange(6), flat]).mean()
    found = d2lrnn.cross_entropy(mx.np.array(logits), mx.np.array(Y, dtype="int32"))
    assert found.shape == () and found.item() == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_refuses_targets_that_mxnet_would_clip():
    logits = mx.np.zeros((2, 5))
    with pytest.raises(ValueError, match="id 5 at position 0, 1"):
        d2lrnn.cross_entropy(logits, mx.np.array([[0, 5]], dtype="int32"))
    with pytest.raises(ValueError, match="3 ids, but there are 2 rows"):
        d2lrnn.cross_entropy(logits, mx.np.array([[0, 1, 2]], dtype="int32"))


def softmax(logits):
    powers = numpy.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 3e-6), ("float64", 1e-14)])
def test_the_gradient_of_the_sum_equals_numpy(dtype, tolerance):
    rng = numpy.random.default_rng(2)
    logits, Y = rng.normal(0, 3, (6, 50)).astype(dtype), rng.integers(0, 50, (2, 3))
    expected, places = softmax(logits.astype("float64")), (numpy.arange(6), Y.T.reshape(-1))
    value = -numpy.log(expected[places]).mean()
    expected[places] -= 1
    loss, gradient = loss_and_gradient(mx.np.array(logits, dtype=dtype), mx.np.array(Y, dtype="int32"))
    assert (loss.shape, loss.dtype, gradient.dtype) == ((), dtype, dtype)
    assert loss.item() == pytest.approx(value, rel=tolerance)
    numpy.testing.assert_allclose(gradient.asnumpy(), expected, rtol=tolerance, atol=0)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", "float16"])
def test_the_gradient_does_not_depend_on_the_type_of_the_ids(dtype):
    rng = numpy.random.default_rng(3)
    logits, Y = mx.np.array(rng.normal(0, 1, (3000, 5)), dtype="float32"), rng.integers(0, 5, (30, 100))
    expected, (loss, gradient) = (loss_and_gradient(logits, mx.np.array(Y, dtype=each)) for each in ("int32", dtype))
    assert loss.item() == expected[0].item()
    assert (gradient == expected[1]).all()


class ByAutograd(NextToken):
    def loss(self, *args):
        return super().loss(*args)


class Halved(NextToken):
    def loss(self, *args):
        outcome = super().loss(*args)
        return Outcome(outcome.loss / 2, outcome.state)


def step(objective, kind="gluon", scale=1.0):
    """Return loss and norm of a step, and the parameters after it."""
    model = Scaled(tiny_model(CORPUS.vocab_size, kind=kind, init_scale=0.5), lambda call: scale)
    training = Training(model, quiet(lr=0.1, theta=1e9), objective(CORPUS.vocab_size))
    ids = mx.np.array(CORPUS.train[:33], dtype="int32")
    found = training.step((ids[:32].reshape(4, 8), ids[1:].reshape(4, 8)), None)
    return found.loss.item(), found.norm, numbers_of(named_parameters(model))


@pytest.mark.parametrize("kind", ["scratch", "fast", "gluon"])
def test_a_step_is_that_of_autograd(kind):
    (loss, norm, found), (expected, expected_norm, params) = step(NextToken, kind), step(ByAutograd, kind)
    assert (loss, norm) == pytest.approx((expected, expected_norm), rel=3e-6)
    for name, values in params.items():
        numpy.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-7)


def test_the_loss_of_a_subclass_counts():
    (loss, norm, _), (halved, halved_norm, _) = step(NextToken), step(Halved)
    assert (halved, halved_norm) == pytest.approx((loss / 2, norm / 2), rel=3e-6)


def test_a_loss_beyond_float32s_probabilities_is_exact():
    """The probability of one token is 0 in float32, its loss a finite number."""
    (loss, norm, _), (expected, expected_norm, _) = (
        step(objective, scale=1000.0) for objective in (NextToken, ByAutograd)
    )
    assert 87 < loss < math.inf and loss == expected and norm == pytest.approx(expected_norm, rel=1e-5)
