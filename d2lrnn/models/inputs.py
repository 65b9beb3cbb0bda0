"""The inputs of recurrent layers from scratch: one-hot matrices, and one product with a weight for all steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from d2lrnn._runtime import mx
from d2lrnn.cells.steps import dot
from d2lrnn.checks import MAX_COMPUTED, check_numbers, check_whole
from d2lrnn.data.batches import check_batch
from d2lrnn.nd_arrays import as_nd, as_np, is_nd

npx, np = mx.npx, mx.np


def to_onehot(X, size: int) -> list:
    """Turn ids into one-hot matrices, one for each time step (d2l-zh v1, section 6.4.1).

    Row i of matrix t has a single 1, in column ``X[i, t]``.  For example::

        >>> from mxnet import np
        >>> from d2lrnn import to_onehot
        >>> inputs = to_onehot(np.array([[0, 2], [1, 0]], dtype="int32"), 3)
        >>> len(inputs), inputs[0].shape
        (2, (2, 3))
        >>> inputs[0]
        array([[1., 0., 0.],
               [0., 1., 0.]])

    Args:
        X: ids of shape (batch_size, num_steps), of an integer type; or an nd array, which may also be one row of ids,
            of shape (num_steps,).
        size: the size of the vocabulary.

    Returns:
        num_steps matrices of shape (batch_size, size); nd arrays if X is one.

    Raises:
        D2lrnnError: if ``size`` is no size, or memory cannot hold the matrices; for an id outside 0 .. size - 1, of
            which MXNet would make a row of zeros.
    """
    size = check_whole("size", size)
    if is_nd(X):
        return as_nd(to_onehot(as_np(X if X.ndim != 1 else X.reshape((1, -1))), size))
    check_batch(X, size)
    return OneHot(X.T, size)


class Ids(Sequence):
    """Ids that stand for one-hot matrices, one for each time step; a matrix is made where it is asked for.

    A one-hot vector times a matrix is a row of the matrix; :class:`Inputs` looks this row up by the id.
    """

    def __init__(self, ids, size: int) -> None:  # ids: (num_steps, batch_size)
        what = f"one-hot vectors of {size:,} numbers for {ids.size:,} ids"
        remedy = "make the vocabulary, batch_size or num_steps smaller"
        check_numbers(what, ids.size * size, remedy, most=MAX_COMPUTED)
        self.ids, self._size = ids, size

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, t):
        return npx.one_hot(self.ids[t], self._size)


class OneHot(list):
    """A list of one-hot matrices, one for each time step, which knows the ids that they were made from."""

    def __init__(self, ids, size: int) -> None:  # ids: (num_steps, batch_size)
        super().__init__(Ids(ids, size))
        self.ids = ids


def columns(counted) -> list:
    """Return ``counted`` (batch_size, num_steps) as num_steps columns (batch_size, 1)."""
    return [counted[:, t : t + 1] for t in range(counted.shape[1])]


def or_zeros(here, X):
    """Return X where ``here`` is not 0, and 0 elsewhere.

    ``where(here, X, 0)`` would be wrong: with a number in place of an array, MXNet 1.9.1 passes the gradient on to X
    where X was not chosen.
    """
    return np.where(here, X, np.zeros_like(X))


class Inputs(Sequence):
    """The inputs of a layer at all time steps; their product with a weight is made once for all steps.

    This is possible since no input depends on the layer's state.  It is faster: the gradient of the weight comes from
    one product too, not from one for each step.  A step's input, ``inputs[t]``, stands in the equations as a matrix
    does: ``dot(X, W)``.

    Args:
        matrices: num_steps matrices (batch_size, num_inputs), :class:`OneHot` or :class:`Ids`.
        counted: 1 for a token, 0 for padding, (batch_size, num_steps); None: there is no padding.  Padding is read as a
            vector of zeros, whatever stands there, so that no NaN in the padding reaches a gradient.
    """

    def __init__(self, matrices: Sequence, counted=None) -> None:
        self.matrices, self._counted, self._ids = matrices, counted, getattr(matrices, "ids", None)
        if counted is not None and self._ids is None:
            self.matrices = [or_zeros(here, X) for here, X in zip(columns(counted), matrices)]
        self._products: dict[int, tuple] = {}  # by the weight's identity: the weight, and its product at each step

    def __len__(self) -> int:
        return len(self.matrices)

    def __getitem__(self, t):
        return StepInput(self, range(len(self))[t])

    def product(self, t: int, W):
        """Return the product of step t's input and a weight, (batch_size, columns of W)."""
        if id(W) not in self._products:
            num_steps, (rows, width) = len(self), W.shape
            if self._ids is not None:
                whole = npx.embedding(self._ids, W, input_dim=rows, output_dim=width)
                if self._counted is not None:
                    whole = or_zeros(np.expand_dims(self._counted.T, 2), whole)
            else:
                whole = dot(np.concatenate(self.matrices, axis=0), W).reshape(num_steps, -1, width)
            # From (num_steps, batch_size, columns of W) to a list, by SliceChannel: np.split takes four times as long,
            # and indexing takes ten times as long in the gradient.
            steps = mx.nd.SliceChannel(whole.as_nd_ndarray(), num_outputs=num_steps, axis=0, squeeze_axis=True)
            steps = steps if num_steps > 1 else [steps]
            self._products[id(W)] = W, [step.as_np_ndarray() for step in steps]
        return self._products[id(W)][1][t]


class StepInput(NamedTuple):
    """The input of one time step; the equations use nothing but its products with weights."""

    inputs: Inputs
    t: int

    def dot(self, W):
        """Return the product with a weight."""
        return self.inputs.product(self.t, W)
