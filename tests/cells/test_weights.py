"""A weight with its transpose: the array that it was made of, and the same products."""

import gc

from parity import assert_close

from d2lrnn._runtime import mx
from d2lrnn.cells.steps import dot
from d2lrnn.cells.weights import Weight

np = mx.np


def test_its_memory_and_its_gradient_are_those_of_the_parameter():
    W, X = np.random.normal(size=(5, 3)), np.random.normal(size=(4, 5))
    W.attach_grad()
    with mx.autograd.record():
        weight = Weight(W)
        assert weight.transposed is weight.transposed
        Y = dot(X, weight) + dot(2 * X, weight)
    Y.backward()
    assert_close(Y.asnumpy(), 3 * X.asnumpy() @ W.asnumpy())
    assert_close(W.grad.asnumpy(), 3 * X.asnumpy().T @ np.ones((4, 3)).asnumpy())
    W[:] = 1
    assert (weight.asnumpy() == 1).all() and type(weight + 0) is np.ndarray


def test_parameter_and_weight_may_be_dropped_in_either_order():
    W = np.ones((2, 3))
    weight = Weight(W)
    del W
    gc.collect()
    assert dot(np.ones((1, 2)), weight).tolist() == [[2, 2, 2]]
    W = np.ones((2, 3))
    weight = Weight(W)
    del weight
    gc.collect()
    assert W.sum() == 6
