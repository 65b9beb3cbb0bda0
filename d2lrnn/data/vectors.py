"""Word vectors from a text file of GloVe or word2vec, for the words of a vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

import numpy

from d2lrnn.checks import check_parameters, shown
from d2lrnn.data.vector_files import MAX_NUMBERS, VectorsError, header_in, lines_of, opened_vectors
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.errors import D2lrnnError
from d2lrnn.paths import PathLike

UNKNOWN = ("random", "shared")  # what the words get that a file lacks

MOST_MALFORMED = 10  # lines that are left out of any file; of a large one, a line in a hundred

LISTED = 5  # malformed lines, or missing words, that a message names


@dataclass(frozen=True)
class WordVectors:
    """The vectors that a file has for the words of a vocabulary."""

    name: str  # of the file
    vocab: Vocab
    values: numpy.ndarray  # float32 (vocab_size, size), by id; 0 where the file has no such word
    found: numpy.ndarray  # whether the file has the word, by id
    num_lines: int  # with a word and its numbers, malformed ones among them
    malformed: tuple[tuple[int, str], ...] = ()  # the lines that were left out: the number of each, and the reason
    promised: int | None = None  # words that the first line of word2vec promises

    @property
    def size(self) -> int:
        """How many numbers a vector has."""
        return self.values.shape[1]

    def table(self, unknown: str = "random") -> numpy.ndarray:
        """Return a vector for each word of the vocabulary.

        Args:
            unknown: what the words get that the file lacks.  ``"shared"``: the mean of the vectors that were found, one
                for all.  ``"random"``: each numbers of its own, N(0, s²), where s² is the mean square of the numbers
                found; drawn from NumPy's global generator (``numpy.random.seed``).

        Returns:
            float32 (vocab_size, size).

        Raises:
            D2lrnnError: for any other ``unknown``.
        """
        if unknown not in UNKNOWN:
            raise D2lrnnError(f"unknown is {shown(unknown)}: expected one of {', '.join(UNKNOWN)}")
        table, known = self.values.copy(), self.values[self.found].astype("float64")
        missing = int((~self.found).sum())
        if unknown == "shared":
            table[~self.found] = known.mean(axis=0)
        else:
            table[~self.found] = numpy.random.normal(0, (known**2).mean() ** 0.5, (missing, self.size))
        return table

    @property
    def remarks(self) -> list[str]:
        """What a user should know of the file: the lines that were left out, and words that are promised only."""
        remarks = []
        if self.malformed:
            listed = "; ".join(f"line {number:,}: {reason}" for number, reason in self.malformed[:LISTED])
            more = "; ..." if len(self.malformed) > LISTED else ""
            remarks.append(
                f"{self.name}: {len(self.malformed):,} of {self.num_lines:,} lines are left out ({listed}{more})"
            )
        if self.promised is not None and self.promised != self.num_lines:
            remarks.append(
                f"{self.name} has {self.num_lines:,} words, and its first line promises {self.promised:,}: "
                "was it cut off?"
            )
        return remarks

    def __str__(self) -> str:
        """Return how many words were found, and the most frequent ones of those that were not."""
        missing = [self.vocab.idx_to_token[i] for i in numpy.flatnonzero(~self.found)]
        listed = ", ".join(map(repr, missing[:LISTED])) + (", ..." if len(missing) > LISTED else "")
        without = f"; without: {listed}" if missing else ""
        count = len(self.vocab)
        return f"{self.size} numbers each for {count - len(missing):,} of {count:,} words from {self.name}{without}"


def read_vectors(path: PathLike, vocab: Vocab) -> WordVectors:
    """Read the vectors of a vocabulary's words from a text file of GloVe or word2vec.

    Each line holds a word and its numbers.  word2vec's first line, the number of words and of their numbers, is told
    apart from a word.  The file is read line by line, and only the vectors of the vocabulary's words are kept.  Each
    number becomes the float32 that is nearest to what the file says, which rounding twice, first to float64, would
    sometimes miss.

    A malformed line is left out: one with another count of numbers, one whose word is not UTF-8, and, of a word that is
    in the vocabulary, one with anything but finite numbers, or one whose word was there before.

    Args:
        path: the file, as for :func:`d2lrnn.data.vector_files.opened_vectors`.
        vocab: the vocabulary.

    Raises:
        FileError: if the file cannot be read.
        VectorsError: if it is no text of vectors, such as a binary of word2vec; if more than ten lines, and more than
            one in a hundred, are malformed, or most of them; if it has no word of the vocabulary.
        D2lrnnError: if memory cannot hold the vectors.
    """
    with opened_vectors(path) as (stream, name):
        lines = lines_of(stream, name)
        first, second = next(lines, (1, b"")), next(lines, (0, b""))
        header = header_in(first[1], second[1])
        begin = [second] if header else [first, second]
        size = header[1] if header else _size_of(first[1], name)
        if not size or not (second[1] if header else first[1]):
            raise VectorsError(f"{name} has no vectors after its first line: expected a word and its numbers a line")
        if size > MAX_NUMBERS:
            raise VectorsError(
                f"{name}: line 1 says that each word has more than {MAX_NUMBERS:,} numbers, for which no line has "
                "room: expected the number of words and of the numbers of each, as word2vec writes them"
            )
        check_parameters([(len(vocab), size)])
        reader = _Reader(name, vocab, size)
        reader.read(chain((line for line in begin if line[1]), lines))
        return reader.vectors(header[0] if header else None)


class _Reader:
    """Reads lines into the table of a vocabulary, and notes those that are malformed."""

    def __init__(self, name: str, vocab: Vocab, size: int) -> None:
        self.name, self.vocab, self.size = name, vocab, size
        self.ids = {token.encode(errors="surrogatepass"): i for i, token in enumerate(vocab.idx_to_token)}
        self.values = numpy.zeros((len(vocab), size), "float32")
        self.line_of: dict[int, int] = {}  # by the ids of the words that were found
        self.malformed: list[tuple[int, str]] = []
        self.count = 0

    def read(self, lines: Iterator[tuple[int, bytes]]) -> None:
        """Read all lines.

        Raises:
            VectorsError: once too many of them are malformed.
        """
        for number, line in lines:
            self.count += 1
            try:
                self._take(number, line)
            except VectorsError as error:
                self.malformed.append((number, str(error)))
                if len(self.malformed) > max(MOST_MALFORMED, self.count // 100):
                    self._refuse()

    def vectors(self, promised: int | None) -> WordVectors:
        """Return what was read.

        Raises:
            VectorsError: if most lines are malformed, or no word of the vocabulary was found.
        """
        if 2 * len(self.malformed) > self.count:
            self._refuse()
        if not self.line_of:
            words = ", ".join(map(repr, self.vocab.idx_to_token[:3]))
            raise VectorsError(
                f"{self.name} has none of the vocabulary's {len(self.vocab):,} tokens, such as {words}: is it of "
                f"another language, or for another --level than {self.vocab.level}?"
            )
        found = numpy.zeros(len(self.vocab), bool)
        found[list(self.line_of)] = True
        return WordVectors(self.name, self.vocab, self.values, found, self.count, tuple(self.malformed), promised)

    def _take(self, number: int, line: bytes) -> None:
        """Keep the vector of a line, if its word is in the vocabulary.

        Raises:
            VectorsError: if the line is malformed.
        """
        word, numbers = _split(line, self.size)
        idx = self.ids.get(word)
        if idx is None:
            try:
                word.decode()
            except UnicodeDecodeError:
                raise VectorsError(f"the word {shown(word)} is not UTF-8") from None
            return
        if idx in self.line_of:
            raise VectorsError(f"the word {shown(word.decode())} is there already, in line {self.line_of[idx]:,}")
        self.values[idx] = nearest_float32(numbers)
        self.line_of[idx] = number

    def _refuse(self) -> None:
        number, reason = self.malformed[0]
        raise VectorsError(
            f"{self.name}: {len(self.malformed):,} of the first {self.count:,} lines are malformed, first line "
            f"{number:,} ({reason}): expected a word and its numbers, {self.size:,}, in each"
        )


def nearest_float32(numbers: Sequence[bytes]) -> numpy.ndarray:
    """Return for each number in decimal the nearest float32; of two that are equally near, the one that is even.

    Raises:
        VectorsError: for anything but a finite number, and for one that float32 cannot hold.
    """
    doubles = numpy.array([_number(text) for text in numbers])
    with numpy.errstate(over="ignore"):
        singles = doubles.astype("float32")
    for i in numpy.flatnonzero(~numpy.isfinite(singles)):
        raise VectorsError(f"{shown(numbers[i].decode(errors='replace'))} is no finite number of float32")
    # Where the double lies in the middle between two float32, the decimal digits tell which of the two is nearer.
    with numpy.errstate(over="ignore"):
        other = numpy.nextafter(singles, numpy.where(doubles > singles, numpy.inf, -numpy.inf).astype("float32"))
    in_middle = (doubles != singles) & (doubles - singles == other - doubles)
    for i in numpy.flatnonzero(in_middle):
        exact, middle = Fraction(numbers[i].decode()), Fraction(doubles[i])
        if exact != middle:
            singles[i] = (max if exact > middle else min)(singles[i], other[i])
    return singles


def _number(text: bytes) -> float:
    try:
        if b"_" not in text:  # which Python allows between digits
            return float(text)
    except ValueError:
        pass
    raise VectorsError(f"{shown(text.decode(errors='replace'))} is no number")


def _is_number(text: bytes) -> bool:
    try:
        _number(text)
    except VectorsError:
        return False
    return True


def _split(line: bytes, size: int) -> tuple[bytes, list[bytes]]:
    """Return the word of a line and the texts of its numbers; the word may be, or hold, a space or a tab.

    Raises:
        VectorsError: if the line has another count of numbers.
    """
    fields = line.rsplit(None, size)
    if len(fields) == size and line[:1] in (b" ", b"\t") and _is_number(fields[0]):
        return line[:1], fields
    word = fields[0]
    parts = word.split() if len(fields) == size + 1 else []
    if not parts or (len(parts) > 1 and _is_number(parts[-1])):
        found = _count_numbers(line)
        raise VectorsError(f"the count of its numbers is {found:,}, expected {size:,}")
    return word, fields[1:]


def _count_numbers(line: bytes) -> int:
    """Return how many numbers a line ends with, after its word."""
    fields = line.split()
    if line[:1] not in (b" ", b"\t"):
        fields = fields[1:]
    count = 0
    while count < len(fields) and _is_number(fields[-1 - count]):
        count += 1
    return count


def _size_of(line: bytes, name: str) -> int:
    """Return how many numbers the word of the first line has.

    Raises:
        VectorsError: if it has none.
    """
    count = _count_numbers(line)
    if not count:
        text = shown(line[:60].decode(errors="replace").strip())
        raise VectorsError(f"{name}: line 1 is {text}: expected a word and its numbers, separated by spaces")
    return count
