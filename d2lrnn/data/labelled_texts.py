"""Texts with labels: examples for a classifier of lines of any length."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy

from d2lrnn._runtime import mx
from d2lrnn.checks import check_memory, check_whole
from d2lrnn.data.batches import Batches, to_device
from d2lrnn.data.characters import LINE_END, with_line_feeds
from d2lrnn.data.ids import with_unk
from d2lrnn.data.lines import counted_steps, next_length
from d2lrnn.data.vocabulary import UNK, Vocab, tokenize
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import D2lrnnError

LEVELS = ("char", "word")  # what a text is read by

UNITS = {"char": "characters", "word": "words"}

POOL = 50  # batches of training whose texts are sorted by length together


def as_line(text: str) -> str:
    """Return a text as one line: a line end becomes a space, and there is no white space around it."""
    return with_line_feeds(text).replace(LINE_END, " ").strip()


def too_long(count: int, level: str, max_tokens: float) -> str:
    """Return what is said of a text with more tokens than it may have."""
    return (
        f"the text has {count:,} {UNITS[level]}, and num_steps is {max_tokens:,}: expected no more; shorten it, or "
        "train with a larger num_steps"
    )


class Texts:
    """Texts with their labels: labelled examples as :class:`d2lrnn.data.examples.Examples` describes them.

    A batch is ``(X, labels, counted)``: the ids of the texts (batch_size, num_steps), padded behind; the labels
    (batch_size,); and 1 for tokens, 0 for padding (batch_size, num_steps).  A token that the vocabulary lacks is read
    as ``<unk>``.

    In training, a batch has texts of similar lengths.  A token that stands in these texts only once is read half of the
    time as ``<unk>``, so that the model learns what to make of unknown ones.

    Args:
        texts: each one line.
        labels: the class of each, whole numbers from 0.
        vocab: of characters or words.
        numbers: of the texts' rows in their file; (): there is none.

    Attributes:
        texts, labels, vocab, numbers: as given.
        ids: of the tokens of each text.
        unknown: how many tokens of each text are unknown.

    Raises:
        D2lrnnError: for an empty text.
        UnknownTokenError: for an unknown token, if the vocabulary has no ``<unk>``.
    """

    def __init__(
        self, texts: Sequence[str], labels: Sequence[int] | numpy.ndarray, vocab: Vocab, numbers: Sequence[int] = ()
    ) -> None:
        self.texts, self.vocab, self.numbers = tuple(texts), vocab, tuple(numbers)
        self.labels = numpy.asarray(labels, dtype=numpy.int32)
        self.ids, self.unknown = [], []
        for text in self.texts:
            tokens, unknown = with_unk(tokenize(text, vocab.level), vocab) if UNK in vocab else (text, 0)
            self.ids.append(vocab.encode(tokens))
            self.unknown.append(unknown)
            if not len(self.ids[-1]):
                raise D2lrnnError("a text is empty: expected at least one character that is not white space")
        self.lengths = numpy.array([len(row) for row in self.ids])

    def __len__(self) -> int:
        return len(self.ids)

    def digest(self) -> str:
        """Return the SHA-256 of ids and labels."""
        parts = [self.lengths.tobytes(), self.labels.tobytes(), *(row.tobytes() for row in self.ids)]
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def batches(self, batch_size: int, ctx: ContextLike = None, training: bool = False) -> Batches:
        """Return the texts in batches; arguments and errors are those of ``Examples.batches``."""
        check_whole("batch_size", batch_size)
        ctx, count = as_ctx(ctx), len(self)
        num_batches = count // batch_size if training else -(-count // batch_size)
        if training and not num_batches:
            raise D2lrnnError(f"batch_size is {batch_size}, and there are {count} texts: expected no more than these")

        def batches() -> Iterator:
            rare = self._rare() if training else None
            for rows in self._orders(batch_size) if training else _in_order(count, batch_size):
                X, counted = self._padded(rows)
                if rare is not None:
                    X[rare[X] & (numpy.random.random_sample(X.shape) < 0.5)] = self.vocab.token_to_idx[UNK]
                yield (
                    to_device(X, ctx),
                    to_device(self.labels[rows], ctx),
                    mx.np.array(counted, dtype="float32", ctx=ctx),
                )

        return Batches(batches(), num_batches)

    def _orders(self, batch_size: int) -> numpy.ndarray:
        """Return the texts of each batch of training (num_batches, batch_size): random ones of similar lengths."""
        order = numpy.random.permutation(len(self))[: len(self) // batch_size * batch_size]
        for i in range(0, len(order), POOL * batch_size):
            pool = order[i : i + POOL * batch_size]
            order[i : i + POOL * batch_size] = pool[numpy.argsort(self.lengths[pool], kind="stable")]
        return numpy.random.permutation(order.reshape(-1, batch_size))

    def _rare(self) -> numpy.ndarray | None:
        """Return for each id whether it stands in these texts once; None: the vocabulary has no ``<unk>``."""
        if UNK not in self.vocab:
            return None
        return numpy.bincount(numpy.concatenate(self.ids), minlength=len(self.vocab)) == 1

    def _padded(self, rows: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Return the ids of several texts, and which of them count; there are few different numbers of steps."""
        lengths = self.lengths[rows]
        num_steps = next_length(int(lengths.max()))
        what = f"{len(rows):,} texts, padded to {num_steps:,} tokens,"
        check_memory(what, 9 * len(rows) * num_steps, "make batch_size smaller")
        X, counted = numpy.zeros((len(rows), num_steps), numpy.int32), counted_steps(lengths, num_steps)
        X[counted] = numpy.concatenate([self.ids[row] for row in rows])
        return X, counted


def _in_order(count: int, batch_size: int) -> Iterator[numpy.ndarray]:
    for begin in range(0, count, batch_size):
        yield numpy.arange(begin, min(begin + batch_size, count))
