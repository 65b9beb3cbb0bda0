"""Training on one-hot vectors as wide as the ids that a batch uses: the same numbers as with the whole vocabulary."""

import numpy
import pytest
from tiny import tiny_model

import d2lrnn
from d2lrnn._runtime import mx
from d2lrnn.models.gluon import encoder
from d2lrnn.models.gluon.used_ids import used_ids

VOCAB_SIZE = 300  # several widths


@pytest.fixture
def looking_up(monkeypatch):
    monkeypatch.setattr(encoder, "LEAST_VOCAB_SIZE", VOCAB_SIZE)


def ids(seed, *shape):
    return mx.np.array(numpy.random.default_rng(seed).integers(0, VOCAB_SIZE, shape), dtype="int32")


def make(cell="lstm", dtype="float32", **options):
    d2lrnn.set_seed(1)
    model = tiny_model(VOCAB_SIZE, cell=cell, **options)
    model.initialize(mx.init.Normal(0.3), force_reinit=True)
    model.cast(dtype)
    return model


def loss_and_gradients(model, *batches):
    """Return the sum of the losses of batches, and its gradients, as NumPy arrays."""
    with mx.autograd.record():
        loss = sum(d2lrnn.cross_entropy(model(X, model.begin_state(len(X)))[0], X) for X in batches)
    loss.backward()
    return [loss.asnumpy(), *(param.grad().asnumpy() for param in model.parameters().values())]


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("rnn", {}),
        ("gru", {}),
        ("lstm", {"num_layers": 2}),
        ("lstm", {"dtype": "float64"}),
    ],
)
def test_loss_and_gradients_are_those_of_the_whole_vocabulary(cell, options, monkeypatch):
    model, batches = make(cell, **options), (ids(2, 3, 5), ids(3, 8, 30))  # 15 ids in 128 columns, some 170 in 256
    expected = loss_and_gradients(model, *batches)
    monkeypatch.setattr(encoder, "LEAST_VOCAB_SIZE", VOCAB_SIZE)
    widths = []
    monkeypatch.setattr(encoder, "used_ids", lambda *args: (found := used_ids(*args), widths.append(found[1].size))[0])
    for found, wanted in zip(loss_and_gradients(model, *batches), expected):
        numpy.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-15 if options.get("dtype") else 1e-7)
    assert widths == [128, 256]


def test_each_id_gets_its_place_among_those_that_come():
    X = ids(4, 6, 50)
    places, used = (array.asnumpy() for array in used_ids(X, VOCAB_SIZE))
    assert (used[places] == X.asnumpy()).all()
    assert used.size == 256 and (numpy.diff(used[: places.max() + 1]) > 0).all()
    assert used_ids(mx.np.arange(VOCAB_SIZE), VOCAB_SIZE)[1].size == VOCAB_SIZE


def test_columns_of_other_ids_get_no_gradient(looking_up):
    model, X = make(), ids(5, 2, 4)
    gradient = loss_and_gradients(model, X)[1]  # of W_x, (4 * num_hiddens, vocab_size)
    assert sorted(set(X.asnumpy().ravel())) == sorted(numpy.flatnonzero(abs(gradient).sum(axis=0)))


def test_parameters_that_move_are_looked_up_where_they_are(looking_up):
    model, X = make(), ids(6, 2, 4)
    loss_and_gradients(model, X)
    model.initialize(mx.init.Normal(0.2), force_reinit=True)
    found, state = loss_and_gradients(model, X), model.begin_state(2)
    assert found[0] == d2lrnn.cross_entropy(model(X, state)[0], X).asnumpy()
    assert all(gradient.any() for gradient in found[1:])
