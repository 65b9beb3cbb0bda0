"""Verse: texts whose lines have a given length and end, written by a mask on the next character, never by retrying."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from wcwidth import iter_graphemes

from d2lrnn.config.generation import Sampling
from d2lrnn.data.vocabulary import UnknownTokenError, Vocab
from d2lrnn.errors import D2lrnnError
from d2lrnn.generation.forms import Form, is_mark
from d2lrnn.generation.prefixes import check_room
from d2lrnn.generation.sampling import Sample, Written, stream, tokens_by_row
from d2lrnn.models.protocol import LanguageModel


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
        openings: what each text begins with, or ``""``; marks and white space in it are left out.  If an opening is a
            whole line, the model writes the line that answers it.
        form: the lines and what ends them.
        model: a language model, from scratch or on Gluon.
        vocab: the vocabulary that the model was trained with, of characters.
        sampling: as for :func:`generate`, but without ``stop``: a form ends where it must.
        skip_unknown: place characters that the vocabulary lacks, too.  The model cannot read such a character: it
            writes a stand-in and reads that.  ``text`` has the character; ``ids`` and ``log_probs`` are the stand-in's.

    Returns:
        for each opening, in order, the text in its form, with nothing before it, and the log-probability of each
        character.  Given characters and marks have one too: how likely the model held what it had to write.

    Raises:
        D2lrnnError, UnknownTokenError, LooksAheadError: as :func:`generate`.
        UnknownTokenError: if the vocabulary lacks a mark of the form in every width; or, without ``skip_unknown``, a
            character of an opening.
        D2lrnnError: if an opening has more characters than the form; also as :meth:`Form.mask`.
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
    """Write what :func:`compose` does, with its arguments and errors, and yield each character as it is written.

    Where an unknown character is placed, ``text`` is that character; ``id`` and ``log_prob`` are of its stand-in.
    """
    _check_texts("openings", openings)
    room = [place for place, mark in enumerate(form.places) if mark is None]
    given = []
    for opening in openings:
        characters = _characters(opening)
        if len(characters) > len(room):
            raise D2lrnnError(
                f"{opening!r} has {len(characters)} characters: expected at most {len(room)}, as the form"
            )
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
    """Write texts whose lines begin with given characters, all in one batch.

    Args:
        heads: for each text the characters that its lines begin with, at least one; marks and white space are left
            out.  A text has a line for each head.  A head may have several code points, such as a letter and its
            accent: its line begins with all of them.  For several texts with the same heads, repeat the heads.
        form: how the lines follow one another, cut or repeated to as many lines (:meth:`Form.of_lines`).  Five heads
            in couplets, for example, give two couplets and one line, which ends with a full stop.
        model: as for :func:`compose`.
        vocab: as for :func:`compose`.
        sampling: as for :func:`compose`.
        skip_unknown: as for :func:`compose`, of heads.

    Returns:
        as :func:`compose`, a text for each of ``heads``.

    Raises:
        D2lrnnError, UnknownTokenError, LooksAheadError: as :func:`compose`; also if a text has no head.
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
    """Write what :func:`acrostic` does, with its arguments and errors, and yield each character as it is written."""
    _check_texts("heads", heads)
    rows = [_characters(text) for text in heads]
    if not all(rows):
        raise D2lrnnError(f"there is no character in {heads[rows.index([])]!r}: expected one for each line")
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
    """Write a text in each form, with the given characters at their places; the last lines of all forms end alike.

    A character that the model cannot read gets a stand-in, which the model writes itself.  Without a stand-in, the
    model would lose count of the characters.  Measured by the probability of the mark that was due, after a line with
    one such character: 0.3 % without a stand-in, 44 % with a stand-in, 54 % with the character itself (geometric means
    over 1,000 Tang couplets, an LSTM trained on 8,000 others).
    """
    if sampling is not None and sampling.stop is not None:
        raise D2lrnnError(f"stop is {sampling.stop!r}: a form ends where it must, so leave stop out")
    forms, given = zip(*map(_by_code_points, forms, given))
    check_room(model, len(forms), sum(sum(form.lengths) for form in forms))  # before the masks are made
    masks, unread = [], []  # unread: each row's characters that the vocabulary lacks, by place
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
    """Wait for all characters and return the texts, which a form has ended, not a stop token."""
    samples = []
    for row in tokens_by_row(written, num_rows):
        ids, log_probs = (tuple(getattr(token, name) for token in row) for name in ("id", "log_prob"))
        samples.append(Sample("".join(token.text for token in row), ids, log_probs, stopped=False))
    return samples


def _check_texts(what: str, texts: Sequence[str]) -> None:
    if isinstance(texts, str) or not len(texts):
        raise D2lrnnError(f"{what} is {texts!r}: expected a list of texts, at least one")


def _check_known(characters: Iterable[str], vocab: Vocab) -> None:
    try:
        vocab.encode(characters)
    except UnknownTokenError as error:
        raise UnknownTokenError(f"{error}; skip_unknown places it all the same") from None


def _characters(text: str) -> list[str]:
    """Return what a reader sees as the characters of a text, without punctuation and white space.

    Such a character may have several code points: a letter and its accent, a flag, a family of emoji.
    """
    return [character for character in iter_graphemes(text) if not is_mark(character[0])]


def _by_code_points(form: Form, given: Mapping[int, str]) -> tuple[Form, dict[int, str]]:
    """Return a form and the given characters with a place for each code point, which are what a vocabulary has.

    A line is longer by the further code points of its characters, so that a reader sees as many characters in it.
    """
    lengths, placed, more = list(form.lengths), {}, 0
    for place, character in sorted(given.items()):
        for offset, code_point in enumerate(character):
            placed[place + more + offset] = code_point
        lengths[bisect(form.begins, place) - 1] += len(character) - 1
        more += len(character) - 1
    return Form(tuple(lengths), form.ends), placed
