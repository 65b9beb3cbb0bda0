"""Sentence pairs as ids, in splits, with a vocabulary for each side: what a translator learns from and is judged by."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy

from d2lrnn.checks import check_whole
from d2lrnn.data.pair_files import Pair
from d2lrnn.data.sentences import SPECIAL, check_sentence_level, normalised, seeming_level, tokens_of
from d2lrnn.data.vocabulary import UNK, Vocab
from d2lrnn.errors import D2lrnnError

SPLIT_SEED = 2014  # of the permutation of the source sentences; NumPy's RandomState keeps to its numbers

HELD_OUT = 1_000  # source sentences for the test, and as many for validation, where there are ten times as many


@dataclass(frozen=True)
class PairForm:
    """How sentence pairs become ids.

    Raises:
        D2lrnnError: for a value that cannot be.
    """

    levels: tuple[str | None, str | None] = (None, None)  # of the columns: "word", "char"; None: as the texts ask for
    swap: bool = False  # whether to translate the second column into the first
    min_count: int = 2  # a token that comes less often in the training becomes <unk>
    max_tokens: int | None = None  # a pair with a longer side is left out of the training
    held_out: int | None = None  # source sentences for the test, and as many for validation; None: a tenth, HELD_OUT
    one_vocab: bool = False  # whether both sides have the same vocabulary

    def __post_init__(self) -> None:
        for level in self.levels:
            if level is not None:
                check_sentence_level(level)
        check_whole("min_count", self.min_count)
        if self.max_tokens is not None:
            check_whole("max_tokens", self.max_tokens)
        if self.held_out is not None:
            check_whole("held_out", self.held_out, 0)


class Sentence(NamedTuple):
    """A sentence to be translated, and all of its translations."""

    ids: numpy.ndarray
    text: str
    references: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PairExamples:
    """The pairs of a split; a source sentence with several translations is in several of them."""

    pairs: tuple[Pair, ...]  # the texts
    sources: tuple[numpy.ndarray, ...]  # their ids, int32, without <bos> and <eos>
    targets: tuple[numpy.ndarray, ...]

    @classmethod
    def of(cls, pairs: Sequence[Pair], source: Vocab, target: Vocab) -> PairExamples:
        """Return pairs with their ids in two vocabularies (:func:`encode_sentence`)."""
        sources = tuple(encode_sentence(pair.source, source) for pair in pairs)
        return cls(tuple(pairs), sources, tuple(encode_sentence(pair.target, target) for pair in pairs))

    def __len__(self) -> int:
        return len(self.pairs)

    def sentences(self) -> list[Sentence]:
        """Return the different source sentences in their order, each with all of its translations."""
        found: dict[str, tuple[numpy.ndarray, str, dict[str, None]]] = {}
        for pair, ids in zip(self.pairs, self.sources):
            found.setdefault(_key(pair), (ids, pair.source, {}))[2][pair.target] = None
        return [Sentence(ids, text, tuple(references)) for ids, text, references in found.values()]


@dataclass(frozen=True, eq=False)
class PairsCorpus:
    """Sentence pairs for training, validation and test, and the vocabulary of each side."""

    name: str
    source: Vocab
    target: Vocab
    train: PairExamples
    valid: PairExamples | None = None  # None: there are none
    test: PairExamples | None = None
    left_out: int = 0  # pairs that were too long for the training

    def split(self, name: str | None = None) -> tuple[str, PairExamples]:
        """Return a split and its name: train, valid or test; None: the last of these that there is.

        Raises:
            D2lrnnError: if there is no such split.
        """
        splits = {"train": self.train, "valid": self.valid, "test": self.test}
        there = {split: examples for split, examples in splits.items() if examples is not None}
        name = [*there][-1] if name is None else name
        if name not in there:
            raise D2lrnnError(f"{self.name} has no split {name!r}: expected {', '.join(there)}")
        return name, there[name]

    def digest(self) -> str:
        """Return a SHA-256 that tells these pairs from others, for a run that goes on with them."""
        found = hashlib.sha256()
        for vocab in (self.source, self.target):
            found.update("\n".join((vocab.level, *vocab.idx_to_token, "")).encode())
        for examples in (self.train, self.valid, self.test):
            for pair in examples.pairs if examples else ():
                found.update(f"{pair.source}\t{pair.target}\n".encode())
            found.update(b"\0")
        return found.hexdigest()


_USUAL = PairForm()


def corpus_of_pairs(
    name: str, pairs: Sequence[Pair], form: PairForm = _USUAL, levels: tuple[str, str] | None = None
) -> PairsCorpus:
    """Divide sentence pairs and make the vocabularies.

    Args:
        name: of the corpus.
        pairs: as they are in the file.
        form: how they become ids.
        levels: of the two columns, where the form does not say; None: as the texts ask for
            (:func:`d2lrnn.data.sentences.seeming_level`).

    Raises:
        D2lrnnError: if nothing is left for the training, or the sides cannot have one vocabulary.
    """
    if form.swap:
        pairs = swapped(pairs)
    source_level, target_level = _levels(pairs, form, levels)
    train, valid, test = divided(pairs, form.held_out, name)
    sides = [(tokens_of(pair.source, source_level), tokens_of(pair.target, target_level)) for pair in train]
    most = form.max_tokens
    kept = [i for i, tokens in enumerate(sides) if most is None or max(map(len, tokens)) <= most]
    if not kept:
        raise D2lrnnError(
            f"{name} has no pair for the training of at most {most} tokens a side: make max_tokens larger, which for "
            "`train` is --num-steps"
        )
    counts = [Counter(token for i in kept for token in sides[i][side]) for side in (0, 1)]
    if form.one_vocab:
        if source_level != target_level:
            raise D2lrnnError(
                f"the source has tokens of level {source_level!r}, the target of level {target_level!r}: expected the "
                "same level where both sides have one vocabulary"
            )
        counts = [counts[0] + counts[1]] * 2
    source = Vocab.from_counts(counts[0], source_level, SPECIAL, form.min_count)
    target = Vocab.from_counts(counts[1], target_level, SPECIAL, form.min_count)
    learnt = PairExamples.of([train[i] for i in kept], source, target)
    held = [PairExamples.of(split, source, target) if split else None for split in (valid, test)]
    return PairsCorpus(name, source, target, learnt, held[0], held[1], left_out=len(train) - len(kept))


def swapped(pairs: Iterable[Pair]) -> list[Pair]:
    """Return pairs with the translations as the sentences that are read."""
    return [Pair(pair.target, pair.source, pair.row) for pair in pairs]


def _levels(pairs: Sequence[Pair], form: PairForm, levels: tuple[str, str] | None) -> tuple[str, str]:
    """Return the levels of source and target."""
    asked = [*zip(form.levels, levels or (None, None))]
    first, second = asked[::-1] if form.swap else asked
    source = first[0] or first[1] or seeming_level("".join(pair.source for pair in pairs))
    return source, second[0] or second[1] or seeming_level("".join(pair.target for pair in pairs))


def divided(
    pairs: Sequence[Pair], held_out: int | None = None, name: str = "the corpus"
) -> tuple[list[Pair], list[Pair], list[Pair]]:
    """Divide pairs by their source sentences into those for training, validation and test.

    Of ``numpy.random.RandomState(2014).permutation`` of the different source sentences, in the order in which they
    come, the first ``held_out`` are for the test and the next ``held_out`` for validation.  Sentences that differ in
    spaces and capital letters alone count as one.

    Args:
        pairs: all of them.
        held_out: source sentences for the test, and as many for validation; None: a tenth, at most HELD_OUT.
        name: of the corpus, for an error.

    Raises:
        D2lrnnError: if nothing is left for the training.
    """
    keys = list(dict.fromkeys(map(_key, pairs)))
    count = min(HELD_OUT, len(keys) // 10) if held_out is None else held_out
    if 2 * count >= len(keys):
        raise D2lrnnError(
            f"{name} has {len(keys):,} different source sentences, and twice {count:,} are to be held out: make "
            "held_out smaller"
        )
    order = numpy.random.RandomState(SPLIT_SEED).permutation(len(keys))
    split_of = {keys[i]: 2 if place < count else 1 if place < 2 * count else 0 for place, i in enumerate(order)}
    splits: tuple[list[Pair], list[Pair], list[Pair]] = ([], [], [])
    for pair in pairs:
        splits[split_of[_key(pair)]].append(pair)
    return splits


def _key(pair: Pair) -> str:
    return "".join(pair.source.casefold().split())


def encode_sentence(text: str, vocab: Vocab) -> numpy.ndarray:
    """Return the ids (int32) of a sentence's tokens, without ``<bos>`` and ``<eos>``; an unknown token is ``<unk>``."""
    unknown = vocab.token_to_idx[UNK]
    ids = [vocab.token_to_idx.get(token, unknown) for token in tokens_of(normalised(text), vocab.level)]
    return numpy.array(ids, dtype=numpy.int32)


def unknown_tokens(text: str, vocab: Vocab) -> list[str]:
    """Return the tokens of a sentence that a vocabulary lacks, each once, in their order."""
    tokens: Iterable[str] = tokens_of(normalised(text), vocab.level)
    return list(dict.fromkeys(token for token in tokens if token not in vocab))
