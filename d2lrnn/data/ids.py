"""Texts as ids of a vocabulary that is there already, such as that of a trained model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy

from d2lrnn.data.characters import LINE_END
from d2lrnn.data.corpora import CORPORA, cleaning, ends_as_words, lines_as_spaces
from d2lrnn.data.texts import CorpusError, Readable, check_max_tokens, named_stream, pieces, read_text, until_tokens
from d2lrnn.data.vocabulary import EOS, UNK, UnknownTokenError, Vocab, tokenize

MAX_LINE = 2**24  # characters of a line that is read by itself


class Line(NamedTuple):
    """A line of a text file."""

    number: int  # in the file, from 1
    text: str  # without its end, and without spaces around it
    ids: numpy.ndarray  # of its tokens, without its end
    unknown: int  # how many of its tokens were read as <unk>


def load_ids(
    source: Readable, vocab: Vocab, lines: bool = False, max_tokens: int | None = None, corpus: str = ""
) -> tuple[numpy.ndarray, int]:
    """Read a UTF-8 text file in the vocabulary of a trained model, as the model's corpus was read.

    If the vocabulary is of words and has ``<unk>``, an unknown word is read as ``<unk>``; if it has ``<eos>``, a line
    end is read as ``<eos>``.  The Penn Treebank's vocabulary has both.

    Args:
        source: the file, or a stream of bytes such as ``sys.stdin.buffer``.
        vocab: the model's.
        lines: keep line ends, as :func:`d2lrnn.data.datasets.load_text`.
        max_tokens: keep at most so many tokens; None: all.
        corpus: the name of the model's corpus: a text for one of the table is cleaned as that corpus was.

    Returns:
        the ids, and how many words were read as ``<unk>``.

    Raises:
        CorpusError: if the file cannot be read, is empty, or is not UTF-8 text.
        UnknownTokenError: if the text has a token that the vocabulary lacks, with the line in which it is.
    """
    check_max_tokens(max_tokens)
    clean = _cleaning(vocab, lines, corpus)
    keeps_tokens = clean in (cleaning(lines), ends_as_words, str)  # else more must be read than is kept
    text, what = read_text(source, until_tokens(max_tokens if keeps_tokens else None, vocab.level, lines))
    if vocab.level == "word" and UNK in vocab:
        tokens, unknown = with_unk(tokenize(clean(text), "word")[:max_tokens], vocab)
        return vocab.encode(tokens), unknown
    return encode_text(text, what, vocab, clean, max_tokens), 0


def with_unk(words: Sequence[str], vocab: Vocab) -> tuple[list[str], int]:
    """Return words with ``<unk>`` in place of those that the vocabulary lacks, and how many these are."""
    known = [word if word in vocab else UNK for word in words]
    return known, sum(word not in vocab for word in words)


def _cleaning(vocab: Vocab, lines: bool, corpus: str) -> Callable[[str], str]:
    """Return what was done to the text of a model's corpus before it was split into tokens."""
    if corpus in CORPORA and not lines:
        named = CORPORA[corpus].clean
        if named is not None:
            return named
    if vocab.level == "word" and EOS in vocab:
        return ends_as_words
    return str if LINE_END in vocab and not lines else cleaning(lines)  # str: as it is


def encode_text(
    text: str, what: str, vocab: Vocab, clean: Callable[[str], str] = lines_as_spaces, max_tokens: int | None = None
) -> numpy.ndarray:
    """Return the ids of a text's tokens (:func:`first_tokens`).

    Args:
        text: with one kind of line end.
        what: to call it in an error.
        vocab: of the ids.
        clean: what is done to the text before it is split into tokens.
        max_tokens: how many tokens are kept; None: all.

    Raises:
        UnknownTokenError: with the line of the first token that the vocabulary lacks.
    """
    tokens = first_tokens(clean(text), vocab.level, max_tokens)
    try:
        return vocab.encode(tokens)
    except UnknownTokenError as error:
        line = _line_of(error.position or 0, text, vocab, clean)
        raise UnknownTokenError(f"{what}: {vocab.explain_unknown(tokens, f'in line {line}')}") from error


def first_tokens(text: str, level: str, max_tokens: int | None = None) -> Sequence[str]:
    """Return the first tokens of a text; of pairs of characters, a last character without a partner is left out.

    A text is its characters already: a list of them would take thirty times its memory.
    """
    if level == "char":
        return text[:max_tokens]
    return tokenize(text[: len(text) // 2 * 2] if level == "bigram" else text, level)[:max_tokens]


def _line_of(position: int, text: str, vocab: Vocab, clean: Callable[[str], str]) -> int:
    """Return the number of the line in which the first token is that the vocabulary lacks."""
    if vocab.level == "bigram":  # pairs go over line ends, which are read as one character
        return 1 + text.count(LINE_END, 0, 2 * position)
    for number, line in enumerate(text.split(LINE_END), 1):
        if any(token not in vocab for token in tokenize(clean(line), vocab.level)):
            return number
    return number


def load_lines(source: Readable, vocab: Vocab, corpus: str = "") -> Iterator[Line]:
    """Yield the lines of a UTF-8 text file one by one, in the vocabulary of a trained model; blank lines are left out.

    The file may be of any length: only a piece of it is in memory.

    Args:
        source: as for :func:`load_ids`.
        vocab: the model's; if it has ``<unk>``, an unknown token is read so.
        corpus: as for :func:`load_ids`.

    Raises:
        CorpusError, UnknownTokenError: as :func:`load_ids`; also for a line of more than MAX_LINE characters.
    """
    clean = CORPORA[corpus].clean if corpus in CORPORA else None
    with named_stream(source) as (stream, what):
        found = False
        for number, text in _numbered(pieces(stream, what, None), what):
            text = text.strip()
            line = text if clean in (None, ends_as_words) else clean(text).strip()  # type: ignore[misc]
            if line:
                found = True
                yield _line(number, text, line, what, vocab)
        if not found:
            raise CorpusError(f"{what} is empty: expected text")


def numbered_lines(source: Readable) -> Iterator[tuple[int, str]]:
    """Yield the lines of a UTF-8 text file, of any length, each with its number from 1; blank ones too.

    Raises:
        CorpusError: as :func:`load_lines`.
    """
    with named_stream(source) as (stream, what):
        last, begun = (0, ""), False
        for number, text in _numbered(pieces(stream, what, None), what):
            if begun:
                yield last
            last, begun = (number, text), True
        if last[1]:  # what follows the last line end is a line only if there is something
            yield last
        elif last[0] < 2:
            raise CorpusError(f"{what} is empty: expected text")


def _line(number: int, text: str, cleaned: str, what: str, vocab: Vocab) -> Line:
    """Read one line."""
    if vocab.level == "bigram" and len(cleaned) % 2:
        cleaned += " "  # in training the line end was read as a space
    tokens, unknown = first_tokens(cleaned, vocab.level), 0
    if UNK in vocab:
        tokens, unknown = with_unk(tokens, vocab)
    try:
        return Line(number, text, vocab.encode(tokens), unknown)
    except UnknownTokenError as error:
        raise UnknownTokenError(f"{what}: {vocab.explain_unknown(tokens, f'in line {number}')}") from error


def _numbered(parts: Iterator[str], what: str) -> Iterator[tuple[int, str]]:
    """Yield each line of a text that comes in pieces, with its number from 1."""
    number, begun = 1, ""
    for part in parts:
        *lines, rest = part.split(LINE_END)
        for line in lines:
            yield number, begun + line
            number, begun = number + 1, ""
        begun += rest
        if len(begun) > MAX_LINE:
            raise CorpusError(f"{what}, line {number} has more than {MAX_LINE:,} characters: expected shorter lines")
    yield number, begun
