"""A dense layer at each step, and one over all steps, give the same outputs and gradients."""

import numpy
import pytest

from d2lrnn import ModelConfig, make_twins, set_seed
from d2lrnn._runtime import mx
from d2lrnn.models.step_outputs import dense_at_each_step, dense_over_all_steps

np = mx.np


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 5, 8, 2), (50, 20, 100, 1)])
def test_both_ways_give_the_same(shape):
    batch_size, num_steps, num_hiddens, num_outputs = shape
    draw = numpy.random.default_rng(1)
    H = draw.uniform(-1, 1, (batch_size, num_steps, num_hiddens))
    W, b, dY = (draw.normal(0, 0.1, size) for size in ((num_hiddens, num_outputs), num_outputs, (*shape[:2], 1)))
    found = []
    for way in (dense_at_each_step, dense_over_all_steps):
        arrays = [np.array(array, dtype="float32") for array in (H, W, b)]
        for array in arrays:
            array.attach_grad()
        with mx.autograd.record():
            outputs = arrays[0]
            steps = [outputs[:, t] for t in range(num_steps)] if way is dense_at_each_step else outputs
            Y = way(steps, *arrays[1:])
            loss = (Y * np.array(dY, dtype="float32")).sum()
        loss.backward()
        found.append([Y.asnumpy(), *(array.grad.asnumpy() for array in arrays)])
    for one, other in zip(*found):
        assert one.shape == other.shape
        assert numpy.abs(one - other).max() <= 1e-6 * max(1, numpy.abs(one).max())
    assert numpy.abs(found[0][0] - (H @ W + b)).max() <= 1e-6


def test_they_are_what_the_models_compute():
    set_seed(2)
    config = ModelConfig("scratch", "rnn", 4, head="steps", num_outputs=3, input_size=2, init_scale=0.5)
    twins = make_twins(config, None)
    X = np.array(numpy.random.default_rng(3).normal(size=(2, 5, 2)), dtype="float32")
    scratch = twins["scratch"]
    outputs, _ = scratch.stack.layers([X[:, t] for t in range(5)], scratch.begin_state(2), scratch.params[:-2])
    expected = dense_at_each_step(outputs, *scratch.params[-2:]).asnumpy()
    assert (
        numpy.abs(dense_over_all_steps(np.stack(outputs, axis=1), *scratch.params[-2:]).asnumpy() - expected).max()
        <= 1e-6
    )
    for model in twins.values():
        assert numpy.abs(model(X, model.begin_state(2))[0].asnumpy() - expected).max() <= 1e-6
