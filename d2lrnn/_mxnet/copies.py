"""How MXNet's arrays, parameters and graphs are copied, by :mod:`copy` and by :mod:`pickle`.

MXNet copies an array without its gradient, a parameter without the tie between its array and its gradient, and a
compiled graph not at all.  This file imports no MXNet: :mod:`d2lrnn._runtime` hands the module over.
"""

from __future__ import annotations

import copyreg
from typing import Any


def copy_with_gradients(mxnet: Any) -> None:
    """Let a copy of an array that has a gradient have one too, and a copied model compile its graphs anew."""
    copyreg.pickle(mxnet.np.ndarray, _reduce_array)
    for parameter in (mxnet.gluon.Parameter, mxnet.gluon.Constant):
        copyreg.pickle(parameter, _reduce_parameter)
    copyreg.pickle(mxnet.sym.np._Symbol, _reduce_symbol)
    copyreg.pickle(mxnet.nd.CachedOp, _reduce_graph)


def _reduce_array(array: Any) -> tuple:
    if array.grad is None:
        return array.__reduce__()
    return with_gradient, (array.detach(), array.grad)


def with_gradient(array: Any, gradient: Any, grad_req: str = "write") -> Any:
    """Give an array a gradient of these numbers, and return the array."""
    array.attach_grad(grad_req)
    array.grad[:] = gradient
    return array


def _reduce_parameter(parameter: Any) -> tuple:
    """Leave the trainer out: it knows the parameters that it was made with, and no copies of them."""
    return parameter_of, (type(parameter), {**vars(parameter), "_grad": None, "_trainer": None})


def parameter_of(kind: Any, state: dict[str, Any]) -> Any:
    """Make a Gluon parameter of its attributes; the gradients are those of its arrays."""
    parameter = kind.__new__(kind)
    vars(parameter).update(state)
    if parameter._data is not None and parameter.grad_req != "null":
        for array in parameter._data:
            with_gradient(array, array.grad, parameter.grad_req)
        parameter._grad = [array.grad for array in parameter._data]
    return parameter


def _reduce_symbol(symbol: Any) -> tuple:
    """Keep the kind of a symbol: MXNet's own pickle of a symbol of np is read back as one of nd."""
    return type(symbol), (None,), symbol.__getstate__()


def _reduce_graph(graph: Any) -> tuple:
    return no_graph, ()


def no_graph() -> None:
    """Return None, which a block of Gluon's holds until its graph is compiled."""
