"""The Gluon models, and MXNet's silent traps made loud."""

import numpy
import pytest
from tiny import tiny_model

import d2lrnn
from d2lrnn import FusedLayerError, ModelConfig, RecurrentStack, RNNModel, build_model
from d2lrnn._runtime import mx

VOCAB_SIZE = 11
rnn = mx.gluon.rnn


def ids(*shape, dtype="int32"):
    return mx.np.array(numpy.random.default_rng(1).integers(0, VOCAB_SIZE, shape), dtype=dtype)


def make(**options):
    model = tiny_model(VOCAB_SIZE, **options)
    model.initialize(mx.init.Normal(0.3), force_reinit=True)
    return model


def training_loss(model, X):
    with mx.autograd.record():
        return float(d2lrnn.cross_entropy(model(X, model.begin_state(X.shape[0]))[0], X))


@pytest.mark.parametrize("options", [{"num_layers": 2}, {"num_layers": 1}, {"num_layers": 1, "embed_size": 6}])
def test_dropout_drops_in_training_and_not_in_evaluation(options):
    X = ids(4, 5)
    plain, dropping = make(**options), make(dropout=0.5, **options)
    expected, _ = plain(X, plain.begin_state(4))
    found, _ = dropping(X, dropping.begin_state(4))
    assert (found.asnumpy() == expected.asnumpy()).all()  # evaluation: the same parameters, the same numbers
    losses = [training_loss(dropping, X) for _ in range(3)]
    assert len(set(losses)) == 3 and training_loss(plain, X) not in losses


def test_dropout_between_layers_alone_drops():
    """Of two layers with dropout between them; Gluon's own dropout= would change nothing on the CPU."""
    d2lrnn.set_seed(3)
    model = RNNModel(RecurrentStack("lstm", 8, num_layers=2, dropout=0.5, input_size=VOCAB_SIZE), VOCAB_SIZE)
    model.initialize(mx.init.Normal(0.5))
    X = ids(4, 5)
    assert training_loss(model, X) != training_loss(model, X)


class TestPackedParameters:
    """Gluon's parameters are views of one array: whatever is done to them must reach the graph, and come back."""

    @pytest.fixture
    def model(self):
        return make(cell="lstm", num_layers=2)

    @staticmethod
    def loss(model):
        X = ids(3, 6)
        with mx.autograd.record():
            loss = d2lrnn.cross_entropy(model(X, model.begin_state(3))[0], X)
        loss.backward()
        return loss.item()

    @staticmethod
    def by_layers(model):
        """Return loss and gradients of the same parameters by Gluon's layers themselves, which copy them together."""
        X = ids(3, 6)
        with mx.autograd.record():
            inputs = mx.npx.one_hot(X.T, VOCAB_SIZE)
            for i, layer in enumerate(model.layers):
                layer.hybridize(False)  # or it would keep to the gradients of its first call
                inputs, _ = layer(inputs, model.begin_state(3)[2 * i : 2 * i + 2])
            model.dense.hybridize(False)
            loss = d2lrnn.cross_entropy(model.dense(inputs).reshape(-1, VOCAB_SIZE), X)
        loss.backward()
        return loss.item(), [p.grad().asnumpy() for p in model.collect_params().values() if p.grad_req != "null"]

    def agree(self, model):
        found = self.loss(model), [p.grad().asnumpy() for p in model.collect_params().values() if p.grad_req != "null"]
        for param in model.collect_params().values():
            if param.grad_req != "null":
                param.grad()[:] = 7  # so that what by_layers finds is its own
        expected = self.by_layers(model)
        assert found[0] == pytest.approx(expected[0], rel=1e-6)
        for one, other in zip(found[1], expected[1]):
            numpy.testing.assert_allclose(one, other, atol=1e-6)
        return found[0]

    def test_they_are_what_the_layers_compute(self, model):
        self.agree(model)

    def test_every_way_to_write_reaches_the_graph(self, model, tmp_path):
        losses, params = [self.agree(model)], list(model.collect_params().values())
        params[1].set_data(params[1].data() * 0.5)
        losses.append(self.agree(model))
        params[2].data()[:] = 0.3
        losses.append(self.agree(model))
        model.save_parameters(str(tmp_path / "saved"))
        model.initialize(mx.init.Normal(0.2), force_reinit=True)
        losses.append(self.agree(model))
        params[3].grad_req = "null"
        assert self.loss(model) == losses[-1]
        params[3].set_data(mx.np.ones_like(params[3].data()))
        losses.append(self.loss(model))
        params[3].grad_req = "write"
        self.agree(model)
        model.load_parameters(str(tmp_path / "saved"))
        assert self.agree(model) == losses[2]
        assert len(set(losses)) == len(losses) == 5

    @pytest.mark.parametrize("cell, count", [("lstm", 10), ("lstm_peephole", 10)])
    @pytest.mark.parametrize("compiled", [True, False])
    def test_freezing_one_parameter_leaves_the_others(self, cell, count, compiled):
        model = make(cell=cell, num_layers=2)
        model.hybridize(compiled)

        def gradients():
            params = [(name, p) for name, p in d2lrnn.named_parameters(model).items() if p.grad_req != "null"]
            for _, param in params:
                param.grad()[:] = 7  # so that what is found is not from before
            self.loss(model)
            return {name: p.grad().asnumpy().copy() for name, p in params}

        expected = gradients()
        assert len(expected) == count
        for frozen, param in d2lrnn.named_parameters(model).items():
            for grad_req in ("null", "write"):
                param.grad_req = grad_req
                found = gradients()
                assert set(expected) - set(found) == ({frozen} if grad_req == "null" else set())
                for name, gradient in found.items():
                    numpy.testing.assert_allclose(gradient, expected[name], atol=1e-6)

    def test_a_parameter_frozen_before_the_first_call(self):
        expected, model = make(cell="rnn"), make(cell="rnn")
        name, param = next(iter(d2lrnn.named_parameters(model).items()))
        param.grad_req = "null"
        assert self.loss(model) == self.loss(expected)
        for other, gradient in d2lrnn.named_parameters(expected).items():
            if other != name:
                found = d2lrnn.named_parameters(model)[other].grad().asnumpy()
                numpy.testing.assert_allclose(found, gradient.grad().asnumpy(), atol=1e-6)

    def test_a_gluon_trainer_trains_it(self, model):
        trainer = mx.gluon.Trainer(model.collect_params(), "adam", {"learning_rate": 0.02})
        losses = []
        for _ in range(30):
            losses.append(self.loss(model))
            trainer.step(1)
        assert losses[-1] < 0.7 * losses[0]
        self.agree(model)

    def test_input_size_must_fit(self):
        with pytest.raises(ValueError, match="made for inputs of size 3, but the model's are 5"):
            RNNModel(rnn.LSTM(4, input_size=3), VOCAB_SIZE, embed_size=5)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_stack_equals_the_fused_layer(cell, bidirectional):
    """Two layers of one layer each compute what one fused layer of two computes, forward and gradient."""
    stacked = make(cell=cell, num_layers=2, bidirectional=bidirectional)
    fused_layer = {"rnn": rnn.RNN, "gru": rnn.GRU, "lstm": rnn.LSTM}[cell]
    options = {"activation": "tanh"} if cell == "rnn" else {}
    fused = RNNModel(fused_layer(8, 2, bidirectional=bidirectional, input_size=VOCAB_SIZE, **options), VOCAB_SIZE)
    fused.initialize()
    targets = list(fused.collect_params().values())
    sources = list(stacked.collect_params().values())
    assert len(targets) == len(sources)
    for source, target in zip(sources, targets):
        target.set_data(source.data())
    X, results = ids(3, 6), []
    for model in (stacked, fused):
        with mx.autograd.record():
            logits, _ = model(X, model.begin_state(3))
            loss = d2lrnn.cross_entropy(logits, X)
        loss.backward()
        results.append([logits.asnumpy()] + [p.grad().asnumpy() for p in model.collect_params().values()])
    for found, expected in zip(*results):
        numpy.testing.assert_allclose(found, expected, atol=2e-6)


def test_embedding_is_the_one_hot_product():
    """An embedding whose rows are the unit vectors gives what one-hot inputs give."""
    plain, embedded = make(cell="gru"), make(cell="gru", embed_size=VOCAB_SIZE)
    for name, target in d2lrnn.named_parameters(embedded).items():
        source = mx.np.eye(VOCAB_SIZE) if "embedding" in name else d2lrnn.named_parameters(plain)[name].data()
        target.set_data(source)
    X = ids(3, 4)
    expected, _ = plain(X, plain.begin_state(3))
    found, _ = embedded(X, embedded.begin_state(3))
    numpy.testing.assert_allclose(found.asnumpy(), expected.asnumpy(), atol=1e-6)


def test_hybridised_and_step_by_step_agree():
    model, X = make(num_layers=2), ids(3, 4)
    compiled, _ = model(X, model.begin_state(3))
    model.hybridize(False)
    eager, _ = model(X, model.begin_state(3))
    numpy.testing.assert_allclose(compiled.asnumpy(), eager.asnumpy(), atol=1e-6)


@pytest.mark.parametrize("kind", ["scratch", "gluon"])
class TestBatchesThatMXNetWouldAccept:
    """Each of these runs in plain MXNet and gives wrong numbers, or kills the process."""

    def refused(self, kind, X, rows=2, **options):
        model = build_model(ModelConfig(kind, num_hiddens=4, **options), VOCAB_SIZE)
        with pytest.raises(ValueError) as caught:
            model(X, model.begin_state(rows))
        return str(caught.value)

    @pytest.mark.parametrize("bad", [VOCAB_SIZE, -1])
    def test_ids_out_of_range(self, kind, bad):
        X = mx.np.array([[0, 1, 2], [3, bad, 4]], dtype="int32")
        message = self.refused(kind, X)
        assert f"id {bad} at position 1, 1" in message and "0 to 10" in message

    def test_ids_that_are_no_whole_numbers(self, kind):
        assert "float32" in self.refused(kind, mx.np.array([[0.5, 1], [2, 3]]))

    def test_floats_that_are_whole_are_welcome(self, kind):
        model = build_model(ModelConfig(kind, num_hiddens=4), VOCAB_SIZE)
        found, _ = model(ids(2, 3, dtype="float32"), model.begin_state(2))
        expected, _ = model(ids(2, 3), model.begin_state(2))
        assert (found.asnumpy() == expected.asnumpy()).all()

    @pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
    def test_empty_batches(self, kind, shape):
        assert f"shape {shape}" in self.refused(kind, mx.np.zeros(shape, dtype="int32"))

    def test_axes_swapped(self, kind):
        message = self.refused(kind, ids(5, 2))
        assert "(5, 2)" in message and "batch of 2" in message and "swapped" in message

    def test_numpy_arrays(self, kind):
        assert "X is a ndarray: expected an MXNet array" in self.refused(kind, numpy.zeros((2, 3), "int32"))

    def test_one_dimension(self, kind):
        assert "shape (3,)" in self.refused(kind, mx.np.zeros(3, dtype="int32"))


def test_embedding_refuses_ids_out_of_range():
    model = make(embed_size=3)
    with pytest.raises(ValueError, match="id 100 at position 0, 0"):
        model(mx.np.array([[100]], dtype="int32"), model.begin_state(1))


def test_to_onehot_refuses_ids_out_of_range():
    with pytest.raises(ValueError, match="id 3 at position 0, 1"):
        d2lrnn.to_onehot(mx.np.array([[0, 3]], dtype="int32"), 3)


@pytest.mark.parametrize(
    "layer, option",
    [
        (lambda: rnn.LSTM(4, num_layers=2, dropout=0.5), "dropout"),
        (lambda: rnn.LSTM(4, dropout=0.5), "dropout"),
        (lambda: rnn.LSTM(4, state_clip_min=-1, state_clip_max=1), "state_clip"),
        (lambda: rnn.LSTM(4, use_sequence_length=True), "use_sequence_length"),
        (lambda: rnn.LSTM(4, projection_size=2), "projection_size"),
        (lambda: rnn.GRU(4, layout="NTC"), "NTC"),
    ],
)
def test_options_that_the_cpu_ignores_are_refused(layer, option):
    with pytest.raises(FusedLayerError, match=option):
        RNNModel(layer(), VOCAB_SIZE)


def test_dropout_of_a_fused_layer_is_ignored_by_mxnet_itself():
    """The reason for RecurrentStack; if this ever fails, MXNet has been mended."""
    layer = rnn.LSTM(8, num_layers=2, dropout=0.9, input_size=3)
    layer.initialize(mx.init.Normal(0.5))
    X = mx.np.ones((4, 2, 3))
    with mx.autograd.record():
        first, second = layer(X).asnumpy(), layer(X).asnumpy()
    assert (first == second).all()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"kind": "glon"}, "unknown kind 'glon'"),
        ({"cell": "lstn"}, "unknown cell 'lstn'.*lstm"),
        ({"num_hiddens": 0}, "num_hiddens is 0"),
        ({"num_layers": -1}, "num_layers is -1"),
        ({"num_layers": 1.5}, "num_layers is 1.5: expected a whole number"),
        ({"embed_size": -3}, "embed_size is -3: expected a whole number, at least 0"),
        ({"kind": "scratch", "embed_size": 3}, "from scratch have no embedding"),
        ({"kind": "scratch", "dropout": 0.1}, "no dropout"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"dropout": -0.1, "num_layers": 2}, "dropout is -0.1"),
    ],
)
def test_impossible_models(options, message):
    with pytest.raises(ValueError, match=message):
        build_model(ModelConfig(**options), VOCAB_SIZE)


def test_rnn_layer_is_the_books():
    assert d2lrnn.rnn_layer("rnn", 4)._mode == "rnn_tanh"
    with pytest.raises(ValueError, match="unknown cell 'elman'"):
        d2lrnn.rnn_layer("elman", 4)
