"""The rows of an embedding that come in a batch, in the place of the whole embedding.

All other rows have a gradient of 0, and plain SGD leaves them as they are.  But MXNet writes the gradient of the whole
embedding, and the norm and the update read it.  A batch of 20 x 35 words of Penn Treebank uses at most 700 of 10,000
rows.
"""

from __future__ import annotations

from typing import Any

import numpy

from d2lrnn._runtime import mx
from d2lrnn.models.gluon.facts import has_new_gradient, note_gradient

LEAST_SIZE = 2**20  # numbers of an embedding; to find the rows of a smaller one takes as long as it saves


def pays(X, shape: tuple[int, int]) -> bool:
    """Return whether the rows of ids X, a batch, are used faster than all of an embedding of that shape."""
    return 2 * X.size <= shape[0] and shape[0] * shape[1] >= LEAST_SIZE


class UsedRows:
    """The rows that the present batch uses of one embedding.

    Args:
        param: the embedding's weight.

    Attributes:
        param: as above.
        values: the rows, (size of the batch, embed_size), with a gradient.  First come those of the batch's ids in
            rising order.  The others are copies of a row that the batch does not use, and have a gradient of 0.
    """

    def __init__(self, param: mx.gluon.Parameter) -> None:
        self.param = param
        self.values: Any = None
        self._ids: Any = None  # of the rows, (1, size of the batch)
        # A gradient of the whole embedding, and those ids whose rows in it are not 0.
        self._filled: tuple[Any, Any] = None, None

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes to copy; a copy begins without a batch."""
        return {**vars(self), "values": None, "_ids": None, "_filled": (None, None)}

    def look_up(self, X):
        """Take the rows of ids X; return the place among the rows of each id, an array of X's shape."""
        array = self.param.data(X.ctx)
        weight, shape = array.as_nd_ndarray(), (X.size, array.shape[1])
        with mx.autograd.pause():
            numbers = mx.nd.array(_numbered(X.asnumpy().reshape(-1), len(weight)), dtype="int32", ctx=X.ctx)
            self._ids, places = numbers[:1], numbers[1:].reshape(X.shape)
            if _form(self.values) != (shape, weight.dtype, X.ctx):
                self.values = mx.np.empty(shape, dtype=weight.dtype, ctx=X.ctx)
                self.values.attach_grad()
            mx.nd.take(weight, self._ids, out=self.values.as_nd_ndarray().reshape((1, *shape)))
        if has_new_gradient(array):
            self.forget()
        note_gradient(array)
        note_gradient(self.values)
        return places.as_np_ndarray()

    def forget(self) -> None:
        """Take note that the gradient of the whole embedding is written by others."""
        self._filled = None, None

    def settle(self) -> bool:
        """Write the gradient of the rows into that of the whole embedding, as if backward had.

        Returns:
            whether this is all of the gradient; False if the loss has used the embedding in another way too.
        """
        grad = self.param.grad(self._ids.ctx)
        whole, rows, (filled, ids) = grad.as_nd_ndarray(), self.values.grad.as_nd_ndarray(), self._filled
        is_all = not has_new_gradient(self.param.data(self._ids.ctx))
        if not has_new_gradient(self.values):  # the loss does not depend on what was looked up
            rows[:] = 0
        self.forget()  # for the case that an interrupt comes before all is written
        if not is_all:
            rows = rows + mx.nd.take(whole, self._ids)[0]
        elif filled is grad:
            _write(whole, ids, mx.nd.zeros((ids.size, whole.shape[1]), dtype=whole.dtype, ctx=whole.ctx))
        else:
            whole[:] = 0
        _write(whole, self._ids, rows)
        if is_all:
            self._filled = grad, self._ids
        return is_all

    def write(self) -> None:
        """Write the rows back into the embedding."""
        _write(self.param.data(self._ids.ctx).as_nd_ndarray(), self._ids, self.values.as_nd_ndarray())


def _form(array) -> tuple | None:
    """Return the shape, the type and the device of an array; None: there is no array."""
    return None if array is None else (array.shape, array.dtype, array.ctx)


def _numbered(ids: numpy.ndarray, vocab_size: int) -> numpy.ndarray:
    """Return the ids of the rows, and the place among them of each of the batch's ids, (2, size of the batch)."""
    ids = ids.astype(numpy.int32)
    comes = numpy.zeros(vocab_size, bool)
    comes[ids] = True
    different = numpy.flatnonzero(comes)
    places = numpy.empty(vocab_size, numpy.int32)
    places[different] = numpy.arange(len(different))
    numbers = numpy.full((2, ids.size), comes.argmin(), numpy.int32)  # an id that does not come
    numbers[0, : len(different)], numbers[1] = different, places[ids]
    return numbers


def _write(whole, ids, rows) -> None:
    """Write rows into a matrix, at ids (1, number of rows); the plain ``whole[ids] = rows`` takes ten times as long."""
    mx.nd._internal._scatter_set_nd(whole, rows, ids, shape=whole.shape, out=whole)
