"""How a model from scratch, its twin on Gluon and PyTorch are held against one another."""

from dataclasses import replace

import numpy

import d2lrnn
from d2lrnn import ModelConfig, TrainConfig, build_model, copy_parameters
from d2lrnn._runtime import mx
from d2lrnn.config.model import KINDS
from d2lrnn.models.twins import read_parameters

VOCAB_SIZE, NUM_HIDDENS, BATCH_SIZE, NUM_STEPS = 19, 12, 4, 6


def projections(cell):
    return {"num_projections": 5} if "projected" in cell else {}


def make_twins(cell, num_layers=1, bidirectional=False, scale=0.3):
    """Return both models with the same parameters, large enough that every gate is at work."""
    d2lrnn.set_seed(7)
    shape = dict(num_hiddens=NUM_HIDDENS, num_layers=num_layers, bidirectional=bidirectional, **projections(cell))
    config = ModelConfig(cell=cell, **shape)
    twins = d2lrnn.make_twins(config, VOCAB_SIZE)
    for param in twins["scratch"].params:
        param[:] = mx.np.random.normal(0, scale, param.shape)
    copy_parameters(twins["scratch"], twins["gluon"])
    return twins["scratch"], twins["gluon"]


def random_ids(rows=BATCH_SIZE):
    return mx.np.array(numpy.random.default_rng(8).integers(0, VOCAB_SIZE, (rows, NUM_STEPS)), dtype="int32")


def scratch_state(state):
    return [s.asnumpy() for s in state]


def gluon_state_like_scratch(state, num_states):
    """Put Gluon's states, H of all directions and then C, into the order of scratch: each direction's H and C."""
    per_layer = [state[i : i + num_states] for i in range(0, len(state), num_states)]
    arrays = []
    for layer in per_layer:
        for direction in range(layer[0].shape[0]):
            arrays += [s.asnumpy()[direction] for s in layer]
    return arrays


def assert_close(found, expected, rel=1e-5):
    """Compare relative to the largest entry, as sums can be compared; of float32 only where little cancels out."""
    assert numpy.abs(found - expected).max() <= rel * numpy.abs(expected).max()


def run_with_gradients(model, X, state=None):
    state = state or model.begin_state(X.shape[0])
    with mx.autograd.record():
        logits, new_state = model(X, state)
        loss = d2lrnn.cross_entropy(logits, (X + 1) % VOCAB_SIZE)
    loss.backward()
    return logits.asnumpy(), new_state, read_parameters(model, gradients=True)


def assert_agree_in_float64(config, kinds=KINDS):
    """Compare logits and gradients of models of several kinds, the same random parameters in all, with scratch."""
    models, results = {kind: build_model(replace(config, kind=kind), VOCAB_SIZE) for kind in kinds}, {}
    for kind, model in models.items():
        if kind == "gluon":
            model.cast("float64")
        else:
            model.params = [mx.np.random.normal(0, 0.5, param.shape).astype("float64") for param in model.params]
            for param in model.params:
                param.attach_grad()
        if kind != "scratch":
            copy_parameters(models["scratch"], model)
        state = tuple(s.astype("float64") for s in model.begin_state(BATCH_SIZE))
        results[kind] = run_with_gradients(model, random_ids(), state)
    expected, _, gradients = results.pop("scratch")
    assert expected.dtype == "float64" and list(gradients) == models["scratch"].stack.param_names
    for found, _, found_gradients in results.values():
        assert_close(found, expected, rel=1e-12)
        assert set(found_gradients) == set(gradients)
        for name, gradient in gradients.items():
            assert_close(found_gradients[name], gradient, rel=1e-12)


def twenty_losses(models):
    """Train models for twenty steps on the same batches with the book's settings; return their losses, row by row."""
    ids = numpy.random.default_rng(9).integers(0, VOCAB_SIZE, BATCH_SIZE * NUM_STEPS + 1)
    config = TrainConfig(num_epochs=20, lr=1e2, theta=1e-2, verbose=False)  # an epoch is one batch, so one step
    losses = []
    for model in models:
        history = d2lrnn.train(model, lambda: d2lrnn.data_iter_random(ids, BATCH_SIZE, NUM_STEPS), config)
        losses.append(numpy.log(history.perplexity))
    return losses


TORCH_GATES = {"rnn": "h", "rnn_relu": "h", "gru": "rzh", "lstm": "ifco", "lstm_projected": "ifco"}


TORCH_NAMES = {"W_x": "weight_ih", "W_h": "weight_hh", "b_": "bias_ih", "c_": "bias_hh", "W_m": "weight_hr"}


def torch_parameters(layer, stack):
    """Yield what parameters are called in scratch but for their gate, the gates, and PyTorch's parameter for them."""
    for i, prefix in enumerate(stack.prefixes):
        level, reverse = divmod(i, stack.num_directions)
        for kind, name in TORCH_NAMES.items():
            gates = "r" if kind == "W_m" else TORCH_GATES[stack.cell.replace("gru_reset_after", "gru")]
            param = getattr(layer, f"{name}_l{level}{'_reverse' * reverse}", None)
            if param is not None:
                yield prefix + kind, gates, param


def torch_gradients(layer, dense, stack):
    """Return all gradients of the PyTorch model, but of second biases, under the book's names."""
    found = {"W_hq": dense.weight.grad.numpy().T, "b_q": dense.bias.grad.numpy()}
    for kind, gates, param in torch_parameters(layer, stack):
        if not kind.endswith("c_"):
            whole = param.grad.numpy()
            parts = whole.reshape(len(gates), -1, *whole.shape[1:])
            found.update({kind + gate: part.T for gate, part in zip(gates, parts)})
    return found
