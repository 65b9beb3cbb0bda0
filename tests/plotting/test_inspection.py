"""What is told of a model, against the model itself and against cases made by hand."""

import itertools

import numpy
import pytest

from d2lrnn import (
    CELLS,
    LooksAheadError,
    ModelConfig,
    RNNModel,
    RNNModelScratch,
    Sampling,
    Stack,
    UnknownTokenError,
    Vocab,
    build_model,
    copy_parameters,
    embedding_map,
    gate_activations,
    generate,
    get_lstm_params,
    init_lstm_state,
    lstm,
    named_parameters,
    next_token_probabilities,
    read_parameters,
    rnn_layer,
)
from d2lrnn._runtime import mx
from d2lrnn.models.gluon.facts import facts_of
from d2lrnn.models.parameters import set_values
from d2lrnn.plotting.inspection import _plain_gates

VOCAB = Vocab.from_list("abcdefg")
TEXT = "abacabfadgceb"
EMBEDDED = {"kind": "gluon", "embed_size": 5}
TIED = {"kind": "gluon", "embed_size": 6, "tie_weights": True}


def make(vocab_size=7, **shape):
    """Return a model whose gates are neither half open nor all shut or open."""
    return build_model(ModelConfig(**{"num_hiddens": 6, "init_scale": 1.0, **shape}), vocab_size)


# The next token


@pytest.mark.parametrize("shape", [{"kind": "scratch"}, {"kind": "fast", "cell": "gru"}, EMBEDDED, {"num_layers": 2}])
def test_the_likeliest_token_is_the_one_that_generate_takes_with_its_probability(shape):
    model = make(**shape)
    for prefix in ("a", "gb", TEXT):
        found = next_token_probabilities(prefix, model, VOCAB, 3)
        (greedy,) = generate([prefix], 1, model, VOCAB, Sampling(temperature=0))
        assert prefix + found[0][0] == greedy.text
        assert found[0][1] == pytest.approx(numpy.exp(greedy.log_prob), rel=1e-5)


class Fixed:
    """A model that holds the same for likely whatever it reads, but only once it has read all of the prefix."""

    vocab_size, bidirectional = 5, False

    def __init__(self, *probabilities):
        self.logits = numpy.log(numpy.array([probabilities], "float32"))

    def begin_state(self, batch_size, ctx=None):
        return (mx.np.zeros((batch_size, 1)),)

    def __call__(self, X, state):
        logits = [-self.logits] * (X.shape[1] - 1) + [self.logits]
        return mx.np.array(numpy.concatenate(logits)), state


def test_probabilities_come_in_order_and_equal_ones_by_id():
    vocab = Vocab.from_list("vwxyz")
    model = Fixed(0.1, 0.3, 0.2, 0.1, 0.3)
    everything = [("w", 0.3), ("z", 0.3), ("x", 0.2), ("v", 0.1), ("y", 0.1)]
    for count in (1, 4, 5, 99):
        found = next_token_probabilities("vy", model, vocab, count)
        assert [token for token, _ in found] == [token for token, _ in everything[:count]]
        assert [p for _, p in found] == pytest.approx([p for _, p in everything[:count]], rel=1e-6)


def test_what_nothing_can_follow():
    for prefix, model, count, error, complaint in [
        ("", make(), 3, ValueError, "the prefix is empty"),
        ("xa", make(), 3, UnknownTokenError, "unknown character 'x'"),
        ("a", make(), 0, ValueError, "count is 0: expected a whole number, at least 1"),
        ("a", make(vocab_size=8), 3, ValueError, "the vocabulary has 7 entries, the model was made for 8"),
        ("a", make(bidirectional=True), 3, LooksAheadError, "cannot be a left-to-right"),
    ]:
        with pytest.raises(error, match=complaint):
            next_token_probabilities(prefix, model, VOCAB, count)


# Gates


def sigmoid(X):
    return 1 / (1 + numpy.exp(-X))


def replay(model, text):
    """Return the states of each layer after each token, by the book's equations with the gates that are told.

    What is not a gate, the candidate, is computed here.
    """
    values, embedding = read_parameters(model), getattr(model, "embedding", None)
    table = numpy.eye(len(VOCAB)) if embedding is None else embedding.weight.data().asnumpy()
    inputs, states = table[VOCAB.encode(text)], []
    cell, layers = cell_of(model)
    for layer in range(layers):
        prefix = f"l{layer}." if layers > 1 else ""
        gates = gate_activations(text, model, VOCAB, layer)
        own = {name[len(prefix) :]: W for name, W in values.items() if name.startswith(prefix)}
        W_x, W_h, b = (own[name + cell.gates[-1]] for name in ("W_x", "W_h", "b_"))
        c = own.get(f"c_{cell.gates[-1]}", 0)
        H, C, rows = numpy.zeros(6), numpy.zeros(6), []
        for t, X in enumerate(inputs):
            if cell is CELLS["lstm"]:
                C = gates["f"][t] * C + gates["i"][t] * numpy.tanh(X @ W_x + H @ W_h + b + c)
                H = gates["o"][t] * numpy.tanh(C)
                rows.append([H, C])
                continue
            Z, R = gates["z"][t], gates["r"][t]
            inner = (R * H) @ W_h if cell is CELLS["gru"] else R * (H @ W_h + c)
            H = Z * H + (1 - Z) * numpy.tanh(X @ W_x + b + inner)
            rows.append([H])
        states.append(numpy.array(rows))  # (num_tokens, num_states, num_hiddens)
        inputs = states[-1][:, 0]
    return numpy.concatenate(states, axis=1)


def cell_of(model):
    """Return a model's cell and its number of layers."""
    if isinstance(model, RNNModelScratch):
        return CELLS[model.stack.cell], model.stack.num_layers
    return CELLS[facts_of(model.layers[0]).cell], len(model.layers)


def states_of(model, text):
    """Return the states (num_tokens, layers * num_states, num_hiddens) of a model that reads token by token."""
    state, rows = model.begin_state(1), []
    for i in VOCAB.encode(text).tolist():
        _, state = model(mx.np.array([[i]], dtype="int32"), state)
        rows.append([array.asnumpy().reshape(-1) for array in state])
    return numpy.array(rows)


@pytest.mark.parametrize("shape", [{"kind": "scratch"}, {"kind": "fast"}, {"kind": "gluon"}, EMBEDDED, TIED])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cell", ["gru", "gru_reset_after", "lstm"])
def test_the_states_follow_from_the_gates(cell, num_layers, shape):
    if (shape["kind"], cell) == ("gluon", "gru_reset_after"):
        cell = "gru"  # as Gluon calls it
    model = make(cell=cell, num_layers=num_layers, **shape)
    expected = states_of(model, TEXT)
    assert abs(expected).max() > 0.3
    numpy.testing.assert_allclose(replay(model, TEXT), expected, rtol=0, atol=1e-5)


def test_the_gates_of_two_layers_in_one_fused_layer():
    layer = mx.gluon.rnn.LSTM(6, num_layers=2)
    model = RNNModel(layer, len(VOCAB))
    model.initialize(mx.init.Uniform(1.0))
    for param in named_parameters(model).values():
        set_values(param, numpy.random.uniform(-1, 1, param.shape).astype("float32"))
    state = model.begin_state(1)
    _, (H, C) = model(mx.np.array([VOCAB.encode(TEXT)], dtype="int32"), state)  # each (num_layers, 1, num_hiddens)
    gates = [gate_activations(TEXT, model, VOCAB, layer) for layer in (0, 1)]
    for layer in (0, 1):
        numpy.testing.assert_allclose(
            gates[layer]["o"][-1] * numpy.tanh(C[layer, 0].asnumpy()), H[layer, 0].asnumpy(), atol=1e-6
        )


def test_gates_by_hand():
    """Two units that read one token three times: all numbers can be written down."""
    vocab, params = Vocab.from_list("ab"), get_lstm_params(2, 2)
    names = Stack("lstm").param_names
    for value in params:
        value[:] = 0
    params[names.index("W_xi")][:] = mx.np.array([[1.0, -2.0], [9.0, 9.0]])
    params[names.index("b_f")][:] = mx.np.array([0.0, 3.0])
    params[names.index("b_o")][:] = 1
    params[names.index("b_c")][:] = 4
    params[names.index("W_ho")][:] = mx.np.array([[0.0, 5.0], [0.0, 0.0]])
    model = RNNModelScratch(2, 2, None, lambda *_: params, init_lstm_state, lstm)
    found = gate_activations("aaa", model, vocab)
    I, F, C, H = sigmoid(numpy.array([1.0, -2.0])), sigmoid(numpy.array([0.0, 3.0])), 0, numpy.zeros(2)
    for t in range(3):
        O = sigmoid(1 + numpy.array([0, 5 * H[0]]))
        for gate, expected in zip("ifo", (I, F, O)):
            numpy.testing.assert_allclose(found[gate][t], expected, rtol=1e-6)
        C = F * C + I * numpy.tanh(4)
        H = O * numpy.tanh(C)
    assert list(found) == ["i", "f", "o"]


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_every_cell_is_refused_or_takes_its_gates_for_parameters(cell):
    """Put a gate's weights to 0 and its bias to the logit of what is told: the step of the cell is to do the same."""
    try:
        _plain_gates(cell)
    except ValueError as error:
        assert f"the cell {cell} has no gates" in str(error) and cell in ("rnn", "rnn_relu")
        return
    model = make(kind="scratch", cell=cell, num_projections=4 if CELLS[cell].projected else None)
    gates = gate_activations(TEXT, model, VOCAB)
    assert "".join(gates) + CELLS[cell].gates[-1] == CELLS[cell].gates
    params = dict(zip(model.stack.param_names, model.params))
    state = fixed = model.begin_state(1)
    for t, i in enumerate(VOCAB.encode(TEXT).tolist()):
        instead = dict(params)
        for gate, values in gates.items():
            instead |= {name: 0 * param for name, param in params.items() if name[-1] == gate}
            instead[f"b_{gate}"] = mx.np.array([numpy.log(values[t] / (1 - values[t]))])
        X = mx.np.eye(len(VOCAB))[[i]]
        (_, state), (_, fixed) = (
            CELLS[cell].step(X, before, [numbers[name] for name in CELLS[cell].param_names])
            for before, numbers in ((state, params), (fixed, instead))
        )
        for a, b in zip(state, fixed):
            numpy.testing.assert_allclose(a.asnumpy(), b.asnumpy(), rtol=0, atol=1e-5)


def test_a_text_of_one_token_begins_at_zero():
    model = make(cell="gru", kind="scratch")
    values = read_parameters(model)
    found = gate_activations("c", model, VOCAB)
    numpy.testing.assert_allclose(found["r"], sigmoid(values["W_xr"][[2]] + values["b_r"]), rtol=1e-5)


class Derived(RNNModel):
    """A model that may compute anything."""


def users_model():
    def forward(inputs, state, params):
        return lstm(inputs, state, params)

    return RNNModelScratch(len(VOCAB), 6, None, get_lstm_params, init_lstm_state, forward)


@pytest.mark.parametrize(
    ("model", "options", "complaint"),
    [
        (lambda: make(cell="rnn"), {}, "the cell rnn has no gates"),
        (lambda: make(num_layers=2), {"layer": 2}, "layer is 2: expected 0 to 1, the layers of this model"),
        (make, {"layer": -1}, "layer is -1: expected a whole number, at least 0"),
        (
            lambda: make(bidirectional=True),
            {},
            "the model is bidirectional: expected one that reads",
        ),
        (
            lambda: Derived(rnn_layer("lstm", 6), 7),
            {},
            "the equations of this Derived are not known: .*, lstm",
        ),
        (users_model, {}, "the equations of this RNNModelScratch are not known"),
        (make, {"text": ""}, "the prefix is empty"),
        (make, {"text": "ax"}, "unknown character 'x'"),
        (lambda: make(vocab_size=9), {}, "the vocabulary has 7 entries, the model was made for 9"),
    ],
)
def test_gates_that_cannot_be_told(model, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        gate_activations(**{"text": TEXT, "model": model(), "vocab": VOCAB, **options})


class WithMore:
    """A cell with one more parameter."""

    def __init__(self, cell, name):
        self.cell, self.param_names = cell, [*cell.param_names, name]

    def __getattr__(self, name):
        return getattr(self.cell, name)


@pytest.mark.parametrize("name", ["w_ci", "W_hp", "b_l"])
def test_a_cell_with_more_to_its_gates_is_refused(monkeypatch, name):
    model = make(kind="scratch")
    monkeypatch.setitem(CELLS, "lstm", WithMore(CELLS["lstm"], name))
    with pytest.raises(ValueError, match=f"the cell lstm has the parameters {name}, which have no place"):
        gate_activations(TEXT, model, VOCAB)


# The embedding's map


def distances(vectors):
    return numpy.array([[numpy.linalg.norm(a - b) for a in vectors] for b in vectors])


def with_embedding(vectors):
    model = make(len(vectors), kind="gluon", embed_size=vectors.shape[1])
    set_values(model.embedding.weight, vectors.astype("float32"))
    return model, Vocab.from_list(chr(ord("a") + i) for i in range(len(vectors)))


def test_points_in_a_plane_keep_all_their_distances():
    plane, _ = numpy.linalg.qr(numpy.random.normal(size=(5, 2)))
    flat = numpy.random.normal(size=(20, 2)) * [3, 1]
    vectors = flat @ plane.T + numpy.random.normal(size=5)
    found = embedding_map(*with_embedding(vectors))
    numpy.testing.assert_allclose(distances(found.points), distances(flat), atol=1e-5)
    assert found.tokens == tuple("abcdefghijklmnopqrst")
    assert sum(found.shares) == pytest.approx(1, abs=1e-6)
    variances = numpy.linalg.eigvalsh(numpy.cov(flat.T))[::-1]
    assert found.shares == pytest.approx(variances / variances.sum(), abs=1e-5)
    numpy.testing.assert_allclose(found.points.mean(axis=0), 0, atol=1e-6)
    numpy.testing.assert_allclose(numpy.cov(found.points.T), numpy.diag(variances), atol=1e-5)


def test_the_map_by_hand():
    """Four tokens on three axes: the axes in order of what they hold, the farthest token on the positive side."""
    vectors = numpy.array([[0, 0, 3.0], [0, 0, -9.0], [0, 5.0, 3.0], [0, -5.0, 3.0], [2.0, 0, 0], [-2.0, 0, 0]])
    found = embedding_map(*with_embedding(vectors))
    numpy.testing.assert_allclose(found.points[:, 0], [-3, 9, -3, -3, 0, 0], atol=1e-5)
    numpy.testing.assert_allclose(abs(found.points[:, 1]), [0, 0, 5, 5, 0, 0], atol=1e-5)
    assert found.shares == pytest.approx((108 / 166, 50 / 166))


def test_the_map_is_of_the_first_tokens_alone():
    vectors = numpy.random.normal(size=(9, 4))
    model, vocab = with_embedding(vectors)
    found = embedding_map(model, vocab, 5)
    expected = embedding_map(*with_embedding(vectors[:5]))
    assert found.tokens == tuple("abcde")
    numpy.testing.assert_allclose(found.points, expected.points, atol=1e-6)
    assert found.shares == pytest.approx(expected.shares)
    assert len(embedding_map(model, vocab, 100).tokens) == 9


def test_an_embedding_of_one_number_and_one_of_equal_vectors():
    found = embedding_map(*with_embedding(numpy.array([[1.0], [2.0], [6.0]])))
    numpy.testing.assert_allclose(found.points, [[-2, 0], [-1, 0], [3, 0]], atol=1e-6)
    assert found.shares == pytest.approx((1, 0))
    found = embedding_map(*with_embedding(numpy.ones((4, 3))))
    assert not found.points.any() and found.shares == (0, 0)


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_without_an_embedding_the_input_weights_are_drawn(num_layers, bidirectional):
    """Three tokens always lie in a plane, which keeps the distances of their vectors."""
    shape = {"cell": "lstm", "num_layers": num_layers, "bidirectional": bidirectional}
    scratch, gluon = make(kind="scratch", **shape), make(kind="gluon", **shape)
    copy_parameters(scratch, gluon)
    first = tuple(itertools.product(["l0."] if num_layers > 1 else [""], ["", "reverse."][: 1 + bidirectional], "ifoc"))
    weights = [read_parameters(scratch)[f"{layer}{direction}W_x{gate}"] for layer, direction, gate in first]
    expected = distances(numpy.concatenate(weights, axis=1)[:3])
    for model in (scratch, gluon):
        numpy.testing.assert_allclose(distances(embedding_map(model, VOCAB, 3).points), expected, rtol=1e-5, atol=1e-6)


def test_maps_that_cannot_be_made():
    with pytest.raises(ValueError, match="count is 2: expected a whole number, at least 3"):
        embedding_map(make(), VOCAB, 2)
    with pytest.raises(ValueError, match="the vocabulary has 7 entries, the model was made for 9"):
        embedding_map(make(vocab_size=9), VOCAB)
    with pytest.raises(ValueError, match="the equations of this RNNModelScratch are not known"):
        embedding_map(users_model(), VOCAB)
    with pytest.raises(ValueError, match="the tokens' vectors hold NaN or infinity"):
        embedding_map(*with_embedding(numpy.array([[1.0], [numpy.nan], [6.0]])))
