import math
import re
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from d2lrnn.data.corpus import Corpus
from d2lrnn.data.vocabulary import Vocab, tokenize
from d2lrnn.generation.originality import CopyIndex, Novelty, distinct, marked, novelty

LYRICS = "不分开 雨下着 我们不说再见"
SPEECH = "to be or not to be that is the question"


def occurrences(part, whole):
    """Return where a list of tokens begins in another."""
    return [i for i in range(len(whole) - len(part) + 1) if whole[i : i + len(part)] == part]


def fewest(covered, tokens, corpus):
    """Return the least number of copies that a run of covered tokens can be parted into, by trying all."""
    best = [0] + [math.inf] * len(tokens)  # for the tokens before each position
    for end in range(1, len(tokens) + 1):
        if not covered[end - 1]:
            best[end] = best[end - 1]
            continue
        for begin in range(end - 1, -1, -1):
            if not covered[begin]:
                break
            if occurrences(tokens[begin:end], corpus):
                best[end] = min(best[end], best[begin] + 1)
    return best[-1]


def check_against_double_loops(text, corpus_text, level, n, min_length):
    """Compare what novelty finds with what trying all pairs of positions finds."""
    found = novelty(text, CopyIndex(corpus_text, level), n, min_length)
    tokens, corpus = tokenize(text, level), tokenize(corpus_text, level)
    pairs = [(i, j) for i in range(len(tokens)) for j in range(i + 1, len(tokens) + 1)]
    copies = [(i, j) for i, j in pairs if occurrences(tokens[i:j], corpus)]
    lengths = [max((j - i for i, j in copies if i == begin), default=0) for begin in range(len(tokens))]
    assert CopyIndex(corpus_text, level).match_lengths(text).tolist() == lengths
    assert found.num_tokens == len(tokens)
    assert found.level == level

    ngrams = [(i, j) for i, j in pairs if j - i == n]
    if ngrams:
        assert found.copied_ngrams == sum(pair in copies for pair in ngrams) / len(ngrams)
    else:
        assert math.isnan(found.copied_ngrams)

    longest = max(copies, key=lambda pair: (pair[1] - pair[0], -pair[0]), default=None)
    if longest is None:
        assert (found.longest, found.longest_length, found.text_begin, found.corpus_begin) == ("", 0, None, None)
    else:
        assert (found.text_begin, found.text_begin + found.longest_length) == longest
        assert tokenize(found.longest, level) == tokens[slice(*longest)]
        assert found.longest in text
        assert found.corpus_begin == occurrences(tokens[slice(*longest)], corpus)[0]

    covered = [any(i <= k < j for i, j in copies if j - i >= min_length) for k in range(len(tokens))]
    assert [k for begin, end in found.spans for k in range(begin, end)] == numpy.flatnonzero(covered).tolist()
    assert set(found.spans) <= set(copies)
    assert len(found.spans) == fewest(covered, tokens, corpus)
    if tokens:
        assert found.copied_tokens == sum(covered) / len(tokens)
    text_again = re.sub("[【】]", "", marked(text, found.spans, level))
    assert text_again == text


@given(st.text("ab", max_size=25), st.text("ab", min_size=1, max_size=40), st.integers(1, 6), st.integers(1, 6))
@example("abab", "b", 1, 1)
@example("aaaaaaab", "aaaaa", 3, 5)
@example("abcdef", "abcd bcde ef", 4, 4)
@example("abcdefghijklmn", "abcd bcde efg fghi ghij klmn", 4, 4)
def test_two_letters_against_double_loops(text, corpus, n, min_length):
    check_against_double_loops(text, corpus, "char", n, min_length)


@given(
    st.text("不分开 😀\ud800x", max_size=20),
    st.text("不分开 😀\ud800y", min_size=1, max_size=40),
    st.integers(1, 4),
    st.integers(1, 5),
)
def test_any_characters_against_double_loops(text, corpus, n, min_length):
    check_against_double_loops(text, corpus, "char", n, min_length)


WORDS = st.lists(
    st.tuples(st.sampled_from(["to", "be", "tobe", "不", "<eos>"]), st.sampled_from([" ", "\n", "\u3000 "]))
)


@given(WORDS, WORDS.filter(bool), st.sampled_from(["", " "]), st.integers(1, 4), st.integers(1, 4))
def test_words_against_double_loops(text, corpus, before, n, min_length):
    text, corpus = (before + "".join(word + space for word, space in words) for words in (text, corpus))
    check_against_double_loops(text, corpus, "word", n, min_length)


@given(st.text("ab \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\u200b\ufeff"))
def test_words_are_marked_where_they_stand_whatever_white_space_parts_them(text):
    words = text.split()
    spans = tuple((i, i + 1) for i in range(len(words)))
    assert re.findall("【(.*?)】", marked(text, spans, "word"), re.DOTALL) == words


def test_lyrics_by_hand():
    text = "雨下着 你们不说再见 不分手"
    found = novelty(text, LYRICS, n=2, min_length=3)
    assert found == Novelty(
        level="char",
        num_tokens=14,
        copied_ngrams=8 / 13,  # all but " 你", "你们", "见 ", " 不" and "分手"
        copied_tokens=9 / 14,
        spans=((0, 4), (5, 10)),
        longest="们不说再见",
        longest_length=5,
        text_begin=5,
        corpus_begin=9,
    )
    assert CopyIndex(LYRICS).match_lengths(text).tolist() == [4, 3, 2, 1, 0, 5, 4, 3, 2, 1, 1, 2, 1, 0]
    assert marked(text, found.spans, "char") == "【雨下着 】你【们不说再见】 不分手"
    assert marked(text, found.spans, "char", "<b>", "</b>") == "<b>雨下着 </b>你<b>们不说再见</b> 不分手"
    assert novelty(text, LYRICS, min_length=5).spans == ((5, 10),)
    assert novelty(text, LYRICS, min_length=6).spans == ()


def test_the_rest_of_a_copy_that_overlaps_another_is_copied_too():
    text = "分开以后来我们"
    found = novelty(text, "分开以后 后来我们", min_length=4)
    assert found.spans == ((0, 4), (4, 7))
    assert marked(text, found.spans, "char") == "【分开以后】【来我们】"
    text = "分开以后来我"  # 来我 is a copy too, but 我 is in none of four
    assert novelty(text, "分开以后 开以后来 来我", min_length=4).spans == ((0, 4), (4, 5))


def test_spans_are_as_few_as_can_be():
    found = novelty("abcdefghijklmn", "abcd bcde efg fghi ghij klmn", min_length=4)
    assert marked("abcdefghijklmn", found.spans, "char", "[", "]") == "[abcd][efg][hij][klmn]"


def test_words_by_hand():
    text = "  not  to be\nor not,  that\tis the end "
    found = novelty(text, CopyIndex(SPEECH, "word"), n=3, min_length=2)
    assert (found.num_tokens, found.copied_ngrams, found.copied_tokens) == (9, 3 / 7, 7 / 9)
    assert (found.longest, found.longest_length, found.text_begin, found.corpus_begin) == ("not  to be", 3, 0, 3)
    assert found.spans == ((0, 3), (3, 4), (5, 8))
    assert marked(text, found.spans, "word", "[", "]") == "  [not  to be]\n[or] not,  [that\tis the] end "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (math.nan, math.nan, (), "", 0, None, None)),
        ("不分", (math.nan, 0.0, (), "不分", 2, 0, 0)),
        ("雨下", (math.nan, 0.0, (), "雨下", 2, 0, 4)),
        ("雨下着 我们", (1.0, 1.0, ((0, 6),), "雨下着 我们", 6, 0, 4)),
        (LYRICS, (1.0, 1.0, ((0, 14),), LYRICS, 14, 0, 0)),
        (LYRICS * 2, (22 / 25, 1.0, ((0, 14), (14, 28)), LYRICS, 14, 0, 0)),
        ("龘龘龘龘龘", (0.0, 0.0, (), "", 0, None, None)),
        ("龘雨龘雨下龘雨龘", (0.0, 0.0, (), "雨下", 2, 3, 4)),
    ],
)
def test_edge_cases(text, expected):
    found = novelty(text, LYRICS, min_length=5)
    shares = (found.copied_ngrams, found.copied_tokens)
    assert shares == pytest.approx(expected[:2], rel=0, abs=0, nan_ok=True)
    assert (found.spans, found.longest, found.longest_length, found.text_begin, found.corpus_begin) == expected[2:]


def test_a_corpus_is_its_training_split_at_its_level():
    vocab = Vocab.from_list(["that", "is", "the", "question", "be"], "word")
    corpus = Corpus("speech", vocab, [0, 1, 2, 3], valid=[4, 4], test=[3, 2, 1])
    assert CopyIndex(corpus).level == "word"
    assert CopyIndex(corpus, "word").match_lengths("is the question be that is be").tolist() == [3, 2, 1, 0, 2, 1, 0]
    assert novelty("question the is", corpus, n=1, min_length=1).spans == ((0, 1), (1, 2), (2, 3))


def test_ids_beyond_the_length_of_the_corpus_stay_apart():
    corpus = Corpus("rare", Vocab.from_list("不分开雨下着"), [0, 5, 1, 0])
    assert CopyIndex(corpus).match_lengths("不着分不").tolist() == [4, 3, 2, 1]


def test_a_line_end_is_the_space_that_corpora_have_for_it():
    spaced, lined = novelty("雨下着 我们不 分", LYRICS, 2, 3), novelty("雨下着\n我们不\n分", LYRICS, 2, 3)
    assert spaced.spans == ((0, 7),)
    assert lined == replace(spaced, longest="雨下着\n我们不")
    assert CopyIndex("着 我\n们").match_lengths("着\n我\n们 着").tolist() == [1, 1, 3, 2, 1, 1, 1]


def test_long_repetitions_take_no_longer():
    index = CopyIndex("a" * 100_000)
    found = novelty("a" * 3000 + "b" + "a" * 2000, index)
    assert found.spans == ((0, 3000), (3001, 5001))
    assert (found.text_begin, found.corpus_begin, found.longest_length) == (0, 0, 3000)


def test_find():
    index = CopyIndex(LYRICS)
    assert [index.find(text) for text in ("不", "不说", "再见", "见", "见不", "龘", "不分手", LYRICS)] == [
        *(0, 10, 12, 13, None, None, None, 0)
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: novelty("不", LYRICS, n=0), "n is 0: expected a whole number, at least 1"),
        (lambda: novelty("不", LYRICS, n=1.5), "n is 1.5"),
        (lambda: novelty("不", LYRICS, min_length=0), "min_length is 0"),
        (lambda: novelty("不", ""), "there are no tokens"),
        (lambda: CopyIndex("不", "sentence"), "unknown level 'sentence': expected one of char, word"),
        (lambda: CopyIndex(" ", "word"), "there are no tokens"),
        (lambda: CopyIndex(Corpus("a", Vocab("a"), [0]), "word"), "level is 'word': expected 'char', the corpus's"),
        (lambda: marked("不", (), "sentence"), "unknown level 'sentence'"),
        (lambda: marked("不分开", ((0, 4),), "char"), r"the span \(0, 4\) is not within 0 to 3: is it of another text"),
        (lambda: marked("不分开", ((0, 2), (1, 3)), "char"), r"\(1, 3\) is not within 2 to 3"),
        (lambda: marked("不分开", ((1, 1),), "char"), r"\(1, 1\)"),
        (
            lambda: marked("不分开", ((-1, 1),), "char"),
            "the begin of a span is -1: expected a whole number, at least 0",
        ),
        (lambda: marked("不分开", ((0, 2),), "word"), r"\(0, 2\) is not within 0 to 1"),
        (lambda: distinct(["不"], 0), "n is 0"),
        (lambda: distinct("不分开", 1), "texts is '不分开': expected a list of texts"),
        (lambda: distinct(["不"], 1, "sentence"), "unknown level"),
    ],
)
def test_nonsense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_distinct_by_hand():
    assert distinct(["不分不分"], 1) == 2 / 4
    assert distinct(["不分不分"], 2) == 2 / 3  # 不分, 分不, 不分
    assert distinct(["不分开", "不分手"], 1) == 4 / 6
    assert distinct(iter(["不分开", "不分手"]), 2) == 3 / 4  # none reaches from one text into the next
    assert distinct(["to be or not", "not to be"], 2, "word") == 4 / 5
    assert distinct(["ab", "a b"], 1, "word") == 1  # the word ab is not the words a and b
    assert distinct(["不", "不分"], 2) == 1
    assert math.isnan(distinct(["不", ""], 2))
    assert math.isnan(distinct([], 1))


def test_lyrics_that_ship_are_found_in_themselves():
    text = (Path(__file__).parents[2] / "data" / "lyrics_zh.txt").read_text(encoding="utf-8")
    index = CopyIndex(text.replace("\n", " "))
    begin = 9000
    found = novelty("龘" + text[begin : begin + 2000] + "龘", index)
    assert found.spans == ((1, 2001),)
    assert (found.longest, found.corpus_begin) == (text[begin : begin + 2000], begin)
    turned = novelty(text[::-1], index)
    assert turned.copied_ngrams < 0.05


def test_pairs_of_characters_are_read_as_characters():
    vocab = Vocab("abcdefgh", "bigram")
    corpus = Corpus("pairs", vocab, vocab.encode("abcdefgh"))
    found = novelty("xbcdefy", corpus, 2, 3)
    assert (found.level, found.longest, found.corpus_begin, found.spans) == ("char", "bcdef", 1, ((1, 6),))
