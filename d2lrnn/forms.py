"""Verse: lines of so many characters and what ends them, written by a mask on the next character, never by retrying."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, cycle, islice

import numpy

from d2lrnn.config import Sampling, check_whole
from d2lrnn.models import LanguageModel
from d2lrnn.sampling import Mask, Sample, Written, by_row, stream
from d2lrnn.text import UnknownTokenError, Vocab

# A mark in its widths; and the line break, which is a space in corpora that have a line end read as one.
SAME = ("，,､", "。.．｡", "！!", "？?", "；;", "：:", "、､", "\n ")


def is_mark(character: str) -> bool:
    """Tell punctuation and white space from all else."""
    return character.isspace() or unicodedata.category(character)[0] == "P"


@dataclass(frozen=True)
class Form:
    r"""How lines follow one another: how many characters each has, and what ends it.

    A couplet is ``Form((5, 5), ("，", "。\n"))``: five characters, a comma, five characters, a full stop, a line break.
    The break after the last line is not written.  But the model reads it before the first one, so that a text begins
    where it has seen lines begin.  For a mark that a vocabulary lacks, the same in another width will do.

    Raises:
        ValueError: if there is no line, one has no character or no end, or an end holds anything but marks and space.
    """

    lengths: tuple[int, ...]  # of the lines, in characters, what ends them not counted
    ends: tuple[str, ...]  # of the lines: a mark, a mark and a line break, or a line break

    def __post_init__(self) -> None:
        if not self.lengths or len(self.lengths) != len(self.ends):
            raise ValueError(
                f"the form has {len(self.lengths)} lengths and {len(self.ends)} ends: expected as many, at least one"
            )
        for length, end in zip(self.lengths, self.ends):
            check_whole("the length of a line", length)
            if not end or not all(map(is_mark, end)):
                raise ValueError(f"a line ends with {end!r}: expected a mark, a line break, or one and then the other")

    def of_lines(self, count: int) -> Form:
        """Return the form with so many lines, cut or repeated, of which the last ends as the last one does here."""
        check_whole("the number of lines", count)
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
        """Return what a model reads before a text in this form: the last of what ends its last line."""
        return vocab.idx_to_token[_id_of(self.ends[-1][-1], vocab)]

    def mask(self, vocab: Vocab, given: Mapping[int, str] | None = None) -> Mask:
        """Return the mask by which :func:`generate` and :func:`stream` write ``len(form.places)`` tokens in this form.

        Where no mark is due, any letter may come, and a digit: what ``str.isalnum`` says.  So no mark, no white space,
        no token of several characters, nor the square that stands for a character that was lost.

        Args:
            vocab: the model's, of characters.
            given: what is to stand at some of the places, by place.

        Raises:
            UnknownTokenError: if the vocabulary lacks a mark, in either width, or what is given.
            ValueError: if it is one of words.
        """
        if vocab.level != "char":
            raise ValueError(f"the vocabulary is one of {vocab.level}s: expected characters, which verse is counted in")
        letters = numpy.array([len(token) == 1 and token.isalnum() for token in vocab.idx_to_token])
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
FORMS = {"couplet": _FIVE, "quatrain": _FIVE.of_lines(4), "couplet7": _SEVEN, "quatrain7": _SEVEN.of_lines(4)}


def usual_form(vocab: Vocab, line_length: int | None = None) -> Form:
    """Return lines such as a model has probably read: couplets if its vocabulary has what they need, else lyrics.

    Args:
        vocab: the model's.
        line_length: characters of a line; None: 5 in couplets, 7 in lyrics, whose lines only a line break ends.
    """
    couplets = "\n" in vocab and all(any(mark in vocab for mark in marks) for marks in SAME[:2])
    ends, usual = (_FIVE.ends, 5) if couplets else (("\n",), 7)
    return Form((usual if line_length is None else line_length,) * len(ends), ends)


def compose(
    openings: Sequence[str],
    form: Form,
    model: LanguageModel,
    vocab: Vocab,
    sampling: Sampling | None = None,
    skip_unknown: bool = False,
) -> list[Sample]:
    """Write texts in a form, all in one batch.

    Args:
        openings: what each text begins with, marks and white space left out; ``""`` for nothing.  A whole line asks
            for the line that answers it.
        form: its lines and what ends them.
        model: a language model, from scratch or on Gluon.
        vocab: the vocabulary it was trained with, of characters.
        sampling: as for :func:`generate`, but without ``stop``: a form ends where it must.
        skip_unknown: place characters all the same that the vocabulary lacks.  The model cannot read them; it writes a
            character in their place and reads that, and it is this one that ``ids`` and ``log_probs`` tell of.

    Returns:
        of each opening, in order, the text in its form and nothing before it, and the log-probabilities of all of its
        characters, given ones and marks too: the model's own, so they say how well it likes what it had to write.

    Raises:
        ValueError, UnknownTokenError, LooksAheadError: as :func:`generate`.
        UnknownTokenError: if the vocabulary lacks a mark of the form in every width or, but for ``skip_unknown``,
            a character of an opening.
        ValueError: if an opening has more characters than the form; also as :meth:`Form.mask`.
    """
    return _collect(stream_composed(openings, form, model, vocab, sampling, skip_unknown), len(openings))


def stream_composed(
    openings: Sequence[str],
    form: Form,
    model: LanguageModel,
    vocab: Vocab,
    sampling: Sampling | None = None,
    skip_unknown: bool = False,
) -> Iterator[Written]:
    """Write what :func:`compose` does, and yield each character as soon as it is written, as :func:`stream` does.

    The arguments and errors are those of :func:`compose`.  Of a character that is placed although it is unknown,
    ``text`` is the character, ``id`` and ``log_prob`` are of what the model reads in its place.
    """
    _check_texts("openings", openings)
    room = [place for place, mark in enumerate(form.places) if mark is None]
    given = []
    for opening in openings:
        characters = _characters(opening)
        if len(characters) > len(room):
            raise ValueError(f"{opening!r} has {len(characters)} characters: expected at most {len(room)}, as the form")
        given.append(dict(zip(room, characters)))
    return _stream([form] * len(given), given, model, vocab, sampling, skip_unknown)


def acrostic(
    heads: Sequence[str],
    form: Form,
    model: LanguageModel,
    vocab: Vocab,
    sampling: Sampling | None = None,
    skip_unknown: bool = False,
) -> list[Sample]:
    """Write texts of which each line begins with a given character, all in one batch.

    Args:
        heads: of each text the characters that its lines begin with, marks and white space left out; repeat them for
            several texts.  A text has as many lines as heads.
        form: how the lines follow one another, cut or repeated as need be (:meth:`Form.of_lines`): of five heads in
            couplets the last one begins a line by itself, which ends with a full stop.
        model: as for :func:`compose`, and so all the others.
        vocab: its vocabulary.
        sampling: how the next character is found.
        skip_unknown: place heads that the vocabulary lacks all the same.

    Returns:
        what :func:`compose` does.

    Raises:
        ValueError, UnknownTokenError, LooksAheadError: as :func:`compose`; also if there are no heads.
    """
    return _collect(stream_acrostic(heads, form, model, vocab, sampling, skip_unknown), len(heads))


def stream_acrostic(
    heads: Sequence[str],
    form: Form,
    model: LanguageModel,
    vocab: Vocab,
    sampling: Sampling | None = None,
    skip_unknown: bool = False,
) -> Iterator[Written]:
    """Write what :func:`acrostic` does, with its arguments and errors, and yield as :func:`stream_composed` does."""
    _check_texts("heads", heads)
    rows = [_characters(text) for text in heads]
    if not all(rows):
        raise ValueError(f"there is no character in {heads[rows.index([])]!r}: expected one for each line")
    forms = [form.of_lines(len(row)) for row in rows]
    given = [dict(zip(form.begins, row)) for form, row in zip(forms, rows)]
    return _stream(forms, given, model, vocab, sampling, skip_unknown)


def _stream(
    forms: Sequence[Form],
    given: Sequence[Mapping[int, str]],
    model: LanguageModel,
    vocab: Vocab,
    sampling: Sampling | None,
    skip_unknown: bool,
) -> Iterator[Written]:
    """Write a text in each form, with what is given at its places; all forms end alike.

    A character that the model cannot read has a stand-in, which the model writes itself.  Were its place passed over,
    the model would lose count: it gave the mark that was due a probability of 0.3 % then, of 44 % after a stand-in and
    of 54 % after the character itself (geometric means over 1,000 Tang couplets, an LSTM trained on 8,000 others).
    """
    if sampling is not None and sampling.stop is not None:
        raise ValueError(f"stop is {sampling.stop!r}: a form ends where it must, so leave stop out")
    masks, unread = [], []
    for form, row in zip(forms, given):
        unread.append({place: character for place, character in row.items() if character not in vocab})
        masks.append(form.mask(vocab, {place: row[place] for place in row.keys() - unread[-1].keys()}))
        if not skip_unknown:
            _check_known(row.values(), vocab)
    written = stream(
        [forms[0].before(vocab)] * len(forms),
        [len(form.places) for form in forms],
        model,
        vocab,
        sampling,
        lambda row, written: masks[row](row, written),
    )
    places = [iter(range(len(form.places))) for form in forms]
    return (replace(token, text=unread[token.row].get(next(places[token.row]), token.text)) for token in written)


def _collect(written: Iterator[Written], num_rows: int) -> list[Sample]:
    """Return the texts that were written in forms; none of them could stop before its end."""
    samples = []
    for row in by_row(written, num_rows):
        ids, log_probs = (tuple(getattr(token, name) for token in row) for name in ("id", "log_prob"))
        samples.append(Sample("".join(token.text for token in row), ids, log_probs, stopped=False))
    return samples


def _check_texts(what: str, texts: Sequence[str]) -> None:
    if isinstance(texts, str) or not len(texts):
        raise ValueError(f"{what} is {texts!r}: expected a list of texts, at least one")


def _check_known(characters: Iterable[str], vocab: Vocab) -> None:
    try:
        vocab.encode(characters)
    except UnknownTokenError as error:
        raise UnknownTokenError(f"{error}; skip_unknown places it all the same") from None


def _characters(text: str) -> list[str]:
    """Return the characters of a text but for punctuation and white space."""
    return [character for character in text if not is_mark(character)]


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
