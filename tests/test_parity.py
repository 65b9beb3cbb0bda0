"""A model from scratch against its twin on Gluon, and both against PyTorch."""

import numpy
import pytest

import d2lrnn
from d2lrnn import ModelConfig, TrainConfig, build_model, copy_parameters
from d2lrnn._runtime import mx
from d2lrnn.models import read_parameters

VOCAB_SIZE, NUM_HIDDENS, BATCH_SIZE, NUM_STEPS = 19, 12, 4, 6
SHAPES = [(cell, layers, both) for cell in ("rnn", "gru", "lstm") for layers in (1, 2) for both in (False, True)]
all_shapes = pytest.mark.parametrize("cell, num_layers, bidirectional", SHAPES)


def make_twins(cell, num_layers=1, bidirectional=False, scale=0.3):
    """Return both models with the same parameters, large enough that every gate is at work."""
    d2lrnn.set_seed(7)
    config = ModelConfig(cell=cell, num_hiddens=NUM_HIDDENS, num_layers=num_layers, bidirectional=bidirectional)
    twins = d2lrnn.make_twins(config, VOCAB_SIZE)
    for param in twins["scratch"].params:
        param[:] = mx.np.random.normal(0, scale, param.shape)
    copy_parameters(twins["scratch"], twins["gluon"])
    return twins["scratch"], twins["gluon"]


def random_ids(rows=BATCH_SIZE):
    return mx.np.array(numpy.random.default_rng(8).integers(0, VOCAB_SIZE, (rows, NUM_STEPS)), dtype="int32")


def flat_state(state):
    """Bring both kinds of states into one form: the sorted rows of all of H, then of C."""
    return numpy.concatenate([s.asnumpy().reshape(-1, BATCH_SIZE, NUM_HIDDENS) for s in state])


def gluon_state_like_scratch(state, num_states):
    """Put Gluon's states, H of all directions and then C, into the order of scratch: each direction's H and C."""
    per_layer = [state[i : i + num_states] for i in range(0, len(state), num_states)]
    arrays = []
    for layer in per_layer:
        for direction in range(layer[0].shape[0]):
            arrays += [s.asnumpy()[direction] for s in layer]
    return numpy.stack(arrays)


def assert_close(found, expected, rel=1e-5):
    """Compare relative to the largest entry, as float32 sums can be compared."""
    assert numpy.abs(found - expected).max() <= rel * numpy.abs(expected).max()


def run_with_gradients(model, X, state=None):
    state = state or model.begin_state(X.shape[0])
    with mx.autograd.record():
        logits, new_state = model(X, state)
        loss = d2lrnn.cross_entropy(logits, (X + 1) % VOCAB_SIZE)
    loss.backward()
    return logits.asnumpy(), new_state, read_parameters(model, gradients=True)


@all_shapes
def test_logits_states_and_gradients_agree(cell, num_layers, bidirectional):
    scratch, gluon = make_twins(cell, num_layers, bidirectional)
    X = random_ids()
    expected, state, gradients = run_with_gradients(scratch, X)
    found, gluon_state, gluon_gradients = run_with_gradients(gluon, X)
    assert_close(found, expected)
    num_states = d2lrnn.CELLS[scratch.stack.cell].num_states
    assert_close(gluon_state_like_scratch(gluon_state, num_states), flat_state(state))
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


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_twenty_training_steps_agree(cell):
    """Same parameters, same batches: the losses stay within 1e-4, with the book's settings."""
    scratch, gluon = make_twins(cell, scale=0.1)
    ids = numpy.random.default_rng(9).integers(0, VOCAB_SIZE, BATCH_SIZE * NUM_STEPS + 1)
    config = TrainConfig(num_epochs=20, lr=1e2, theta=1e-2, verbose=False)  # an epoch is one batch, so one step
    losses = []
    for model in (scratch, gluon):
        history = d2lrnn.train(model, lambda: d2lrnn.data_iter_random(ids, BATCH_SIZE, NUM_STEPS), config)
        losses.append(numpy.log(history.perplexity))
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
        (ModelConfig("scratch", "gru"), ModelConfig("gluon", "gru"), "cell='gru'.*cell='gru_reset_after'"),
        (ModelConfig("scratch", "lstm"), ModelConfig("gluon", "lstm", num_layers=2), "num_layers=1.*num_layers=2"),
        (ModelConfig("scratch", "lstm"), ModelConfig("gluon", "lstm", num_hiddens=8), r"W_xi has shape \(19, 256\)"),
        (ModelConfig("scratch", "lstm"), ModelConfig("gluon", "lstm", embed_size=4), "no twin from scratch"),
    ],
)
def test_models_of_different_shape_cannot_be_copied(source, target, message):
    models = [build_model(config, VOCAB_SIZE) for config in (source, target)]
    with pytest.raises(ValueError, match=message):
        copy_parameters(*models)


def test_an_rnn_with_relu_is_no_twin():
    model = d2lrnn.RNNModel(mx.gluon.rnn.RNN(NUM_HIDDENS), VOCAB_SIZE)
    model.initialize()
    with pytest.raises(ValueError, match="activation='tanh'"):
        copy_parameters(model, build_model(ModelConfig("scratch", "rnn", NUM_HIDDENS), VOCAB_SIZE))


def torch_twin(torch, model, cell, num_layers, bidirectional):
    """Return a PyTorch layer and output layer with a scratch model's parameters."""
    kinds = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
    layer = kinds[cell](VOCAB_SIZE, NUM_HIDDENS, num_layers, bidirectional=bidirectional)
    dense = torch.nn.Linear(NUM_HIDDENS * (1 + bidirectional), VOCAB_SIZE)
    p, gates = read_parameters(model), {"rnn": "h", "gru": "rzh", "lstm": "ifco"}[cell]
    with torch.no_grad():
        for i, prefix in enumerate(model.stack.prefixes):
            level, suffix = divmod(i, 1 + bidirectional)
            for kind, name in (("W_x", "weight_ih"), ("W_h", "weight_hh"), ("b_", "bias_ih"), ("c_", "bias_hh")):
                parts = [p.get(f"{prefix}{kind}{g}", numpy.zeros(NUM_HIDDENS, "float32")).T for g in gates]
                target = getattr(layer, f"{name}_l{level}{'_reverse' if suffix else ''}")
                target.copy_(torch.from_numpy(numpy.concatenate(parts)))
        dense.weight.copy_(torch.from_numpy(p["W_hq"].T.copy()))
        dense.bias.copy_(torch.from_numpy(p["b_q"]))
    return layer, dense


def torch_gradients(layer, dense, stack, cell):
    """Return all gradients of the PyTorch model, but of second biases, under the book's names."""
    found = {"W_hq": dense.weight.grad.numpy().T, "b_q": dense.bias.grad.numpy()}
    gates = {"rnn": "h", "gru": "rzh", "lstm": "ifco"}[cell]
    for i, prefix in enumerate(stack.prefixes):
        level, reverse = divmod(i, stack.num_directions)
        for kind, name in (("W_x", "weight_ih"), ("W_h", "weight_hh"), ("b_", "bias_ih")):
            whole = getattr(layer, f"{name}_l{level}{'_reverse' * reverse}").grad.numpy()
            for gate, part in zip(gates, whole.reshape(len(gates), NUM_HIDDENS, *whole.shape[1:])):
                found[f"{prefix}{kind}{gate}"] = part.T
    return found


@all_shapes
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
    states = [s.detach().numpy() for s in (state if cell == "lstm" else (state,))]  # H, or H and C, of each direction
    expected_gradients = torch_gradients(layer, dense, scratch.stack, cell)
    for model in (scratch, gluon):
        found, new_state, gradients = run_with_gradients(model, X)
        assert_close(found, logits.detach().numpy())
        flat = flat_state(new_state) if model is scratch else gluon_state_like_scratch(new_state, len(states))
        for i, expected in enumerate(states):
            assert_close(flat[i :: len(states)], expected)
        assert set(expected_gradients) <= set(gradients)
        for name, expected in expected_gradients.items():
            assert_close(gradients[name], expected, rel=2e-5)
