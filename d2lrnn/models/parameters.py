"""A model's parameters by name; the one file that tells models and parameters from scratch from those of Gluon."""

from __future__ import annotations

import copy
from typing import Any

from d2lrnn._runtime import mx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.gluon.facts import is_frozen, is_tied_to_gradient, names_of
from d2lrnn.nd_arrays import as_np


def named_parameters(model) -> dict[str, Any]:
    """Return a model's parameters by name: arrays with gradients (from scratch), or Gluon parameters.

    Names do not depend on how many models were made before.  A parameter that is used in two places, such as a tied
    weight, comes once.

    Args:
        model: an object with a method ``parameters()``, or any Gluon block.

    Raises:
        D2lrnnError: for any other object.
    """
    if _is_model(model):
        return model.parameters()
    if is_on_gluon(model):
        return names_of(model)
    raise D2lrnnError(
        f"a {type(model).__name__} has no method parameters(): expected a model that keeps the protocol of "
        "d2lrnn.models.protocol.Model, or a Gluon block"
    )


def is_on_gluon(model) -> bool:
    """Return whether a model is a block of Gluon's, and not one from scratch."""
    return isinstance(model, mx.gluon.Block)


def trainable_parameters(model) -> dict[str, Any]:
    """Return those parameters of :func:`named_parameters` that have a gradient, by name."""
    return {name: param for name, param in named_parameters(model).items() if is_trainable(param)}


def trainable(params) -> list:
    """Return the parameters of a list, a dictionary or a model that have a gradient."""
    if _is_model(params) or is_on_gluon(params):
        params = named_parameters(params)
    params = params.values() if hasattr(params, "values") else params
    return [param for param in params if is_trainable(param)]


def is_trainable(param) -> bool:
    """Return whether a parameter has a gradient; True for every array from scratch, which cannot be frozen."""
    return not _is_gluons(param) or not is_frozen(param)


def has_gradient(param) -> bool:
    """Return whether backward computes the gradient of a parameter that is trained."""
    return is_tied_to_gradient(param) if _is_gluons(param) else param.grad is not None


def is_overwritten(param) -> bool:
    """Return whether backward overwrites a parameter's gradient, and neither adds to the old one nor leaves it."""
    return not _is_gluons(param) or param.grad_req == "write"


def get_values(param):
    """Return the values of a parameter: no copy, but the MXNet array in which the parameter keeps them."""
    return param.data() if _is_gluons(param) else param


def set_values(param, values) -> None:
    """Write values, a NumPy or MXNet array of the parameter's shape, into a parameter."""
    values = mx.np.array(values, dtype=values.dtype)
    if _is_gluons(param):
        param.set_data(values)
    else:
        as_np(param)[:] = values


def get_gradient(param):
    """Return the gradient of a parameter: no copy, but the MXNet array into which backward writes.

    Raises:
        D2lrnnError: for an array without a gradient.
    """
    return data_and_grad(param, None)[1]


def data_and_grad(param, ctx: mx.Context | None) -> tuple:
    """Return a parameter's array and gradient.

    Args:
        param: an array with a gradient, or a Gluon parameter.
        ctx: the device, where a Gluon parameter is on several; None: the first of them.

    Raises:
        D2lrnnError: for an array without a gradient.
    """
    if not _is_gluons(param):
        if param.grad is None:
            raise D2lrnnError(f"an array of shape {param.shape} has no gradient: call its attach_grad() first")
        return param, param.grad
    ctx = ctx or device_of(param)
    return param.data(ctx), param.grad(ctx)


def device_of(param) -> mx.Context:
    """Return the device of a parameter, or the first one, where a Gluon parameter is on several."""
    return param.list_ctx()[0] if _is_gluons(param) else param.ctx


def replica_of(model, ctx: mx.Context):
    """Return a copy of a model on another device; it shares nothing with the model.

    Raises:
        D2lrnnError: for a model that is neither on Gluon nor has ``params`` and ``ctx``, as those from scratch have.
    """
    if is_on_gluon(model):
        replica = copy.copy(model)
        replica.collect_params().reset_ctx(ctx)
        return replica
    if not isinstance(getattr(model, "params", None), list) or not hasattr(model, "ctx"):
        raise D2lrnnError(
            f"a {type(model).__name__} cannot be copied to another device: expected a block of Gluon's, or a model "
            "with a list params and a device ctx"
        )
    replica = copy.copy(model)
    replica.params, replica.ctx = [_on_device(param, ctx) for param in replica.params], ctx
    return replica


def _on_device(array, ctx: mx.Context):
    """Return an array with a gradient on another device."""
    moved = array.as_in_ctx(ctx).detach()
    moved.attach_grad()
    return moved


def numbers_of(params: dict[str, Any], gradients: bool = False) -> dict:
    """Return parameters as NumPy arrays by name; or, with ``gradients``, the gradients of those that have one."""
    if gradients:
        return {name: get_gradient(param).asnumpy() for name, param in params.items() if is_trainable(param)}
    return {name: get_values(param).asnumpy() for name, param in params.items()}


def freeze(param) -> None:
    """Let a Gluon parameter have no gradient, so that training leaves it as it is."""
    param.grad_req = "null"


def _is_gluons(param) -> bool:
    return isinstance(param, mx.gluon.Parameter)


def _is_model(params) -> bool:
    return callable(getattr(params, "parameters", None))
