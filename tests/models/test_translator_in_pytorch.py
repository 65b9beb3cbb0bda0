"""Encoder, bridge, attention and decoder in PyTorch: the same logits, loss and gradients."""

import re

import numpy
import pytest
from parity import assert_close

import d2lrnn
from d2lrnn import ModelConfig, build_model
from d2lrnn._runtime import mx
from d2lrnn.data.lines import counted_steps
from d2lrnn.models.parameters import numbers_of

np = mx.np
SOURCE_SIZE, TARGET_SIZE, LENGTHS, NUM_HIDDENS, NUM_LAYERS = 11, 9, (6, 4, 3), 8, 2

CASES = [  # attention, cell, and further settings
    (None, "lstm", {}),
    (None, "gru", {"bidirectional": True}),
    ("additive", "lstm", {"bidirectional": True}),
    ("additive", "gru", {"tie_weights": True}),
    ("dot", "lstm", {"share": True}),
    ("dot", "gru", {"share": True, "tie_weights": True}),
    ("general", "lstm", {"bidirectional": True, "tie_weights": True}),
    ("general", "gru", {"bidirectional": True}),
]


class InPyTorch:
    """The translator in PyTorch, on copies of the parameters under their names."""

    def __init__(self, torch, model, config):
        self.torch, self.config = torch, config
        values = numbers_of(model.parameters())
        self.params = {name: torch.tensor(array, requires_grad=True) for name, array in values.items()}

    def get(self, name):
        """Return a parameter; those of the decoder that it shares stand under the encoder's name."""
        if name in self.params:
            return self.params[name]
        tied = name == "decoder.dense.weight"
        name = "decoder.embedding.weight" if tied else name
        return self.params.get(name, self.params.get(name.replace("decoder.", "encoder.")))

    def rnn(self, part, bidirectional, inputs, state=None):
        """Run the layers of ``encoder`` or ``decoder``; names such as rnn.layers.1._unfused.0.r_cell.h2h_weight."""
        torch, found = self.torch, {}
        for name in self.params:
            match = re.fullmatch(r"(\w+)\.rnn\.layers\.(\d)\._unfused\.0\.(?:(\w)_cell\.)?([ih])2h_(\w+)", name)
            if match and match[1] == ("encoder" if self.config.share else part):
                end = "_reverse" if match[3] == "r" else ""
                found[f"{match[5]}_{match[4]}h_l{match[2]}{end}"] = self.params[name]
        kind = torch.nn.LSTM if self.config.cell == "lstm" else torch.nn.GRU
        dtype = self.params["decoder.dense.bias"].dtype
        module = kind(NUM_HIDDENS, NUM_HIDDENS, NUM_LAYERS, bidirectional=bidirectional, dtype=dtype)
        assert set(found) == {name for name, _ in module.named_parameters()}
        return torch.func.functional_call(module, found, (inputs, state))

    def first_state(self, state):
        """Return the decoder's first state."""
        if not self.config.bidirectional:
            return state
        arrays = state if isinstance(state, tuple) else (state,)
        first = []
        for j, array in enumerate(arrays):  # H, then C: (num_layers * 2, batch_size, num_hiddens)
            layers = []
            for layer in range(NUM_LAYERS):
                weight, bias = (self.params[f"bridge.{layer * len(arrays) + j}.{kind}"] for kind in ("weight", "bias"))
                both = self.torch.cat([array[2 * layer], array[2 * layer + 1]], dim=1)
                layers.append(self.torch.tanh(both @ weight.T + bias))
            first.append(self.torch.stack(layers))
        return tuple(first) if len(first) > 1 else first[0]

    def scores(self, H, S):
        """Return the scores (batch_size, target steps, source steps)."""
        if self.config.attention == "additive":
            query, key, score = (self.params[f"decoder.attention.{n}.weight"] for n in ("query", "key", "score"))
            sums = (H @ query.T).unsqueeze(1) + (S @ key.T).unsqueeze(0)  # (target, source, batch_size, num_hiddens)
            return (self.torch.tanh(sums) @ score.T)[..., 0].permute(2, 0, 1)
        if self.config.attention == "general":
            H = H @ self.params["decoder.attention.query.weight"].T
        return self.torch.einsum("tbn,sbn->bts", H, S)

    def __call__(self, X, lengths, Y_in):
        torch = self.torch
        inputs = self.get("encoder.embedding.weight")[X.T]
        if lengths is not None:
            inputs = torch.nn.utils.rnn.pack_padded_sequence(inputs, lengths)
        S, state = self.rnn("encoder", self.config.bidirectional, inputs)
        if lengths is not None:
            S, _ = torch.nn.utils.rnn.pad_packed_sequence(S)
        H, _ = self.rnn("decoder", False, self.get("decoder.embedding.weight")[Y_in.T], self.first_state(state))
        if self.config.attention:
            scores = self.scores(H, S)
            if lengths is not None:
                padding = torch.arange(len(S))[None] >= torch.tensor(lengths)[:, None]
                scores = scores.masked_fill(padding[:, None], -numpy.inf)
            contexts = torch.einsum("bts,sbm->tbm", torch.softmax(scores, dim=2), S)
            of_context, of_hidden = (self.params[f"decoder.of_{name}.weight"] for name in ("context", "hidden"))
            H = torch.tanh(torch.cat([contexts, H], dim=2) @ torch.cat([of_context, of_hidden], dim=1).T)
        return (H @ self.get("decoder.dense.weight").T + self.params["decoder.dense.bias"]).flatten(0, 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("attention", "cell", "settings"), CASES)
def test_pytorch_computes_the_same(attention, cell, settings, padded, dtype):
    """In float64 each parameter's gradient; some are so small that rounding in float32 is a large part of them."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    d2lrnn.set_seed(6)
    shape = dict(num_hiddens=NUM_HIDDENS, num_layers=NUM_LAYERS, embed_size=NUM_HIDDENS, init_scale=0.4)
    config = ModelConfig(
        cell=cell, head="translation", num_outputs=TARGET_SIZE, attention=attention, **shape, **settings
    )
    size, rel = TARGET_SIZE if config.share else SOURCE_SIZE, 1e-5 if dtype == "float32" else 1e-11
    model = build_model(config, size)
    model.cast(dtype)
    draw = numpy.random.default_rng(3)
    X, Y_in, Y_out = (draw.integers(0, n, (3, steps)) for n, steps in ((size, 6), (TARGET_SIZE, 5), (TARGET_SIZE, 5)))
    as_ids = [np.array(array, dtype="int32") for array in (X, Y_in, Y_out)]
    counted = np.array(counted_steps(LENGTHS), dtype="float32") if padded else None
    with mx.autograd.record():
        logits, _ = model(as_ids[0], model.begin_state(3), counted, as_ids[1])
        loss = d2lrnn.cross_entropy(logits, as_ids[2])
    loss.backward()
    theirs = InPyTorch(torch, model, config)
    expected = theirs(torch.tensor(X), LENGTHS if padded else None, torch.tensor(Y_in))
    expected_loss = torch.nn.functional.cross_entropy(expected, torch.tensor(Y_out.T.reshape(-1)))
    expected_loss.backward()
    assert logits.dtype == dtype
    assert_close(logits.asnumpy(), expected.detach().numpy(), rel)
    assert loss.item() == pytest.approx(expected_loss.item(), rel=rel)
    gradients, wanted = numbers_of(model.parameters(), gradients=True), {}
    for name, gradient in gradients.items():
        wanted[name] = theirs.params[name].grad.numpy()
        if dtype == "float64":
            assert_close(gradient, wanted[name], rel)
    assert_close(*(numpy.concatenate([array.ravel() for array in all_.values()]) for all_ in (gradients, wanted)), rel)
