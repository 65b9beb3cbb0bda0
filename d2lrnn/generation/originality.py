"""Whether a model wrote a text or remembered it: what the text copies, and how varied several texts are.

Everything is counted in tokens: words, or characters.  Spaces count as characters; in corpora they stand for line ends.
"""

from __future__ import annotations

import math
import re
import unicodedata
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy

from d2lrnn.checks import check_memory, check_whole
from d2lrnn.data.corpus import Corpus
from d2lrnn.data.vocabulary import Vocab, tokenize
from d2lrnn.errors import D2lrnnError

Spans = tuple[tuple[int, int], ...]  # (begin, end) of each span, in tokens; the span ends before the token `end`


@dataclass(frozen=True)
class Novelty:
    """What a text copies from a corpus; positions and lengths count tokens."""

    level: str  # of the tokens: "char" or "word"
    num_tokens: int  # of the text
    copied_ngrams: float  # the share of the text's n-grams, 0 to 1, that stand in the corpus; nan: the text has none
    copied_tokens: float  # the share of its tokens, 0 to 1, that are in the spans; nan: the text has none
    spans: Spans  # what is copied, from left to right, as novelty() explains
    longest: str  # the longest span, however short, that stands in the corpus; of several the first
    longest_length: int  # tokens of the longest span; 0: not one token of the text stands in the corpus
    text_begin: int | None  # the token of the text at which the longest span begins; None: there is no span
    corpus_begin: int | None  # the token of the corpus at which the longest span first begins; None likewise


class CopyIndex:
    """Finds what texts have in common with a corpus, by a suffix array of 8 bytes a token, made once for many texts.

    Args:
        corpus: a corpus, whose ``train`` is taken, or a text; a corpus of pairs of characters is read as characters.
        level: ``"char"`` or ``"word"``; None: the corpus's own level, and characters for a text.

    Raises:
        D2lrnnError: if the corpus is an empty text or has another level, or the level is unknown.
    """

    def __init__(self, corpus: Corpus | str, level: str | None = None) -> None:
        if isinstance(corpus, Corpus) and corpus.vocab.level == "bigram":
            corpus = corpus.vocab.decode(corpus.train)  # a copy may begin within a pair
        vocab = corpus.vocab if isinstance(corpus, Corpus) else Vocab(corpus, "char" if level is None else level)
        if level not in (None, vocab.level):
            raise D2lrnnError(f"level is {level!r}: expected {vocab.level!r}, the corpus's, or None")
        ids = corpus.train if isinstance(corpus, Corpus) else vocab.encode(corpus)
        what = f"looking for copies of {len(ids):,} tokens"
        check_memory(what, 56 * len(ids), "expected a smaller corpus; compare with a part of it, as a text")
        self.level, self._ids = vocab.level, dict(vocab.token_to_idx)
        if " " in self._ids:  # no word is a space
            self._ids.setdefault("\n", self._ids[" "])  # most corpora are loaded with line ends as spaces
        self._corpus = ids.astype(">i4").tobytes()  # the bytes of big-endian numbers are ordered as the numbers are
        self._order, self._width = _suffix_array(ids)

    def match_lengths(self, text: str) -> numpy.ndarray:
        """Return for each token of a text the length of the longest copy from the corpus that begins at the token.

        Lengths count tokens; 0: the token itself is not in the corpus.  The result is an int64 array (num_tokens,).

        The longest match of ``text[i:]`` is with one of its two neighbours in the sorted suffixes of the corpus.  A
        match of n tokens at i implies one of n - 1 at i + 1, so the work of comparing tokens is linear in the text.
        """
        corpus, rest, size, sizes = self._corpus, self._encode(text), 0, []  # sizes in bytes, 4 a token
        for i in range(0, len(rest), 4):
            size = max(size - 4, 0)
            place = self._place(rest[i : i + 4 * self._width])
            for begin in self._order[max(place - 1, 0) : place + 1]:
                j = 4 * begin
                if corpus[j : j + size] == rest[i : i + size]:
                    while i + size < len(rest) and corpus[j + size : j + size + 4] == rest[i + size : i + size + 4]:
                        size += 4
            sizes.append(size)
        return numpy.array(sizes, dtype=numpy.int64) // 4

    def find(self, text: str) -> int | None:
        """Return the token of the corpus at which a text first begins, or None if the corpus does not hold the text."""
        pattern = self._encode(text)
        return min(self._order[self._place(pattern) : self._place(pattern + b"\xff")], default=None)

    def _encode(self, text: str) -> bytes:
        tokens = tokenize(text, self.level)
        ids = (self._ids.get(token, -1) for token in tokens)  # -1: a token that the corpus lacks
        return numpy.fromiter(ids, ">i4", len(tokens)).tobytes()

    def _place(self, pattern: bytes) -> int:
        """Return how many suffixes come before a pattern in the sorted order, by bisection."""
        low, high = 0, len(self._order)
        while low < high:
            middle = (low + high) // 2
            begin = 4 * self._order[middle]
            before = self._corpus[begin : begin + len(pattern)] < pattern
            low, high = (middle + 1, high) if before else (low, middle)
        return low


def novelty(text: str, corpus: Corpus | CopyIndex | str, n: int = 4, min_length: int = 8) -> Novelty:
    """Find what a text copies from a corpus.

    The spans cover exactly the tokens that lie in some copy of at least ``min_length`` tokens, with as few copies as
    possible.  A span that begins where another ends may be shorter than ``min_length``.

    With the defaults, little is found by chance.  Of the last tenth of the book's lyrics, 5.9% of the 4-grams and 2.5%
    of the tokens (a chorus that returns) stand in the rest; of the Penn Treebank's test text, 17.7% and 5.0% in the
    training text.  Letters of an alphabet need longer copies: for The Time Machine the shares are 96.8% and 89.5%, with
    n = 16 and min_length = 32 they are 4.3% and 0.2%.

    Args:
        text: what the model wrote.  In a corpus of characters that has no line ends, they are read as spaces.
        corpus: the corpus, whose ``train`` is taken, or a text, read as characters; for many texts, a CopyIndex.
        n: tokens of an n-gram.
        min_length: the fewest tokens of a copy that counts.

    Raises:
        D2lrnnError: if ``n`` or ``min_length`` is no whole number of at least 1, or the corpus is an empty text.
    """
    check_whole("n", n, most=math.inf)
    check_whole("min_length", min_length, most=math.inf)
    index = corpus if isinstance(corpus, CopyIndex) else CopyIndex(corpus)
    lengths, places = index.match_lengths(text), token_places(text, index.level)
    spans, ngrams = _cover(lengths, min_length), lengths[: max(len(lengths) - n + 1, 0)]
    begin = int(lengths.argmax()) if lengths.any() else None
    longest = "" if begin is None else text[places[begin][0] : places[begin + lengths[begin] - 1][1]]
    return Novelty(
        level=index.level,
        num_tokens=len(places),
        copied_ngrams=float((ngrams >= n).mean()) if ngrams.size else math.nan,
        copied_tokens=sum(end - begin for begin, end in spans) / len(places) if places else math.nan,
        spans=spans,
        longest=longest,
        longest_length=int(lengths.max(initial=0)),
        text_begin=begin,
        corpus_begin=None if begin is None else index.find(longest),
    )


def usual_lengths(vocab: Vocab) -> tuple[int, int]:
    """Return the ``n`` and ``min_length`` of :func:`novelty` that suit a vocabulary.

    They are 4 and 8 for words and for wide characters, such as Chinese ones; 16 and 32 if most characters are letters
    of an alphabet.
    """
    letters = [token for token in vocab.idx_to_token if token.isalpha()]
    wide = sum(unicodedata.east_asian_width(token[0]) == "W" for token in letters)
    return (4, 8) if vocab.level == "word" or 2 * wide > len(letters) else (16, 32)


def marked(text: str, spans: Spans, level: str, before: str = "【", after: str = "】") -> str:
    """Return a text with marks around the spans of its :class:`Novelty`; choose marks that the text itself lacks.

    Raises:
        D2lrnnError: if a span is empty, out of order or not within the text, or the level is unknown.
    """
    places, pieces, last, done = token_places(text, level), [], 0, 0
    for begin, end in spans:
        for name, value in (("begin", begin), ("end", end)):
            check_whole(f"the {name} of a span", value, 0)
        if not last <= begin < end <= len(places):
            raise D2lrnnError(
                f"the span ({begin}, {end}) is not within {last} to {len(places)}: is it of another text?"
            )
        pieces += [text[done : places[begin][0]], before, text[places[begin][0] : places[end - 1][1]], after]
        last, done = end, places[end - 1][1]
    return "".join([*pieces, text[done:]])


def distinct(texts: Iterable[str], n: int, level: str = "char") -> float:
    """Return how varied texts are: different n-grams divided by all n-grams; 1: none comes twice; nan: there are none.

    This is distinct-n of Li et al. (2016, arXiv 1510.03055) for n = 1 and 2.  The paper divides by the number of
    tokens; a text has n - 1 tokens more than n-grams.  The value falls with the number and the length of the texts, so
    compare only sets of equally many texts of the same length.

    Raises:
        D2lrnnError: if ``n`` is no whole number of at least 1, ``texts`` is a single text, or the level is unknown.
    """
    check_whole("n", n, most=math.inf)
    if isinstance(texts, str):
        raise D2lrnnError(f"texts is {texts!r}: expected a list of texts")
    rows = (tuple(tokenize(text, level)) for text in texts)
    ngrams = [row[i : i + n] for row in rows for i in range(len(row) - n + 1)]
    return len(set(ngrams)) / len(ngrams) if ngrams else math.nan


def _suffix_array(ids: numpy.ndarray) -> tuple[array, int]:
    """Return the sorted suffixes, each as its first token's position, and a number of tokens within which all differ.

    The method is prefix doubling (Manber and Myers 1993).
    """
    size, width = len(ids), 1
    rank = numpy.unique(ids, return_inverse=True)[1]  # each suffix's rank by its first `width` tokens, int64
    while True:
        key = rank * (size + 1)
        key[:-width] += rank[width:] + 1  # 0 for a suffix of at most `width` tokens
        order = numpy.argsort(key)
        rank[order] = numpy.cumsum(numpy.diff(key[order], prepend=-1) > 0) - 1
        width *= 2
        if rank[order[-1]] == size - 1:
            return array("i", order.astype(numpy.int32).tobytes()), width


def _cover(lengths: numpy.ndarray, min_length: int) -> Spans:
    """Return the fewest matches that cover exactly the tokens of all matches of at least ``min_length`` tokens."""
    ends = numpy.where(lengths >= min_length, numpy.arange(len(lengths)) + lengths, 0)
    reach = numpy.maximum.accumulate(ends).tolist()  # the furthest end of matches that begin at a token or before it
    spans, end = [], 0
    for i, length in enumerate(lengths.tolist()):
        if end <= i < reach[i]:
            end = next((j for j in range(i, i + length) if reach[j] <= j), i + length)
            spans.append((i, end))
    return tuple(spans)


def token_places(text: str, level: str) -> list[tuple[int, int]]:
    """Return (begin, end) of each token of a text, in characters; the token ends before the character ``end``."""
    if level == "word":
        return [match.span() for match in re.finditer(r"\S+", text)]  # the words of str.split()
    return [(i, i + 1) for i in range(len(tokenize(text, level)))]
