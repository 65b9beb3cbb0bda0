"""The rows of a CSV file with texts and labels, divided for training, validation and test."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from d2lrnn.checks import shown
from d2lrnn.data.corpus import unparted
from d2lrnn.data.examples import Labelled
from d2lrnn.data.labelled_texts import LEVELS, Texts, as_line, too_long
from d2lrnn.data.tables import Table, TableError
from d2lrnn.data.texts import Readable
from d2lrnn.data.vocabulary import UNK, Vocab, tokenize
from d2lrnn.errors import D2lrnnError

LEAST = 3  # examples of a class: one each for training, validation and the test

MAX_CLASSES = 1000

SPLIT_SEED = 1998  # of the permutation by which the rows are divided; NumPy's RandomState keeps to its numbers


@dataclass(frozen=True)
class LabelledRows:
    """The texts and labels of a CSV file."""

    name: str
    columns: tuple[str, str]  # of the texts, and of the labels
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    numbers: tuple[int, ...]  # of each row in its file

    def digest(self) -> str:
        """Return the SHA-256 of texts and labels, by which a run tells its file from another."""
        lines = (f"{text}\0{label}\n" for text, label in zip(self.texts, self.labels))
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def where(self, row: int, column: int) -> str:
        """Return the place of a cell for an error; ``column`` 0: of the text, 1: of the label."""
        return f"{self.name}, row {self.numbers[row]}, column {shown(self.columns[column])}"


def read_labelled_rows(source: Readable, text_column: str, label_column: str) -> LabelledRows:
    """Read two columns of a CSV file as :class:`d2lrnn.data.tables.Table` describes it.

    Args:
        source: the file, or a stream of bytes.
        text_column: the name of the column with the texts; a text of several lines becomes one (:func:`as_line`).
        label_column: the name of the column with the labels.

    Raises:
        TableError: for a file that is no such table; for a text or a label that is empty, with the number of its row.
        CorpusError: for a file that cannot be read, or is no UTF-8 text.
    """
    if text_column.strip() == label_column.strip():
        raise D2lrnnError(f"the column {shown(text_column)} is to hold texts and labels: expected two columns")
    table, columns = Table(source), (text_column, label_column)
    places, rows = [table.place(name) for name in columns], []
    for number, cells in table.rows():
        found = [as_line(cells[place]) for place in places]
        for what, name, cell in zip(("text", "label"), columns, found):
            if not cell:
                raise TableError(
                    f"{table.what}, row {number}, column {shown(name)}: the {what} is empty; fill it in, or leave such "
                    "rows out of the file"
                )
        rows.append((*found, number))
    if not rows:
        raise TableError(f"{table.what} has a header and no other row: expected texts and their labels")
    texts, labels, numbers = zip(*rows)
    return LabelledRows(table.name, columns, texts, labels, numbers)


@dataclass(frozen=True)
class LabelledTexts(Labelled):
    """Texts for training, validation and test, and the names of their classes."""

    train: Texts
    valid: Texts | None = None
    test: Texts | None = None

    @property
    def vocab(self) -> Vocab:
        """The vocabulary, which is that of the texts for training, and ``<unk>``."""
        return self.train.vocab

    @property
    def remarks(self) -> list[str]:
        """What a user should know of the texts, if there is anything."""
        known, found = set(self.train.texts), unparted(self.name, self.vocab)
        again = 0 if self.test is None else sum(text in known for text in self.test.texts)
        remark = f"{again:,} of the texts for the test are among those for training too, so they are no test"
        return [*([found] if found else []), *([remark] if again else [])]


def divide_texts(
    rows: LabelledRows,
    level: str = "char",
    held_out: float = 0.1,
    max_tokens: float = math.inf,
    vocab: Vocab | None = None,
    classes: Sequence[str] = (),
) -> LabelledTexts:
    """Divide texts for training, validation and test, and read them by a vocabulary.

    The rows of each class are put into the order of ``numpy.random.RandomState(1998).permutation``, class by class in
    the order of their names.  The first are for the test, the next for validation, the others for training.  A part has
    its texts in the order of their lengths.

    Args:
        rows: of a file.
        level: ``"char"`` or ``"word"``; of the vocabulary, if it is given.
        held_out: the share of each class that is for the test, rounded down, but at least one text; as many are for
            validation.
        max_tokens: the most tokens of a text.
        vocab: as it was made before; None: it is made of the texts for training.
        classes: as they were found before; (): they are the labels, in the order of their numbers or code points.

    Raises:
        TableError: for a class of fewer than 3 texts, for one class alone, for more than 1,000, and for a text that is
            too long, with the number of its row.
        D2lrnnError: for another level or share.
    """
    if level not in LEVELS:
        raise D2lrnnError(f"a text to classify has no tokens of level {shown(level)}: expected {' or '.join(LEVELS)}")
    if not 0 < held_out <= 0.4:
        raise D2lrnnError(f"held_out is {shown(held_out)}: expected a share above 0 and at most 0.4")
    classes = tuple(classes) or _classes(rows)
    places = {name: i for i, name in enumerate(classes)}
    labels = numpy.array([places.get(label, -1) for label in rows.labels])
    if labels.min() < 0:
        row = int(labels.argmin())
        raise TableError(f"{rows.where(row, 1)}: {shown(rows.labels[row])} is none of the {len(classes)} classes")
    train, valid, test = _divided(labels, len(classes), held_out)
    if vocab is None:
        vocab = _vocab([token for row in train for token in tokenize(rows.texts[row], level)], level)
    lengths = numpy.array([len(tokenize(text, vocab.level)) for text in rows.texts])
    if lengths.max() > max_tokens:
        row = int(numpy.flatnonzero(lengths > max_tokens)[0])
        raise TableError(f"{rows.where(row, 0)}: {too_long(int(lengths[row]), vocab.level, max_tokens)}")

    def texts(part: numpy.ndarray) -> Texts:
        part = part[numpy.argsort(lengths[part], kind="stable")]  # so that little of a batch is padding
        return Texts([rows.texts[i] for i in part], labels[part], vocab, [rows.numbers[i] for i in part])

    return LabelledTexts(rows.name, classes, *map(texts, (train, valid, test)))


def _classes(rows: LabelledRows) -> tuple[str, ...]:
    """Return the names of the classes in their order."""
    counts = Counter(rows.labels)
    if len(counts) == 1:
        raise TableError(f"{rows.name}: all rows have the label {shown(rows.labels[0])}: expected at least two classes")
    few = next((name for name in counts if counts[name] < LEAST), None)
    if few is not None:
        raise TableError(
            f"{rows.where(rows.labels.index(few), 1)}: {counts[few]} of the texts have the label {shown(few)}: "
            f"expected at least {LEAST}, one each for training, validation and the test"
        )
    if len(counts) > MAX_CLASSES:
        raise TableError(f"{rows.name} has {len(counts):,} different labels: expected at most {MAX_CLASSES:,}")
    are_numbers = all(name.isdecimal() for name in counts)
    return tuple(sorted(counts, key=lambda name: (len(name) if are_numbers else 0, name)))


def _divided(labels: numpy.ndarray, num_classes: int, held_out: float) -> list[numpy.ndarray]:
    """Return the rows for training, validation and test, each in their order in the file."""
    draw, parts = numpy.random.RandomState(SPLIT_SEED), []
    for label in range(num_classes):
        rows = draw.permutation(numpy.flatnonzero(labels == label))
        held = max(1, int(held_out * len(rows)))
        parts.append((rows[2 * held :], rows[held : 2 * held], rows[:held]))
    return [numpy.sort(numpy.concatenate(part)) for part in zip(*parts)]


def _vocab(tokens: list[str], level: str) -> Vocab:
    """Return the vocabulary of the tokens for training, with ``<unk>`` behind them if it is not among them."""
    vocab = Vocab(tokens, level)
    return vocab if UNK in vocab else Vocab.from_list((*vocab.idx_to_token, UNK), level)
