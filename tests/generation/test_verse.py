"""Forms on models whose probabilities are known: every text has its form, and nothing else is changed by it."""

import itertools
import math
import re

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known import Counting, Known

from d2lrnn import (
    FORMS,
    Form,
    Sampling,
    UnknownTokenError,
    Vocab,
    acrostic,
    compose,
    generate,
    stream,
    stream_acrostic,
    stream_composed,
    usual_form,
)
from d2lrnn.config.fields import FORM_NAMES
from d2lrnn.generation.distributions import distribution, draw

VERSE = Vocab.from_list("，。\n春风花月夜山□3")
LYRICS = Vocab.from_list(" 春风花月夜山")
LETTERS = "[春风花月夜山3]"
COUPLET = Form((2, 3), ("，", "。\n"))
SETTINGS = [
    Sampling(seed=4),
    Sampling(temperature=0),
    Sampling(temperature=0.6, top_k=3, top_p=0.9, repetition_penalty=1.4, seed=4),
    Sampling(beam_width=3, repetition_penalty=1.4),
]
NAMES = ["chance", "greedy", "all", "beam"]


def model_of(vocab, seed=0):
    table = numpy.random.default_rng(seed).normal(0, 2, (97, len(vocab)))
    return Known(table, remember=7)


def pattern(form, letters=LETTERS):
    """Return the regular expression of a text in a form, made of what the form was made of."""
    lines = zip(form.lengths, (*form.ends[:-1], form.ends[-1].rstrip()))
    return "".join(letters + f"{{{length}}}" + re.escape(end) for length, end in lines)


# The form


def shape(form):
    return "".join("x" if place is None else place for place in form.places)


def test_forms_that_have_a_name():
    assert tuple(FORMS) == FORM_NAMES
    five, seven = "xxxxx，xxxxx。", "xxxxxxx，xxxxxxx。"
    assert {name: shape(form) for name, form in FORMS.items()} == {
        "couplet": five,
        "quatrain": f"{five}\n{five}",
        "couplet7": seven,
        "quatrain7": f"{seven}\n{seven}",
    }
    assert FORMS["quatrain"].begins == (0, 6, 13, 19)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, "xx。"),
        (2, "xx，xxx。"),
        (3, "xx，xxx。\nxx。"),
        (4, "xx，xxx。\nxx，xxx。"),
        (5, "xx，xxx。\nxx，xxx。\nxx。"),
    ],
)
def test_as_many_lines_as_are_asked_for(count, expected):
    form = COUPLET.of_lines(count)
    assert shape(form) == expected
    assert [expected[begin - 1] for begin in form.begins[1:]] == list("，\n，\n")[: count - 1]


def test_a_break_that_ends_the_text_is_not_written():
    assert shape(Form((3, 2), ("\n", "\n"))) == "xxx\nxx"
    assert shape(Form((2,), ("！ \n",))) == "xx！"


@pytest.mark.parametrize(
    ("lengths", "ends", "complaint"),
    [
        ((), (), "the form has 0 lengths and 0 ends: expected as many, at least one"),
        ((5, 5), ("，",), "the form has 2 lengths and 1 ends"),
        ((5, 0), ("，", "。"), "the length of a line is 0: expected a whole number, at least 1"),
        ((5,), ("",), "a line ends with '': expected a mark, a line break, or one and then the other"),
        ((5,), ("。春",), "a line ends with '。春'"),
    ],
)
def test_what_is_no_form(lengths, ends, complaint):
    with pytest.raises(ValueError, match=complaint):
        Form(lengths, ends)


# What is written


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from(["，", "。", "\n", "。\n", "，。\n"])), min_size=1, max_size=4
    ),
    st.lists(st.text("春风花月夜山3", min_size=1, max_size=5), min_size=1, max_size=3),
    st.sampled_from(SETTINGS),
    st.integers(0, 99),
)
@settings(max_examples=40)
def test_every_text_has_its_form_and_its_heads(lines, heads, sampling, seed):
    form, model = Form(*zip(*lines)), model_of(VERSE, seed)
    for sample in compose([""] * 3, form, model, VERSE, sampling):
        assert re.fullmatch(pattern(form), sample.text)
    for sample, row in zip(acrostic(heads, form, model, VERSE, sampling), heads):
        assert re.fullmatch(pattern(form.of_lines(len(row))), sample.text)
        assert [sample.text[place] for place in form.of_lines(len(row)).begins] == list(row)


@pytest.mark.parametrize("sampling", SETTINGS[:3], ids=NAMES[:3])
def test_a_mask_leaves_what_is_left_in_proportion(sampling):
    """Written down anew: the model's logits, penalised, cut down to what may come, and drawn by the row's numbers."""
    model, texts = model_of(VERSE, 1), set()
    for row, sample in enumerate(acrostic(["春风", "山夜花"], COUPLET, model, VERSE, sampling)):
        chance, ids = numpy.random.default_rng(sampling.seed + row), [VERSE.token_to_idx["\n"]]
        heads, penalty = iter("春风" if row == 0 else "山夜花"), sampling.repetition_penalty
        for place, mark in enumerate("x.，x..。\nx.。"[: len(sample.ids)]):
            may = LETTERS if mark == "." else re.escape(next(heads) if mark == "x" else mark)
            kept = [bool(re.fullmatch(may, token)) for token in VERSE.idx_to_token]
            scores = numpy.where(kept, model.logits(ids, penalty), -math.inf)
            uniform = chance.random() if sampling.by_chance else 0.5
            token = int(draw(distribution(scores[None], sampling), numpy.array([uniform]))[0])
            assert sample.log_probs[place] == pytest.approx(model.log_probs(ids)[token], rel=1e-12)
            ids.append(token)
        assert sample.ids == tuple(ids[1:])
        assert sample.text == VERSE.decode(ids[1:])
        texts.add(sample.text)
    assert {len(text) for text in texts} == {7, 11}


def test_a_wide_beam_finds_the_likeliest_text_in_the_form():
    form, heads, tokens = Form((2, 2), ("，", "。\n")), "春山", [[*"风花月夜山春3"]] * 2
    found = set()
    for seed in range(6):
        model = model_of(VERSE, seed)
        texts = [f"春{a}，山{b}。" for a, b in itertools.product(*tokens)]
        scores = {}
        for text in texts:
            ids = VERSE.encode("\n" + text).tolist()
            scores[text] = sum(model.log_probs(ids[:i])[ids[i]] for i in range(1, len(ids)))
        (sample,) = acrostic([heads], form, model, VERSE, Sampling(beam_width=50))
        assert sample.text == max(texts, key=scores.get)
        assert sample.log_prob == pytest.approx(scores[sample.text], rel=1e-12)
        found.add(sample.text)
    assert len(found) > 3


@pytest.mark.parametrize("sampling", SETTINGS, ids=NAMES)
def test_one_by_one_and_in_a_batch_alike(sampling):
    model, heads = model_of(VERSE, 2), ["春风", "春风", "山", "夜花月3春"]
    together = acrostic(heads, COUPLET, model, VERSE, sampling)
    for i, (row, sample) in enumerate(zip(heads, together)):
        alone = acrostic([row], COUPLET, model, VERSE, Sampling(**{**vars(sampling), "seed": sampling.seed + i}))
        assert alone == [sample]
    assert (together[0] != together[1]) == sampling.by_chance


def test_the_model_reads_a_line_break_first_and_then_what_it_writes():
    model = Counting(model_of(VERSE).table)
    first, second = compose(["", "月"], COUPLET, model, VERSE)
    assert model.read == [[VERSE.token_to_idx["\n"]] * 2, *map(list, zip(first.ids[:-1], second.ids[:-1]))]
    assert len(first.text) == len(first.ids) == len(first.log_probs) == 7


def test_a_form_is_a_mask_for_streams_too():
    model, form, sampling = model_of(VERSE), FORMS["couplet"], Sampling(seed=3)
    (sample,) = acrostic(["花月"], form, model, VERSE, sampling)
    assert form.before(VERSE) == "\n"
    mask = form.mask(VERSE, {0: "花", 6: "月"})
    written = stream(["\n"], len(form.places), model, VERSE, sampling, mask)
    assert "".join(token.text for token in written) == sample.text
    (longer,) = generate(["\n"], 40, model, VERSE, sampling, mask)  # beyond the form, anything may come
    assert longer.text[1:13] == sample.text and not re.fullmatch(f"{LETTERS}*", longer.text[13:])


# Character by character


@pytest.mark.parametrize("sampling", SETTINGS, ids=NAMES)
def test_a_stream_of_verse_is_the_same_text_with_placed_characters_in_their_places(sampling):
    model = model_of(VERSE, 3)
    for write, write_all, texts in (
        (stream_acrostic, acrostic, ["算月法", "春☃", "花"]),
        (stream_composed, compose, ["", "☃，山算", "月"]),
    ):
        written = list(write(texts, COUPLET, model, VERSE, sampling, skip_unknown=True))
        samples = write_all(texts, COUPLET, model, VERSE, sampling, skip_unknown=True)
        for row, sample in enumerate(samples):
            tokens = [token for token in written if token.row == row]
            assert "".join(token.text for token in tokens) == sample.text
            assert tuple(token.id for token in tokens) == sample.ids
            assert tuple(token.log_prob for token in tokens) == sample.log_probs
            assert not any(token.stopped for token in tokens)
        placed = {token.text for token in written if token.text != VERSE.idx_to_token[token.id]}
        assert placed == set("".join(texts)) - set(VERSE.idx_to_token) != set()
        if not sampling.beam_width:  # the rows take turns
            assert [token.row for token in written][:6] == [0, 1, 2, 0, 1, 2]


def test_a_stream_of_verse_writes_no_more_than_it_is_asked_for():
    model = Counting(model_of(VERSE).table)
    written = stream_acrostic(["春山", "月夜"], COUPLET, model, VERSE)
    assert model.read == []
    assert [next(written).row for _ in range(3)] == [0, 1, 0]
    assert len(model.read) == 2
    with pytest.raises(UnknownTokenError, match="'算'"):
        stream_acrostic(["春", "算"], COUPLET, model, VERSE)  # at once, before anything is asked for
    with pytest.raises(ValueError, match="6 characters: expected at most 5"):
        stream_composed(["春风花月夜山"], COUPLET, model, VERSE)


# Openings


def test_an_opening_is_what_the_text_begins_with():
    model = model_of(VERSE)
    for sample, begin in zip(compose(["", "山", "春，风 花"], COUPLET, model, VERSE), ("", "山", "春风，花")):
        assert re.fullmatch(pattern(COUPLET), sample.text)
        assert sample.text.startswith(begin)


def test_a_text_that_is_all_given_is_told_how_likely_it_is():
    model, text = model_of(VERSE), "春风，花月夜。"
    (sample,) = compose([text], COUPLET, model, VERSE)
    ids = VERSE.encode("\n" + text).tolist()
    assert sample.text == text
    assert sample.log_probs == pytest.approx([model.log_probs(ids[:i])[ids[i]] for i in range(1, 8)], rel=1e-12)


# Marks in either width, and line breaks


@pytest.mark.parametrize("ends", [("，", "。\n"), (",", ".\n"), ("，", "｡\n"), ("､", "．\n")])
@pytest.mark.parametrize("marks", ["，。\n", ",.\n", "，.\n", "､｡\n"])
def test_marks_of_either_width(ends, marks):
    vocab = Vocab.from_list(marks + "春风花")
    (sample,) = acrostic(["春,风。 花\n"], Form((2, 2), ends), model_of(vocab), vocab)
    a, b, c = marks
    assert re.fullmatch(f"春[春风花]{a}风[春风花]\\{b}{c}花[春风花]\\{b}", sample.text)


def test_the_width_that_is_asked_for_comes_first():
    vocab = Vocab.from_list("，,。.\n春风")
    for ends in (("，", "。"), (",", ".")):
        (sample,) = compose(["春春春春"], Form((2, 2), ends), model_of(vocab), vocab)
        assert sample.text == f"春春{ends[0]}春春{ends[1]}"


def test_lyrics_have_spaces_for_line_ends():
    form, model = Form((4,), ("\n",)), Counting(model_of(LYRICS).table)
    first, second = acrostic(["春山月", "夜"], form, model, LYRICS)
    assert re.fullmatch("春[^ ]{3} 山[^ ]{3} 月[^ ]{3}", first.text)
    assert re.fullmatch("夜[^ ]{3}", second.text)
    assert model.read[0] == [0, 0]  # the space
    vocab = Vocab.from_list("\n春风")
    assert re.fullmatch("春..\n风..", acrostic(["春风"], Form((3,), (" ",)), model_of(vocab), vocab)[0].text)


@pytest.mark.parametrize(
    ("tokens", "line_length", "expected"),
    [
        ("，。\n春", None, "xxxxx，xxxxx。"),
        (",.\n春", 7, "xxxxxxx，xxxxxxx。"),
        (" 春", None, "xxxxxxx"),
        (" ，。春", 3, "xxx"),
        ("，\n春", None, "xxxxxxx"),
    ],
)
def test_the_form_that_suits_a_vocabulary(tokens, line_length, expected):
    assert shape(usual_form(Vocab.from_list(tokens), line_length)) == expected


# Characters that the model has never seen


def test_a_head_that_is_unknown_is_named():
    model = model_of(VERSE)
    complaint = r"unknown character '算' \(U\+7B97\) at position 1, and 1 other .*; skip_unknown places it all the same"
    with pytest.raises(UnknownTokenError, match=complaint):
        acrostic(["春风", "春，算法"], COUPLET, model, VERSE)
    with pytest.raises(UnknownTokenError, match="'☃'"):
        compose(["☃"], COUPLET, model, VERSE)


@pytest.mark.parametrize("sampling", SETTINGS, ids=NAMES)
def test_an_unknown_head_is_placed_and_the_model_reads_another(sampling):
    model = Counting(model_of(VERSE).table)
    samples = acrostic(["算月法", "春☃山"], COUPLET, model, VERSE, sampling, skip_unknown=True)
    form = COUPLET.of_lines(3)
    for sample, heads in zip(samples, ("算月法", "春☃山")):
        assert re.fullmatch(pattern(form, "[春风花月夜山3算法☃]"), sample.text)
        assert [sample.text[place] for place in form.begins] == list(heads)
        read = [VERSE.idx_to_token[i] for i in sample.ids]
        assert [i for i, (shown, other) in enumerate(zip(sample.text, read)) if shown != other] == [
            place for place, head in zip(form.begins, heads) if head in "算法☃"
        ]
        assert re.fullmatch(pattern(form), "".join(read))
        ids = [2, *sample.ids]
        assert sample.log_probs == pytest.approx([model.log_probs(ids[:i])[ids[i]] for i in range(1, len(ids))])
    if sampling.by_chance:
        assert model.read == [[2, 2], *map(list, zip(*(sample.ids[:-1] for sample in samples)))]


def test_what_is_known_is_the_same_with_skip_unknown():
    model = model_of(VERSE)
    assert acrostic(["春山"], COUPLET, model, VERSE) == acrostic(["春山"], COUPLET, model, VERSE, skip_unknown=True)


# What cannot be


WORDS = Vocab.from_list(["，", "。", "\n", "spring"], "word")


@pytest.mark.parametrize(
    ("call", "error", "complaint"),
    [
        (
            lambda m: acrostic("春风", COUPLET, m, VERSE),
            ValueError,
            "heads is '春风': expected a list of texts, at least",
        ),
        (lambda m: acrostic([], COUPLET, m, VERSE), ValueError, r"heads is \[\]: expected a list of texts"),
        (lambda m: compose("", COUPLET, m, VERSE), ValueError, "openings is '': expected a list of texts"),
        (lambda m: acrostic(["春", "，\n"], COUPLET, m, VERSE), ValueError, r"there is no character in '，\\n'"),
        (
            lambda m: compose(["春风花月夜山"], COUPLET, m, VERSE),
            ValueError,
            "6 characters: expected at most 5, as the",
        ),
        (
            lambda m: compose([""], COUPLET, m, VERSE, Sampling(stop="。")),
            ValueError,
            "stop is '。': a form ends where",
        ),
        (
            lambda m: acrostic(["春"], COUPLET, m, WORDS),
            ValueError,
            "the vocabulary is one of words: expected characters",
        ),
        (
            lambda m: compose([""], COUPLET, m, LYRICS),
            UnknownTokenError,
            "the form needs '，' or ',' or .* among the 7",
        ),
        (lambda m: compose([""], Form((2,), ("」",)), m, VERSE), UnknownTokenError, "the form needs '」': expected"),
        (lambda m: compose([""], COUPLET, m, Vocab.from_list("，。\n春")), ValueError, "4 entries.*made for 11"),
        (lambda m: COUPLET.mask(VERSE, {0: "算"}), UnknownTokenError, "unknown character '算'"),
        (lambda m: COUPLET.of_lines(0), ValueError, "the number of lines is 0"),
        (lambda m: usual_form(VERSE, 0), ValueError, "the length of a line is 0"),
    ],
)
def test_errors_name_what_is_wrong(call, error, complaint):
    with pytest.raises(error, match=complaint):
        call(model_of(VERSE))


# Characters of several code points

FLAG, FAMILY, KEYCAP, HANGUL = "🇨🇳", "👩\u200d👩\u200d👧", "3\ufe0f\u20e3", "\u1112\u1161\u11ab"


@pytest.mark.parametrize("head", ["花\u0301", FLAG, FAMILY, KEYCAP, HANGUL])
@pytest.mark.parametrize("sampling", SETTINGS, ids=NAMES)
def test_a_line_begins_with_all_code_points_of_its_head(head, sampling):
    """The reader sees as many characters in the line as in every other line."""
    vocab = Vocab.from_list(dict.fromkeys("，。\n春风花月夜山□3" + head))
    model = model_of(vocab)
    (sample,) = acrostic([f"春{head}，山"], COUPLET, model, vocab, sampling)
    first, second, third = re.fullmatch("(.*)，(.*)。\n(.*)。", sample.text).groups()
    assert (first[0], second[: len(head)], third[0]) == ("春", head, "山")
    assert (len(first), len(second), len(third)) == (2, len(head) + 2, 2)
    assert sample.text == vocab.decode(sample.ids)


def test_a_line_begins_with_all_code_points_that_the_model_has_never_seen():
    with pytest.raises(UnknownTokenError, match=r"unknown character '🇨' \(U\+1F1E8\) at position 0"):
        acrostic([FLAG], COUPLET, model_of(VERSE), VERSE)
    (sample,) = acrostic([f"{FLAG}花"], COUPLET, model_of(VERSE), VERSE, skip_unknown=True)
    assert re.fullmatch(f"{FLAG}{LETTERS}，花{LETTERS}{{2}}。", sample.text)
    assert len(sample.ids) == len(sample.text) == 8


def test_an_opening_fills_the_lines_by_what_a_reader_sees():
    """The accent stays with its letter, where the line ends too; a mark takes its accent along."""
    vocab = Vocab.from_list("，。\n春风花月夜山□3\u0301")
    for opening in ("月风\u0301，\u0301花\u0301山", "月风\u0301花\u0301山"):
        (sample,) = compose([opening], COUPLET, model_of(vocab), vocab)
        assert re.fullmatch(f"月风\u0301，花\u0301山{LETTERS}。", sample.text)
    with pytest.raises(ValueError, match="has 6 characters: expected at most 5"):
        compose(["春\u0301" * 6], COUPLET, model_of(vocab), vocab)
