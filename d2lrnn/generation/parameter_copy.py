"""A copy of a model's parameters, to find out whether one of them has changed since."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy

from d2lrnn._runtime import mx
from d2lrnn.models.parameters import get_values, named_parameters

_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class ParameterCopy:
    """The parameters of a model as they are when the copy is made.

    Args:
        model: a model from scratch or on Gluon.
    """

    def __init__(self, model: Any) -> None:
        arrays = _arrays_of(model)
        self._layout = _layout_of(arrays)
        self._numbers = [array.asnumpy() for array in arrays.values()]

    def equals(self, model: Any) -> bool:
        """Return whether a model has these parameters: names, shapes, types, devices, and each number to the bit.

        Comparing 13 million numbers takes 5 ms.  It takes 11 ms with asnumpy() and NumPy, 68 ms with MXNet's operator.
        """
        arrays = _arrays_of(model)
        return _layout_of(arrays) == self._layout and all(map(_same_bits, arrays.values(), self._numbers))


def _arrays_of(model: Any) -> dict[str, Any]:
    return {name: get_values(param) for name, param in named_parameters(model).items()}


def _layout_of(arrays: dict[str, Any]) -> list[tuple]:
    return [(name, array.shape, numpy.dtype(array.dtype), array.ctx) for name, array in arrays.items()]


def _same_bits(array: Any, numbers: numpy.ndarray) -> bool:
    """Compare an MXNet array with a NumPy array of the same shape and type.

    On the CPU MXNet's memory is compared where it is: a copy of it would take longer than the comparison.
    """
    if array.ctx.device_type != "cpu":
        return array.asnumpy().tobytes() == numbers.tobytes()
    array.wait_to_read()
    address = ctypes.c_void_p()
    mx.base.check_call(mx.base._LIB.MXNDArrayGetData(array.handle, ctypes.byref(address)))
    return _memcmp(address, numbers.ctypes.data, numbers.nbytes) == 0
