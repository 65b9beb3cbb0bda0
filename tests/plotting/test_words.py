"""Nearest words and analogies, against NumPy and by hand."""

import math

import numpy
import pytest
from tiny import tiny_model

from d2lrnn import D2lrnnError, UnknownTokenError, Vocab, analogy, embedding_map, nearest_words, token_vectors
from d2lrnn.models.parameters import set_values

WORDS = ("the", "king", "queen", "man", "woman", "zero", "again")
VECTORS = numpy.array([[0, 0, 1], [2, 2, 0], [3, -3, 0], [0, 4, 0], [0, -5, 0], [0, 0, 0], [0, 0, 7]])
VOCAB = Vocab.from_list(WORDS, "word")
HALF = math.sqrt(0.5)


def with_vectors(vectors, **settings):
    model = tiny_model(len(vectors), embed_size=vectors.shape[1], **settings)
    set_values(model.embedding.weight, vectors.astype("float32"))
    return model


@pytest.mark.parametrize("settings", [{}, {"head": "mean", "num_outputs": 2}], ids=["language model", "classifier"])
def test_by_hand(settings):
    model = with_vectors(VECTORS, **settings)
    found = nearest_words("king", model, VOCAB)
    expected = {"man": HALF, "the": 0, "queen": 0, "zero": 0, "again": 0, "woman": -HALF}
    assert [token for token, _ in found] == [*expected]
    assert [cosine for _, cosine in found] == pytest.approx([*expected.values()], abs=1e-7)
    assert nearest_words("the", model, VOCAB, 1) == [("again", 1.0)]
    assert [cosine for _, cosine in nearest_words("zero", model, VOCAB)] == [0] * 6
    # king - man + woman is (h, h, 0) - (0, 1, 0) + (0, -1, 0), where h is the root of a half.
    (token, cosine), *_ = analogy("man", "king", "woman", model, VOCAB, 2)
    direction = numpy.array([HALF, HALF - 2]) / math.hypot(HALF, HALF - 2)
    assert token == "queen" and cosine == pytest.approx(direction @ [HALF, -HALF], abs=1e-7)
    assert len(analogy("man", "king", "woman", model, VOCAB)) == 4
    assert embedding_map(model, VOCAB).tokens == WORDS


def test_against_numpy():
    draw = numpy.random.default_rng(3)
    vectors, vocab = draw.normal(size=(60, 9)).astype("float32"), Vocab.from_list([f"w{i}" for i in range(60)], "word")
    model = with_vectors(vectors)
    unit = vectors.astype("float64") / numpy.linalg.norm(vectors.astype("float64"), axis=1)[:, None]
    cosines = unit @ unit[7]
    found = nearest_words("w7", model, vocab, 100)
    assert [token for token, _ in found] == [f"w{i}" for i in numpy.argsort(-cosines) if i != 7]
    numpy.testing.assert_allclose([cosine for _, cosine in found], numpy.sort(cosines[numpy.arange(60) != 7])[::-1])
    target = unit[5] - unit[4] + unit[6]
    cosines = unit @ (target / numpy.linalg.norm(target))
    expected = [i for i in numpy.argsort(-cosines) if i not in (4, 5, 6)][:3]
    found = analogy("w4", "w5", "w6", model, vocab, 3)
    assert [token for token, _ in found] == [f"w{i}" for i in expected]
    numpy.testing.assert_allclose([cosine for _, cosine in found], cosines[expected])


def test_ties_go_to_the_smaller_id():
    """Equal vectors at many places of the table, where a matrix product would add them up in another order."""
    draw = numpy.random.default_rng(3)
    vectors = numpy.repeat(draw.normal(size=(1, 37)), 101, axis=0)
    vectors[0] = draw.normal(size=37)
    vocab = Vocab.from_list([f"w{i}" for i in range(101)], "word")
    found = nearest_words("w0", with_vectors(vectors), vocab, 100)
    assert [token for token, _ in found] == [f"w{i}" for i in range(1, 101)]


@pytest.mark.parametrize("kind", ["gluon", "scratch", "fast"])
def test_without_an_embedding_the_input_weights_are_compared(kind):
    vocab = Vocab("abcde")
    model = tiny_model(5, kind=kind, cell="gru", init_scale=0.5)
    vectors = token_vectors(model, vocab)
    assert vectors.shape == (5, 24) and vectors.dtype == numpy.float64
    unit = vectors / numpy.linalg.norm(vectors, axis=1)[:, None]
    found = dict(nearest_words("a", model, vocab))
    assert found == pytest.approx({token: unit[i] @ unit[0] for i, token in enumerate(vocab.idx_to_token) if i})


def test_what_cannot_be_looked_up():
    model = with_vectors(VECTORS)
    with pytest.raises(UnknownTokenError, match="^unknown word 'quen' to look up: .* the nearest are 'queen'"):
        nearest_words("quen", model, VOCAB)
    with pytest.raises(UnknownTokenError, match="^'kong', 'moman' are unknown: expected what is among the 7 tokens"):
        analogy("man", "kong", "moman", model, VOCAB)
    with pytest.raises(D2lrnnError, match="count is 0: expected a whole number, at least 1"):
        nearest_words("king", model, VOCAB, 0)
    with pytest.raises(D2lrnnError, match="the vocabulary has 2 entries, the model was made for 7"):
        nearest_words("a", model, Vocab("ab"))
    with pytest.raises(D2lrnnError, match="the model reads numbers: expected one that reads the ids"):
        nearest_words("king", tiny_model(None, input_size=3, head="mean", num_outputs=2), VOCAB)
    with pytest.raises(D2lrnnError, match="the tokens' vectors hold NaN or infinity"):
        nearest_words("king", with_vectors(VECTORS * math.nan), VOCAB)
