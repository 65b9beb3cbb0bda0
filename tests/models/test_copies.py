"""A copy of a model computes and trains as the original, to the bit, and shares nothing with it."""

import copy
import pickle
import re

import numpy
import pytest
from parity import projections
from tiny import tiny_model, training_of
from two_tasks import Forecaster, waves

import d2lrnn
from d2lrnn import Encoder, ModelConfig, RNNModel, Training, UnrolledLayer, WithHead, build_model, rnn_layer
from d2lrnn._runtime import mx
from d2lrnn.config.model import Dropout
from d2lrnn.models.parameters import get_gradient, named_parameters, numbers_of

VOCAB_SIZE, SIZE = 9, 6
HOWS = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda model: pickle.loads(pickle.dumps(model))}
hows = pytest.mark.parametrize("how", HOWS.values(), ids=list(HOWS))


class LastOnly(WithHead):
    """An encoder and a head of one's own: logits from a layer that is called by itself before."""

    bidirectional = False

    def __init__(self, encoder):
        super().__init__(encoder)
        self.head = mx.gluon.nn.Dense(VOCAB_SIZE, flatten=False, in_units=encoder.width)
        self.hybridize(static_alloc=True, static_shape=True)

    def __call__(self, X, state, counted=None):
        logits, state = self.run(X, state, counted)
        return logits.reshape(-1, VOCAB_SIZE), tuple(state)

    def hybrid_forward(self, F, X, state, params=None, counted=None):
        outputs, state = self.encoder.encode(F, X, state, params, counted)
        return self.head(outputs), state


class Plain(mx.gluon.Block):
    """A model of Gluon's own parts alone, which are compiled one by one."""

    vocab_size, bidirectional = VOCAB_SIZE, False

    def __init__(self):
        super().__init__()
        self.rnn, self.dense = rnn_layer("lstm", SIZE, VOCAB_SIZE), mx.gluon.nn.Dense(VOCAB_SIZE, in_units=SIZE)
        self.dense.hybridize(static_alloc=True, static_shape=True)
        self.initialize(mx.init.Xavier())

    def begin_state(self, batch_size, ctx=None):
        return tuple(self.rnn.begin_state(batch_size=batch_size, ctx=ctx))

    def parameters(self):
        return self._collect_params_with_prefix()

    def forward(self, X, state):
        outputs, state = self.rnn(mx.npx.one_hot(X.T, VOCAB_SIZE), list(state))
        return self.dense(outputs.reshape(-1, SIZE)), tuple(state)


class OwnScratch(d2lrnn.RNNModelScratch):
    """A model from scratch with a parameter of its own."""

    def __init__(self):
        stack = d2lrnn.Stack("gru")
        super().__init__(VOCAB_SIZE, SIZE, None, stack.get_params, stack.init_state, stack)
        self.scale = mx.np.ones((VOCAB_SIZE,))
        self.scale.attach_grad()

    def parameters(self):
        return {**super().parameters(), "scale": self.scale}

    def __call__(self, X, state, counted=None):
        logits, state = super().__call__(X, state, counted)
        return logits * self.scale, state


def own_head(layer, **options):
    model = LastOnly(Encoder(layer, VOCAB_SIZE, **options))
    model.initialize(mx.init.Normal(0.1))
    return model


def eager():
    model = tiny_model(VOCAB_SIZE, kind="gluon", num_layers=2)
    model.hybridize(False)
    return model


def partly_frozen():
    model = tiny_model(VOCAB_SIZE, kind="gluon", cell="lstm")
    model.dense.weight.grad_req = "null"
    model.dense.bias.grad_req = "add"
    return model


def in_double():
    layer = UnrolledLayer("gru", SIZE)
    model = RNNModel(layer, VOCAB_SIZE)
    model.initialize(mx.init.Normal(0.1))
    model.cast("float64")
    return model


REGULARISED = Dropout(words=0.1, inputs=0.2, hidden=0.2, outputs=0.2, weights=0.2, locked=True)
TIED = {"embed_size": SIZE, "num_hiddens": SIZE, "tie_weights": True}
MADE = {
    **{
        f"{kind}-{cell}": lambda kind=kind, cell=cell: build_model(
            ModelConfig(kind, cell, SIZE, **projections(cell)), VOCAB_SIZE
        )
        for kind in ("scratch", "fast", "gluon")
        for cell in d2lrnn.CELLS
    },
    **{
        f"{kind}-deep": lambda kind=kind: tiny_model(VOCAB_SIZE, kind=kind, num_layers=2)
        for kind in ("scratch", "fast", "gluon")
    },
    "dropout": lambda: tiny_model(VOCAB_SIZE, num_layers=2, dropout=0.4),
    "regularised": lambda: tiny_model(VOCAB_SIZE, num_layers=2, dropout=REGULARISED, **TIED),
    "unrolled-regularised": lambda: tiny_model(VOCAB_SIZE, cell="lstm_peephole", dropout=REGULARISED, **TIED),
    "head-fused": lambda: own_head(rnn_layer("lstm", SIZE), embed_size=4, dropout=0.3),
    "head-unrolled": lambda: own_head(rnn_layer("lstm_peephole", SIZE)),
    "eager": eager,
    "partly-frozen": partly_frozen,
    "float64": in_double,
    "own-scratch": OwnScratch,
    "own-gluon": Plain,
}


def batches(count):
    rng = numpy.random.default_rng(0)
    for _ in range(count):
        ids = mx.np.array(rng.integers(0, VOCAB_SIZE, (3, 6)), dtype="int32")
        yield ids[:, :-1], ids[:, 1:]


def train(model, count=2):
    """Take steps, and return all that training leaves: the parameters and their gradients."""
    training = training_of(model, d2lrnn.TrainConfig(num_epochs=1, lr=0.1, optimizer="adam", theta=1.0, verbose=False))
    d2lrnn.set_seed(2)
    state = None
    for batch in batches(count):
        state = training.step(batch, state).state
    return numbers(model)


def numbers(model):
    params = named_parameters(model)
    gradients = numbers_of(params, gradients=True)
    return {**numbers_of(params), **{f"gradient of {name}": values for name, values in gradients.items()}}


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name in found:
        numpy.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.mark.parametrize("trained", [False, True], ids=["new", "trained"])
@pytest.mark.parametrize("name", MADE)
def test_a_copy_trains_to_the_numbers_of_the_original(name, trained):
    d2lrnn.set_seed(1)
    model = MADE[name]()
    if trained:
        train(model, 2)
    before = numbers(model)
    ways = list(HOWS.values())
    if name == "own-gluon":
        ways = ways[1:]  # copy.copy of a model that inherits nothing of d2lrnn's shares its parameters
    elif name not in ("regularised", "own-scratch", "fast-deep"):
        ways = [ways[list(MADE).index(name) % 3]]
    for how in ways:
        copied = how(model)
        assert_same(numbers(copied), before)
        found = train(copied)
        assert_same(numbers(model), before)  # nothing is shared
        assert any((found[name] != before[name]).any() for name in before)
    assert_same(found, train(model))
    assert_same(train(how(copied)), train(copied))  # a copy of a copy


@hows
def test_a_tied_weight_of_a_copy_is_one_parameter(how):
    model = how(tiny_model(VOCAB_SIZE, **TIED))
    assert model.dense.weight is model.embedding.weight and model.encoder.embedding is model.embedding
    assert len(named_parameters(model)) == len(model.collect_params().keys())


@hows
def test_a_copy_writes_what_the_original_writes(how):
    vocab = d2lrnn.Vocab("abcdefgh")
    model = tiny_model(len(vocab), kind="fast", init_scale=1.0)
    text = d2lrnn.predict("a", 20, model, vocab)
    copied = how(model)
    assert d2lrnn.predict("a", 20, copied, vocab) == text
    copied.params[-1][:] = numpy.eye(len(vocab))[2] * 100
    assert d2lrnn.predict("a", 3, copied, vocab) == "a" + 3 * vocab.idx_to_token[2]
    assert d2lrnn.predict("a", 20, model, vocab) == text


def test_a_model_of_plain_arrays_is_copied_with_its_gradients():
    X, Y = waves()[0]
    found = []
    model = Forecaster()
    for one in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model):
        with mx.autograd.record():
            loss = ((one(X, one.begin_state(len(X)))[0] - Y) ** 2).mean()
        loss.backward()
        found.append({name: get_gradient(param).asnumpy() for name, param in one.parameters().items()})
    assert abs(found[-1]["W_hh"]).max() > 0
    assert_same(found[0], found[-1])
    assert_same(found[1], found[-1])


def test_an_array_without_a_gradient_is_pickled_as_mxnet_pickles_it():
    array = mx.np.arange(6).reshape(2, 3)
    assert b"d2lrnn" not in pickle.dumps(array)
    assert copy.deepcopy(array).grad is None


def lose(model, name):
    """Let a parameter lose its gradient, as MXNet's own copies did."""
    if isinstance(model, mx.gluon.Block):
        param = named_parameters(model)[name]
        param._data = [array.copy() for array in param.list_data()]
    else:
        place = list(named_parameters(model)).index(name)
        model.params[place] = model.params[place].copy()


@pytest.mark.parametrize(
    ("kind", "name"),
    [("scratch", "l0.W_hh"), ("fast", "b_q"), ("gluon", "dense.weight"), ("gluon", "rnn.layers.1._unfused.0.h2h_bias")],
)
def test_training_refuses_a_parameter_that_no_gradient_reaches(kind, name):
    model = tiny_model(VOCAB_SIZE, kind=kind, cell="rnn", num_layers=2)
    lose(model, name)
    with pytest.raises(
        d2lrnn.D2lrnnError, match=f"^the parameter {re.escape(name)} has no gradient, so training would"
    ):
        training_of(model, d2lrnn.TrainConfig())


def test_training_refuses_a_model_that_was_not_initialised():
    model = RNNModel(rnn_layer("lstm", SIZE), VOCAB_SIZE)
    with pytest.raises(
        d2lrnn.D2lrnnError, match=r"^the parameter \S+ has no gradient, .* initialize\(\) of a model on"
    ):
        training_of(model, d2lrnn.TrainConfig())


def test_training_takes_parameters_that_wait_for_the_size_of_their_inputs():
    model = mx.gluon.nn.Dense(2)
    model.initialize()
    training = Training(model, d2lrnn.TrainConfig(verbose=False), d2lrnn.Objective())
    assert set(training.params) == {"weight", "bias"}
