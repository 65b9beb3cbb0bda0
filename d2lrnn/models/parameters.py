"""A model's parameters by name: their values and gradients, from scratch or Gluon's."""

from __future__ import annotations

from typing import Any

from d2lrnn._runtime import mx
from d2lrnn.errors import D2lrnnError


def named_parameters(model) -> dict[str, Any]:
    """Return a model's parameters by name: arrays with gradients of a scratch model, Gluon parameters of a Gluon one.

    Names do not depend on how many models were made before.  A parameter with two places, as a tied weight has, comes
    once.
    """
    if isinstance(model, mx.gluon.Block):
        names: dict[Any, str] = {}
        for name, param in model._collect_params_with_prefix().items():
            names.setdefault(param, name)
        return {name: param for param, name in names.items()}
    try:
        return dict(zip(model.stack.param_names, model.params))
    except D2lrnnError:  # a forward_fn of the user's: nobody knows what its parameters are called
        return {f"params.{i}": param for i, param in enumerate(model.params)}


def trainable_parameters(model) -> dict[str, Any]:
    """Return those of :func:`named_parameters` that have a gradient."""
    return {name: p for name, p in named_parameters(model).items() if getattr(p, "grad_req", "write") != "null"}


def get_values(param):
    """Return the numbers of one of :func:`named_parameters`, an MXNet array that changes with them."""
    return param.data() if isinstance(param, mx.gluon.Parameter) else param


def set_values(param, values) -> None:
    """Write numbers, a NumPy or MXNet array of the right shape, into one of :func:`named_parameters`."""
    values = mx.np.array(values, dtype=values.dtype)
    if isinstance(param, mx.gluon.Parameter):
        param.set_data(values)
    else:
        param[:] = values


def data_and_grad(param, ctx: mx.Context | None):
    """Return a parameter's array and gradient; ``param`` is an array with a gradient or a Gluon parameter."""
    if not isinstance(param, mx.gluon.Parameter):
        if param.grad is None:
            raise D2lrnnError(f"an array of shape {param.shape} has no gradient: call its attach_grad() first")
        return param, param.grad
    ctx = ctx or param.list_ctx()[0]
    return param.data(ctx), param.grad(ctx)


def trainable(params) -> list:
    """Return the parameters that have a gradient, of a list, a dictionary or a model."""
    if isinstance(params, mx.gluon.Block):
        params = params.collect_params()
    params = params.values() if hasattr(params, "values") else getattr(params, "params", params)
    return [p for p in params if getattr(p, "grad_req", "write") != "null"]


def gradient_of(param: Any):
    """Return the gradient of one of :func:`named_parameters`, as an ``nd`` array."""
    return (param.grad() if isinstance(param, mx.gluon.Parameter) else param.grad).as_nd_ndarray()
