"""A corpus: a text as ids, in splits, with its vocabulary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy

from d2lrnn.checks import check_number
from d2lrnn.data.characters import WITHOUT_SPACES
from d2lrnn.data.code_points import BLOCK
from d2lrnn.data.kept_numbers import is_fixed
from d2lrnn.data.vocabulary import LINE_END, Vocab, check_ids
from d2lrnn.errors import D2lrnnError


def unparted(name: str, vocab: Vocab) -> str:
    """Return a warning if the words of a vocabulary are whole lines, else an empty text.

    Words are what white space parts.  Chinese, Japanese and Thai have no white space between words.

    Args:
        name: of the text.
        vocab: of its words; one of characters gets no warning.
    """
    words = vocab.idx_to_token[:10_000] if vocab.level == "word" else ()
    length = sum(map(len, words)) / max(len(words), 1)
    if length <= 5 or 2 * len(re.findall(WITHOUT_SPACES, "".join(words))) < length * len(words):
        return ""
    return (
        f"the words of {name} have {length:.0f} characters on average: words are what white space parts, and "
        "this text has none between its words; take --level char, or put spaces between the words"
    )


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text as ids (int32, one dimension, read-only) and their vocabulary.

    It can be taken apart as the book does it (d2l-zh v1, section 6.3)::

        corpus_indices, char_to_idx, idx_to_char, vocab_size = load_data_jay_lyrics()

    Raises:
        D2lrnnError: if a split is not one row of ids of the vocabulary, or is empty.
    """

    name: str
    vocab: Vocab
    train: numpy.ndarray
    valid: numpy.ndarray | None = None  # None: the corpus has no such split
    test: numpy.ndarray | None = None
    line_numbers: Sequence[int] | None = None  # of a corpus of lines, the number of each line in its file, from 1

    def __post_init__(self) -> None:
        for split in ("train", "valid", "test"):
            if getattr(self, split) is None and split != "train":
                continue
            what = f"the {split} split of {self.name}"
            ids = check_ids(getattr(self, split), len(self.vocab), what)
            ids = ids if is_fixed(ids) else ids.copy()
            if ids.ndim != 1 or ids.size == 0:
                raise D2lrnnError(f"{what} has shape {ids.shape}: expected one dimension, not empty")
            ids.setflags(write=False)
            object.__setattr__(self, split, ids)

    def __iter__(self) -> Iterator:
        """Give ``train``, the ids by token, the tokens by id, and the vocabulary's size, in the book's order."""
        return iter((self.train, self.vocab.token_to_idx, self.vocab.idx_to_token, self.vocab_size))

    @property
    def vocab_size(self) -> int:
        """The number of tokens in the vocabulary."""
        return len(self.vocab)

    @property
    def remark(self) -> str:
        """A warning if the words of the corpus are whole lines (:func:`unparted`), else an empty text."""
        return unparted(self.name, self.vocab)

    def hold_out(self, share: float) -> Corpus:
        """Split off the end of ``train``: the last ``share`` becomes ``test``, as much before it ``valid``.

        The vocabulary stays that of the whole text, so a model knows every character.  In a corpus of lines each split
        ends where a line ends.

        Args:
            share: the share of the tokens, 0 to below 0.5; 0 changes nothing.

        Raises:
            D2lrnnError: if the share is another number, if the corpus has splits already, or if a split would have
                fewer than two tokens.
        """
        share = check_number("held_out", share, below=0.5)
        if share == 0:
            return self
        if self.valid is not None or self.test is not None:
            raise D2lrnnError(f"{self.name} has splits for validation and test already: leave held_out out")
        ids, ends = self.train, [round(len(self.train) * (1 - 2 * share)), round(len(self.train) * (1 - share))]
        if LINE_END in self.vocab:
            ends = [_end_before(ids, self.vocab.token_to_idx[LINE_END], end) for end in ends]
        parts = numpy.split(ids, ends)
        if min(part.size for part in parts) < 2:
            sizes = ", ".join(f"{part.size:,}" for part in parts)
            raise D2lrnnError(
                f"held_out {share} would part {self.name} into {sizes} tokens: expected at least two each"
            )
        return replace(self, train=parts[0], valid=parts[1], test=parts[2])

    def place_of_lines(self, first: int, last: int) -> str:
        """Return where lines of ``train`` are in the corpus's file, such as ``my.txt, line 7``.

        Args:
            first: the first line's number in ``train``, from 1.
            last: the last line's.
        """
        if self.line_numbers is not None:
            first, last = self.line_numbers[first - 1], self.line_numbers[min(last, len(self.line_numbers)) - 1]
        return f"{self.name}, line {first}" if first == last else f"{self.name}, lines {first} to {last}"

    def split(self, name: str) -> numpy.ndarray:
        """Return the ids of ``"train"``, ``"valid"`` or ``"test"``; D2lrnnError if the corpus has no such split."""
        found = [split for split in ("train", "valid", "test") if getattr(self, split) is not None]
        if name not in found:
            raise D2lrnnError(f"{self.name} has no split {name!r}: expected one of {', '.join(found)}")
        return getattr(self, name)


def _end_before(ids: numpy.ndarray, line_end: int, end: int) -> int:
    """Return where the last line ends that ends at ``end`` or before it; 0: none does."""
    while end > 0:
        begin = max(end - BLOCK, 0)
        found = numpy.flatnonzero(ids[begin:end] == line_end)
        if len(found):
            return begin + int(found[-1]) + 1
        end = begin
    return 0
