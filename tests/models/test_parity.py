"""A model from scratch against its twin on Gluon, and both against PyTorch."""

import numpy
import pytest
from parity import (
    BATCH_SIZE,
    NUM_HIDDENS,
    TORCH_GATES,
    VOCAB_SIZE,
    assert_agree_in_float64,
    assert_close,
    gluon_state_like_scratch,
    make_twins,
    projections,
    random_ids,
    run_with_gradients,
    scratch_state,
    torch_gradients,
    torch_parameters,
    twenty_losses,
)

import d2lrnn
from d2lrnn import ModelConfig, build_model, copy_parameters
from d2lrnn._runtime import mx
from d2lrnn.config.model import KINDS
from d2lrnn.models.twins import read_parameters

CELLS = [cell for cell in d2lrnn.CELLS if cell not in ("gru", "gru_reset_after")] + ["gru"]  # Gluon's, if it has one
SHAPES = [(cell, layers, both) for cell in CELLS for layers in (1, 2) for both in (False, True)]
all_shapes = pytest.mark.parametrize("cell, num_layers, bidirectional", SHAPES)


@pytest.mark.parametrize("cell", d2lrnn.CELLS)
@pytest.mark.parametrize("num_layers, bidirectional", [(1, False), (1, True), (2, False), (2, True)])
def test_all_kinds_agree_in_float64(cell, num_layers, bidirectional):
    """Whatever the parameters are, since rounding is out of the way.

    Gluon has no GRU in the book's form, and its fused layer with relu rounds what it returns to float32.
    """
    shape = dict(num_hiddens=NUM_HIDDENS, num_layers=num_layers, bidirectional=bidirectional, **projections(cell))
    kinds = ("scratch", "fast") if cell in ("gru", "rnn_relu") else KINDS
    assert_agree_in_float64(ModelConfig(cell=cell, **shape), kinds)


@all_shapes
def test_logits_states_and_gradients_agree(cell, num_layers, bidirectional):
    scratch, gluon = make_twins(cell, num_layers, bidirectional)
    X = random_ids()
    expected, state, gradients = run_with_gradients(scratch, X)
    found, gluon_state, gluon_gradients = run_with_gradients(gluon, X)
    assert_close(found, expected)
    num_states = d2lrnn.CELLS[scratch.stack.cell].num_states
    states = gluon_state_like_scratch(gluon_state, num_states), scratch_state(state)
    assert len(states[0]) == len(states[1])
    for one, other in zip(*states):
        assert_close(one, other)
    assert set(gradients) <= set(gluon_gradients)
    for name, gradient in gradients.items():
        assert_close(gluon_gradients[name], gradient)


@all_shapes
def test_the_second_call_goes_on_from_the_state(cell, num_layers, bidirectional):
    """With a state that is not zero, both agree still; one direction gives what one long call gives."""
    scratch, gluon = make_twins(cell, num_layers, bidirectional)
    X = random_ids()
    results = {}
    for name, model in (("scratch", scratch), ("gluon", gluon)):
        first, state = model(X[:, :3], model.begin_state(BATCH_SIZE))
        second, _ = model(X[:, 3:], state)
        results[name] = numpy.concatenate([first.asnumpy(), second.asnumpy()])
        if not bidirectional:
            whole, _ = model(X, model.begin_state(BATCH_SIZE))
            assert_close(results[name], whole.asnumpy())
    assert_close(results["gluon"], results["scratch"])


@all_shapes
def test_copying_there_and_back_changes_nothing(cell, num_layers, bidirectional):
    scratch, gluon = make_twins(cell, num_layers, bidirectional)
    before = read_parameters(scratch)
    for param in scratch.params:
        param[:] = 0
    copy_parameters(gluon, scratch)
    after = read_parameters(scratch)
    assert list(after) == list(before)
    assert all((after[name] == before[name]).all() for name in before)


def test_copying_adds_up_gluons_two_biases():
    scratch, gluon = make_twins("lstm")
    layer = gluon.layers[0]
    layer.l0_h2h_bias.set_data(mx.np.ones(4 * NUM_HIDDENS))
    expected, _ = gluon(random_ids(), gluon.begin_state(BATCH_SIZE))
    copy_parameters(gluon, scratch)
    found, _ = scratch(random_ids(), scratch.begin_state(BATCH_SIZE))
    assert_close(found.asnumpy(), expected.asnumpy())


@pytest.mark.parametrize("cell", CELLS)
def test_twenty_training_steps_agree(cell):
    """Same parameters, same batches: the losses stay within 1e-4, with the book's settings."""
    losses = twenty_losses(make_twins(cell, scale=0.1))
    assert losses[0][-1] < losses[0][0] - 0.5  # they have learnt something
    assert numpy.abs(losses[0] - losses[1]).max() < 1e-4


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_second_biases_are_frozen_at_zero(cell):
    _, gluon = make_twins(cell)
    assert gluon.layers[0].l0_h2h_bias.grad_req == "null"
    run_with_gradients(gluon, random_ids())
    d2lrnn.sgd(d2lrnn.named_parameters(gluon).values(), 1.0, 1)
    assert (gluon.layers[0].l0_h2h_bias.data().asnumpy() == 0).all()
    assert (gluon.layers[0].l0_i2h_bias.data().asnumpy() != 0).any()


@pytest.mark.parametrize(
    "source, target, message",
    [
        (
            ModelConfig("scratch", "gru"),
            ModelConfig("gluon", "gru"),
            "has cell 'gru', the target cell 'gru_reset_after':",
        ),
        (
            ModelConfig("scratch", "lstm"),
            ModelConfig("gluon", "lstm", num_layers=2),
            "has num_layers 1, the target num_layers 2:",
        ),
        (ModelConfig("scratch", "lstm"), ModelConfig("gluon", "lstm", num_hiddens=8), r"W_xi has shape \(19, 256\)"),
        (ModelConfig("scratch", "lstm"), ModelConfig("gluon", "lstm", embed_size=4), "no twin from scratch"),
    ],
)
def test_models_of_different_shape_cannot_be_copied(source, target, message):
    models = [build_model(config, VOCAB_SIZE) for config in (source, target)]
    with pytest.raises(ValueError, match=message):
        copy_parameters(*models)


def test_an_rnn_with_relu_is_no_twin_of_the_books():
    model = d2lrnn.RNNModel(mx.gluon.rnn.RNN(NUM_HIDDENS), VOCAB_SIZE)
    model.initialize()
    with pytest.raises(ValueError, match="the source has cell 'rnn_relu', the target cell 'rnn': only"):
        copy_parameters(model, build_model(ModelConfig("scratch", "rnn", NUM_HIDDENS), VOCAB_SIZE))


def torch_layer(torch, cell, *sizes, **options):
    if cell == "lstm_projected":
        return torch.nn.LSTM(*sizes, proj_size=projections(cell)["num_projections"], **options)
    if cell == "rnn_relu":
        return torch.nn.RNN(*sizes, nonlinearity="relu", **options)
    return {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell](*sizes, **options)


def torch_twin(torch, model, cell, num_layers, bidirectional):
    """Return a PyTorch layer and output layer with a scratch model's parameters."""
    p = read_parameters(model)
    layer = torch_layer(torch, cell, VOCAB_SIZE, NUM_HIDDENS, num_layers, bidirectional=bidirectional)
    dense = torch.nn.Linear(len(p["W_hq"]), VOCAB_SIZE)
    with torch.no_grad():
        for kind, gates, target in torch_parameters(layer, model.stack):
            parts = [p.get(kind + gate, numpy.zeros(NUM_HIDDENS, "float32")).T for gate in gates]
            target.copy_(torch.from_numpy(numpy.concatenate(parts)))
        dense.weight.copy_(torch.from_numpy(p["W_hq"].T.copy()))
        dense.bias.copy_(torch.from_numpy(p["b_q"]))
    return layer, dense


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
@pytest.mark.parametrize("cell, num_layers, bidirectional", [shape for shape in SHAPES if shape[0] in TORCH_GATES])
def test_both_agree_with_pytorch(cell, num_layers, bidirectional):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
    scratch, gluon = make_twins(cell, num_layers, bidirectional)
    layer, dense = torch_twin(torch, scratch, cell, num_layers, bidirectional)
    X = random_ids()
    onehot = torch.nn.functional.one_hot(torch.from_numpy(X.asnumpy().T).long(), VOCAB_SIZE).float()
    hiddens, state = layer(onehot)
    logits = dense(hiddens).reshape(-1, VOCAB_SIZE)
    targets = torch.from_numpy(((X.asnumpy() + 1) % VOCAB_SIZE).T.reshape(-1)).long()
    torch.nn.functional.cross_entropy(logits, targets).backward()
    state = state if cell.startswith("lstm") else (state,)  # H, or H and C, of all layers and directions
    states = [array for pair in zip(*(s.detach().numpy() for s in state)) for array in pair]
    expected_gradients = torch_gradients(layer, dense, scratch.stack)
    for model in (scratch, gluon):
        found, new_state, gradients = run_with_gradients(model, X)
        assert_close(found, logits.detach().numpy())
        flat = scratch_state(new_state) if model is scratch else gluon_state_like_scratch(new_state, len(state))
        assert len(flat) == len(states)
        for one, other in zip(flat, states):
            assert_close(one, other)
        assert set(expected_gradients) <= set(gradients)
        for name, expected in expected_gradients.items():
            assert_close(gradients[name], expected, rel=2e-5)


def torch_peephole_lstm(torch, onehot, p, projected):
    """Return the logits of the LSTM with peepholes, its last state and its memory, in PyTorch, from the equations."""
    batch_size, f = onehot.shape[1], torch.sigmoid
    h, c = torch.zeros(batch_size, p["W_hi"].shape[0]), torch.zeros(batch_size, NUM_HIDDENS)
    outputs = []
    for x in onehot:
        i = f(x @ p["W_xi"] + h @ p["W_hi"] + p["w_ci"] * c + p["b_i"])
        forget = f(x @ p["W_xf"] + h @ p["W_hf"] + p["w_cf"] * c + p["b_f"])
        c_new = forget * c + i * torch.tanh(x @ p["W_xc"] + h @ p["W_hc"] + p["b_c"])
        o = f(x @ p["W_xo"] + h @ p["W_ho"] + p["w_co"] * c_new + p["b_o"])
        c, m = c_new, o * torch.tanh(c_new)
        h = m @ p["W_mr"] if projected else m
        outputs.append(h @ p["W_hq"] + p["b_q"])
    return torch.cat(outputs), h, c


@pytest.mark.parametrize("cell", ["lstm_peephole", "lstm_peephole_projected"])
def test_peepholes_agree_with_the_equations_in_pytorch(cell):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
    scratch, gluon = make_twins(cell)
    p = {name: torch.from_numpy(array).requires_grad_() for name, array in read_parameters(scratch).items()}
    X = random_ids()
    onehot = torch.nn.functional.one_hot(torch.from_numpy(X.asnumpy().T).long(), VOCAB_SIZE).float()
    logits, *state = torch_peephole_lstm(torch, onehot, p, "projected" in cell)
    targets = torch.from_numpy(((X.asnumpy() + 1) % VOCAB_SIZE).T.reshape(-1)).long()
    torch.nn.functional.cross_entropy(logits, targets).backward()
    for model in (scratch, gluon):
        found, new_state, gradients = run_with_gradients(model, X)
        assert_close(found, logits.detach().numpy())
        for one, other in zip(new_state, state):
            assert_close(one.asnumpy().reshape(other.shape), other.detach().numpy())
        assert set(gradients) == set(p)
        for name, param in p.items():
            assert_close(gradients[name], param.grad.numpy(), rel=2e-5)
