"""Padding in front, behind and in between, and rows of a padded batch against the same rows run alone."""

import numpy
from parity import assert_close

from d2lrnn._runtime import mx
from d2lrnn.data.lines import counted_steps
from d2lrnn.models.parameters import numbers_of

np = mx.np
VOCAB_SIZE = 7
LENGTHS = (5, 3, 1, 0)  # of the rows, the last of which is nothing but padding
BOTH = counted_steps([5, 3, 1, 0], 8)
BOTH[1], BOTH[2] = numpy.roll(BOTH[1], 2), numpy.roll(BOTH[2], 7)
BOTH[0] = [True, False, True, True, False, False, True, True]  # rows may have gaps too
PLACES = {"behind": counted_steps(LENGTHS), "front": counted_steps(LENGTHS, front=True), "both": BOTH}
PAD = VOCAB_SIZE - 1  # the id that stands at padding, and nowhere else


def normal(*shape):
    return numpy.random.normal(0, 0.5, shape)


def array(values, dtype):
    return np.array(values, dtype=dtype)


def run(call, X, state, weights, counted=None):
    """Return outputs, states and the gradients of both, of a loss in which each output and state counts differently.

    Args:
        call: from ``X, state, counted`` to outputs (num_steps, batch_size, n) and state.
        X: inputs.
        state: NumPy arrays before them.
        weights: of each output and of each state in the loss.
        counted: as a recurrence takes it.
    """
    dtype = weights[0].dtype
    state = tuple(array(values, dtype) for values in state)
    for one in state:
        one.attach_grad()
    if counted is not None:
        counted = array(counted, "float32")
    with mx.autograd.record():
        outputs, new_state = call(X, state, counted)
        loss = sum((found * array(weight, dtype)).sum() for found, weight in zip([outputs, *new_state], weights))
    loss.backward()
    return [a.asnumpy() for a in (outputs, *new_state)], [one.grad.asnumpy() for one in state]


def assert_padding_changes_nothing(call, X, counted, state, width, parameters, rel=1e-12, dtype="float64"):
    """Compare a padded batch with its rows run alone: outputs, states, gradients of states and of parameters.

    Args:
        call: as for :func:`run`.
        X: ids (batch_size, num_steps), or numbers (num_steps, batch_size, num_inputs).
        counted: which of them count.
        state: NumPy arrays (..., batch_size, n) before them.
        width: of the outputs.
        parameters: those whose gradients are compared, by name.
        rel: how close.
        dtype: of the numbers.
    """
    rows, steps = counted.shape
    weights = [normal(steps, rows, width), *(normal(*one.shape) for one in state)]
    weights[0][~counted.T] = 0
    weights = [weight.astype(dtype) for weight in weights]
    (outputs, *states), state_gradients = run(call, X, state, weights, counted)
    gradients, sums = numbers_of(parameters, gradients=True), {}
    for row in range(rows):
        here, one = numpy.flatnonzero(counted[row]), slice(row, row + 1)
        if not len(here):
            for new, old, gradient, weight in zip(states, state, state_gradients, weights[1:]):
                assert (new[..., one, :] == old[..., one, :].astype(dtype)).all()
                assert (gradient[..., one, :] == weight[..., one, :]).all()
            continue
        alone = X[one][:, here.tolist()] if X.ndim == 2 else X[here.tolist()][:, one]
        begin = [values[..., one, :] for values in state]
        own = [weights[0][here][:, one], *(weight[..., one, :] for weight in weights[1:])]
        (expected, *expected_states), expected_gradients = run(call, alone, begin, own)
        assert_close(outputs[here, row], expected[:, 0], rel)
        for found, wanted in ((states, expected_states), (state_gradients, expected_gradients)):
            for a, b in zip(found, wanted):
                assert_close(a[..., one, :], b, rel)
        for name, gradient in numbers_of(parameters, gradients=True).items():
            sums[name] = sums.get(name, 0) + gradient
    assert set(gradients) == set(sums) and gradients
    for name, gradient in gradients.items():
        assert abs(sums[name]).max() > 0 or "h2h_bias" in name
        assert_close(gradient, sums[name], rel)
    return outputs


def ids(counted):
    X = numpy.random.randint(0, PAD, counted.shape)
    X[~counted] = PAD
    return array(X, "int32")
