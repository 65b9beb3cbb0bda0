"""A weight with its transpose, which the product of many time steps asks for."""

from __future__ import annotations

import functools

from d2lrnn._runtime import mx


class Weight(mx.np.ndarray):
    """A weight that many steps multiply by: the same array once more, with a transpose that is made once for all steps.

    :func:`d2lrnn.cells.steps.dot` multiplies by the transpose, by oneDNN: on an Intel processor with AVX-512 this is
    several times as fast as np.dot.

    Args:
        W: a matrix.  The new array shares its memory, its gradient, and its place in what autograd records.
    """

    def __init__(self, W) -> None:
        self._owner = W.as_nd_ndarray()
        super().__init__(self._owner.handle, W.writable)

    def __del__(self) -> None:
        """Free nothing: the handle belongs to ``_owner``."""

    @functools.cached_property
    def transposed(self):
        """The transpose, part of what autograd records."""
        return mx.np.transpose(self)
