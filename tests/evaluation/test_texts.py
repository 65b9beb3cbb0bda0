"""Perplexity on a text: each token once, by whatever cut, as one id at a time gives it."""

import functools
import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from known import Told, Wrapped, round_and_round
from tiny import RAIN, quiet, rain, tiny_model

import d2lrnn
from d2lrnn import Corpus, ModelConfig, Vocab, build_model, evaluate
from d2lrnn._runtime import mx
from d2lrnn.evaluation.texts import windows

VOCAB = Vocab("the rain in spain")
CLOSE = 1e-5  # oneDNN's logarithms of softmax are off by some 3e-6, a perplexity by as large a share of it
IDS = numpy.random.default_rng(1).integers(0, len(VOCAB), 46)

MODELS = {
    "lstm": {
        "cell": "lstm",
        "num_layers": 2,
        "embed_size": 6,
        "dropout": d2lrnn.Dropout(0.5, 0.5, 0.5, words=0.3, weights=0.3),
    },
    "gru": {"cell": "gru"},
    "scratch": {"kind": "scratch", "cell": "lstm"},
    "fast": {"kind": "fast", "cell": "gru", "num_layers": 2},
}


def test_bits_per_character():
    """A pair of characters shares its bits between two."""
    assert d2lrnn.bits_per_character(16.0, "char") == 4.0
    assert d2lrnn.bits_per_character(16.0, "bigram") == 2.0
    with pytest.raises(ValueError, match="found the level 'word'"):
        d2lrnn.bits_per_character(16.0, "word")


def make(name, scale=1.0):
    """Return a model whose state matters: half its parameters are beyond a half."""
    return tiny_model(len(VOCAB), init_scale=scale, **MODELS[name])


def nats_one_by_one(model, ids):
    """Return the cross-entropy of each token but the first: one id goes in, all in float64 from the logits on."""
    state, nats = model.begin_state(1), []
    for now, following in zip(ids[:-1], ids[1:]):
        logits, state = model(mx.np.array([[now]], dtype="int32"), state)
        scores = logits.asnumpy()[0].astype("float64")
        nats.append(numpy.log(numpy.exp(scores - scores.max()).sum()) + scores.max() - scores[following])
    return nats


@functools.cache
def nats_of_all(name):
    return nats_one_by_one(make(name), IDS)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("num_steps", [1, 10, 45, 60])  # there are 45 tokens to predict
def test_it_is_what_one_token_at_a_time_gives(name, num_steps):
    nats = nats_of_all(name)
    assert len(nats) == 45
    assert evaluate(make(name), IDS, num_steps=num_steps) == pytest.approx(math.exp(numpy.mean(nats)), rel=CLOSE)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("batch_size", [2, 5, 50])
def test_rows_are_texts_of_their_own_with_each_token_once(name, batch_size):
    model = make(name)
    length = math.ceil(45 / batch_size)
    rows = [IDS[begin : begin + length + 1] for begin in range(0, 45, length)]
    nats = [n for row in rows for n in nats_one_by_one(model, row)]
    assert len(nats) == 45
    wanted = math.exp(numpy.mean(nats))
    assert evaluate(model, IDS, batch_size, num_steps=4) == pytest.approx(wanted, rel=CLOSE)
    if batch_size < 45:  # what the first words of each row lack
        assert wanted != pytest.approx(evaluate(model, IDS), rel=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_length_of_the_windows_does_not_matter(batch_size):
    model = make("lstm")
    found = [evaluate(model, IDS, batch_size, num_steps) for num_steps in (1, 2, 3, 7, 14, 15, 16, 45, 100)]
    assert found == pytest.approx([found[0]] * len(found), rel=1e-6)


@given(st.integers(2, 80), st.integers(1, 12), st.integers(1, 12))
def test_the_windows_hold_each_token_once_and_in_order(count, batch_size, num_steps):
    ids = numpy.arange(100, 100 + count)
    parts = list(windows(ids, batch_size, num_steps))
    assert all(array.shape == (batch_size, num_steps) for part in parts for array in part)
    X, Y, counted = (numpy.concatenate(arrays, axis=1) for arrays in zip(*parts))
    assert X[counted].tolist() == ids[:-1].tolist() and Y[counted].tolist() == ids[1:].tolist()
    for row in counted:  # a row ends once
        assert (row[:-1] >= row[1:]).all()
    for array in (X, Y):
        assert (array[~counted] == 0).all()


def test_a_model_that_knows_nothing_is_as_good_as_guessing():
    model = make("gru")
    for param in d2lrnn.named_parameters(model).values():
        param.set_data(mx.np.zeros(param.shape))
    assert evaluate(model, IDS, 3, 5) == pytest.approx(len(VOCAB), rel=CLOSE)
    bias = numpy.arange(len(VOCAB)) / 3
    model.dense.bias.set_data(mx.np.array(bias))
    wanted = math.exp(numpy.log(numpy.exp(bias).sum()) - bias[IDS[1:]].mean())
    assert evaluate(model, IDS, 3, 5) == pytest.approx(wanted, rel=CLOSE)


def test_two_tokens_are_a_text():
    model = make("scratch")
    assert evaluate(model, [3, 1]) == pytest.approx(math.exp(*nats_one_by_one(model, [3, 1])), rel=CLOSE)


def test_it_leaves_the_model_as_it_was():
    model = make("lstm")
    before = {name: param.data().asnumpy() for name, param in d2lrnn.named_parameters(model).items()}
    assert evaluate(model, IDS) == evaluate(model, IDS)  # and draws no random numbers
    for name, param in d2lrnn.named_parameters(model).items():
        assert (param.data().asnumpy() == before[name]).all()


@pytest.mark.parametrize("kind", ["scratch", "gluon"])
def test_a_model_that_reads_from_both_ends_is_refused(kind):
    model = build_model(ModelConfig(kind, "rnn", 4, bidirectional=True), len(VOCAB))
    with pytest.raises(d2lrnn.LooksAheadError, match="asked to predict"):
        evaluate(model, IDS)


@pytest.mark.parametrize(
    "ids, message",
    [
        ([0, 1, len(VOCAB)], f"ids has the id {len(VOCAB)} at position 2: expected 0 to {len(VOCAB) - 1}"),
        ([0, -1, 2], "ids has the id -1 at position 1"),
        ([0.0, 1.0], "ids has dtype float64: expected whole numbers"),
        ([3], r"ids has shape \(1,\): expected one dimension, at least two tokens"),
        ([], r"ids has shape \(0,\): expected one dimension, at least two tokens"),
        ([[0, 1], [2, 3]], r"ids has shape \(2, 2\): expected one dimension"),
    ],
)
def test_texts_that_cannot_be_measured(ids, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        evaluate(make("gru"), ids)


# While a model is trained

CORPUS = rain(times=4, valid=RAIN[::-1] + RAIN[:-7:-1])


def train(num_epochs, **options):
    model = tiny_model(CORPUS.vocab_size, cell="gru", dropout=0.2, **options)
    config = quiet(num_epochs=num_epochs, num_steps=9, lr=5.0, theta=1.0)
    return model, d2lrnn.train_and_predict(model, CORPUS, config)


def test_the_history_has_what_evaluation_found_after_each_epoch():
    history = train(3)[1]
    for epochs in (1, 2, 3):
        model, shorter = train(epochs)
        assert shorter.valid_perplexity == history.valid_perplexity[:epochs]
        assert history.valid_perplexity[epochs - 1] == evaluate(model, CORPUS.valid, 4, 9)
    assert len(set(history.valid_perplexity)) == 3


def test_without_a_validation_split_nothing_is_measured():
    corpus, config = rain(times=4), quiet(num_epochs=2)
    model = Wrapped(tiny_model(corpus.vocab_size, cell="gru"))
    assert d2lrnn.train_and_predict(model, corpus, config).valid_perplexity == []
    assert model.calls == 2 * d2lrnn.data_iter_consecutive(corpus.train, 4, 5).num_batches


def test_however_bad_validation_is_training_goes_on_and_the_best_epoch_is_known():
    answers = [math.inf, 7.5, 1e9, 7.5, 8.0]
    model = Told(tiny_model(CORPUS.vocab_size, cell="gru"), answers)
    corpus = Corpus("rain", CORPUS.vocab, CORPUS.train, valid=round_and_round(CORPUS.vocab_size, 50))
    history = d2lrnn.train_and_predict(model, corpus, quiet(num_epochs=5, lr=0.5, theta=1.0))
    assert history.valid_perplexity == pytest.approx(answers, rel=1e-5) and len(history.perplexity) == 5
    assert history.best_epoch == 2 and history.stopped == ""


@pytest.mark.parametrize("sizes", [(0, 5), (2, 0), (2, -3), (-1, 5), (2, 2.5)])
def test_sizes_that_are_none_are_refused(sizes):
    model = d2lrnn.build_model(d2lrnn.ModelConfig(num_hiddens=2), 5)
    with pytest.raises(ValueError, match="expected a whole number, at least 1"):
        evaluate(model, [1, 2, 3], *sizes)
