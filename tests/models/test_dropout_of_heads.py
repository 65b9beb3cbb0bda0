"""Dropout of models that answer sequences: the rates, the places and the masks are those of language models."""

from math import comb

import numpy
import pytest
from tiny import tiny_model

from d2lrnn import Dropout, ModelConfig, RecurrentStack, build_model
from d2lrnn._runtime import mx
from d2lrnn.models import SequenceModel
from d2lrnn.models.parameters import named_parameters, set_values

np, tanh = mx.np, numpy.tanh
SIZE, ROWS, STEPS, RATE = 8, 400, 6, 0.3
HEADS = ("state", "output", "mean", "steps")
heads = pytest.mark.parametrize("head", HEADS)
locks = pytest.mark.parametrize("locked", [False, True])


def kept(x):
    return x / (1 - RATE)


# What a 1 becomes that passes all layers: the place where it is scaled up tells where it was dropped.
PLACES = {
    "inputs": lambda x: tanh(tanh(kept(x))),
    "hidden": lambda x: tanh(kept(tanh(x))),
    "outputs": lambda x: kept(tanh(tanh(x))),
}
places = pytest.mark.parametrize("place", PLACES)


def see_through(head, dropout, numbers=True):
    """Return a model that passes each number through: one tanh a layer, nothing from step to step."""
    stack = RecurrentStack("rnn", SIZE, 2, dropout=dropout)
    reads = {"input_size": SIZE} if numbers else {"vocab_size": 5, "embed_size": SIZE}
    model = SequenceModel(stack, SIZE, head, dropout=dropout, **reads)
    model.initialize(mx.init.Zero())
    if not numbers:
        model.embedding.weight.set_data(np.ones((5, SIZE)))
    for layer in model.layers:
        layer.l0_i2h_weight.set_data(np.eye(SIZE))
    model.dense.weight.set_data(np.eye(SIZE))
    return model


def ones(numbers=True):
    return np.ones((ROWS, STEPS, SIZE)) if numbers else np.ones((ROWS, STEPS), dtype="int32")


def answers(model, X, counted=None, training=True):
    with mx.autograd.train_mode() if training else mx.autograd.predict_mode():
        return model(X, model.begin_state(len(X)), counted)[0].asnumpy()


def near(share, rate, count):
    """Return whether a share of ``count`` independent draws is what a rate gives: within six deviations."""
    return abs(share - rate) < 6 * (rate * (1 - rate) / count) ** 0.5


@places
@locks
@pytest.mark.parametrize("head", ["state", "output", "steps"])
@pytest.mark.parametrize("numbers", [True, False], ids=["numbers", "ids"])
def test_what_is_kept_is_scaled_up_where_it_was_dropped_and_the_rate_is_kept(head, place, locked, numbers):
    model = see_through(head, Dropout(**{place: RATE}, locked=locked), numbers)
    found = answers(model, ones(numbers))
    numpy.testing.assert_allclose(found[found != 0], PLACES[place](1.0), rtol=1e-6)
    rows = found[:, 0] if head == "steps" else found  # masks of one step are independent, locked or not
    assert near((rows == 0).mean(), RATE, rows.size)


@places
def test_locked_masks_are_alike_at_all_steps_and_others_differ(place):
    for locked in (True, False):
        model = see_through("steps", Dropout(**{place: 0.5}, locked=locked))
        first, second = (answers(model, ones()) != 0 for _ in range(2))
        assert first.shape == (ROWS, STEPS, SIZE)
        assert (first == first[:, :1]).all() == locked
        assert (first != second).any()
        assert len({row.tobytes() for row in first[:, 0]}) > 100  # each row has masks of its own
        if not locked:
            assert near((first[:, 0] == first[:, 1]).mean(), 0.5, ROWS * SIZE)


@places
def test_of_locked_masks_a_mean_over_time_has_all_or_nothing(place):
    """Without a lock, the mean over six steps holds how many of them were dropped: binomial."""
    whole = PLACES[place](1.0)
    found = answers(see_through("mean", Dropout(**{place: RATE}, locked=True)), ones()) / whole
    assert set(numpy.round(found, 5).reshape(-1).tolist()) == {0, 1}
    assert near((found == 0).mean(), RATE, found.size)
    found = answers(see_through("mean", Dropout(**{place: RATE})), ones()) / whole * STEPS
    counts = numpy.bincount(numpy.round(found).astype(int).reshape(-1), minlength=STEPS + 1) / found.size
    numpy.testing.assert_allclose(found, numpy.round(found), atol=1e-4)
    for i, share in enumerate(counts):
        assert near(share, comb(STEPS, i) * (1 - RATE) ** i * RATE ** (STEPS - i), found.size)


@heads
@locks
def test_padding_is_dropped_like_nothing(head, locked):
    """Padded rows pass the layers step by step; rates and masks stay."""
    counted = numpy.ones((ROWS, STEPS))
    counted[::2, 4:] = 0
    model = see_through(head, Dropout(outputs=RATE, locked=locked))
    found = answers(model, ones(), np.array(counted, dtype="float32"))
    one = PLACES["outputs"](1.0)
    if head == "steps":
        assert not found[counted == 0].any()
        found = found[:, 0]
    if head == "mean" and not locked:
        assert near(found.mean() / one, 1 - RATE, 4 * found.size)  # means of four steps at least
    else:
        numpy.testing.assert_allclose(found[found != 0], one, rtol=1e-6)
        assert near((found == 0).mean(), RATE, found.size)


@heads
def test_each_single_rate_acts_once_on_what_the_output_layer_reads(head):
    """A rate for all places: inputs, between the layers, and what the head reads, each once."""
    found = answers(see_through(head, Dropout.of(RATE)), ones())
    whole = kept(tanh(kept(tanh(kept(1.0)))))
    if head == "mean":
        assert found.mean() / whole == pytest.approx((1 - RATE) ** 3, abs=0.01)
    else:
        numpy.testing.assert_allclose(found[found != 0], whole, rtol=1e-6)
        rows = found[:, 0] if head == "steps" else found
        assert near((rows != 0).mean(), (1 - RATE) ** 3, rows.size)


ALL = Dropout(0.5, 0.4, 0.3, words=0.2, weights=0.1)


@heads
@locks
@pytest.mark.parametrize("bidirectional", [False, True])
def test_in_evaluation_nothing_drops(head, locked, bidirectional):
    """Twice the same, and the same as a model of these parameters without dropout, before and after training."""
    shape = dict(num_layers=2, embed_size=6, head=head, num_outputs=3, init_scale=0.5, bidirectional=bidirectional)
    X = np.array(numpy.random.default_rng(1).integers(0, 11, (5, 7)), dtype="int32")
    counted = np.array(numpy.arange(7) < [[7], [3], [1], [6], [2]], dtype="float32")
    dropout = Dropout(**{**vars(ALL), "locked": locked})
    plain, dropping = tiny_model(11, **shape), tiny_model(11, **shape, dropout=dropout)
    for padding in (None, counted):
        expected = answers(plain, X, padding, training=False)
        for _ in range(2):
            with mx.autograd.record():
                loss = dropping(X, dropping.begin_state(5), padding)[0].sum()
            loss.backward()  # the graph of training must not serve evaluation
            assert (loss.asnumpy() != expected.sum()).all()
            assert (answers(dropping, X, padding, training=False) == expected).all()


@heads
def test_a_dropped_weight_has_no_gradient_and_the_rate_is_kept(head):
    config = ModelConfig(
        num_hiddens=40, input_size=3, head=head, num_outputs=2, dropout=Dropout(weights=RATE), init_scale=0.3
    )
    model = build_model(config, None)
    X = np.array(numpy.random.default_rng(1).normal(size=(5, 7, 3)), dtype="float32")
    with mx.autograd.record():
        loss = model(X, model.begin_state(5))[0].sum()
    loss.backward()
    dropped = model.layers[0].l0_h2h_weight.grad().asnumpy() == 0
    assert near(dropped.mean(), RATE, dropped.size)


def test_a_dropped_word_is_dropped_in_the_whole_batch():
    vocab_size = 2000
    stack = RecurrentStack("rnn", SIZE, 1)
    model = SequenceModel(stack, SIZE, "steps", vocab_size, SIZE, Dropout(words=RATE))
    model.initialize(mx.init.Zero())
    for name, param in named_parameters(model).items():
        if "h2h" not in name and "bias" not in name:
            set_values(param, numpy.ones(param.shape) if name.startswith("embedding") else numpy.eye(SIZE))
    ids = numpy.tile(numpy.arange(vocab_size).reshape(50, 40), (2, 1))
    found = answers(model, np.array(ids, dtype="int32")) != 0
    assert (found == found[..., :1]).all() and (found[:50] == found[50:]).all()
    assert near((~found[:50, :, 0]).mean(), RATE, vocab_size)
