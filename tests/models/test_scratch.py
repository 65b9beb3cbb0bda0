"""The cells from scratch against NumPy in float64, and their gradients against finite differences."""

import numpy
import pytest

from d2lrnn import (
    CELLS,
    Stack,
    get_gru_params,
    get_lstm_params,
    get_rnn_params,
    gru,
    gru_reset_after,
    init_lstm_state,
    init_rnn_state,
    lstm,
    rnn,
    to_onehot,
)
from d2lrnn._runtime import mx
from d2lrnn.models.scratch import get_gru_reset_after_params, init_gru_state

FORWARD = {"rnn": rnn, "gru": gru, "gru_reset_after": gru_reset_after, "lstm": lstm}
GET_PARAMS = {
    "rnn": get_rnn_params,
    "gru": get_gru_params,
    "gru_reset_after": get_gru_reset_after_params,
    "lstm": get_lstm_params,
}
WIDTHS = {"lstm_projected": 3, "lstm_peephole_projected": 3}  # of H; that of the others is num_hiddens


def stack_of(cell):
    return Stack(cell, num_projections=WIDTHS.get(cell))


def sigmoid(x):
    return 1 / (1 + numpy.exp(-x))


def numpy_step(cell, x, state, p):
    """The textbook's equations once more, from the parameters' names."""
    h = state[0]
    if cell == "rnn":
        return (numpy.tanh(x @ p["W_xh"] + h @ p["W_hh"] + p["b_h"]),)
    if cell == "rnn_relu":
        return (numpy.maximum(x @ p["W_xh"] + h @ p["W_hh"] + p["b_h"], 0),)
    if cell.startswith("lstm"):
        i, f, o, new = (x @ p[f"W_x{g}"] + h @ p[f"W_h{g}"] + p[f"b_{g}"] for g in "ifoc")
        if "peephole" in cell:
            i, f = i + state[1] @ numpy.diag(p["w_ci"]), f + state[1] @ numpy.diag(p["w_cf"])
        c = sigmoid(f) * state[1] + sigmoid(i) * numpy.tanh(new)
        if "peephole" in cell:
            o = o + c @ numpy.diag(p["w_co"])
        h = sigmoid(o) * numpy.tanh(c)
        return (h @ p["W_mr"] if "projected" in cell else h), c
    z, r = (sigmoid(x @ p[f"W_x{g}"] + p[f"b_{g}"] + h @ p[f"W_h{g}"] + p.get(f"c_{g}", 0)) for g in "zr")
    if cell == "gru":
        candidate = numpy.tanh(x @ p["W_xh"] + (r * h) @ p["W_hh"] + p["b_h"])
    else:
        candidate = numpy.tanh(x @ p["W_xh"] + p["b_h"] + r * (h @ p["W_hh"] + p["c_h"]))
    return (z * h + (1 - z) * candidate,)


def numpy_model(cell, inputs, state, p):
    outputs = []
    for x in inputs:
        state = numpy_step(cell, x, state, p)
        outputs.append(state[0] @ p["W_hq"] + p["b_q"])
    return outputs, state


def random_case(cell, rng, vocab_size=7, num_hiddens=5, batch_size=3, num_steps=4):
    """Return inputs, state and parameters by name as float64 NumPy arrays."""
    shapes = stack_of(cell).param_shapes(vocab_size, num_hiddens)
    params = {name: rng.normal(0, 0.5, shape) for name, shape in zip(stack_of(cell).param_names, shapes)}
    widths = [WIDTHS.get(cell, num_hiddens), num_hiddens][: CELLS[cell].num_states]
    state = tuple(rng.normal(0, 0.5, (batch_size, width)) for width in widths)
    inputs = [rng.normal(0, 1, (batch_size, vocab_size)) for _ in range(num_steps)]
    return inputs, state, params


def to_mx(arrays, dtype="float64"):
    return [mx.np.array(a, dtype=dtype) for a in arrays]


@pytest.mark.parametrize("cell", CELLS)
def test_cell_equals_numpy(cell):
    inputs, state, params = random_case(cell, numpy.random.default_rng(1))
    expected, expected_state = numpy_model(cell, inputs, state, params)
    for forward in {FORWARD.get(cell, stack_of(cell)), stack_of(cell)}:
        outputs, new_state = forward(to_mx(inputs), tuple(to_mx(state)), to_mx(params.values()))
        assert isinstance(new_state, tuple) and len(new_state) == len(expected_state)
        numpy.testing.assert_allclose([y.asnumpy() for y in outputs], expected, rtol=1e-12)
        for found, array in zip(new_state, expected_state):
            numpy.testing.assert_allclose(found.asnumpy(), array, rtol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_equal_finite_differences(cell):
    rng = numpy.random.default_rng(2)
    inputs, state, params = random_case(cell, rng)
    weights = [rng.normal(0, 1, (3, 7)) for _ in inputs]  # a loss in which every output counts differently

    def loss(values):
        return sum((w * y).sum() for w, y in zip(weights, numpy_model(cell, inputs, state, values)[0]))

    arrays = to_mx(params.values())
    for array in arrays:
        array.attach_grad()
    with mx.autograd.record():
        outputs, _ = stack_of(cell)(to_mx(inputs), tuple(to_mx(state)), arrays)
        total = sum((w * y).sum() for w, y in zip(to_mx(weights), outputs))
    total.backward()
    for (name, value), array in zip(params.items(), arrays):
        for index in [tuple(rng.integers(0, value.shape)) for _ in range(4)]:
            moved = {sign: {**params, name: value.copy()} for sign in (1, -1)}
            for sign in (1, -1):
                moved[sign][name][index] += sign * 1e-6
            slope = (loss(moved[1]) - loss(moved[-1])) / 2e-6
            assert array.grad[index].item() == pytest.approx(slope, rel=1e-6, abs=1e-8), name


def test_the_two_forms_of_the_gru_differ():
    """With the same weights the reset gate's place is the only difference, and it is no rounding error."""
    inputs, state, params = random_case("gru", numpy.random.default_rng(3))
    before, _ = numpy_model("gru", inputs, state, params)
    after, _ = numpy_model("gru_reset_after", inputs, state, {**params, "c_h": 0})
    assert numpy.abs(numpy.array(before) - numpy.array(after)).max() > 0.05


def numpy_stack(cell, inputs, state, params, num_layers, bidirectional):
    """Return the outputs of stacked layers, each direction of each a cell with parameters and states of its own."""
    names, count, k = CELLS[cell].param_names, CELLS[cell].num_states, 0
    identity = {"W_hq": numpy.eye(state[0].shape[-1]), "b_q": 0}
    for _ in range(num_layers):
        directions = []
        for step in (1, -1)[: 1 + bidirectional]:
            own = dict(zip(names, params[k * len(names) : (k + 1) * len(names)]))
            hiddens, _ = numpy_model(cell, inputs[::step], state[k * count : (k + 1) * count], {**own, **identity})
            directions.append(hiddens[::step])
            k += 1
        inputs = [numpy.hstack(hiddens) for hiddens in zip(*directions)]
    return [y @ params[-2] + params[-1] for y in inputs]


SHAPES = [(2, False), (1, True), (2, True)]


def random_stack(cell, num_layers, bidirectional, rng):
    """Return a stack, and inputs, state and parameters in its order, float64."""
    stack = Stack(cell, num_layers, bidirectional, num_outputs=2)
    params = [rng.normal(0, 0.5, shape) for shape in stack.param_shapes(6, 4)]
    state = tuple(rng.normal(0, 0.5, array.shape) for array in stack.init_state(3, 4, None))
    return stack, [rng.normal(0, 1, (3, 6)) for _ in range(5)], state, params


@pytest.mark.parametrize(("num_layers", "bidirectional"), SHAPES)
@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell not in WIDTHS])
def test_a_stack_is_one_layer_after_another_from_both_ends(cell, num_layers, bidirectional):
    stack, inputs, state, params = random_stack(cell, num_layers, bidirectional, numpy.random.default_rng(4))
    expected = numpy_stack(cell, inputs, state, params, num_layers, bidirectional)
    outputs, _ = stack(to_mx(inputs), tuple(to_mx(state)), to_mx(params))
    numpy.testing.assert_allclose([y.asnumpy() for y in outputs], expected, rtol=1e-12)


@pytest.mark.parametrize(("num_layers", "bidirectional"), SHAPES)
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_gradients_of_a_stack_and_of_its_state_equal_finite_differences(cell, num_layers, bidirectional):
    rng = numpy.random.default_rng(6)
    stack, inputs, state, params = random_stack(cell, num_layers, bidirectional, rng)
    weights = [rng.normal(0, 1, (3, 2)) for _ in inputs]
    values = [*state, *params]

    def loss(values):
        outputs = numpy_stack(cell, inputs, values[: len(state)], values[len(state) :], num_layers, bidirectional)
        return sum((w * y).sum() for w, y in zip(weights, outputs))

    arrays = to_mx(values)
    for array in arrays:
        array.attach_grad()
    with mx.autograd.record():
        outputs, _ = stack(to_mx(inputs), tuple(arrays[: len(state)]), arrays[len(state) :])
        total = sum((w * y).sum() for w, y in zip(to_mx(weights), outputs))
    total.backward()
    for i, value in enumerate(values):
        for index in [tuple(rng.integers(0, value.shape)) for _ in range(2)]:
            moved = [[v.copy() for v in values] for _ in range(2)]
            moved[0][i][index] += 1e-6
            moved[1][i][index] -= 1e-6
            slope = (loss(moved[0]) - loss(moved[1])) / 2e-6
            assert arrays[i].grad[index].item() == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_parameters_come_in_the_books_order():
    gru_names = "W_xz W_hz b_z W_xr W_hr b_r W_xh W_hh b_h W_hq b_q".split()
    lstm_names = "W_xi W_hi b_i W_xf W_hf b_f W_xo W_ho b_o W_xc W_hc b_c W_hq b_q".split()
    projected = "W_xi W_hi w_ci b_i W_xf W_hf w_cf b_f W_xo W_ho w_co b_o W_xc W_hc b_c W_mr W_hq b_q".split()
    assert Stack("gru").param_names == gru_names
    assert Stack("lstm").param_names == lstm_names
    assert Stack("lstm_peephole_projected", num_projections=2).param_names == projected
    assert (
        Stack("rnn", 2, True).param_names
        == (
            "l0.W_xh l0.W_hh l0.b_h l0.reverse.W_xh l0.reverse.W_hh l0.reverse.b_h "
            "l1.W_xh l1.W_hh l1.b_h l1.reverse.W_xh l1.reverse.W_hh l1.reverse.b_h W_hq b_q"
        ).split()
    )


@pytest.mark.parametrize("cell", CELLS)
def test_new_parameters_are_the_books(cell):
    mx.random.seed(1)
    get_params = GET_PARAMS.get(cell, stack_of(cell).get_params)
    params = dict(zip(stack_of(cell).param_names, get_params(300, 200)))
    for name, param in params.items():
        values = param.asnumpy()
        assert param.grad is not None, name
        if (cell, name) == ("rnn_relu", "W_hh"):
            assert (values == numpy.eye(200)).all()
        elif name.startswith(("W", "w")):
            close = 6 * 0.01 / values.size**0.5  # six standard errors of the mean; the deviation's is smaller
            assert abs(values.std() - 0.01) < close and abs(values.mean()) < close, name
        else:
            assert (values == 0).all(), name
    assert params["W_hq"].shape == (WIDTHS.get(cell, 200), 300)


def test_initial_states_are_zeros():
    for init, count in ((init_rnn_state, 1), (init_gru_state, 1), (init_lstm_state, 2)):
        state = init(2, 3)
        assert isinstance(state, tuple) and len(state) == count
        assert all((s.asnumpy() == numpy.zeros((2, 3))).all() for s in state)


def test_to_onehot():
    matrices = to_onehot(mx.np.array([[0, 2], [1, 0]], dtype="int32"), 3)
    expected = [[[1, 0, 0], [0, 1, 0]], [[0, 0, 1], [1, 0, 0]]]  # num_steps first
    assert [m.asnumpy().tolist() for m in matrices] == expected
    from_floats = to_onehot(mx.np.arange(4).reshape(2, 2), 4)  # float32, as the book's example gives it
    assert from_floats[1].asnumpy().argmax(axis=1).tolist() == [1, 3]


@pytest.mark.parametrize("cell, num_layers", [("gur", 1), ("gru", 0)])
def test_impossible_stack(cell, num_layers):
    with pytest.raises(ValueError, match="gur.*expected one of rnn, rnn_relu, gru|num_layers is 0"):
        Stack(cell, num_layers)
