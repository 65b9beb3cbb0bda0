"""Translations: greedy and by beam search, against hand and exhaustive search, alone and in a batch, and copies."""

import itertools

import numpy
import pytest
from known import Known

from d2lrnn import (
    D2lrnnError,
    Decoding,
    ModelConfig,
    Sampling,
    Vocab,
    build_model,
    set_seed,
    translate,
    translate_texts,
)
from d2lrnn._runtime import mx
from d2lrnn.data.sentences import SPECIAL, sentence_of
from d2lrnn.generation.distributions import log_softmax
from d2lrnn.generation.search import Draft, Rules, draw_all, search_together
from d2lrnn.generation.translation import MAX_SOURCE, TranslatorWriter
from d2lrnn.models.parameters import get_values, named_parameters, set_values

np = mx.np
PAD, BOS, EOS, UNK = range(4)
SOURCE = Vocab.from_list([*SPECIAL, *"I see a bird fish . ?".split()], "word")
TARGET = Vocab.from_list([*SPECIAL, *"我看见一只鸟。"], "char")
SOURCES = [[4, 5, 6, 7, 9], [4, 5], [8, 10], [], [7, 7, 7, 3, 9], [9], [6, 5]]
NEVER = ("<pad>", "<bos>", "<unk>")


def translator(attention="general", seed=5, **settings):
    set_seed(seed)
    settings = {"cell": "lstm", "num_hiddens": 6, "init_scale": 1.0, **settings}
    return build_model(ModelConfig(head="translation", attention=attention, num_outputs=len(TARGET), **settings), 11)


def with_bias(model, token, bias):
    """Return the model with another bias of a token's logit."""
    parameter = next(
        param for name, param in named_parameters(model).items() if name in ("decoder.b_q", "decoder.dense.bias")
    )
    values = get_values(parameter).asnumpy().copy()
    values[token] = bias
    set_values(parameter, values)
    return model


def log_probs(model, source, ids):
    """Return the model's log-probabilities of what follows <bos> and some ids, (tokens, entries)."""
    X, Y_in = (np.array([row], dtype="int32") for row in (source, [BOS, *ids]))
    return log_softmax(model(X, model.begin_state(1), None, Y_in)[0].asnumpy().astype("float64"))


class KnownTranslator(Known):
    """A model whose logits are rows of a table; which row, all ids of the source and the target so far tell."""

    def __init__(self, seed, size=6):
        super().__init__(numpy.random.default_rng(seed).normal(0, 1.5, (97, size)), remember=7)
        self.num_outputs = size

    def encode(self, X):
        return super().__call__(X, self.begin_state(len(X)))[1]

    def decode(self, Y_in, memory):
        logits, memory = super().__call__(Y_in, memory)
        return logits, None, memory


@pytest.mark.parametrize("attention", [None, "additive"])
def test_greedy_takes_the_largest_probability(attention):
    model = translator(attention)
    for source, found in zip(SOURCES, translate(model, SOURCES, TARGET, Decoding(beam_width=1, length_penalty=0))):
        if not source:
            assert (found.text, found.tokens, found.score) == ("", (), 0)
            continue
        ids, score, limit = [], 0.0, 10 + 3 * len(source)
        while len(ids) < limit and EOS not in ids:
            following = log_probs(model, source, ids)[-1]
            following[[PAD, BOS, UNK]] = -numpy.inf
            ids.append(int(following.argmax()))
            score += following.max()
        assert found.tokens == tuple(TARGET.idx_to_token[i] for i in ids if i != EOS)
        assert found.text == "".join(found.tokens) and found.complete == (EOS in ids)
        assert found.score == found.log_prob == pytest.approx(score, abs=1e-5)


def drafts_of(count, num_preds):
    return [Draft(row, [BOS], num_preds) for row in range(count)]


def memory_of(model, sources):
    return model.encode(np.array(sources, dtype="int32"))


def test_a_beam_of_width_1_is_greedy_search():
    vocab, sources = Vocab.from_list([*SPECIAL, "a", "b"]), [[1, 2], [3, 4], [5, 5], [0, 3]]
    model = KnownTranslator(2)
    writer = TranslatorWriter(model, memory_of(model, sources))
    greedy, beam = drafts_of(4, 9), drafts_of(4, 9)
    events = list(draw_all(writer, greedy, Rules(Sampling(temperature=0, stop="<eos>", without=NEVER), vocab, None)))
    beam = search_together(writer, beam, Rules(Sampling(beam_width=1, stop="<eos>", without=NEVER), vocab, None))
    assert [draft.ids for draft in beam] == [draft.ids for draft in greedy]
    assert len({tuple(draft.ids) for draft in beam}) > 1 and len(events) == sum(len(draft.ids) for draft in beam)


def best_of_all(model, source, length, alpha):
    """Return the best text of at most ``length`` tokens, and its rank, by looking at all."""
    ranks = {}
    for count in range(1, length + 1):
        for ids in itertools.product((EOS, 4, 5), repeat=count):
            if EOS in ids[:-1] or (ids[-1] != EOS and count < length):
                continue
            given = [*source, BOS, *ids]
            score = sum(model.log_probs(given[: len(source) + 1 + t])[token] for t, token in enumerate(ids))
            ranks[ids] = score / count**alpha
    best = max(ranks, key=ranks.get)
    return list(best), ranks[best]


@pytest.mark.parametrize("alpha", [0, 0.7, 2])
@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_what_exhaustive_search_finds(seed, alpha):
    vocab, sources, length = Vocab.from_list([*SPECIAL, "a", "b"]), [[1, 2], [3, 4], [5, 5]], 4
    model = KnownTranslator(seed)
    sampling = Sampling(beam_width=32, length_penalty=alpha, stop="<eos>", without=NEVER)
    writer = TranslatorWriter(model, memory_of(model, sources))
    found = search_together(writer, drafts_of(3, length), Rules(sampling, vocab, None))
    for draft, source in zip(found, sources):
        ids, rank = best_of_all(model, source, length, alpha)
        assert draft.ids == ids and draft.score / len(ids) ** alpha == pytest.approx(rank, abs=1e-5)


def test_texts_that_are_searched_together_are_those_that_are_searched_alone():
    model, vocab = KnownTranslator(7), Vocab.from_list([*SPECIAL, "a", "b"])
    sampling = Sampling(beam_width=3, length_penalty=1, stop="<eos>")
    prefixes, lengths = [[4, 5, 1], [3, 0, 5], [2, 2, 4], [0, 1, 2]], [6, 1, 9, 0]

    class Writer:
        def begin_state(self, batch_size):
            return list(model.begin_state(batch_size))

        def logits(self, ids, state):
            logits, state = Known.__call__(model, ids.reshape(-1, 1), tuple(state))
            return logits, list(state)

    def drafts():
        return [Draft(row, list(prefix), length) for row, (prefix, length) in enumerate(zip(prefixes, lengths))]

    rules = Rules(sampling, vocab, None)
    together = search_together(Writer(), drafts(), rules)
    alone = [search_together(Writer(), [draft], rules)[0] for draft in drafts()]
    assert [draft.tokens for draft in together] == [draft.tokens for draft in alone]
    assert [draft.score for draft in together] == [draft.score for draft in alone]
    assert len({tuple(draft.tokens) for draft in together}) == 4


MODELS = [
    ({"attention": None, "bidirectional": True}, False),
    ({"attention": "additive", "num_layers": 2, "embed_size": 5}, True),
    ({"attention": "general", "cell": "gru", "bidirectional": True}, False),
    ({"attention": "dot", "kind": "scratch"}, True),
]


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize(("settings", "reverse_source"), MODELS, ids=["none", "additive", "general", "dot"])
def test_a_translation_does_not_depend_on_the_others(settings, reverse_source, width):
    model = with_bias(translator(**settings, init_scale=2.0), EOS, -2.0)
    decoding = Decoding(beam_width=width, with_weights=settings["attention"] is not None)
    together = translate(model, SOURCES, TARGET, decoding, reverse_source)
    assert len({one.text for one in together}) > 3
    for source, one in zip(SOURCES, together):
        (alone,) = translate(model, [source], TARGET, decoding, reverse_source)
        assert (alone.text, alone.tokens, alone.complete) == (one.text, one.tokens, one.complete)
        assert one.score == pytest.approx(alone.score, abs=1e-5)
        if source and decoding.with_weights:
            assert one.weights.shape == (len(one.tokens), len(source))
            numpy.testing.assert_allclose(one.weights, alone.weights, atol=1e-5)
            numpy.testing.assert_allclose(one.weights.sum(axis=1), 1, atol=1e-5)
    if reverse_source:
        others = translate(model, [source[::-1] for source in SOURCES], TARGET, decoding)
        for one, other in zip(together, others):
            assert (one.text, one.score) == (other.text, other.score)
            if one.weights is not None:
                numpy.testing.assert_array_equal(one.weights, other.weights[:, ::-1])


def test_the_score_is_the_models_own_by_the_length():
    model = translator()
    for alpha, width in [(0, 4), (0.6, 4), (1, 1)]:
        sources = [source for source in SOURCES if source]
        for source, one in zip(sources, translate(model, sources, TARGET, Decoding(width, alpha))):
            ids = [TARGET.token_to_idx[token] for token in one.tokens] + [EOS] * one.complete
            rows = log_probs(model, source, ids[:-1])
            assert one.log_prob == pytest.approx(rows[range(len(ids)), ids].sum(), abs=1e-5)
            assert one.score == pytest.approx(one.log_prob / len(ids) ** alpha)


def test_the_weights_are_those_of_the_decoder():
    model, source = translator(), [4, 5, 6]
    (one,) = translate(model, [source], TARGET, Decoding(with_weights=True))
    ids = [TARGET.token_to_idx[token] for token in one.tokens]
    memory = model.encode(np.array([source], dtype="int32"))
    weights = model.decode(np.array([[BOS, *ids]], dtype="int32"), memory)[1].asnumpy()[: len(ids), 0]
    assert one.tokens and weights.std() > 0.01
    numpy.testing.assert_allclose(one.weights, weights, atol=1e-6)


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("reverse_source", [False, True])
def test_unknown_words_are_copied_from_where_the_model_looks(width, reverse_source):
    model = with_bias(with_bias(translator(init_scale=3.0, seed=7), UNK, 14.0), EOS, 2.0)
    text = "I see xyzzy . ¿plugh? xyzzy"
    decoding = Decoding(beam_width=width, copy_unknown=True, with_weights=True)
    (plain,) = translate_texts(model, [text], SOURCE, TARGET, Decoding(beam_width=width), reverse_source)
    (one,) = translate_texts(model, [text], SOURCE, TARGET, decoding, reverse_source)
    assert one.source == ("i", "see", "xyzzy", ".", "¿", "plugh", "?", "xyzzy")
    assert one.unknown == plain.unknown == ("i", "xyzzy", "¿", "plugh")
    assert one.copied and not plain.copied and "<unk>" not in plain.tokens + one.tokens
    as_written = ("I", *one.source[1:])  # in the copies
    for i in one.copied:
        assert one.tokens[i] == as_written[one.weights[i].argmax()]
    assert len({one.tokens[i] for i in one.copied}) > 1 and plain.weights is None
    assert len(one.weights) == len(one.tokens)
    assert one.text == sentence_of(one.tokens, "char")
    looked = one.weights.argmax(axis=1)
    assert not any(i + 1 in one.copied and looked[i] == looked[i + 1] for i in one.copied)  # two <unk>, one word


def test_a_translation_that_does_not_end_is_cut():
    model = with_bias(translator(), EOS, -60.0)
    for width, ratio in [(1, 3.0), (2, 0.5)]:
        for source, one in zip(SOURCES, translate(model, SOURCES, TARGET, Decoding(width, max_ratio=ratio))):
            assert one.complete == (not source)
            assert len(one.tokens) == (10 + numpy.ceil(ratio * len(source)) if source else 0)


def test_any_text_has_a_translation():
    texts = ["", " \t", "see", "\x00\x1b[31m", "你好 hello", "🦉" * 40, "see " * MAX_SOURCE, "\u202eabc\u2029"]
    found = translate_texts(translator(), texts, SOURCE, TARGET, Decoding(beam_width=1, max_ratio=0.01))
    assert [bool(one.source) for one in found] == [False, False, True, True, True, True, True, True]
    assert found[4].unknown == ("你", "好", "hello") and found[5].unknown == ("🦉",) and found[2].unknown == ()
    with pytest.raises(D2lrnnError, match="the text has 1,001 tokens: expected a sentence, of at most 1,000"):
        translate_texts(translator(), ["see " * (MAX_SOURCE + 1)], SOURCE, TARGET)


@pytest.mark.parametrize(
    ("sources", "changes", "complaint"),
    [
        ([[4], [11]], {}, "source 1 has the id 11 at position 0: expected 0 to 10"),
        ([[[4], [5]]], {}, r"have shape \(2, 1\): expected one dimension"),
        ([[4]], {"target": Vocab.from_list("abc")}, "the vocabulary has 3 entries, the model was made for 11"),
        ([[4]], {"target": Vocab.from_list("abcdefghijk")}, "stop is '<eos>': expected one of the 11 tokens"),
        ([[4]], {"decoding": Decoding(copy_unknown=True)}, "say what they are, by the argument words"),
        ([[4]], {"decoding": Decoding(with_weights=True)}, "this translator has no attention"),
    ],
)
def test_what_cannot_be_translated(sources, changes, complaint):
    with pytest.raises(D2lrnnError, match=complaint):
        translate(translator(None), sources, **{"target": TARGET, **changes})


def test_settings_that_cannot_be():
    for settings in [{"beam_width": 0}, {"beam_width": 101}, {"length_penalty": -1}, {"max_ratio": 0}]:
        with pytest.raises(D2lrnnError, match=next(iter(settings))):
            Decoding(**settings)
