"""Read files of sentence pairs: a row has a sentence, a tab, its translation, and perhaps more columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from d2lrnn.checks import shown
from d2lrnn.data.characters import LINE_END
from d2lrnn.data.sentences import normalised
from d2lrnn.data.texts import CorpusError, Readable, read_text

MAX_CHARACTERS = 1_000  # of a sentence: more is no sentence, and a batch of it would not fit into memory

MAX_NAMED = 5  # wrong rows whose numbers an error names


class PairsError(CorpusError):
    """A file holds no sentence pairs; the message names the row, of which the first is 1."""


class Pair(NamedTuple):
    """A sentence and its translation, as :func:`d2lrnn.data.sentences.normalised` returns them."""

    source: str
    target: str
    row: int = 0  # of the file, from 1; 0: there is no file


def read_pairs(source: Readable) -> list[Pair]:
    """Read the sentence pairs of a UTF-8 file with tabs between its columns, as Anki's are.

    The first column is a sentence, the second its translation.  Further columns, in which Anki's files say who wrote
    the two, are not read.  Blank rows are left out.

    Args:
        source: the file, or a stream of bytes.

    Raises:
        PairsError: if a row is no pair; the error is about the first such row, and names others.
        CorpusError: for a file that cannot be read, or is no UTF-8 text.
    """
    text, what = read_text(source)
    return pairs_in(text, what)


def pairs_in(text: str, what: str) -> list[Pair]:
    r"""Return the sentence pairs of a text with ``\n`` as line ends, as :func:`read_pairs`; errors call it ``what``."""
    pairs, wrong = [], []
    for row, line in enumerate(text.split(LINE_END), 1):
        if line.strip():
            cells = [normalised(cell) for cell in line.split("\t")]
            reason = _reason(cells, line)
            if reason:
                wrong.append((row, reason))
            else:
                pairs.append(Pair(cells[0], cells[1], row))
    if wrong:
        row, reason = wrong[0]
        raise PairsError(f"{what}, row {row} {reason}{''.join(_others([number for number, _ in wrong[1:]]))}")
    if all(pair.source.isdecimal() for pair in pairs):
        raise PairsError(
            f"{what} has numbers in its first column: expected a sentence, a tab and its translation; take the columns "
            "of sentences out of it, such as `cut -f 2,4`"
        )
    return pairs


def _reason(cells: list[str], line: str) -> str:
    """Return why a row is no pair, or an empty text."""
    if len(cells) < 2:
        for sign, name in ((";", "semicolons"), (",", "commas"), ("|||", "|||"), ("  ", "spaces")):
            if sign in line.strip():
                return f"has no tab ({shown(line.strip())}): are {name} between its columns? Expected tabs"
        return f"has no tab ({shown(line.strip())}): expected a sentence, a tab and its translation"
    for name, cell in zip(("sentence", "translation"), cells):
        if not cell:
            return f"has an empty {name}: expected a sentence, a tab and its translation"
        if len(cell) > MAX_CHARACTERS:
            return f"has a {name} of {len(cell):,} characters: expected at most {MAX_CHARACTERS:,}; cut it into parts"
    return ""


def _others(rows: list[int]) -> Iterator[str]:
    """Yield, for the end of an error, which other rows are wrong."""
    if rows:
        yield f"; wrong too: row {', '.join(map(str, rows[:MAX_NAMED]))}"
    if len(rows) > MAX_NAMED:
        yield f" and {len(rows) - MAX_NAMED:,} more"
