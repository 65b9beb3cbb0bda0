"""Sentences of a translator: one form, tokens, and sentences of tokens again."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2lrnn import D2lrnnError, Vocab
from d2lrnn.data.pair_files import read_pairs
from d2lrnn.data.sentences import SPECIAL, normalised, seeming_level, sentence_of, text_of_ids, tokens_of


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("  Hi \t there. ", "Hi there."),
        ("Ça va\u202f?\xa0Oui\u3000!", "Ça va ? Oui !"),  # no-break, narrow and wide spaces
        ("cafe\u0301", "café"),
        ("\ufeffa\u200bb\u00adc\u2060d", "abcd"),
        ("don\u2019t, the boys\u2019 room", "don't, the boys\u2019 room"),
        ("a\x1b[31mb\x00\x85c", "a [31mb c"),
        ("你好，世界！", "你好，世界！"),  # NFKC would make it 你好,世界!
        ("\u200b \n", ""),
    ],
)
def test_a_sentence_is_read_alike_however_it_was_typed(typed, read):
    assert normalised(typed) == read
    assert normalised(read) == read


@pytest.mark.parametrize(
    ("sentence", "tokens"),
    [
        ("Go on, Tom!", ["go", "on", ",", "tom", "!"]),
        ("I don't know Tom's well-known L.A. friends.", "i don't know tom's well-known l.a . friends .".split()),
        ("It costs $1,000.50 at 10:30.", ["it", "costs", "$", "1,000.50", "at", "10:30", "."]),
        ('"No," he said.', ['"', "no", ",", '"', "he", "said", "."]),
        ("J'ai faim !", ["j'ai", "faim", "!"]),
        ("他有 3 本书。", ["他", "有", "3", "本", "书", "。"]),
        ("हिन्दी में", ["हिन्दी", "में"]),  # vowel signs belong to their letters
        ("a -- b", ["a", "-", "-", "b"]),
    ],
)
def test_words_and_signs_are_tokens(sentence, tokens):
    assert tokens_of(sentence, "word") == tokens
    assert tokens_of(sentence, "char") == list(sentence)
    assert sentence_of(list(sentence), "char") == sentence


@pytest.mark.parametrize(
    "sentence",
    [
        "i don't know tom's well-known friends.",
        '"no," he said, "it costs $1,000.50 (or 50%)."',
        "what? no! wait: it's 10:30; we're late...",
        "他有3本书，对吗？",
        "l'homme (qui rit)!",
        "we met at 5 p.m. at the boys' school.",
    ],
)
def test_spaces_come_back_where_they_were(sentence):
    assert sentence_of(tokens_of(sentence, "word"), "word") == sentence


@given(st.text(max_size=40))
def test_but_for_spaces_and_capitals_nothing_is_lost(text):
    sentence = normalised(text)
    tokens = tokens_of(sentence, "word")
    assert all(tokens) and not any(" " in token for token in tokens)
    assert sentence_of(tokens, "word").replace(" ", "") == sentence.lower().replace(" ", "")
    assert sentence_of(tokens_of(sentence, "char"), "char") == sentence
    assert len(tokens_of(sentence, "word", lower=False)) == len(
        tokens
    )  # so a copied word is the one that was looked at


def test_words_that_were_copied_into_characters_have_a_space_between_them():
    assert tokens_of("Tom's in New-York!", "word", lower=False) == ["Tom's", "in", "New-York", "!"]
    assert sentence_of(["去", "Timbuktu", "Xavier", "和", "Tom", "。"], "char") == "去Timbuktu Xavier和Tom。"
    assert sentence_of(["Tom", "Mary"], "word") == "Tom Mary"


def test_real_sentences_come_back(real_data):
    sentences = [pair.source.lower() for pair in read_pairs(real_data / "cmn.txt")]
    assert sum(sentence_of(tokens_of(sentence, "word"), "word") != sentence for sentence in sentences) == 1  # C++


def test_ids_are_read_up_to_the_end_of_the_sentence():
    vocab = Vocab.from_list([*SPECIAL, "hi", ",", "tom"], "word")
    assert text_of_ids(numpy.array([1, 4, 5, 6, 2, 4, 4]), vocab) == "hi, tom"
    assert text_of_ids([4, 3, 0, 0], vocab) == "hi <unk>"
    assert text_of_ids([2], vocab) == text_of_ids([], vocab) == ""


def test_the_level_that_a_text_asks_for():
    assert seeming_level("我在eBay上买了一本书。") == seeming_level("これは本です") == "char"
    assert seeming_level("She read 老子.") == seeming_level("Это книга") == seeming_level("") == "word"


@pytest.mark.parametrize("split", [tokens_of, lambda text, level: sentence_of([text], level)])
def test_another_level(split):
    with pytest.raises(D2lrnnError, match="the level of a side is 'bigram': expected one of word, char"):
        split("Hi.", "bigram")
