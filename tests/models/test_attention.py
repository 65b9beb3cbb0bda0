"""Attention against NumPy, one pair of steps at a time; from scratch and on Gluon the same."""

import numpy
import pytest
from parity import assert_close

from d2lrnn import D2lrnnError
from d2lrnn._runtime import mx
from d2lrnn.config.model import ATTENTIONS
from d2lrnn.models import Attention, attend, attention_shapes
from d2lrnn.models.parameters import named_parameters, set_values

np = mx.np
TARGET, SOURCE, ROWS, N, M = 4, 3, 2, 5, 6
kinds = pytest.mark.parametrize("kind", ATTENTIONS)
MASK = numpy.array([[1, 0], [1, 1], [1, 0]])  # (source steps, rows)


def score(kind, h, s, params):
    """Return the score of two vectors, as the papers have it."""
    if kind == "additive":
        return numpy.tanh(h @ params["W_q"] + s @ params["W_k"]) @ params["w_v"]
    return h @ s if kind == "dot" else h @ params["W_a"] @ s


def by_hand(kind, H, S, mask, params):
    contexts, weights = numpy.zeros((len(H), ROWS, S.shape[2])), numpy.zeros((len(H), ROWS, len(S)))
    for t in range(len(H)):
        for row in range(ROWS):
            here = numpy.flatnonzero(mask[:, row])
            scores = numpy.exp([score(kind, H[t, row], S[i, row], params) for i in here])
            weights[t, row, here] = scores / scores.sum()
            contexts[t, row] = weights[t, row] @ S[:, row]
    return contexts, weights


def arrays(kind):
    """Return H, S and the parameters of a score."""
    key_size = N if kind == "dot" else M
    params = {name: numpy.random.normal(size=shape) for name, shape in attention_shapes(kind, N, key_size).items()}
    return numpy.random.normal(size=(TARGET, ROWS, N)), numpy.random.normal(size=(SOURCE, ROWS, key_size)), params


def on_gluon(kind, params):
    """Return a block with parameters that have their names from scratch."""
    block = Attention(kind, N, N if kind == "dot" else M)
    block.initialize()
    block.cast("float64")
    blocks = {"W_q": "query", "W_a": "query", "W_k": "key", "w_v": "score"}
    for name, values in params.items():
        weight = getattr(block, blocks[name]).weight
        set_values(weight, values.T.reshape(weight.shape))
    assert len(named_parameters(block)) == len(params)
    return block


def double(values):
    return np.array(values, dtype="float64")


@kinds
@pytest.mark.parametrize("compiled", [False, True])
def test_gluon_and_scratch_compute_what_the_papers_say(kind, compiled):
    H, S, params = arrays(kind)
    expected, expected_weights = by_hand(kind, H, S, MASK, params)
    mask = double(MASK[:, :, None])
    block = on_gluon(kind, params)
    block.hybridize(compiled)
    contexts, weights = (array.asnumpy() for array in block(double(H), double(S), mask))
    assert_close(contexts, expected, 1e-12)
    assert_close(weights, expected_weights, 1e-12)
    assert (weights[:, MASK.T == 0] == 0).all() and numpy.allclose(weights.sum(axis=2), 1)
    for t in range(TARGET):
        context, weights_of_step = attend(kind, double(H[t]), double(S), mask, [*map(double, params.values())])
        assert_close(context.asnumpy(), expected[t], 1e-12)
        assert_close(weights_of_step.asnumpy().T, expected_weights[t], 1e-12)


@kinds
def test_gradients_are_the_finite_differences(kind):
    H, S, params = arrays(kind)
    block, mask, eps = on_gluon(kind, params), double(MASK[:, :, None]), 1e-5
    H, S = double(H), double(S)
    factors = double(numpy.random.normal(size=(TARGET, ROWS, S.shape[2])))

    def loss():
        return (block(H, S, mask)[0] * factors).sum()

    for array in (H, S):
        array.attach_grad()
    with mx.autograd.record():
        value = loss()
    value.backward()
    for array, grad in [(H, H.grad), (S, S.grad), *((p.data(), p.grad()) for p in named_parameters(block).values())]:
        for place in [tuple(numpy.random.randint(length) for length in array.shape) for _ in range(3)]:
            before, found = array[place].item(), []
            for moved in (before + eps, before - eps):
                array[place] = moved
                found.append(loss().item())
            array[place] = before
            assert grad[place].item() == pytest.approx((found[0] - found[1]) / (2 * eps), rel=1e-6, abs=1e-8)


def test_it_finds_the_step_that_is_asked_for():
    """The outputs of the source are unit vectors, and each step of the target asks for one of them."""
    S = np.expand_dims(np.eye(N), 1)  # (source steps, 1, N)
    H = 50 * S[::-1]
    contexts, weights = Attention("dot", N, N)(H, S, np.ones((N, 1, 1)))
    assert weights[:, 0].argmax(axis=1).tolist() == [4, 3, 2, 1, 0]
    assert numpy.allclose(contexts.asnumpy(), S[::-1].asnumpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("cosine", 3, 3), "attention is 'cosine': expected one of additive, dot, general"),
        (("dot", 3, 6), "attention 'dot' multiplies outputs of one width, and the decoder's have 3 numbers, the enc"),
        (("general", 0, 6), "query_size is 0: expected a whole number"),
    ],
)
def test_attention_that_cannot_be(arguments, complaint):
    for make in (Attention, attention_shapes):
        with pytest.raises(D2lrnnError) as caught:
            make(*arguments)
        assert str(caught.value).startswith(complaint)
