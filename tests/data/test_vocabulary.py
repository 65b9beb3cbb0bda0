import os
import re
import subprocess
import sys
from collections import Counter

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2lrnn.data.corpus import Corpus
from d2lrnn.data.vocabulary import EOS, UnknownTokenError, Vocab, check_ids, tokenize


def test_ids_go_by_frequency_and_then_by_code_point():
    vocab = Vocab("abracadabra")
    assert vocab.idx_to_token == ("a", "b", "r", "c", "d")
    assert vocab.token_to_idx == {"a": 0, "b": 1, "r": 2, "c": 3, "d": 4}
    ids = vocab.encode("cab")
    assert ids.dtype == numpy.int32
    assert ids.tolist() == [3, 0, 1]
    assert Vocab("😀一Ab\n").idx_to_token == ("\n", "A", "b", "一", "😀")


def test_words_are_what_white_space_separates():
    assert tokenize(" to be\tor  not\nto be ", "word") == ["to", "be", "or", "not", "to", "be"]
    vocab = Vocab("to be or not to be", "word")
    assert vocab.idx_to_token == ("be", "to", "not", "or")
    assert vocab.encode("not to be").tolist() == [2, 1, 0]
    assert vocab.decode([2, 1, 0]) == "not to be"


def test_a_vocabulary_of_counts_has_special_tokens_first_and_leaves_rare_ones_out():
    counts = {"b": 2, "rare": 1, "a": 2, "often": 3}
    vocab = Vocab.from_counts(counts, "word", ["<pad>", "<unk>"], 2)
    assert vocab.idx_to_token == ("<pad>", "<unk>", "often", "a", "b") and vocab.level == "word"
    assert Vocab.from_counts(Counter("abracadabra"), "char", []) == Vocab("abracadabra")
    assert Vocab.from_counts(counts, "word", ["<unk>"], 9).idx_to_token == ("<unk>",)
    with pytest.raises(ValueError, match="the token 'a' is there twice"):
        Vocab.from_counts(counts, "word", ["a"])


def test_bigrams_are_pairs_that_do_not_overlap():
    assert tokenize("anana!", "bigram") == ["an", "an", "a!"]
    vocab = Vocab("anana!", "bigram")
    assert vocab.idx_to_token == ("an", "a!")
    assert vocab.encode("a!an").tolist() == [1, 0]
    assert vocab.decode([1, 0, 0]) == "a!anan"
    assert Vocab.from_list(["an", "a!"], "bigram") == vocab
    with pytest.raises(UnknownTokenError, match="^unknown pair of characters 'na' at position 0: "):
        vocab.encode("na")
    with pytest.raises(UnknownTokenError, match="^the character 'n' has no partner at position 1: "):
        vocab.encode("ann")


@pytest.mark.parametrize(
    "text, share, splits",
    [
        ("abcdefghij", 0.0, ("abcdefghij", None, None)),
        ("abcdefghij", 0.2, ("abcdef", "gh", "ij")),
        ("abcdefghij", 0.3, ("abcd", "efg", "hij")),
        ("ab\nc\ndef\ng\nh\n", 0.2, ("ab\nc\n", "def\n", "g\nh\n")),  # 12 tokens: cut at 7 and 10, or before
    ],
)
def test_held_out_are_the_last_tokens_or_lines(text, share, splits):
    vocab = Vocab(text)
    corpus = Corpus("letters", vocab, vocab.encode(text)).hold_out(share)
    assert (
        tuple(ids if ids is None else vocab.decode(ids) for ids in (corpus.train, corpus.valid, corpus.test)) == splits
    )
    assert corpus.vocab is vocab and corpus.name == "letters"


@pytest.mark.parametrize(
    "text, share, message",
    [
        ("abcdefghij", 0.5, "held_out is 0.5: expected a number, at least 0 and below 0.5"),
        ("abcdefghij", -0.1, "held_out is -0.1"),
        ("abcdefghij", 0.1, "held_out 0.1 would part letters into 8, 1, 1 tokens: expected at least two each"),
        ("abc", 0.1, "held_out 0.1 would part letters into 2, 1, 0 tokens: expected at least two each"),
        ("a\nbcdefgh\n", 0.2, "would part letters into 2, 0, 8 tokens"),
    ],
)
def test_what_cannot_be_held_out(text, share, message):
    vocab = Vocab(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        Corpus("letters", vocab, vocab.encode(text)).hold_out(share)
    ids = vocab.encode(text)
    with pytest.raises(ValueError, match="letters has splits for validation and test already"):
        Corpus("letters", vocab, ids, ids).hold_out(0.1)


def test_tokens_may_come_from_an_iterator():
    vocab = Vocab((word for word in ["b", EOS, "b"]), "word")
    assert vocab.idx_to_token == ("b", EOS)
    assert vocab.encode(iter([EOS, "b"])).tolist() == [1, 0]


def test_the_same_text_gives_the_same_ids_in_every_process():
    """In this one and in another, whose seeds of hashes are chance and 0."""
    program = (
        "from d2lrnn.data.vocabulary import Vocab; print(ascii(''.join(Vocab('不分开 雨下着 不分开').idx_to_token)))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    printed = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True)
    assert "".join(Vocab("不分开 雨下着 不分开").idx_to_token) == " 不分开下着雨"
    assert printed.strip() == ascii(" 不分开下着雨")  # U+0020, 4E0D, 5206, 5F00 twice; U+4E0B, 7740, 96E8 once


@given(st.text(min_size=1))
def test_any_text_comes_back_from_its_ids(text):
    vocab = Vocab(text)
    assert vocab.decode(vocab.encode(text)) == text
    assert sorted(set(vocab.encode(text).tolist())) == list(range(len(vocab)))


@given(st.lists(st.text("ab<>é中", min_size=1), min_size=1))
def test_any_words_come_back_from_their_ids(words):
    vocab = Vocab(words, "word")
    assert vocab.decode(vocab.encode(words)) == " ".join(words)
    assert vocab.encode(" ".join(words)).tolist() == vocab.encode(words).tolist()


def test_from_list_keeps_the_order_and_equals_the_original():
    counted = Vocab("abracadabra")
    listed = Vocab.from_list(list(counted.idx_to_token))
    assert listed == counted
    assert hash(listed) == hash(counted)
    assert Vocab.from_list("dcrba").encode("abc").tolist() == [4, 3, 1]
    assert Vocab.from_list("dcrba") != counted
    assert Vocab.from_list(counted.idx_to_token, "word") != counted
    assert counted != counted.idx_to_token


def test_len_in_and_repr():
    vocab = Vocab("abracadabra")
    assert len(vocab) == 5
    assert "a" in vocab and "z" not in vocab
    assert repr(vocab) == "Vocab(5 tokens of level 'char': 'a', 'b', 'r', 'c', 'd')"
    assert repr(Vocab("abracadabra!")).endswith("'c', ...)")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Vocab(""), "there are no tokens"),
        (lambda: Vocab.from_list([]), "there are no tokens"),
        (lambda: Vocab("a", "bytes"), "unknown level 'bytes': expected one of char, word"),
        (lambda: tokenize("a", "sentence"), "unknown level 'sentence'"),
        (lambda: Vocab(["a", 1]), "expected strings as tokens, found 1 of type int"),
        (lambda: Vocab([["a"]]), "found .'a'. of type list"),
        (lambda: Vocab.from_list(["a", None]), "found None of type NoneType"),
        (lambda: Vocab.from_list(["a", "b", "c", "b"]), "the token 'b' is there twice"),
        (lambda: Vocab("a").encode(b"a"), "found 97 of type int"),
        (lambda: Vocab("a").encode(["a", ["a"]]), "found .'a'. of type list"),
    ],
)
def test_what_makes_no_vocabulary_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_unknown_character_is_named():
    with pytest.raises(UnknownTokenError) as caught:
        Vocab("分开 不分开").encode("分龘开")
    assert str(caught.value) == (
        "unknown character '龘' (U+9F98) at position 1: expected only what is among the 4 tokens of the vocabulary"
    )


def test_unknown_characters_are_counted():
    with pytest.raises(UnknownTokenError, match=r"'\\t' \(U\+0009\) at position 0, and 2 other unknown ones"):
        Vocab("ab").encode("\tXYX\ta")
    with pytest.raises(UnknownTokenError, match=r"'X' \(U\+0058\) at position 1, and 1 other unknown one after"):
        Vocab("ab").encode("aXY")


def test_an_unknown_word_comes_with_the_nearest():
    vocab = Vocab("the market fell <unk> points", "word")
    with pytest.raises(UnknownTokenError) as caught:
        vocab.encode("the markets fell")
    assert str(caught.value) == (
        "unknown word 'markets' at position 1: expected only what is among the 5 tokens of the vocabulary, where "
        "the nearest are 'market'; write <unk> in its place"
    )


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, 5], "id 5 at position 1: expected 0 to 4"),
        ([-1], "id -1 at position 0: expected 0 to 4"),
        ([0.0], "dtype float64"),
        ([[0], [1]], r"shape \(2, 1\): expected one dimension"),
    ],
)
def test_decode_checks_its_ids(ids, message):
    with pytest.raises(ValueError, match=message):
        Vocab("abcde").decode(ids)


def test_good_ids_come_back_as_contiguous_int32():
    given_ids = numpy.arange(6, dtype=numpy.uint8).reshape(2, 3).T
    ids = check_ids(given_ids, 6)
    assert ids.dtype == numpy.int32
    assert ids.flags.c_contiguous
    assert ids.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert check_ids([2, 0, 1], 3).tolist() == [2, 0, 1]
    assert check_ids([], 3).tolist() == []
    assert check_ids([], 3).dtype == numpy.int32
    assert check_ids(2, 3).shape == ()
    assert check_ids(ids, 6) is ids


def test_an_open_vocabulary_has_only_the_range_of_int32():
    assert check_ids([2**31 - 1], None).tolist() == [2**31 - 1]
    for ids in ([2**31], [-1]):
        with pytest.raises(ValueError, match=f"id {ids[0]} at position 0: expected 0 to 2147483647"):
            check_ids(ids, None)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1.0, 2.0], "X has dtype float64: expected whole numbers"),
        (numpy.zeros(2, numpy.float32), "X has dtype float32"),
        (numpy.zeros(0, numpy.float32), "X has dtype float32"),
        ([True, False], "X has dtype bool"),
        (["a"], "X has dtype <U1"),
        ([None], "X has dtype object"),
        ([[1, 2], [3]], "X cannot be made an array"),
        ([0, 1, 4, 5], "X has the id 4 at position 2: expected 0 to 3, into which MXNet would clip it"),
        ([0, -1, 9], "X has the id -1 at position 1"),
        ([[0, 1], [2, 7]], "X has the id 7 at position 1, 1"),
        (numpy.array([2**63], numpy.uint64), "X has the id 9223372036854775808 at position 0"),
        ([2**32], "X has the id 4294967296"),
    ],
)
def test_ids_that_mxnet_would_change_are_refused(ids, message):
    with pytest.raises(ValueError, match=message):
        check_ids(ids, 4, "X")


def test_a_corpus_keeps_its_own_read_only_ids():
    train = numpy.array([0, 1, 2], numpy.int32)
    corpus = Corpus("letters", Vocab.from_list("abc"), train, test=[2])
    train[0] = 1
    assert corpus.train.tolist() == [0, 1, 2]
    assert corpus.train.dtype == numpy.int32
    assert corpus.vocab_size == 3
    with pytest.raises(ValueError, match="read-only"):
        corpus.train[0] = 1
    assert corpus.split("train") is corpus.train
    assert corpus.split("test").tolist() == [2]


@pytest.mark.parametrize("name", ["valid", "dev", "name"])
def test_a_split_that_is_not_there_is_refused(name):
    corpus = Corpus("letters", Vocab("abc"), [0], test=[2])
    with pytest.raises(ValueError, match=f"letters has no split '{name}': expected one of train, test"):
        corpus.split(name)


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": [0, 3]}, "the train split of letters has the id 3 at position 1: expected 0 to 2"),
        ({"train": [0], "valid": [-1]}, "the valid split of letters has the id -1"),
        ({"train": [[0]]}, r"the train split of letters has shape \(1, 1\)"),
        ({"train": [0], "test": []}, r"the test split of letters has shape \(0,\)"),
        ({"train": None}, "the train split of letters has dtype object"),
    ],
)
def test_a_corpus_checks_its_ids(splits, message):
    with pytest.raises(ValueError, match=message):
        Corpus("letters", Vocab("abc"), **splits)
