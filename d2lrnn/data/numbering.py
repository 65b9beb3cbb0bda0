"""Count and number the tokens of a text that comes in parts, so that no more than a part of it is in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count

import numpy

from d2lrnn.data.characters import LINE_END
from d2lrnn.data.code_points import Counts, code_points
from d2lrnn.data.kept_numbers import KeptNumbers
from d2lrnn.data.vocabulary import Vocab, check_level, tokenize


class Numbering:
    """Makes a vocabulary and ids of a text that is added part by part: those of ``Vocab(text)`` and ``encode(text)``.

    Close it at the end, whatever happens: ``with closing(Numbering(level)) as numbering``.

    Until the end is known, a character's number is its code point, and that of another token tells when it came first.

    Args:
        level: of the tokens.  Of pairs of characters, a last character without a partner is left out.
        max_tokens: how many tokens are kept; None: all.
        whole_lines: whether what is kept ends where a line ends; then each part must end so.
        kept: where the numbers are kept.

    Raises:
        D2lrnnError: if the level is unknown.
    """

    def __init__(
        self,
        level: str,
        max_tokens: int | None = None,
        whole_lines: bool = False,
        kept: KeptNumbers | None = None,
    ) -> None:
        check_level(level)
        self._level, self._max_tokens, self._whole_lines = level, max_tokens, whole_lines
        self._kept, self._counts = KeptNumbers() if kept is None else kept, Counts()
        self._first: defaultdict[str, int] = defaultdict(count().__next__)  # the tokens' numbers, but of characters
        self._is_full = False

    def add(self, text: str) -> None:
        """Add a part of a text: whole words, or pairs, or any number of characters.

        Raises:
            CorpusError: as :meth:`d2lrnn.data.kept_numbers.KeptNumbers.add`.
        """
        tokens = self._kept_of(text if self._level == "char" else tokenize(text, self._level))
        if isinstance(tokens, str):
            numbers = code_points(tokens)
        else:
            numbers = numpy.fromiter(map(self._first.__getitem__, tokens), numpy.int32, len(tokens))
        self._counts.add(numbers)
        self._kept.add(numbers)

    def close(self) -> None:
        """Give up what :meth:`finish` has not returned."""
        self._kept.close()

    @property
    def num_tokens(self) -> int:
        """The number of tokens so far."""
        return len(self._kept)

    def _kept_of(self, tokens: Sequence[str]) -> Sequence[str]:
        """Return those of a part's tokens that are kept."""
        if self._max_tokens is None:
            return tokens
        room = 0 if self._is_full else self._max_tokens - len(self._kept)
        self._is_full = len(tokens) > room
        if self._is_full and isinstance(tokens, str) and self._whole_lines:
            room = tokens.rfind(LINE_END, 0, room) + 1
        return tokens[:room]

    def finish(self) -> tuple[Vocab, numpy.ndarray]:
        """Return the vocabulary, and the ids, int32, one dimension, read-only.

        Raises:
            D2lrnnError: if there are no tokens.
            CorpusError: as :meth:`d2lrnn.data.kept_numbers.KeptNumbers.ids`.
        """
        if self._level == "char":
            order = self._counts.by_frequency()
            vocab = Vocab.from_list(map(chr, order.tolist()), self._level)
        else:
            tokens = list(self._first)
            sorted_tokens = numpy.array(sorted(range(len(tokens)), key=tokens.__getitem__), numpy.int64)
            order = self._counts.by_frequency(sorted_tokens)
            vocab = Vocab.from_list((tokens[number] for number in order.tolist()), self._level)
        table = numpy.zeros(int(order.max()) + 1, numpy.int32)
        table[order] = numpy.arange(len(order))
        return vocab, self._kept.ids(table)


def in_whole_tokens(parts: Iterable[str], level: str) -> Iterator[str]:
    """Yield a text that comes in any parts in parts of whole words, or pairs; a last odd character is left out."""
    if level == "bigram":
        return _in_pairs(parts)
    return _cut(parts, _end_of_words) if level == "word" else iter(parts)


def in_whole_lines(parts: Iterable[str]) -> Iterator[str]:
    """Yield a text that comes in any parts in parts that end where a line ends; the last one where the text ends."""
    return _cut(parts, lambda part: part.rfind(LINE_END) + 1)


def _cut(parts: Iterable[str], end_in: Callable[[str], int]) -> Iterator[str]:
    """Yield a text in other parts; ``end_in`` returns the last place in a part where one may end, 0 if it has none."""
    begun: list[str] = []
    for part in parts:
        end = end_in(part)
        if end:
            yield "".join([*begun, part[:end]])
            begun = []
        begun.append(part[end:])
    rest = "".join(begun)
    if rest:
        yield rest


def _end_of_words(part: str) -> int:
    """Return where the last word in a part begins, which the next part may go on with; the end if none is begun."""
    if not part or part[-1].isspace():
        return len(part)
    return len(part) - len(part.rsplit(None, 1)[-1])


def _in_pairs(parts: Iterable[str]) -> Iterator[str]:
    rest = ""
    for part in parts:
        part = rest + part
        end = len(part) // 2 * 2
        yield part[:end]
        rest = part[end:]
