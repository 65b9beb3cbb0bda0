"""Verse forms: how many characters lines have and what ends them, as a mask on the next character."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, cycle, islice

import numpy

from d2lrnn.checks import check_whole, shown
from d2lrnn.config.fields import FORM_NAMES, MAX_PRED_LEN, table_of
from d2lrnn.data.vocabulary import UnknownTokenError, Vocab
from d2lrnn.errors import D2lrnnError
from d2lrnn.generation.search import Mask

# Marks that may stand for one another: full and half width of the same mark; and " " for "\n", since most corpora are
# loaded with line ends as spaces.
SAME = ("，,､", "。.．｡", "！!", "？?", "；;", "：:", "、､", "\n ")

MAX_LENGTH = 10_000  # characters of a line; Form.places has an entry for each


def is_mark(character: str) -> bool:
    """Return whether a character is punctuation or white space."""
    return character.isspace() or unicodedata.category(character)[0] == "P"


@dataclass(frozen=True)
class Form:
    r"""How lines follow one another: how many characters each has, and what ends it.

    A couplet is ``Form((5, 5), ("，", "。\n"))``: five characters, a comma, five characters, a full stop, a line break.
    The line break after the last line is not written.  The model reads this line break before the first line, since
    lines began after a line break in training.  If a vocabulary lacks a mark, the same mark in another width is taken.

    Raises:
        D2lrnnError: if there is no line, a line has no character or no end, or an end holds anything but marks and
            white space.
    """

    lengths: tuple[int, ...]  # of the lines, in characters, without their ends
    ends: tuple[str, ...]  # of the lines: a mark, a mark and a line break, or a line break

    def __post_init__(self) -> None:
        for name, value in (("lengths", self.lengths), ("ends", self.ends)):
            if not isinstance(value, (list, tuple)):
                raise D2lrnnError(f"{name} is {shown(value)}: expected a tuple with one for each line")
        if not self.lengths or len(self.lengths) != len(self.ends):
            raise D2lrnnError(
                f"the form has {len(self.lengths)} lengths and {len(self.ends)} ends: expected as many, at least one"
            )
        for length, end in zip(self.lengths, self.ends):
            check_whole("the length of a line", length, most=MAX_LENGTH)
            if not isinstance(end, str) or not end or not all(map(is_mark, end)):
                raise D2lrnnError(
                    f"a line ends with {shown(end)}: expected a mark, a line break, or one and then the other"
                )
        check_whole("the number of characters in all lines", sum(self.lengths), most=MAX_PRED_LEN)

    def of_lines(self, count: int) -> Form:
        """Return this form cut or repeated to ``count`` lines; the last of them ends as the last line of this form."""
        check_whole("the number of lines", count, most=MAX_PRED_LEN)
        ends = islice(cycle(self.ends), count - 1)
        return Form(tuple(islice(cycle(self.lengths), count)), (*ends, self.ends[-1]))

    @property
    def places(self) -> tuple[str | None, ...]:
        """What stands at each place of a text: a mark, a line break, or None for a character."""
        last = self.ends[-1].rstrip()
        lines = zip(self.lengths, (*self.ends[:-1], last))
        return tuple(place for length, end in lines for place in (*[None] * length, *end))

    @property
    def begins(self) -> tuple[int, ...]:
        """The places at which lines begin."""
        sizes = [length + len(end) for length, end in zip(self.lengths, self.ends)]
        return tuple(accumulate(sizes[:-1], initial=0))

    def before(self, vocab: Vocab) -> str:
        """Return what a model reads before a text in this form: the last character of the last line's end."""
        return vocab.idx_to_token[_id_of(self.ends[-1][-1], vocab)]

    def mask(self, vocab: Vocab, given: Mapping[int, str] | None = None) -> Mask:
        """Return the mask by which :func:`generate` and :func:`stream` write ``len(form.places)`` tokens in this form.

        Where no mark is due, any letter or digit may come (``str.isalnum``).  Marks, white space, tokens of several
        characters, and the square that stands for a lost character may not.

        Args:
            vocab: the model's, of characters.
            given: characters that are to stand at some of the places: {place: character}.

        Raises:
            UnknownTokenError: if the vocabulary lacks a mark in every width, or a given character.
            D2lrnnError: if the vocabulary's tokens are not characters.
        """
        if vocab.level != "char":
            raise D2lrnnError(
                f"the vocabulary is one of {vocab.level}s: expected characters, which verse is counted in"
            )
        letters = numpy.array([len(token) == 1 and token.isalnum() for token in vocab.idx_to_token])  # (vocab_size,)
        ids = [None if mark is None else _id_of(mark, vocab) for mark in self.places]
        for place, character in (given or {}).items():
            ids[place] = int(vocab.encode([character])[0])

        def allowed(row: int, written: Sequence[int]) -> numpy.ndarray | None:
            if len(written) >= len(ids):
                return None
            token = ids[len(written)]
            return letters if token is None else numpy.arange(len(vocab)) == token

        return allowed


_FIVE, _SEVEN = (Form((length, length), ("，", "。\n")) for length in (5, 7))

# The one table of forms, in the order of FORM_NAMES in config/fields.py, where --help reads the names.
FORMS = table_of(
    FORM_NAMES,
    {"couplet": _FIVE, "quatrain": _FIVE.of_lines(4), "couplet7": _SEVEN, "quatrain7": _SEVEN.of_lines(4)},
)


def usual_form(vocab: Vocab, line_length: int | None = None) -> Form:
    """Return the form of the lines that a model has probably read: couplets if its vocabulary has their marks.

    If not, these are lines of lyrics: each ends with a line break.

    Args:
        vocab: the model's.
        line_length: characters of a line; None: 5 in couplets, 7 in lyrics.
    """
    couplets = "\n" in vocab and all(any(mark in vocab for mark in marks) for marks in SAME[:2])
    ends, usual = (_FIVE.ends, 5) if couplets else (("\n",), 7)
    return Form((usual if line_length is None else line_length,) * len(ends), ends)


def _id_of(mark: str, vocab: Vocab) -> int:
    """Return the id of a mark or a line break, in the width that the vocabulary has."""
    same = next((marks for marks in SAME if mark in marks), mark)
    for token in (mark, *same):
        if token in vocab:
            return vocab.token_to_idx[token]
    raise UnknownTokenError(
        f"the form needs {' or '.join(map(repr, same))}: expected one of them among the {len(vocab):,} tokens of the "
        "vocabulary; choose a form without it"
    )
