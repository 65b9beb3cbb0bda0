"""Greedy prediction, on models whose probabilities are known and against the book's way of doing it."""

import numpy
import pytest

from d2lrnn import (
    Corpus,
    LooksAheadError,
    ModelConfig,
    RNNModelScratch,
    TrainConfig,
    UnknownTokenError,
    Vocab,
    build_model,
    evaluate,
    generate,
    grad_clipping,
    init_rnn_state,
    named_parameters,
    predict,
    predict_batch,
    set_seed,
    train_and_predict,
)
from d2lrnn._runtime import mx
from d2lrnn.cells.declaration import CELLS as DECLARED
from d2lrnn.config.model import KINDS
from d2lrnn.generation.writers import greedy_writer
from d2lrnn.models.parameters import get_values

VOCAB = Vocab("abcde")


class SuccessorModel:
    """Predicts the next letter of the alphabet; its state counts the ids it has seen."""

    vocab_size, bidirectional = 5, False

    def begin_state(self, batch_size, ctx=None):
        return (mx.np.zeros((batch_size, 1)),)

    def __call__(self, X, state):
        logits = mx.npx.one_hot((X.T.reshape(-1) + 1) % 5, 5)
        return logits, (state[0] + X.shape[1],)


@pytest.mark.parametrize("prefix, expected", [("a", "abcdeab"), ("cd", "cdeabcde"), ("e", "eabcdea")])
def test_a_model_that_is_known(prefix, expected):
    assert predict(prefix, 6, SuccessorModel(), VOCAB) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_where_the_parameters_are_not_is_refused(kind):
    model = build_model(ModelConfig(kind, num_hiddens=6), 5)
    assert predict("a", 3, model, VOCAB, mx.cpu(0)) == predict("a", 3, model, VOCAB)
    with pytest.raises(ValueError, match=r"ctx is cpu\(1\), but the model's parameters are on cpu\(0\): leave ctx out"):
        predict("a", 3, model, VOCAB, mx.cpu(1))
    with pytest.raises(ValueError, match="tpu"):
        predict("a", 3, model, VOCAB, "tpu")


@pytest.mark.parametrize("kind", KINDS)
def test_everything_works_on_another_device(kind):
    """On a second CPU context, as on a GPU: training, clipping, prediction and evaluation, with the same numbers."""
    corpus, found = Corpus("letters", VOCAB, VOCAB.encode("abcde" * 30)), []
    for ctx in (mx.cpu(0), mx.cpu(1)):
        set_seed(3)
        model = build_model(ModelConfig(kind, "lstm", num_hiddens=6, init_scale=0.5), 5, ctx)
        config = TrainConfig(
            num_epochs=3, batch_size=2, num_steps=5, lr=1.0, theta=0.5, verbose=False, prefixes=("ab",)
        )
        history = train_and_predict(model, corpus, config)
        assert {param.ctx for param in map(get_values, named_parameters(model).values())} == {ctx}
        grad_clipping(model, 1e-3, ctx)
        samples = generate(["abc"] * 2, 5, model, VOCAB)
        found.append([*history.perplexity, evaluate(model, corpus.train), *samples[1].log_probs])
    numpy.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_nothing_to_add():
    assert predict("abc", 0, SuccessorModel(), VOCAB) == "abc"


@pytest.mark.parametrize("kind", ["scratch", "fast", "gluon"])
def test_equals_feeding_one_character_at_a_time(kind):
    """The book warms up character by character and takes the likeliest; so do we."""
    continuations = set()
    for seed in range(5):
        set_seed(seed)
        model = build_model(ModelConfig(kind, "gru", num_hiddens=6), 5)
        for param in model.params if kind != "gluon" else [p.data() for p in model.collect_params().values()]:
            param[:] = mx.np.random.normal(0, 2, param.shape)
        state, ids = model.begin_state(1), VOCAB.encode("bad").tolist()
        for i in range(2 + 8):
            logits, state = model(mx.np.array([[ids[i]]], dtype="int32"), state)
            if i >= 2:
                ids.append(int(numpy.argmax(logits.asnumpy()[0])))
        found = predict("bad", 8, model, VOCAB)
        assert found == VOCAB.decode(ids)
        continuations |= set(found[3:])
    assert len(continuations) > 1  # the models do not all repeat one letter


class Wrapped:
    """Hides a model's kind, so that it is asked for logits one character at a time."""

    def __init__(self, model):
        self._model, self.vocab_size, self.bidirectional = model, model.vocab_size, False

    def begin_state(self, batch_size, ctx=None):
        return self._model.begin_state(batch_size, ctx)

    def __call__(self, X, state):
        return self._model(X, state)


CELLS = [(name, {"num_projections": 4} if cell.projected else {}) for name, cell in DECLARED.items()]
SHAPES = [ModelConfig(kind, cell, 6, layers, **more) for kind in KINDS for cell, more in CELLS for layers in (1, 2)]
SHAPES += [ModelConfig("gluon", cell, 6, 2, embed_size=4, dropout=0.5, **more) for cell, more in CELLS]


@pytest.mark.parametrize("config", SHAPES, ids=lambda c: f"{c.kind}-{c.cell}-{c.num_layers}-{c.embed_size}")
def test_many_prefixes_at_once(config):
    """The compiled writer, one by one and in a batch, writes what the model's own logits say."""
    set_seed(1)
    model = build_model(config, 5)
    for param in named_parameters(model).values():
        array = param if isinstance(param, mx.np.ndarray) else param.data()
        array[:] = mx.np.random.normal(0, 1, array.shape)  # Gluon's second biases too
    assert (greedy_writer(model) is None, greedy_writer(Wrapped(model)) is None) == (False, True)
    prefixes = ["bad", "a", "ecabdeb", "cc", "a"]
    expected = [predict(prefix, 20, Wrapped(model), VOCAB) for prefix in prefixes]
    assert predict_batch(prefixes, 20, Wrapped(model), VOCAB) == expected
    assert [predict(prefix, 20, model, VOCAB) for prefix in prefixes] == expected
    assert predict_batch(prefixes, 20, model, VOCAB) == expected
    assert [text[:-13] for text in expected] == predict_batch(prefixes, 7, model, VOCAB)
    assert predict_batch(prefixes, 0, model, VOCAB) == prefixes


def test_equations_of_the_users_own_are_asked_through_the_protocol():
    def repeat(inputs, state, params):
        return [X * 1.0 for X in inputs], state

    def no_params(vocab_size, num_hiddens, ctx):
        return []

    model = RNNModelScratch(5, 3, None, no_params, init_rnn_state, repeat)
    assert predict("abc", 4, model, VOCAB) == "abccccc"


@pytest.mark.parametrize("prefixes", [[], "abc"])
def test_a_batch_is_a_list_of_texts(prefixes):
    with pytest.raises(ValueError, match="expected a list of texts"):
        predict_batch(prefixes, 3, SuccessorModel(), VOCAB)


def test_words_are_joined_by_spaces():
    vocab = Vocab.from_list(["the", "company", "said", "it", "is"], "word")
    assert predict("company said", 2, SuccessorModel(), vocab) == "company said it is"


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="prefix is empty"):
        predict("", 3, SuccessorModel(), VOCAB)
    with pytest.raises(UnknownTokenError, match="'你' .*U\\+4F60"):
        predict("ab你", 3, SuccessorModel(), VOCAB)
    with pytest.raises(ValueError, match="num_preds is -1"):
        predict("a", -1, SuccessorModel(), VOCAB)
    with pytest.raises(ValueError, match="6 entries.*made for 5"):
        predict("a", 1, SuccessorModel(), Vocab("abcdef"))
    for kind in ("scratch", "gluon"):
        tagger = build_model(ModelConfig(kind, "gru", num_hiddens=4, num_outputs=2), 5)
        with pytest.raises(ValueError, match="2 outputs for 5 tokens: it is no language model"):
            predict("a", 1, tagger, VOCAB)
    model = build_model(ModelConfig(cell="gru", num_hiddens=4, bidirectional=True), 5)
    with pytest.raises(LooksAheadError, match="reads the very"):
        predict("a", 1, model, VOCAB)
