"""Let functions of mxnet.np take the arrays of mxnet.nd too, which the book's first edition writes.

An nd array and the np array that it becomes are one array: they share their memory, their gradient, and their place in
what autograd records.  So nothing is copied, and gradients flow through the change.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from d2lrnn._runtime import mx
from d2lrnn.errors import D2lrnnError

Function = TypeVar("Function", bound=Callable)


def is_nd(value: Any) -> bool:
    """Return whether a value is an array of mxnet.nd and none of mxnet.np."""
    return isinstance(value, mx.nd.NDArray) and not isinstance(value, mx.np.ndarray)


def as_np(value: Any) -> Any:
    """Return an array, or the arrays in a list, a tuple or a dictionary, as np arrays; other values stay as they are.

    A list keeps its class and its further attributes, such as the ``ids`` of one-hot matrices.
    """
    return _mapped(value, lambda array: array.as_np_ndarray() if is_nd(array) else array)


def as_nd(value: Any) -> Any:
    """Return arrays as nd arrays; the reverse of :func:`as_np`."""
    return _mapped(value, lambda array: array if is_nd(array) else array.as_nd_ndarray())


def _mapped(value: Any, change: Callable) -> Any:
    if isinstance(value, mx.nd.NDArray):
        return change(value)
    if isinstance(value, list):
        new = copy.copy(value)
        new[:] = [_mapped(item, change) for item in value]
        return new
    if type(value) is tuple:
        return tuple(_mapped(item, change) for item in value)
    if type(value) is dict:
        return {name: _mapped(item, change) for name, item in value.items()}
    return value


def has_nd(value: Any) -> bool:
    """Return whether a value is an nd array, or a list, a tuple or a dictionary that holds one."""
    if isinstance(value, (list, tuple)):
        return any(map(has_nd, value))
    if type(value) is dict:
        return any(map(has_nd, value.values()))
    return is_nd(value)


def takes_nd(function: Function) -> Function:
    """Return the function that takes nd arrays too: if any of its arguments is or holds one, it returns nd arrays."""

    @functools.wraps(function)
    def with_nd(*args: Any, **options: Any) -> Any:
        if not has_nd(args) and not has_nd(options):
            return function(*args, **options)
        return as_nd(function(*map(as_np, args), **as_np(options)))

    return cast(Function, with_nd)


def refuse_nd(*arrays: Any) -> None:
    """Raise the sentence that says what to write in place of an nd array, where a function takes none.

    Raises:
        D2lrnnError: if one of the arrays is an nd array.
    """
    for array in arrays:
        if is_nd(array):
            raise D2lrnnError(
                f"an array of shape {array.shape} is of mxnet.nd: expected one of mxnet.np; write "
                "array.as_np_ndarray(), which shares its memory and its gradient"
            )
