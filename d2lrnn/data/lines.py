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
    counted = counted_steps(lengths)
    Y[counted] = numpy.concatenate(rows)
    X = numpy.full_like(Y, end)
    X[:, 1:] = Y[:, :-1]
    return X, Y, counted


def counted_steps(
    lengths: Sequence[int] | numpy.ndarray, num_steps: int | None = None, front: bool = False
) -> numpy.ndarray:
    """Return where rows of these lengths have a token and where padding.

    Args:
        lengths: of each row; 0 for a row of nothing but padding.
        num_steps: to what length the rows are padded; None: to the longest.
        front: whether the padding stands before a row, not behind it.

    Returns:
        booleans (len(lengths), num_steps): ``counted_steps([1, 3])`` is ``[[True, False, False], [True, True, True]]``.

    Raises:
        ValueError: if a length is no whole number from 0 to ``num_steps``.
    """
    given = numpy.asarray(lengths)
    longest = int(given.max(initial=0)) if num_steps is None else num_steps
    if given.ndim != 1 or given.dtype.kind not in "iu" or not ((given >= 0) & (given <= longest)).all():
        raise D2lrnnError(f"lengths is {lengths!r}: expected whole numbers from 0 to {longest}, one for each row")
    steps = numpy.arange(longest)
    return steps >= longest - given[:, None] if front else steps < given[:, None]


def check_counted(counted, shape: tuple[int, ...], dtype="float32"):
    """Return what tells tokens from padding as an array of floats, or refuse it.

    Args:
        counted: of shape (batch_size, num_steps), 1 (or True) for a token, 0 for padding; None stays None.
        shape: (batch_size, num_steps) of the batch that it goes with.
        dtype: of the numbers that it is to be used with.

    Raises:
        ValueError: if it is no MXNet array, or of another shape.
    """
    if counted is None:
        return None
    if not isinstance(counted, mx.nd.NDArray):
        raise D2lrnnError(f"counted is a {type(counted).__name__}: expected an MXNet array, mxnet.np.array(counted)")
    if counted.shape != shape:
        raise D2lrnnError(f"counted has shape {counted.shape}: expected {shape}, which is (batch_size, num_steps)")
    return counted.astype(dtype, copy=False)
