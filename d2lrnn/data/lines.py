"""Minibatches of whole lines, padded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy

from d2lrnn._runtime import mx
from d2lrnn.checks import MAX_SIZE, check_memory, check_whole, shown
from d2lrnn.data.batches import Batches, CorpusTooShortError, checked_corpus, to_device
from d2lrnn.data.code_points import BLOCK
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import D2lrnnError


class RowTooLongError(D2lrnnError):
    """A row of whole lines has more tokens than a batch may have.

    Args:
        first, last: the numbers of the row's lines, from 1.
        tokens: of the row, line ends included.
        most: how many it may have.
    """

    def __init__(self, first: int, last: int, tokens: int, most: int) -> None:
        self.first, self.last, self._numbers = first, last, (tokens, most)
        super().__init__(self.message(f"line {first}" if first == last else f"lines {first} to {last}"))

    def message(self, place: str) -> str:
        """Return the message for a place, such as ``my.txt, line 7``."""
        tokens, most = self._numbers
        return (
            f"{place}: found {tokens} tokens, line ends included, but num_steps is {most}: expected no more; take a "
            "larger num_steps"
        )


def data_iter_lines(
    corpus_indices, batch_size: int, end: int, num_lines: int = 1, max_steps: int | None = None, ctx: ContextLike = None
) -> Batches:
    """Yield batches of whole lines in random order, such as poems, padded to the longest row of the batch.

    A row of ``Y`` is ``num_lines`` lines, each with its ``end``, then padding with ``end``.  The row of ``X`` begins
    with ``end`` and is one id behind ``Y``.  So the first token of a row is predicted from ``end`` alone, and nothing
    from another row.  For example, with ``end`` 0 the line ``5 7 0`` gives ``X`` ``0 5 7`` and ``Y`` ``5 7 0``.

    Each row is in one batch.  Rows at the end of the epoch that do not fill a batch are left out; they differ from
    epoch to epoch, since the order comes from NumPy's global generator.

    Args:
        corpus_indices: the ids, one-dimensional, with ``end`` behind each line.
        batch_size: rows.
        end: the id of the line end.
        num_lines: lines in a row; the last row of the corpus may have fewer.
        max_steps: the most ids of a row; None: any number.
        ctx: the device of the batches.

    Yields:
        ``X, Y, counted``, each (batch_size, num_steps): int32, int32, and float32, which is 1 for tokens and 0 for
        padding.

    Raises:
        CorpusTooShortError: if there are fewer rows than a batch has.
        D2lrnnError: if a row is longer than ``max_steps``, or as :func:`data_iter_random`.
    """
    ids = checked_corpus(corpus_indices, batch_size=batch_size, num_lines=num_lines)
    check_whole("end", end, 0)
    if max_steps is not None:
        check_whole("max_steps", max_steps, most=math.inf)
    rows = LineRows(ids, end, num_lines)
    if len(rows) < batch_size:
        raise CorpusTooShortError(
            f"the corpus has {len(rows)} rows of {num_lines} lines; one batch needs {batch_size}: take a longer corpus "
            "or a smaller batch_size"
        )
    longest = int(rows.lengths.argmax())
    if max_steps is not None and rows.lengths[longest] > max_steps:
        first = longest * num_lines + 1
        raise RowTooLongError(first, first + num_lines - 1, int(rows.lengths[longest]), max_steps)

    def batches() -> Iterator:
        order = numpy.random.permutation(len(rows))
        for i in range(0, len(rows) - batch_size + 1, batch_size):
            X, Y, counted = pad_lines([rows[j] for j in order[i : i + batch_size]], end)
            yield to_device(X, ctx), to_device(Y, ctx), mx.np.array(counted, dtype="float32", ctx=ctx)

    ctx, count = as_ctx(ctx), len(rows) // batch_size
    return Batches(batches(), count)


def few_lengths(batches: Batches, end: int) -> Batches:
    """Return batches of lines padded further, each to the :func:`next_length` of its num_steps.

    A model that compiles a graph for each number of steps is slow where each batch has another one.  Nothing follows a
    row of whole lines, so more padding changes no number but by rounding.

    Args:
        batches: of :func:`data_iter_lines`.
        end: the id that ``X`` and ``Y`` are padded with.
    """

    def pad(array, value):
        rows, num_steps = array.shape
        more = next_length(num_steps) - num_steps
        padding = mx.np.full((rows, more), value, dtype=array.dtype, ctx=array.ctx)
        return mx.np.concatenate([array, padding], axis=1) if more else array

    padded = ((pad(X, end), pad(Y, end), pad(counted, 0)) for X, Y, counted in batches)
    return Batches(padded, batches.num_batches)


def next_length(length: int) -> int:
    """Return the least of few lengths that is not less: there are four to each power of two, 8, 10, 12, 14, 16, 20.

    So at most a fifth of the steps is padding, and all lengths from 5 to 96 become 18.
    """
    step = 2 ** max(length.bit_length() - 3, 0)
    return -(-length // step) * step


def rows_of_lines(ids: numpy.ndarray, end: int, num_lines: int = 1) -> list[numpy.ndarray]:
    """Part ids into rows of ``num_lines`` lines, each line with its ``end``; the last row may have fewer."""
    return list(LineRows(ids, end, num_lines))


class LineRows(Sequence):
    """The rows of :func:`rows_of_lines`, each made when it is asked for: 16 bytes a row in place of an array.

    Attributes:
        lengths: of the rows, int64 (len(self),).
    """

    def __init__(self, ids: numpy.ndarray, end: int, num_lines: int = 1) -> None:
        self._ids, self._end = ids, end
        places = [numpy.flatnonzero(ids[i : i + BLOCK] == end) + (i + 1) for i in range(0, len(ids), BLOCK)]
        self._places = numpy.concatenate([numpy.zeros(1, numpy.int64), *places])
        if self._places[-1] != len(ids):  # the last line has no end
            self._places = numpy.append(self._places, len(ids) + 1)
        last = self._places[-1:]
        self._places = self._places[:-1:num_lines]
        self._places = numpy.append(self._places, last)
        self.lengths = numpy.diff(self._places)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, i: Any) -> Any:
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        begin, end = self._places[:-1][i], self._places[1:][i]
        row = self._ids[begin:end]
        return row if len(row) == end - begin else numpy.append(row, numpy.int32(self._end))


def pad_lines(rows: Sequence[numpy.ndarray], end: int, few: bool = False) -> tuple[numpy.ndarray, ...]:
    """Return ``X, Y, counted`` (len(rows), num_steps) as :func:`data_iter_lines` describes them; counted is bool.

    Args:
        rows: the ids of whole lines.
        end: the id of the line end.
        few: whether num_steps is the :func:`next_length` of the longest row's; else it is the longest row's.
    """
    lengths = numpy.array([len(row) for row in rows])
    num_steps = next_length(int(lengths.max())) if few else int(lengths.max())
    what = f"{len(rows):,} rows, padded to {num_steps:,} tokens,"
    check_memory(what, 9 * len(rows) * num_steps, "make batch_size smaller")
    Y = numpy.full((len(rows), num_steps), end, dtype=numpy.int32)
    counted = counted_steps(lengths, num_steps)
    Y[counted] = numpy.concatenate(rows)
    X = numpy.full_like(Y, end)
    X[:, 1:] = Y[:, :-1]
    return X, Y, counted


def counted_steps(
    lengths: Sequence[int] | numpy.ndarray, num_steps: int | None = None, front: bool = False
) -> numpy.ndarray:
    """Return a mask of rows of these lengths: True for a token, False for padding.

    Args:
        lengths: of each row; 0: the row is all padding.
        num_steps: the length to which rows are padded; None: that of the longest row.
        front: whether the padding stands before the tokens; else it stands behind them.

    Returns:
        booleans (len(lengths), num_steps): ``counted_steps([1, 3])`` is ``[[True, False, False], [True, True, True]]``.

    Raises:
        D2lrnnError: if a length is no whole number from 0 to ``num_steps``.
    """
    given = numpy.asarray(lengths)
    kind_fits = given.ndim == 1 and given.dtype.kind in "iu"
    if num_steps is None:
        longest = int(given.max(initial=0)) if kind_fits else MAX_SIZE
    else:
        longest = check_whole("num_steps", num_steps, 0)
    if not kind_fits or not ((given >= 0) & (given <= longest)).all():
        raise D2lrnnError(f"lengths is {shown(lengths)}: expected whole numbers from 0 to {longest}, one for each row")
    what = f"a mask of {given.size:,} x {longest:,}"
    check_memory(what, given.size * longest + 8 * longest, "expected shorter rows, or fewer")
    steps = numpy.arange(longest)
    return steps >= longest - given[:, None] if front else steps < given[:, None]


def check_counted(counted, shape: tuple[int, ...], dtype="float32"):
    """Check the mask that tells tokens from padding, and return it as an array of floats.

    Args:
        counted: of shape (batch_size, num_steps), 1 (or True) for a token, 0 for padding; None stays None.
        shape: (batch_size, num_steps) of the batch that the mask goes with.
        dtype: of the array to return.

    Raises:
        D2lrnnError: if the mask is no MXNet array, or has another shape.
    """
    if counted is None:
        return None
    if not isinstance(counted, mx.nd.NDArray):
        raise D2lrnnError(f"counted is a {type(counted).__name__}: expected an MXNet array, mxnet.np.array(counted)")
    if counted.shape != shape:
        raise D2lrnnError(f"counted has shape {counted.shape}: expected {shape}, which is (batch_size, num_steps)")
    return counted.astype(dtype, copy=False)
