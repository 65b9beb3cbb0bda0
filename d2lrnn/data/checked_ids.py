"""The check that ids are whole numbers in range, before MXNet can clip or round them in silence."""

from __future__ import annotations

from typing import Any

import numpy

from d2lrnn.errors import D2lrnnError


def check_ids(ids: Any, vocab_size: int | None, what: str = "ids") -> numpy.ndarray:
    """Return ids as int32, or refuse them before MXNet can clip or round them in silence.

    Args:
        ids: whole numbers, of any shape: a list, a NumPy array or an MXNet array (whole floats, as mxnet.np.arange
            gives them, too).
        vocab_size: ids must be below this; None leaves the vocabulary open.
        what: what to call the ids in an error.

    Returns:
        a contiguous int32 array of the same shape; ``ids`` itself if it is such an array.

    Raises:
        D2lrnnError: for anything but whole numbers, and for ids that are negative or not below vocab_size.
    """
    try:
        array = _from_mxnet(ids) if hasattr(ids, "asnumpy") else numpy.asarray(ids)
    except ValueError as error:  # what NumPy raises for rows of unequal length
        raise D2lrnnError(f"{what} cannot be made an array of whole numbers: {error}") from error
    if array.size == 0 and not isinstance(ids, numpy.ndarray):
        array = array.astype(numpy.int32)  # an empty list, of which NumPy makes an array of floats
    if array.dtype.kind not in "iu":
        raise D2lrnnError(
            f"{what} has dtype {array.dtype}: expected whole numbers, best int32 (floats round above 2**24)"
        )
    limit = 2**31 if vocab_size is None else vocab_size
    if array.size and not 0 <= int(array.min()) <= int(array.max()) < limit:
        position = tuple(int(i) for i in numpy.argwhere((array < 0) | (array >= limit))[0])
        raise D2lrnnError(
            f"{what} has the id {array[position]} at position {', '.join(map(str, position)) or 0}: expected "
            f"0 to {limit - 1}, into which MXNet would clip it in silence; is it from another vocabulary?"
        )
    return numpy.asarray(array, dtype=numpy.int32, order="C")


def _from_mxnet(array: Any) -> numpy.ndarray:
    """Return an MXNet array's numbers; floats that are whole and exact become int32."""
    ids = array.asnumpy()
    if ids.dtype.kind == "f":
        exact = min(2**31, 2 ** (numpy.finfo(ids.dtype).nmant + 1))  # from here on, a float may have been rounded
        if (abs(ids) < exact).all() and (ids == numpy.trunc(ids)).all():
            return ids.astype(numpy.int32)
    return ids
