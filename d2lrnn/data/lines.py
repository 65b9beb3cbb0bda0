"""Minibatches of whole lines, padded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy

from d2lrnn._runtime import mx
from d2lrnn.data.batches import Batches, CorpusTooShortError, checked_corpus, to_device
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import D2lrnnError


def data_iter_lines(
    corpus_indices, batch_size: int, end: int, num_lines: int = 1, max_steps: int | None = None, ctx: ContextLike = None
) -> Batches:
    """Yield batches of whole lines in random order, such as poems, padded to the longest row of the batch.

    A row of ``X`` is ``end`` and what follows it but for its last ``end``; the row of ``Y`` has that too.  So a line is
    predicted from its beginning to its end, and from nothing else.  Behind its lines, a row is padded with ``end``.

    Each row is in one batch; the rows that do not fill a batch at the end of the epoch are left out, other ones in
    every epoch, since the order comes from NumPy's global generator.

    Args:
        corpus_indices: the ids, one-dimensional, with ``end`` behind each line.
        batch_size: rows.
        end: the id of the line end.
        num_lines: lines of a row; the last row of the corpus may have fewer.
        max_steps: the most ids of a row; None: any number.
        ctx: the device of the batches.

    Yields:
        ``X, Y, counted``, each (batch_size, num_steps): int32, int32, and float32 that is 1 for the ids of lines and 0
        for padding.

    Raises:
        CorpusTooShortError: if there are fewer rows than a batch has.
        ValueError: if a row is longer than ``max_steps``, or as :func:`data_iter_random`.
    """
    ids = checked_corpus(corpus_indices, batch_size=batch_size, num_lines=num_lines)
    rows = rows_of_lines(ids, end, num_lines) if len(ids) else []
    if len(rows) < batch_size:
        raise CorpusTooShortError(
            f"the corpus has {len(rows)} rows of {num_lines} lines; one batch needs {batch_size}: take a longer corpus "
            "or a smaller batch_size"
        )
    longest = max(range(len(rows)), key=lambda i: len(rows[i]))
    if max_steps is not None and len(rows[longest]) > max_steps:
        begin = longest * num_lines + 1
        which = f"line {begin} has" if num_lines == 1 else f"lines {begin} to {begin + num_lines - 1} have"
        raise D2lrnnError(
            f"{which} {len(rows[longest])} tokens, line ends included, but num_steps is {max_steps}: expected no more; "
            "take a larger num_steps"
        )

    def batches() -> Iterator:
        order = numpy.random.permutation(len(rows))
        for i in range(0, len(rows) - batch_size + 1, batch_size):
            X, Y, counted = pad_lines([rows[j] for j in order[i : i + batch_size]], end)
            yield to_device(X, ctx), to_device(Y, ctx), mx.np.array(counted, dtype="float32", ctx=ctx)

    ctx, count = as_ctx(ctx), len(rows) // batch_size
    return Batches(batches(), count)


def rows_of_lines(ids: numpy.ndarray, end: int, num_lines: int = 1) -> list[numpy.ndarray]:
    """Part ids into rows of so many lines, each line with its end; the last row may have fewer."""
    if ids[-1] != end:
        ids = numpy.append(ids, numpy.int32(end))
    places = 1 + numpy.flatnonzero(ids == end)
    return numpy.split(ids, places[num_lines - 1 : -1 : num_lines])


def pad_lines(rows: Sequence[numpy.ndarray], end: int) -> tuple[numpy.ndarray, ...]:
    """Return ``X, Y, counted`` (len(rows), longest row) as :func:`data_iter_lines` describes them; counted is bool."""
    lengths = numpy.array([len(row) for row in rows])
    Y = numpy.full((len(rows), lengths.max()), end, dtype=numpy.int32)
    counted = numpy.arange(Y.shape[1]) < lengths[:, None]
    Y[counted] = numpy.concatenate(rows)
    X = numpy.full_like(Y, end)
    X[:, 1:] = Y[:, :-1]
    return X, Y, counted
