"""Cut a run of ids into minibatches for truncated backpropagation through time.

All iterators yield ``X, Y``, int32 arrays of shape (batch_size, num_steps); ``Y`` is ``X`` moved on by one id (d2l-zh
v1, section 6.3).  Where rows are whole lines, a third array tells tokens from padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy

from d2lrnn._runtime import mx
from d2lrnn.checks import check_whole, shown
from d2lrnn.data.corpus import Corpus
from d2lrnn.data.vocabulary import check_ids
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import D2lrnnError


class Batches:
    """An iterator over minibatches ``(X, Y)`` or ``(X, Y, counted)`` that knows how many there are.

    Attributes:
        num_batches: how many there are from the beginning to the end.
    """

    def __init__(self, batches: Iterator, num_batches: int) -> None:
        self._batches, self.num_batches = batches, num_batches

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> tuple[mx.np.ndarray, ...]:
        return next(self._batches)


class CorpusTooShortError(D2lrnnError):
    """The corpus does not hold a single minibatch of the size asked for."""


def data_iter_random(corpus_indices, batch_size: int, num_steps: int, ctx: ContextLike = None) -> Batches:
    """Yield windows in random order, each at most once; a batch does not continue the one before.

    The corpus is cut into ``(len - 1) // num_steps`` windows that do not overlap.  Ids at the end of the corpus that
    do not fill a window are left out.  Windows at the end of the epoch that do not fill a batch are left out too; they
    differ from epoch to epoch, since the order comes from NumPy's global generator.  For example, with the ids of a
    text that is as long as one batch::

        >>> from d2lrnn import data_iter_random
        >>> for X, Y in data_iter_random(range(7), batch_size=2, num_steps=3):
        ...     print(sorted(X.tolist()), sorted(Y.tolist()))
        [[0, 1, 2], [3, 4, 5]] [[1, 2, 3], [4, 5, 6]]

    X and Y are arrays of mxnet.np.  All functions that have the book's name take them as they are; where code of your
    own goes on in mxnet.nd, write ``X.as_nd_ndarray()``, which copies nothing.

    Args:
        corpus_indices: the ids, one-dimensional: a list, a NumPy array or an MXNet array of mxnet.np or mxnet.nd (whole
            floats, as np.arange gives them, too).
        batch_size: windows in a batch.
        num_steps: ids in a window.
        ctx: the device of the batches, as for :func:`d2lrnn.device.as_ctx`.

    Raises:
        CorpusTooShortError: if the windows do not fill one batch.
        D2lrnnError: if the ids are not non-negative integers, or a size is not a positive integer.
    """
    ids = checked_corpus(corpus_indices, batch_size=batch_size, num_steps=num_steps)
    num_windows = (len(ids) - 1) // num_steps
    needed = batch_size * num_steps + 1
    _require(num_windows >= batch_size, len(ids), needed, batch_size, num_steps)
    X = ids[: num_windows * num_steps].reshape(num_windows, num_steps)
    Y = ids[1 : num_windows * num_steps + 1].reshape(num_windows, num_steps)

    def batches() -> Iterator:
        order = numpy.random.permutation(num_windows)
        for i in range(0, num_windows - batch_size + 1, batch_size):
            rows = order[i : i + batch_size]
            yield to_device(X[rows], ctx), to_device(Y[rows], ctx)

    ctx, count = as_ctx(ctx), num_windows // batch_size
    return Batches(batches(), count)


def data_iter_consecutive(corpus_indices, batch_size: int, num_steps: int, ctx: ContextLike = None) -> Batches:
    """Yield batches that continue one another row by row, so that the state can be carried on.

    The corpus is cut into ``batch_size`` rows of ``len // batch_size`` ids; batch ``i`` holds the ids
    ``i * num_steps`` to ``(i + 1) * num_steps - 1`` of every row.  Ids that do not fill the rows, and those that a
    row has after the last full batch, are left out.  For example::

        >>> from d2lrnn import data_iter_consecutive
        >>> for X, Y in data_iter_consecutive(range(14), batch_size=2, num_steps=3):
        ...     print(X.tolist(), Y.tolist())
        [[0, 1, 2], [7, 8, 9]] [[1, 2, 3], [8, 9, 10]]
        [[3, 4, 5], [10, 11, 12]] [[4, 5, 6], [11, 12, 13]]

    X and Y are arrays of mxnet.np, as :func:`data_iter_random` explains.

    Args:
        corpus_indices: as for :func:`data_iter_random`.
        batch_size: rows.
        num_steps: ids of a row in one batch.
        ctx: the device of the batches, as for :func:`d2lrnn.device.as_ctx`.

    Raises:
        CorpusTooShortError: if the rows are too short for one batch.
        D2lrnnError: if the ids are not non-negative integers, or a size is not a positive integer.
    """
    return _consecutive(corpus_indices, batch_size, num_steps, ctx, _equal_steps)


def data_iter_varied(corpus_indices, batch_size: int, num_steps: int, ctx: ContextLike = None) -> Batches:
    """Yield batches as :func:`data_iter_consecutive` does, but of a length drawn anew for each batch.

    The lengths are uniform over ``num_steps - num_steps // 6`` to ``num_steps + num_steps // 6`` and come from NumPy's
    global generator.  With a fixed length, every epoch would cut the corpus at the same places, and no gradient would
    ever cross these (Merity et al. 2017, arXiv 1708.02182).

    Args:
        corpus_indices: as for :func:`data_iter_consecutive`.
        batch_size: rows.
        num_steps: ids of a row in one batch, on average.
        ctx: the device of the batches.

    Raises:
        CorpusTooShortError, D2lrnnError: as :func:`data_iter_consecutive`.
    """
    return _consecutive(corpus_indices, batch_size, num_steps, ctx, _varied_steps)


def _equal_steps(length: int, num_steps: int) -> numpy.ndarray:
    return numpy.full(length // num_steps, num_steps)


def _varied_steps(length: int, num_steps: int) -> numpy.ndarray:
    spread = num_steps // 6
    steps = numpy.random.randint(num_steps - spread, num_steps + spread + 1, 1 + length // (num_steps - spread))
    return steps[: numpy.searchsorted(steps.cumsum(), length, side="right")]


def _consecutive(corpus_indices, batch_size: int, num_steps: int, ctx: ContextLike, draw_steps: Callable) -> Batches:
    ids = checked_corpus(corpus_indices, batch_size=batch_size, num_steps=num_steps)
    row_length = len(ids) // batch_size
    needed = batch_size * (num_steps + 1)
    _require(row_length > num_steps, len(ids), needed, batch_size, num_steps)
    rows = ids[: batch_size * row_length].reshape(batch_size, row_length)
    steps = draw_steps(row_length - 1, num_steps)  # of each batch
    if not len(steps):  # the first length drawn was longer than a row, but a row holds num_steps
        steps = numpy.array([num_steps])
    ends = steps.cumsum()

    def batches() -> Iterator:
        for begin, end in zip(ends - steps, ends):
            yield to_device(rows[:, begin:end], ctx), to_device(rows[:, begin + 1 : end + 1], ctx)

    ctx = as_ctx(ctx)
    return Batches(batches(), len(steps))


def check_batch(X, vocab_size: int, state: Sequence = ()) -> None:
    """Refuse a batch of ids from which MXNet would compute nonsense without an error.

    Args:
        X: ids of shape (batch_size, num_steps).
        vocab_size: ids must be below this.
        state: the state that goes with X, arrays of shape (..., batch_size, width).

    Raises:
        D2lrnnError: for a shape that has not two axes, an empty batch, ids that are out of range or not whole, and a
            state for another batch size (which often means that the two axes of X are swapped).
    """
    if not isinstance(X, mx.nd.NDArray):
        raise D2lrnnError(f"X is a {type(X).__name__}: expected an MXNet array, mxnet.np.array(X, dtype='int32')")
    if X.ndim != 2 or X.size == 0:
        raise D2lrnnError(f"X has shape {X.shape}: expected (batch_size, num_steps), neither of them 0")
    _check_rows(X, state, "(batch_size, num_steps)")
    check_ids(X, vocab_size, "X")


def _check_rows(X, state: Sequence, axes: str) -> None:
    for array in state:
        if array.shape[-2] != X.shape[0]:
            raise D2lrnnError(
                f"X has shape {X.shape}, which is {axes}, but the state is for a batch of "
                f"{array.shape[-2]}: are the axes of X swapped, or was the state made for another batch?"
            )


def check_inputs(vocab_size: int | None, input_size: int | None) -> int:
    """Return the width of a model's inputs as vectors: one of the two sizes, where the other is None.

    Raises:
        D2lrnnError: if both or none are given, or the one is no size.
    """
    if (vocab_size is None) == (input_size is None):
        raise D2lrnnError(
            f"vocab_size is {shown(vocab_size)} and input_size {shown(input_size)}: expected one of them, vocab_size "
            "for ids or input_size for numbers"
        )
    return check_whole("input_size", input_size) if vocab_size is None else check_whole("vocab_size", vocab_size)


def check_inputs_of(X, vocab_size: int | None, input_size: int | None, state: Sequence = ()) -> None:
    """Check a batch of ids as :func:`check_batch` does, or a batch of numbers (batch_size, num_steps, input_size).

    Raises:
        D2lrnnError: as :func:`check_batch`; for numbers of another shape, and for whole numbers, whose gradients MXNet
            would round.
    """
    if input_size is None:
        return check_batch(X, vocab_size or 0, state)
    if not isinstance(X, mx.nd.NDArray):
        raise D2lrnnError(f"X is a {type(X).__name__}: expected an MXNet array, mxnet.np.array(X)")
    if X.ndim != 3 or X.size == 0 or X.shape[2] != input_size:
        raise D2lrnnError(
            f"X has shape {X.shape}: expected (batch_size, num_steps, input_size), the last {input_size}, none of them "
            "0"
        )
    if X.dtype not in (numpy.float32, numpy.float64):
        raise D2lrnnError(f"X has type {numpy.dtype(X.dtype).name}: expected float32, X.astype('float32')")
    _check_rows(X, state, "(batch_size, num_steps, input_size)")


def checked_corpus(corpus_indices, **sizes: int) -> numpy.ndarray:
    """Return the ids of a text as an int32 NumPy array, or refuse them; ``sizes`` must be positive whole numbers."""
    for name, value in sizes.items():
        check_whole(name, value)
    if isinstance(corpus_indices, Corpus):
        raise D2lrnnError("corpus_indices is a Corpus: expected the ids of one of its splits, such as corpus.train")
    ids = check_ids(corpus_indices, None, "corpus_indices")
    if ids.ndim != 1:
        raise D2lrnnError(f"corpus_indices has shape {ids.shape}: expected one dimension, the ids of a text in a row")
    return ids


def _require(enough: bool, found: int, needed: int, batch_size: int, num_steps: int) -> None:
    if not enough:
        raise CorpusTooShortError(
            f"the corpus has {found} ids; one batch of batch_size {batch_size} x num_steps {num_steps} needs "
            f"{needed}: take a longer corpus, or a smaller batch_size or num_steps"
        )


def to_device(ids: numpy.ndarray, ctx: mx.Context) -> mx.np.ndarray:
    """Return ids as an int32 array on a device."""
    return mx.np.array(ids, dtype=numpy.int32, ctx=ctx)
