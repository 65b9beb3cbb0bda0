"""Chance and search on models whose probabilities are known, and on real ones against their own logits."""

import itertools
import math

import numpy
import pytest
from known import CHAIN, Counting, Known, chain, random_model

from d2lrnn import (
    LooksAheadError,
    ModelConfig,
    RecurrentStack,
    RNNModel,
    RNNModelScratch,
    Sampling,
    UnknownTokenError,
    Vocab,
    build_model,
    generate,
    named_parameters,
    predict,
    predict_batch,
    rnn_layer,
    set_seed,
    stream,
)
from d2lrnn._runtime import mx
from d2lrnn.generation.distributions import distribution, draw, log_softmax, penalised
from d2lrnn.generation.writers import greedy_writer
from d2lrnn.models.parameters import get_values, set_values

VOCAB = Vocab.from_list("abcde")
GREEDY = Sampling(temperature=0)


# From logits to probabilities


def row(sampling, *probabilities):
    """Return what a row of probabilities becomes; they may be whole numbers that are in proportion."""
    with numpy.errstate(divide="ignore"):
        scores = numpy.log(numpy.array([probabilities], dtype="float64"))
    return distribution(scores, sampling)[0].round(12).tolist()


@pytest.mark.parametrize("temperature", [0.3, 0.7, 1.0, 2.5, 40.0])
def test_temperature_is_a_power_of_the_probabilities(temperature):
    expected = CHAIN ** (1 / temperature)
    found = distribution(numpy.log(CHAIN), Sampling(temperature=temperature))
    numpy.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), rtol=1e-12)


def test_temperatures_too_far_for_a_float():
    assert row(Sampling(temperature=1e-37), 0.3, 0.5, 0.2) == [0, 1, 0]
    assert row(Sampling(temperature=1e30), 0.3, 0.5, 0.2, 0.0) == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0])
    assert row(Sampling(temperature=1e-37), 0.4, 0.2, 0.4) == [0.5, 0, 0.5]
    assert row(Sampling(temperature=0), 0.4, 0.2, 0.4) == [1, 0, 0]


@pytest.mark.parametrize(
    ("settings", "probabilities", "expected"),
    [
        ({"top_k": 2}, (1, 4, 2, 3), (0, 4, 0, 3)),
        ({"top_k": 1}, (1, 4, 2, 3), (0, 1, 0, 0)),
        ({"top_k": 4}, (1, 4, 2, 3), (1, 4, 2, 3)),
        ({"top_k": 9}, (1, 4, 2, 3), (1, 4, 2, 3)),
        ({"top_k": 2}, (2, 5, 2, 2), (2, 5, 0, 0)),  # of equal ones the first
        ({"top_k": 3}, (2, 2, 2, 2), (2, 2, 2, 0)),
        ({"top_k": 3}, (1, 0, 0, 0), (1, 0, 0, 0)),
        ({"top_p": 0.75}, (2, 5, 2, 1), (2, 5, 2, 0)),  # 0.5 and 0.7 are too little
        ({"top_p": 0.69}, (1, 5, 2, 2), (0, 5, 2, 0)),
        ({"top_p": 0.45}, (2, 5, 2, 1), (0, 1, 0, 0)),
        ({"top_p": 1e-37}, (2, 2, 2, 2), (1, 0, 0, 0)),
        ({"top_p": 0.6}, (2, 2, 2, 2), (2, 2, 2, 0)),
        ({"top_p": 0.5}, (2, 2, 2, 2), (2, 2, 0, 0)),  # exactly enough
        ({"top_p": 0.95}, (0, 9, 0, 1), (0, 9, 0, 1)),
        ({"top_k": 3, "top_p": 0.8}, (3, 4, 2, 1), (3, 4, 2, 0)),  # 7/9 of the three is too little
        ({"top_k": 2, "top_p": 0.55}, (3, 4, 2, 1), (0, 1, 0, 0)),  # 4/7 of the two is enough
        ({"temperature": 0.5, "top_p": 0.63}, (3, 4, 2, 1), (9, 16, 0, 0)),  # 16/30 is too little
        ({"temperature": 0.5, "top_p": 0.53}, (3, 4, 2, 1), (0, 1, 0, 0)),  # at temperature 1 it would be two
    ],
)
def test_what_is_cut_off(settings, probabilities, expected):
    assert row(Sampling(**settings), *probabilities) == pytest.approx([x / sum(expected) for x in expected])


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.7}, {"top_k": 40}, {"top_p": 0.9}])
def test_a_row_does_not_depend_on_the_others(settings):
    scores = numpy.random.default_rng(1).normal(0, 3, (33, 1027))
    together = distribution(log_softmax(scores), Sampling(**settings))
    for i, alone in enumerate(scores):
        numpy.testing.assert_array_equal(
            together[i : i + 1], distribution(log_softmax(alone[None]), Sampling(**settings))
        )


def test_drawing_inverts_the_distribution_function():
    p = numpy.array([[0.0, 0.25, 0.0, 0.5, 0.25, 0.0]])
    last = 1 - 2**-53  # the largest that a generator gives
    for uniform, expected in [(0, 1), (0.2499, 1), (0.25, 3), (0.7499, 3), (0.75, 4), (last, 4)]:
        assert draw(p, numpy.array([uniform])) == [expected]
    rows = numpy.random.default_rng(0).random((1000, 7)) * [1, 1, 0, 1, 1, 1, 0]
    assert (draw(rows, numpy.full(1000, last)) == 5).all()
    assert (draw(rows[:, ::-1], numpy.zeros(1000)) == 1).all()


def test_the_penalty_by_hand():
    logits = numpy.array([[2.0, -1.0, 0.5, -3.0, 0.0], [2.0, -1.0, 0.5, -3.0, 0.0]])
    seen = numpy.array([[True, True, False, False, True], [False] * 5])
    expected = [[1.6, -1.25, 0.5, -3.0, 0.0], logits[1]]
    numpy.testing.assert_allclose(penalised(logits, seen, 1.25), expected, rtol=1e-15)


# Frequencies


def chi_square(counts, expected):
    """Return Pearson's statistic in standard deviations from its mean; infinite where something came that cannot."""
    counts, expected = counts.reshape(-1, counts.shape[-1]), expected.reshape(-1, counts.shape[-1])
    if counts[expected == 0].any():
        return math.inf
    present = expected > 0
    statistic, degrees = ((counts - expected)[present] ** 2 / expected[present]).sum(), present.sum() - len(expected)
    return (statistic - degrees) / math.sqrt(2 * degrees)


COUNT = 20_000


def test_texts_come_as_often_as_they_should():
    """Two tokens after an a, counted as pairs, against the product of the probabilities."""
    counts = numpy.zeros((5, 5))
    for sample in generate(["ba"] * COUNT, 2, chain(), VOCAB):
        counts[sample.ids] += 1
    expected = COUNT * CHAIN[0][:, None] * CHAIN
    assert abs(chi_square(counts.reshape(1, 25), expected)) < 5
    warmer = distribution(numpy.log(CHAIN), Sampling(temperature=1.1))
    assert chi_square(counts.reshape(1, 25), COUNT * warmer[0][:, None] * warmer) > 5  # and the test could tell


def largest(count):
    """Return the chain with the ``count`` largest probabilities of each row, the others 0."""
    return numpy.where(CHAIN >= numpy.sort(CHAIN, axis=1)[:, [-count]], CHAIN, 0)


NUCLEUS = numpy.array([[0, 50, 20, 0, 0], [30, 0, 0, 44, 0], [26, 0, 0, 0, 41], [0, 21, 55, 0, 0], [0, 34, 0, 48, 0]])


@pytest.mark.parametrize(
    ("settings", "weights"),
    [
        ({"temperature": 0.5}, CHAIN**2),
        ({"temperature": 2.0}, CHAIN**0.5),
        ({"top_k": 3}, largest(3)),
        ({"top_p": 0.6}, NUCLEUS),
        ({"temperature": 0.5, "top_k": 2}, largest(2) ** 2),
    ],
    ids=["0.5", "2.0", "top_k", "top_p", "0.5-top_k"],
)
def test_tokens_follow_one_another_as_often_as_they_should(settings, weights):
    counts = numpy.zeros((5, 5))
    for sample in generate(["b"] * (COUNT // 20), 20, chain(), VOCAB, Sampling(**settings, seed=5)):
        numpy.add.at(counts, ((1, *sample.ids[:-1]), sample.ids), 1)
    visits = counts.sum(axis=1, keepdims=True)
    assert abs(chi_square(counts, visits * weights / weights.sum(axis=1, keepdims=True))) < 5
    assert chi_square(counts, visits * CHAIN) > 50


def test_texts_under_a_penalty_and_a_mask_come_as_often_as_they_should():
    logits, but_e = numpy.array([1.0, -0.5, 0.25, 0.0, -2.0]), numpy.arange(5) < 4
    model, sampling = Known(numpy.tile(logits, (5, 1))), Sampling(repetition_penalty=2.0)
    counts, expected = numpy.zeros((5, 5)), numpy.zeros((5, 5))
    for sample in generate(["ab"] * COUNT, 2, model, VOCAB, sampling, lambda row, ids: but_e if ids else None):
        counts[sample.ids] += 1
    for i in range(5):
        once = numpy.exp([0.5, -1.0, 0.25, 0.0, -2.0])  # a and b are in the prefix
        twice = numpy.exp([0.5, -1.0, 0.125 if i == 2 else 0.25, 0.0, -math.inf])
        expected[i] = COUNT * once[i] / once.sum() * twice / twice.sum()
    assert abs(chi_square(counts.reshape(1, 25), expected)) < 5


# Log-probabilities


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        GREEDY,
        Sampling(temperature=0.3, top_k=4, top_p=0.9, repetition_penalty=1.5, seed=3),
        Sampling(beam_width=3, repetition_penalty=1.5),
    ],
    ids=["chance", "greedy", "all", "beam"],
)
def test_log_probabilities_are_the_models_own(sampling):
    model, vocab = random_model(2), Vocab.from_list("abcd")

    def mask(row, ids):
        return numpy.array([True, True, True, len(ids) % 2 == 0])

    for sample, prefix in zip(generate(["ab", "dcb"], 12, model, vocab, sampling, mask), ("ab", "dcb")):
        ids = [*vocab.encode(prefix).tolist(), *sample.ids]
        assert sample.text == vocab.decode(ids) and len(sample.ids) == 12 and not sample.stopped
        expected = [model.log_probs(ids[:i])[ids[i]] for i in range(len(prefix), len(ids))]
        numpy.testing.assert_allclose(sample.log_probs, expected, rtol=1e-12)
        assert sample.log_prob == pytest.approx(math.fsum(expected), rel=1e-12)


# Greedy


def by_hand(model, prefix, num_preds, penalty, vocab):
    ids = vocab.encode(prefix).tolist()
    for _ in range(num_preds):
        ids.append(int(numpy.argmax(model.logits(ids, penalty))))
    return vocab.decode(ids)


def test_greedy_search_by_all_its_names():
    different = set()
    for seed in range(5):
        model, vocab = random_model(seed), Vocab.from_list("abcd")
        expected = predict_batch(["a", "bcd"], 9, model, vocab)
        for sampling in (GREEDY, Sampling(top_k=1, seed=seed), Sampling(top_p=1e-9), Sampling(beam_width=1)):
            assert [sample.text for sample in generate(["a", "bcd"], 9, model, vocab, sampling)] == expected
        for kind in ({"temperature": 0}, {"top_k": 1}, {"beam_width": 1}):
            (sample,) = generate(["bcd"], 9, model, vocab, Sampling(**kind, repetition_penalty=1.7))
            assert sample.text == by_hand(model, "bcd", 9, 1.7, vocab)
            different.add(sample.text == expected[1])
    assert False in different  # the penalty does something


# Beam search


def every_text(model, prefix, num_preds, stop, mask=None):
    """Return all texts and the logarithms of their probabilities: (ids, the stop token included; log p)."""
    found, unfinished = [], [([], 0.0)]
    while unfinished:
        ids, score = unfinished.pop()
        if len(ids) == num_preds or ids[-1:] == [stop]:
            found.append((ids, score))
            continue
        for i, log_prob in enumerate(model.log_probs([*prefix, *ids])):
            if mask is None or mask(0, ids)[i]:
                unfinished.append(([*ids, i], score + log_prob))
    return found


def simple_beam(model, prefix, num_preds, stop, sampling):
    """Beam search as one would write it down, every hypothesis computed from its beginning, and no early end."""
    beam, ended = [([], 0.0)], []
    for _ in range(num_preds):
        grown = []
        for ids, score in beam:
            log_probs = model.log_probs([*prefix, *ids], sampling.repetition_penalty)
            grown += [([*ids, i], score + log_prob) for i, log_prob in enumerate(log_probs)]
        grown = sorted(grown, key=lambda text: -text[1])[: sampling.beam_width - len(ended)]
        ended += [text for text in grown if text[0][-1] == stop]
        beam = [text for text in grown if text[0][-1] != stop]
    return max(ended + beam, key=lambda text: text[1] / len(text[0]) ** sampling.length_penalty)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 2.0])
def test_a_beam_wide_enough_finds_the_likeliest_text(alpha):
    vocab, lengths = Vocab.from_list("abcd"), set()
    for seed in range(12):
        model = random_model(seed)
        texts = every_text(model, [1, 2], 4, stop=0)
        best, score = max(texts, key=lambda text: text[1] / len(text[0]) ** alpha)
        sampling = Sampling(beam_width=len(texts), length_penalty=alpha, stop="a")
        (sample,) = generate(["bc"], 4, model, vocab, sampling)
        assert [*sample.ids, *[0] * sample.stopped] == best
        stop = model.log_probs([1, 2, *sample.ids])[0] if sample.stopped else 0
        assert sample.log_prob + stop == pytest.approx(score, rel=1e-12)
        lengths.add(len(best))
    assert len(lengths) > 1


@pytest.mark.parametrize("penalty", [1.0, 1.8])
def test_a_beam_is_what_the_definition_says(penalty):
    vocab, ways = Vocab.from_list("abcd"), set()
    for seed, width, alpha in itertools.product(range(6), (1, 2, 3, 5), (0.0, 1.0)):
        model = random_model(100 + seed)
        sampling = Sampling(beam_width=width, length_penalty=alpha, repetition_penalty=penalty, stop="c")
        best, _ = simple_beam(model, [3, 1], 7, 2, sampling)
        (sample,) = generate(["db"], 7, model, vocab, sampling)
        assert [*sample.ids, *[2] * sample.stopped] == best
        ways.add((seed, tuple(best)))
    assert len(ways) > 8  # of 6 models: width and length penalty matter


def test_a_beam_of_two_sees_what_greedy_search_does_not():
    """d2l, figure 10.8.2: A C is likelier than what begins with the likelier first token."""
    model = chain([[0.1, 0.5, 0.4, 0.0], [0.1, 0.3, 0.3, 0.3], [0.02, 0.04, 0.04, 0.9], [0.25, 0.25, 0.25, 0.25]])
    vocab = Vocab.from_list("abcd")
    (greedy,), (found,) = (generate(["a"], 2, model, vocab, Sampling(beam_width=width)) for width in (1, 2))
    assert (greedy.text, found.text) == ("abb", "acd")
    assert (math.exp(greedy.log_prob), math.exp(found.log_prob)) == pytest.approx((0.15, 0.36), rel=1e-6)


def test_the_length_penalty_changes_the_winner():
    """To stop at once is likelier; each token of the longer text is."""
    model = chain([[0.0, 0.4, 0.6, 0.0], [0.1, 0.4, 0.0, 0.5], [0.2, 0.1, 0.6, 0.1], [0.1, 0.2, 0.3, 0.4]])
    vocab, texts, logs = Vocab.from_list("abc."), {}, {}
    for alpha in (0.0, 0.5, 2.0):
        sampling = Sampling(beam_width=60, length_penalty=alpha, stop=".")
        (sample,) = generate(["b"], 4, model, vocab, sampling)
        texts[alpha], logs[alpha] = sample.text, sample.log_prob
    assert texts == {0.0: "b", 0.5: "b", 2.0: "bbbb"}
    stop, longer = math.log(0.5), math.log(0.4**3 * 0.5)
    assert stop > longer / 4**0.5 and stop < longer / 4**2
    assert logs == pytest.approx({0.0: 0.0, 0.5: 0.0, 2.0: longer - stop}, abs=1e-6)  # the stop is not in the text


def test_a_beam_obeys_a_mask_and_knows_its_row():
    vocab, rows = Vocab.from_list("abcd"), set()

    def mask(row, ids):
        rows.add(row)
        return numpy.array([len(ids) % 2 == 0, True, len(ids) % 2 == 1, False])

    for seed in range(8):
        model = random_model(seed)
        best, _ = max(every_text(model, [0], 4, None, mask), key=lambda text: text[1])
        samples = generate(["a", "a"], 4, model, vocab, Sampling(beam_width=16), mask)
        assert [list(sample.ids) for sample in samples] == [best, best]
    assert rows == {0, 1}


# Stop


def test_rows_stop_each_at_its_own_time():
    vocab = Vocab.from_list("abc.")
    model = chain([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]])
    sampling = Sampling(stop=".")
    samples = generate(["c", "a", ".", "a.b"], 3, model, vocab, sampling)
    assert [(s.text, s.ids, s.stopped) for s in samples] == [
        ("c", (), True),
        ("abc", (1, 2), True),
        (".abc", (0, 1, 2), False),
        ("a.bc", (2,), True),
    ]
    assert [len(sample.log_probs) for sample in samples] == [0, 2, 3, 1]
    assert [s.text for s in generate(["c", "a"], 3, model, vocab, Sampling(stop=".", beam_width=2))] == ["c", "abc"]


def test_what_stops_is_as_likely_as_it_should_be():
    samples = generate(["a"] * COUNT, 4, chain(), VOCAB, Sampling(stop="b"))
    without = CHAIN.copy()
    without[:, 1] = 0
    expected = [(numpy.linalg.matrix_power(without, n)[0] @ CHAIN[:, 1]) for n in range(4)]
    counts = [sum(sample.stopped and len(sample.ids) == n for sample in samples) for n in range(4)]
    rest = COUNT - sum(counts)
    expected = COUNT * numpy.array([*expected, 1 - sum(expected)])
    assert abs(chi_square(numpy.array([*counts, rest]), expected)) < 5
    assert all(len(sample.ids) == 4 and 1 not in sample.ids for sample in samples if not sample.stopped)


# Masks


def test_a_mask_sees_its_row_and_what_is_written():
    seen = {}

    def mask(row, ids):
        seen.setdefault(row, []).append(list(ids))
        return numpy.arange(5) == (row + 2 * len(ids)) % 5  # which leaves one

    samples = generate(["abc", "e"], 4, chain(), VOCAB, Sampling(), mask)
    assert [sample.ids for sample in samples] == [(0, 2, 4, 1), (1, 3, 0, 2)]
    assert seen == {0: [[], [0], [0, 2], [0, 2, 4]], 1: [[], [1], [1, 3], [1, 3, 0]]}


@pytest.mark.parametrize("sampling", [Sampling(), GREEDY, Sampling(beam_width=2)], ids=["chance", "greedy", "beam"])
@pytest.mark.parametrize(
    ("allowed", "complaint"),
    [
        (numpy.zeros(5, bool), "the mask leaves nothing to choose as token 1 of row 0"),
        (numpy.arange(5) == 3, "the mask leaves nothing to choose as token 1 of row 0"),  # has probability 0
        (numpy.ones(4, bool), r"the mask is an array \(4,\) of bool: expected \(5,\) of bool, or None"),
        (numpy.ones(5), r"the mask is an array \(5,\) of float64"),
        ([0, 1], r"the mask is an array \(2,\) of int64"),
    ],
)
def test_a_mask_that_cannot_be_obeyed(sampling, allowed, complaint):
    model = chain(CHAIN * [1, 1, 1, 0, 1])
    with pytest.raises(ValueError, match=complaint):
        generate(["a"], 3, model, VOCAB, sampling, lambda row, ids: allowed if ids else None)


# Seeds and batches

CHOICES = [
    Sampling(seed=7),
    Sampling(temperature=0.8, top_k=4, top_p=0.9, repetition_penalty=1.3, seed=7),
    GREEDY,
    Sampling(stop="c", seed=7),
    Sampling(beam_width=3, length_penalty=0.5, stop="c"),
]
PREFIXES = ["bad", "a", "a", "ecabd"]


def seeded(sampling, seed):
    return Sampling(**{**vars(sampling), "seed": seed})


@pytest.mark.parametrize("sampling", CHOICES)
def test_what_is_never_written_leaves_its_share_to_the_others(sampling):
    """The chain without b is the chain whose b nothing follows, shared out anew; the log-probabilities are its own."""
    without = Sampling(**{**vars(sampling), "without": ("b", "e")})
    left = CHAIN * [1, 0, 1, 1, 0]
    found = generate(["a"] * 200, 6, chain(), VOCAB, without)
    expected = generate(["a"] * 200, 6, chain(left / left.sum(axis=1, keepdims=True)), VOCAB, sampling)
    if sampling.repetition_penalty == 1 and not sampling.beam_width:  # which look at the model's own probabilities
        assert [sample.text for sample in found] == [sample.text for sample in expected]
    assert not {"b", "e"} & set("".join(sample.text for sample in found))
    for sample in found[:5]:
        steps = [0, *sample.ids]
        own = [math.log(CHAIN[i, j]) for i, j in zip(steps, steps[1:])]
        numpy.testing.assert_allclose(sample.log_probs, own, atol=1e-6)


def test_what_cannot_be_left_out():
    with pytest.raises(ValueError, match="without is 'f': expected one of the 5 tokens"):
        generate(["a"], 1, chain(), VOCAB, Sampling(without=("f",)))
    with pytest.raises(ValueError, match="without has all tokens of the vocabulary"):
        generate(["a"], 1, chain(), VOCAB, Sampling(without=tuple("abcde")))
    with pytest.raises(ValueError, match=r"without is 'ab', of type str: expected several texts, such as \('ab',\)"):
        Sampling(without="ab")


def test_a_seed_repeats_a_text_and_another_gives_another():
    texts = [[s.text for s in generate(["a"] * 50, 10, chain(), VOCAB, Sampling(seed=s))] for s in (0, 0, 50)]
    assert texts[0] == texts[1]
    assert len({*texts[0], *texts[2]}) > 95


def wild(model):
    """Give a model parameters so large that its texts vary, Gluon's second biases among them."""
    for param in named_parameters(model).values():
        values = get_values(param)
        set_values(param, mx.np.random.normal(0, 0.7, values.shape))
    return model


class Wrapped:
    """Hides a model's kind, so that it is asked for logits one character at a time."""

    def __init__(self, model):
        self._model, self.vocab_size, self.bidirectional = model, model.vocab_size, False

    def begin_state(self, batch_size, ctx=None):
        return self._model.begin_state(batch_size, ctx)

    def __call__(self, X, state):
        return self._model(X, state)


SHAPES = [ModelConfig(kind, "lstm", 6) for kind in ("scratch", "fast", "gluon")]
SHAPES += [ModelConfig("gluon", cell, 6, 2, embed_size=6, tie_weights=True) for cell in ("rnn", "gru")]
SHAPES += [ModelConfig("fast", "gru", 6, 2)]


@pytest.mark.parametrize("config", SHAPES, ids=lambda c: f"{c.kind}-{c.cell}-{c.num_layers}-{c.tie_weights}")
def test_one_by_one_in_a_batch_and_through_the_protocol_alike(config):
    set_seed(1)
    model, texts = wild(build_model(config, 5)), set()
    assert greedy_writer(model) is not None
    for sampling in CHOICES:
        together = generate(PREFIXES, 12, model, VOCAB, sampling)
        others = [generate([p], 12, model, VOCAB, seeded(sampling, 7 + i))[0] for i, p in enumerate(PREFIXES)]
        asked = generate(PREFIXES, 12, Wrapped(model), VOCAB, sampling)
        for sample, *same in zip(together, others, asked):
            for other in same:
                assert (other.text, other.ids, other.stopped) == (sample.text, sample.ids, sample.stopped)
                numpy.testing.assert_allclose(other.log_probs, sample.log_probs, atol=2e-5)
        texts |= {sample.text for sample in together}
    assert len(texts) > 2 * len(PREFIXES)
    assert [s.text for s in generate(PREFIXES, 12, model, VOCAB, GREEDY)] == predict_batch(PREFIXES, 12, model, VOCAB)


def test_the_log_probabilities_of_a_real_model():
    set_seed(2)
    model = wild(build_model(ModelConfig("gluon", "lstm", 6, 2, embed_size=4), 5))
    (sample,) = generate(["bad"], 15, model, VOCAB)
    ids = VOCAB.encode(sample.text)
    logits, _ = model(mx.np.array(ids[None, :-1], dtype="int32"), model.begin_state(1))
    own = log_softmax(logits.asnumpy().astype("float64"))
    numpy.testing.assert_allclose(sample.log_probs, own[range(2, 17), ids[3:]], atol=1e-5)


def test_each_row_may_have_a_length_of_its_own():
    vocab = Vocab.from_list("abcd")
    for sampling in (Sampling(seed=7), GREEDY, Sampling(beam_width=3), Sampling(beam_width=3, stop="a")):
        model, counts = random_model(5), [3, 0, 8]
        samples = generate(["ab", "c", "d"], counts, model, vocab, sampling)
        alone = [
            generate([p], n, model, vocab, seeded(sampling, 7 + i))
            for i, (p, n) in enumerate(zip(["ab", "c", "d"], counts))
        ]
        assert samples == [sample for (sample,) in alone]
        if not sampling.stop:
            assert [len(sample.ids) for sample in samples] == counts


# Token by token


@pytest.mark.parametrize("sampling", CHOICES, ids=["chance", "all", "greedy", "stop", "beam"])
def test_what_is_streamed_is_what_is_generated(sampling):
    model = random_model(3, 5)
    samples = generate(PREFIXES, 12, model, VOCAB, sampling)
    streamed = list(stream(PREFIXES, 12, model, VOCAB, sampling))
    for i, (prefix, sample) in enumerate(zip(PREFIXES, samples)):
        row = [written for written in streamed if written.row == i]
        assert prefix + "".join(written.text for written in row) == sample.text
        assert [written.stopped for written in row] == [False] * len(sample.ids) + [True] * sample.stopped
        assert tuple(written.id for written in row if not written.stopped) == sample.ids
        assert tuple(written.log_prob for written in row if not written.stopped) == sample.log_probs
        if sample.stopped:
            ids = [*VOCAB.encode(prefix).tolist(), *sample.ids]
            stop = VOCAB.token_to_idx[sampling.stop]
            assert (row[-1].id, row[-1].text) == (stop, "")
            assert row[-1].log_prob == pytest.approx(model.log_probs(ids)[stop], rel=1e-12)
    assert sampling.stop is None or True in [sample.stopped for sample in samples]


def test_words_are_streamed_with_the_spaces_before_them():
    vocab = Vocab.from_list(["the", "company", "said", "it", "is"], "word")
    model = chain(numpy.roll(numpy.eye(5), 1, axis=1))  # each is followed by the next
    written = list(stream(["the"], 9, model, vocab, Sampling(stop="is")))
    assert [(w.text, w.log_prob, w.stopped) for w in written] == [
        (" company", 0, False),
        (" said", 0, False),
        (" it", 0, False),
        ("", 0, True),
    ]


def test_nothing_is_computed_before_it_is_asked_for():
    model = Counting(random_model(1).table)
    written = stream(["ab", "abc", "cd"], [4, 4, 1], model, Vocab.from_list("abcd"))
    assert model.read == []
    rows, calls = [], []
    for token in written:
        rows.append(token.row)
        calls.append(len(model.read))
        if len(rows) == 6:
            break
    assert (rows, calls) == ([0, 2, 0, 1, 0, 1], [2, 2, 3, 3, 4, 4])
    written.close()
    assert len(model.read) == 4
    assert len(list(stream(["ab"], 4, model, Vocab.from_list("abcd")))) == 4
    assert len(model.read) == 4 + 5  # the last token that is written is never read


def test_a_beam_search_tells_a_row_when_it_has_found_it():
    model = Counting(random_model(1).table)
    written = stream(["ab", "cd"], 3, model, Vocab.from_list("abcd"), Sampling(beam_width=2))
    calls = [(token.row, len(model.read)) for token in written]
    assert calls == [(0, 4)] * 3 + [(1, 8)] * 3


# Models whose equations the module does not know


@pytest.mark.parametrize(
    "layers",
    [(("lstm", 6, 5), ("lstm", 4, 6)), (("lstm_projected", 6, 5, False, 3), ("lstm_projected", 6, 3, False, 2))],
    ids=["num_hiddens", "num_projections"],
)
def test_layers_of_different_sizes_are_asked_through_the_protocol(layers):
    set_seed(3)
    stack = RecurrentStack("lstm", 6, 2, input_size=5)
    stack.layers = mx.gluon.nn.HybridSequential()
    for layer in layers:
        stack.layers.add(rnn_layer(*layer))
    model = RNNModel(stack, 5)
    model.initialize(mx.init.Normal(1.0))
    assert greedy_writer(model) is None
    assert generate(PREFIXES, 9, model, VOCAB) == generate(PREFIXES, 9, Wrapped(model), VOCAB)
    assert len(predict("a", 9, model, VOCAB)) == 10


@pytest.mark.parametrize("kind", ["scratch", "gluon"])
def test_what_is_derived_from_a_model_computes_what_it_says(kind):
    base = RNNModelScratch if kind == "scratch" else RNNModel

    class Backwards(base):
        def __call__(self, X, state):
            logits, state = super().__call__(X, state)
            return -logits, state

    set_seed(4)
    model = wild(build_model(ModelConfig(kind, "gru", 6), 5))
    usual = generate(["a"] * 20, 9, model, VOCAB)
    model.__class__ = Backwards
    assert greedy_writer(model) is None
    assert generate(["a"] * 20, 9, model, VOCAB) == generate(["a"] * 20, 9, Wrapped(model), VOCAB) != usual


# What cannot be


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"temperature": -0.1}, "temperature is -0.1: expected a number, at least 0"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": "hot"}, "temperature is 'hot'"),
        ({"top_k": -1}, "top_k is -1: expected a whole number, at least 0"),
        ({"top_k": 2.0}, "top_k is 2.0: expected a whole number"),
        ({"top_p": 0}, "top_p is 0: expected a number, above 0 and at most 1"),
        ({"top_p": 1.01}, "top_p is 1.01: expected a number, above 0 and at most 1"),
        ({"top_p": None}, "top_p is None: expected a number"),
        ({"repetition_penalty": 0}, "repetition_penalty is 0: expected a number, at least 1e-06 and at most"),
        ({"repetition_penalty": -1}, "repetition_penalty is -1: expected a number"),
        ({"beam_width": -1}, "beam_width is -1: expected a whole number"),
        ({"beam_width": 2, "stop": "a", "length_penalty": -1}, "length_penalty is -1: expected a number"),
        ({"seed": -1}, "seed is -1: expected a whole number"),
        ({"stop": ""}, "stop is '': expected a token"),
        ({"stop": 3}, "stop is 3, of type int: expected a text"),
        ({"stop": "a", "without": ("b", "a")}, "stop and without both name 'a': a token that is never written"),
        ({"temperature": 0, "top_k": 5}, "temperature 0 takes the likeliest token whatever top_k and top_p are"),
        ({"temperature": 0, "top_p": 0.5}, "temperature 0 takes the likeliest token whatever top_k and top_p are"),
        ({"beam_width": 2, "temperature": 0.5}, "beam search leaves nothing to chance: leave temperature"),
        ({"beam_width": 2, "top_k": 5}, "beam search leaves nothing to chance"),
        ({"beam_width": 1, "top_p": 0.5}, "beam search leaves nothing to chance"),
        ({"length_penalty": 1.0, "stop": "a"}, "length_penalty compares texts of different length.*set beam_width"),
        ({"length_penalty": 1.0, "beam_width": 2}, "length_penalty compares texts of different length.*and stop"),
    ],
)
def test_settings_that_make_no_sense(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        Sampling(**settings)


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(beam_width=2)], ids=["chance", "beam"])
def test_errors_name_what_is_wrong(sampling):
    for prefixes, num_preds, complaint in [
        ([""], 3, "prefix is empty"),
        ([], 3, "expected a list of texts"),
        ("abc", 3, "expected a list of texts"),
        (["a"], -1, "num_preds is -1"),
        (["a", "b"], [3, -1], "num_preds is -1"),
        (["a", "b"], [3], "num_preds has 1 numbers for 2 prefixes: expected one each, or one"),
    ]:
        for write in (generate, stream):  # which complains before it is asked for a token
            with pytest.raises(ValueError, match=complaint):
                write(prefixes, num_preds, chain(), VOCAB, sampling)
    with pytest.raises(UnknownTokenError, match="'你' .*U\\+4F60"):
        stream(["ab你"], 3, chain(), VOCAB, sampling)
    with pytest.raises(UnknownTokenError, match="stop is 'ab': expected one of the 5 tokens of the vocabulary"):
        stream(["a"], 3, chain(), VOCAB, Sampling(**{**vars(sampling), "stop": "ab"}))
    with pytest.raises(ValueError, match="6 entries.*made for 5"):
        generate(["a"], 1, chain(), Vocab("abcdef"), sampling)
    model = build_model(ModelConfig(cell="gru", num_hiddens=4, bidirectional=True), 5)
    with pytest.raises(LooksAheadError, match="reads the very"):
        stream(["a"], 1, model, VOCAB, sampling)
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="the model's logits hold NaN or infinity: did it diverge"):
            generate(["a"], 3, Known([[0.0, 1.0, bad, 0.0, 0.0]] * 5), VOCAB, sampling)


@pytest.mark.parametrize("sampling", [Sampling(), GREEDY, Sampling(beam_width=2)], ids=["chance", "greedy", "beam"])
def test_nothing_to_add(sampling):
    (sample,) = generate(["abc"], 0, chain(), VOCAB, sampling)
    assert (sample.text, sample.ids, sample.log_probs, sample.log_prob, sample.stopped) == ("abc", (), (), 0, False)


def test_words_are_joined_by_spaces():
    vocab = Vocab.from_list(["the", "company", "said", "it", "is"], "word")
    model = chain(numpy.roll(numpy.eye(5), 1, axis=1))  # each is followed by the next
    sampling = Sampling(stop="is")
    (sample,) = generate(["the company"], 5, model, vocab, sampling)
    assert (sample.text, sample.stopped) == ("the company said it", True)
