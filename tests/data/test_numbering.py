"""Counting and numbering by NumPy, part by part, in memory and in a file: the same as a Counter and a dictionary."""

import errno
import os
import tracemalloc
from collections import Counter

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import quiet, tiny_model

from d2lrnn import data_iter_consecutive, data_iter_lines, data_iter_random, evaluate, train_and_predict
from d2lrnn.data import code_points, kept_numbers, vocabulary
from d2lrnn.data.corpus import Corpus
from d2lrnn.data.datasets import load_text
from d2lrnn.data.kept_numbers import KeptNumbers, is_fixed, is_mapped
from d2lrnn.data.numbering import Numbering, in_whole_lines, in_whole_tokens
from d2lrnn.data.texts import CorpusError
from d2lrnn.data.vocabulary import UnknownTokenError, Vocab, tokenize

# Letters that come often, halves of surrogate pairs, line ends, what is no character, and the last code point.
HOSTILE = st.text(st.one_of(st.sampled_from("ab中\n \x00\r\ud800\udfff\ufeff\u2028￿😀\U0010ffff"), st.characters()))
PARTS = st.lists(HOSTILE, max_size=6)
SONG = "雨下整夜，我的爱溢出就像雨水。\n\n  窗台的蝴蝶，像诗里纷飞的美丽章节。\n" * 40


@pytest.fixture
def little_memory(monkeypatch, tmp_path):
    """Let the ids of every text go to a file."""
    monkeypatch.setattr(kept_numbers, "memory", lambda: 0)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def counted(tokens):
    """Return the tokens by frequency, as a Counter and Python's sort have them."""
    counts = Counter(tokens)
    return tuple(sorted(counts, key=lambda token: (-counts[token], token)))


def in_blocks(monkeypatch):
    monkeypatch.setattr(vocabulary, "LONG", 0)
    monkeypatch.setattr(code_points, "BLOCK", 3)
    monkeypatch.setattr(kept_numbers, "BLOCK", 3)


@given(HOSTILE.filter(bool), HOSTILE)
def test_a_text_is_counted_and_numbered_as_by_a_dictionary(text, other):
    with pytest.MonkeyPatch.context() as patch:
        in_blocks(patch)
        vocab = Vocab(text)
        assert vocab.idx_to_token == counted(text)
        for read in (text, other if set(other) <= set(text) else ""):
            ids = vocab.encode(read)
            assert ids.dtype == numpy.int32
            assert ids.tolist() == [vocab.token_to_idx[token] for token in read]


def test_what_is_unknown_in_a_long_text_is_told_as_in_a_short_one(monkeypatch):
    vocab, found = Vocab("ab"), []
    for length in (vocabulary.LONG, 0):
        monkeypatch.setattr(vocabulary, "LONG", length)
        with pytest.raises(UnknownTokenError) as caught:
            vocab.encode("abaX中\U0010ffffa")
        found.append((str(caught.value), caught.value.position))
        assert vocab.encode("").tolist() == []
        assert Vocab("a b").encode("a\r\nb").tolist() == [1, 0, 2]
        assert Vocab.from_list(["<pad>", "a", "ab"]).encode("aa").tolist() == [1, 1]
    assert found[0] == found[1] and found[0][1] == 3


@given(PARTS, st.sampled_from(["char", "word", "bigram"]), st.integers(1, 12) | st.none(), st.booleans())
def test_a_text_in_parts_has_the_vocabulary_and_the_ids_of_the_whole(parts, level, max_tokens, in_file):
    text = "".join(parts)
    text = text[: len(text) // 2 * 2] if level == "bigram" else text
    tokens = tokenize(text, level)[:max_tokens]
    with pytest.MonkeyPatch.context() as patch:
        in_blocks(patch)
        numbering = Numbering(level, max_tokens, kept=KeptNumbers(8 if in_file else 2**20))
        for part in in_whole_tokens(parts, level):
            numbering.add(part)
        if not tokens:
            with pytest.raises(ValueError, match="there are no tokens"):
                numbering.finish()
            return
        vocab, ids = numbering.finish()
    assert vocab.idx_to_token == counted(tokens)
    assert [vocab.idx_to_token[i] for i in ids] == tokens
    assert ids.dtype == numpy.int32 and is_fixed(ids) and is_mapped(ids) == (in_file and len(tokens) > 2)


@given(PARTS)
def test_lines_are_cut_nowhere_else(parts):
    found = list(in_whole_lines(parts))
    assert "".join(found) == "".join(parts)
    assert all(part.endswith("\n") for part in found[:-1])


def test_ids_in_a_file_are_those_in_memory(little_memory, monkeypatch):
    path = little_memory / "a.txt"
    path.write_text(SONG)
    for options in ({}, {"lines": True}, {"level": "word"}, {"level": "bigram"}, {"max_tokens": 700}):
        mapped = load_text(path, **options).hold_out(0.1)
        with monkeypatch.context() as patch:
            patch.setattr(kept_numbers, "memory", lambda: 2**30)
            there = load_text(path, **options).hold_out(0.1)
        assert mapped.vocab == there.vocab
        for split in ("train", "valid", "test"):
            assert is_mapped(mapped.split(split)) and not is_mapped(there.split(split))
            assert mapped.split(split).tolist() == there.split(split).tolist()
    assert os.listdir(little_memory) == ["a.txt"]  # the files have no names
    with pytest.raises(ValueError, match="read-only"):
        mapped.train[0] = 1


def test_batches_and_losses_of_ids_in_a_file_are_those_in_memory(little_memory):
    path = little_memory / "a.txt"
    path.write_text(SONG)
    mapped = load_text(path, lines=True).hold_out(0.1)
    assert is_mapped(mapped.train)
    copied = Corpus(mapped.name, mapped.vocab, mapped.train.tolist(), mapped.valid.tolist(), mapped.test.tolist())
    end = mapped.vocab.token_to_idx["\n"]
    for make in (
        lambda ids: data_iter_random(ids, 3, 5),
        lambda ids: data_iter_consecutive(ids, 3, 5),
        lambda ids: data_iter_lines(ids, 3, end),
    ):
        batches = []
        for corpus in (mapped, copied):
            numpy.random.seed(1)
            batches.append([[array.tolist() for array in batch] for batch in make(corpus.train)])
        assert batches[0] == batches[1] and batches[0]
    found = []
    for corpus in (mapped, copied):
        model = tiny_model(corpus.vocab_size)
        history = train_and_predict(model, corpus, quiet(num_epochs=1, batch_size=8, num_steps=20, prefixes=()))
        found.append((history.perplexity, history.valid, evaluate(model, corpus.test, 2)))
    assert found[0] == found[1]


def test_a_corpus_copies_only_ids_that_could_be_changed():
    ids = numpy.arange(3, dtype=numpy.int32)
    view = ids[:2]
    view.setflags(write=False)
    assert not is_fixed(ids) and not is_fixed(view)
    vocab = Vocab.from_list("abc")
    corpus = Corpus("letters", vocab, view)
    ids[0] = 2
    assert corpus.train.tolist() == [0, 1]
    assert Corpus("letters", vocab, corpus.train).train is corpus.train
    assert not is_fixed(numpy.frombuffer(bytearray(8), numpy.int32))


def test_a_file_that_cannot_be_written_is_told(little_memory, monkeypatch):
    path = little_memory / "a.txt"
    path.write_text("some text")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(CorpusError, match=r"0\.0 GiB of memory, so they go to a file in .*No space left.*TMPDIR="):
            load_text(path)
    monkeypatch.setenv("TMPDIR", str(little_memory / "none"))
    with pytest.raises(CorpusError, match="file in .*/none, and it cannot be written .No such file"):
        load_text(path)


@pytest.mark.parametrize(
    ("options", "most"), [({}, 12), ({"lines": True}, 12), ({"held_out": 0.1}, 12), ({"in_file": True}, 5)]
)
def test_loading_takes_at_most_twelve_bytes_a_character(tmp_path, monkeypatch, options, most):
    """Twelve in all: what is read, decoded, cleaned, counted, numbered and held out."""
    text, path = SONG * 2000, tmp_path / "a.txt"
    path.write_text(text)
    options = dict(options)
    in_file = options.pop("in_file", False)
    if in_file:
        monkeypatch.setattr(kept_numbers, "memory", lambda: 0)
    held_out = options.pop("held_out", 0.0)
    tracemalloc.start()
    try:
        corpus = load_text(path, **options).hold_out(held_out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert is_mapped(corpus.train) == in_file
    assert peak < most * len(text)


def test_batches_take_no_copy_of_the_corpus():
    ids = numpy.tile(numpy.arange(20, dtype=numpy.int32), 100_000)  # with a line end every 20 ids
    ids.setflags(write=False)
    for make, most in (
        (lambda: data_iter_random(ids, 32, 35), 0.5),
        (lambda: data_iter_consecutive(ids, 32, 35), 0.5),
        (lambda: data_iter_lines(ids, 32, 19), 3),
    ):
        tracemalloc.start()
        try:
            next(make())
            assert tracemalloc.get_traced_memory()[1] < most * len(ids)
        finally:
            tracemalloc.stop()
