"""The encoder without its language model: alone, in a user's block, and under another head."""

import numpy
import pytest
from padding import PLACES, VOCAB_SIZE, array, assert_padding_changes_nothing, ids
from parity import assert_close, make_twins, projections

import d2lrnn
from d2lrnn import ModelConfig, StepGraphs, build_model, rnn_layer
from d2lrnn._runtime import mx
from d2lrnn.models import Encoder, Layers, WithHead, named_parameters, to_onehot
from d2lrnn.models.gluon import encoder
from d2lrnn.models.gluon.facts import facts_of, gluon_cell
from d2lrnn.models.parameters import numbers_of

np = mx.np
SIZE, CLASSES = 6, 3
COUNTED = array(PLACES["both"][:3], "float32")
LABELS = np.array([2, 0, 1], dtype="int32")
X = ids(PLACES["both"][:3])
cells = pytest.mark.parametrize("cell", ["gru", "lstm", "lstm_peephole_projected"])


def mean_pool(F, outputs, counted):
    """Return the mean of each row's outputs over what counts; padding is 0 already."""
    return F.np.sum(outputs, axis=0) / F.np.sum(counted, axis=1, keepdims=True)


class Classifier(WithHead):
    """Classes of whole rows: the mean of the outputs, and one layer."""

    def __init__(self, encoder):
        super().__init__(encoder)
        self.dense = mx.gluon.nn.Dense(CLASSES, in_units=encoder.width)
        self.hybridize(static_alloc=True, static_shape=True)

    def __call__(self, X, state, counted=None):
        return self.run(X, state, counted)

    def hybrid_forward(self, F, X, state, params=None, counted=None):
        outputs, state = self.encoder.encode(F, X, state, params, counted)
        return self.dense(mean_pool(F, outputs, counted)), state


class InAUsersBlock(StepGraphs):
    """The same, with the encoder as a child that is called."""

    TIME_AXIS = 1

    def __init__(self, encoder):
        super().__init__()
        self.encoder, self.dense = encoder, mx.gluon.nn.Dense(CLASSES, in_units=encoder.width)

    def hybrid_forward(self, F, X, state, counted):
        outputs, state = self.encoder(X, state, counted)
        return self.dense(mean_pool(F, outputs, counted)), list(state)


def encoder_of(cell, num_layers=2, embed_size=None, dtype="float64"):
    config = ModelConfig("gluon", cell, SIZE, num_layers, True, embed_size=embed_size, **projections(cell))
    encoder = build_model(config, VOCAB_SIZE).encoder
    encoder.initialize(mx.init.Uniform(0.7), force_reinit=True)
    encoder.cast(dtype)
    return encoder


def with_head(make, cell, **options):
    model = make(encoder_of(cell, **options))
    model.dense.initialize(mx.init.Uniform(0.7))
    model.dense.cast("float64")
    return model


def loss_of(model, counted=COUNTED):
    state = tuple(one.astype("float64") for one in model.encoder.begin_state(3))
    return mx.gluon.loss.SoftmaxCELoss()(model(X, state, counted.astype("float64"))[0], LABELS).sum()


def gradients_of(model):
    with mx.autograd.record():
        loss = loss_of(model)
    loss.backward()
    return loss.item(), numbers_of(named_parameters(model), gradients=True)


@cells
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("make", [Classifier, InAUsersBlock])
def test_gradients_of_a_classifier_are_the_finite_differences(make, cell, compiled):
    model = with_head(make, cell, embed_size=3)
    model.hybridize(compiled)
    loss, gradients = gradients_of(model)
    model.hybridize(True)  # the same losses, ten times as fast
    assert loss_of(model).item() == pytest.approx(loss, rel=1e-12)
    for name, param in named_parameters(model).items():
        place, eps = tuple(numpy.random.randint(length) for length in param.shape), 1e-5
        if name.endswith("embedding.weight"):
            place = int(X[0, 0]), 1
        differences = []
        for sign in (1, -1):
            values = param.data().asnumpy()
            values[place] += sign * eps
            before = param.data().copy()
            param.set_data(np.array(values, dtype="float64"))
            differences.append(loss_of(model).item())
            param.set_data(before)
        expected = (differences[0] - differences[1]) / (2 * eps)
        assert gradients[name][place] == pytest.approx(expected, rel=1e-5, abs=1e-8)


@cells
def test_a_classifier_has_the_gradients_of_its_twin_from_scratch(cell):
    scratch, gluon = make_twins(cell, 2, True)
    config = scratch.stack
    layers = Layers(config.cell, 2, True, config.num_projections)
    params, vocab_size = [param.copy() for param in scratch.params[:-2]], scratch.vocab_size
    head = [np.random.normal(0, 1, (gluon.encoder.width, CLASSES)), np.zeros(CLASSES)]
    for param in params + head:
        param.attach_grad()
    model = Classifier(gluon.encoder)
    model.dense.initialize()
    model.dense.weight.set_data(head[0].T)
    ids = np.array(numpy.random.randint(0, vocab_size, (3, 8)), dtype="int32")
    with mx.autograd.record():
        state = layers.init_state(3, scratch.num_hiddens)
        outputs, _ = layers(to_onehot(ids, vocab_size), state, params, COUNTED)
        logits = np.dot(mean_pool(mx.nd, np.stack(outputs), COUNTED), head[0]) + head[1]
        expected = mx.gluon.loss.SoftmaxCELoss()(logits, LABELS).sum()
    expected.backward()
    with mx.autograd.record():
        found = mx.gluon.loss.SoftmaxCELoss()(model(ids, model.begin_state(3), COUNTED)[0], LABELS).sum()
    found.backward()
    assert_close(found.asnumpy(), expected.asnumpy())
    gradients = d2lrnn.read_parameters(gluon, gradients=True)
    for name, param in zip(layers.param_names, params):
        assert_close(gradients[name], param.grad.asnumpy())
    assert_close(model.dense.weight.grad().asnumpy(), head[0].grad.asnumpy().T)


@cells
def test_one_graph_and_a_child_that_is_called_agree(cell):
    model = with_head(Classifier, cell)
    other = InAUsersBlock(model.encoder)
    other.dense = model.dense
    expected = gradients_of(model)
    other.hybridize()
    for call in (lambda: gradients_of(other), lambda: gradients_of(model)):
        loss, gradients = call()
        assert loss == pytest.approx(expected[0], rel=1e-12)
        for name, gradient in gradients.items():
            assert_close(gradient, expected[1][name.replace("encoder.", "")], 1e-12)


@cells
@pytest.mark.parametrize("hybrid", [True, False])
def test_alone_it_computes_what_the_model_is_made_of(cell, hybrid):
    encoder = encoder_of(cell, embed_size=3)
    encoder.hybridize(hybrid)
    state = [numpy.random.normal(size=one.shape) for one in encoder.begin_state(4)]

    def call(X, state, counted):
        return encoder(X, state, counted)

    counted = PLACES["both"]
    outputs = assert_padding_changes_nothing(call, ids(counted), counted, state, encoder.width, encoder.parameters())
    assert (outputs[~counted.T] == 0).all()


def test_without_padding_the_model_and_its_encoder_agree():
    model = build_model(
        ModelConfig("gluon", "lstm", SIZE, 2, dropout=d2lrnn.Dropout(0.3, weights=0.2), embed_size=4), VOCAB_SIZE
    )
    _, expected, expected_state = model.with_outputs(X, model.begin_state(3))
    found, state = model.encoder(X, model.encoder.begin_state(3))
    assert found.shape == (8, 3, SIZE) and (found.asnumpy().reshape(24, SIZE) == expected.asnumpy()).all()
    assert all((one.asnumpy() == other.asnumpy()).all() for one, other in zip(state, expected_state))
    assert model.layers == model.encoder.layers and model.rnn is model.encoder.rnn
    assert model.embedding is model.encoder.embedding and model.dropout == model.encoder.dropout
    assert named_parameters(model.encoder).items() <= named_parameters(model).items()


@pytest.mark.parametrize("cell", ["lstm", "lstm_peephole"])
def test_new_memory_reaches_both_of_their_graphs(cell):
    """The model and its encoder are called in turn, while parameters are made anew, frozen and freed."""
    model = build_model(ModelConfig("gluon", cell, SIZE, embed_size=4), VOCAB_SIZE)
    weight, head = model.rnn.l0_h2h_weight, model.dense.weight

    def gradients(call):
        for param in d2lrnn.models.trainable_parameters(model).values():
            param.grad()[:] = 7
        with mx.autograd.record():
            loss = call().sum()
        loss.backward()
        return {name: g for name, g in numbers_of(model.parameters(), True).items() if "dense" not in name}

    for change in (
        lambda: None,
        lambda: model.initialize(mx.init.Normal(0.5), force_reinit=True),
        lambda: setattr(weight, "grad_req", "null"),
        lambda: setattr(head, "grad_req", "null"),
        lambda: setattr(weight, "grad_req", "write"),
        lambda: model.encoder.initialize(mx.init.Normal(0.3), force_reinit=True),
    ):
        change()
        first = gradients(lambda: model.with_outputs(X, model.begin_state(3))[1])
        second = gradients(lambda: model.encoder(X, model.begin_state(3))[0])
        assert list(first) == list(second) and len(first) >= 4
        for name, gradient in first.items():
            assert_close(second[name], gradient)


@pytest.mark.parametrize("how", ["embedding", "one-hot", "columns", "padded"])
def test_gradients_add_up_where_they_are_asked_to(how, monkeypatch):
    """Backward runs twice with grad_req "add"; "columns" are those of a large vocabulary that a batch uses."""
    monkeypatch.setattr(encoder, "LEAST_VOCAB_SIZE", 0 if how == "columns" else 2**60)
    sizes = {"embed_size": 4} if how == "embedding" else {}
    model = build_model(ModelConfig("gluon", "lstm", SIZE, init_scale=0.5, **sizes), VOCAB_SIZE)

    def backward(X):
        with mx.autograd.record():
            loss = model(X, model.begin_state(3), COUNTED if how == "padded" else None)[0][:, 0].sum()
        loss.backward()
        return numbers_of(model.parameters(), True)

    first, second = backward(X), backward(X[::-1])
    model.collect_params().setattr("grad_req", "add")
    backward(X)
    for name, gradient in backward(X[::-1]).items():
        assert_close(gradient, first[name] + second[name])
    model.collect_params().zero_grad()
    for name, gradient in backward(X).items():
        assert_close(gradient, first[name])


def test_a_layer_whose_gradients_add_up_in_part():
    model = build_model(ModelConfig("gluon", "lstm", SIZE), VOCAB_SIZE)
    model.rnn.l0_h2h_weight.grad_req = "add"
    model.rnn.l0_h2h_bias.grad_req = "null"
    with pytest.raises(d2lrnn.D2lrnnError, match="of the layer LSTM have grad_req add and write: expected the same"):
        model(X, model.begin_state(3))


class TestFacts:
    def test_both_kinds_of_layers_tell_the_same(self):
        ours = d2lrnn.UnrolledLayer("lstm", 6, 4, bidirectional=True)
        assert facts_of(ours) == facts_of(rnn_layer("lstm", 6, 4, True)) == ("lstm", 6, None, 1, 2, 4)
        assert facts_of(ours).width == 12
        narrow = facts_of(rnn_layer("lstm_projected", 6, num_projections=2))
        assert narrow == ("lstm_projected", 6, 2, 1, 1, 0) and narrow.width == 2

    @pytest.mark.parametrize("cell", ["rnn", "rnn_relu", "gru", "gru_reset_after", "lstm"])
    def test_what_gluon_computes(self, cell):
        assert facts_of(rnn_layer(cell, 3)).cell == gluon_cell(cell)
        assert gluon_cell(cell) == ("gru_reset_after" if cell == "gru" else cell)

    def test_several_layers_in_one(self):
        assert facts_of(mx.gluon.rnn.GRU(3, 2, bidirectional=True)) == ("gru_reset_after", 3, None, 2, 2, 0)


def test_dropout_of_words_needs_an_embedding():
    with pytest.raises(ValueError, match="dropout of words is of the embedding: set embed_size"):
        Encoder(rnn_layer("lstm", 4), VOCAB_SIZE, dropout=d2lrnn.Dropout(words=0.1))
