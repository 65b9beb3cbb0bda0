"""The norm of all gradients, and clipping by it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from d2lrnn._runtime import mx
from d2lrnn.checks import check_number
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.parameters import data_and_grad, has_gradient, trainable
from d2lrnn.nd_arrays import takes_nd


def check_gradients(params: dict[str, Any]) -> dict[str, Any]:
    """Return parameters that can be trained; refuse those that no gradient reaches, which training would not change.

    Args:
        params: those that are to be trained, by name: arrays, or Gluon parameters that are not frozen.

    Returns:
        ``params``.

    Raises:
        D2lrnnError: with the name of the first such parameter.
    """
    for name, param in params.items():
        if not has_gradient(param):
            raise D2lrnnError(
                f"the parameter {name} has no gradient, so training would not change it: call attach_grad() of an "
                "array, initialize() of a model on Gluon; set grad_req = 'null' where a Gluon parameter is to stay"
            )
    return params


def check_frozen(trained: dict[str, Any], trainable: dict[str, Any]) -> None:
    """Refuse to go on with a training if Gluon parameters have been frozen or unfrozen since it was made.

    Args:
        trained: the parameters of the training, by name.
        trainable: those of the model that are not frozen now, by name.

    Raises:
        D2lrnnError: with the name of the first such parameter.
    """
    changed = sorted(trained.keys() ^ trainable.keys())
    if changed:
        how = "frozen" if changed[0] in trained else "unfrozen"
        raise D2lrnnError(
            f"the parameter {changed[0]} was {how} (grad_req) after the training was made: make a new Training of "
            "the model"
        )


@takes_nd
def gradient_norm(params: Iterable, ctx: ContextLike = None):
    """Return the global L2 norm of all gradients, an array of shape (1,) on the device; reading it waits.

    Args:
        params: arrays with gradients, or Gluon parameters, such as ``net.collect_params()`` (those with ``grad_req``
            "null" are passed over); or the model that has them.
        ctx: the device to look on, for Gluon parameters that live on several.

    Raises:
        D2lrnnError: if there are no gradients, or an array has none.
    """
    return _norm(_flat_gradients(params, ctx)).as_np_ndarray()


def _flat_gradients(params: Iterable, ctx: ContextLike) -> list:
    device = as_ctx(ctx) if ctx is not None else None
    grads = [data_and_grad(p, device)[1].as_nd_ndarray().reshape(-1) for p in trainable(params)]
    if not grads:
        raise D2lrnnError("there are no gradients: params is empty, or none of them has a gradient")
    return grads


def _norm(grads: list):
    device = grads[0].ctx
    return mx.nd.add_n(*[mx.nd.dot(g, g).as_in_context(device) for g in grads]).sqrt()


@takes_nd
def grad_clipping(params: Iterable, theta: float, ctx: ContextLike = None):
    """Scale all gradients so that their global L2 norm is at most ``theta`` (d2l-zh v1, section 6.4.6).

    With g for all gradients as one vector::

        g = min(theta / norm(g), 1) g

    Everything happens on the device, and the host does not wait.  Where the norm is NaN or infinite all gradients
    become 0, so that a step of SGD that follows changes nothing.  On two cores and the book's LSTM (1.6 million
    parameters) one call takes 2.5 ms, where the book's takes 23 ms (benchmarks/clipping.py).  For example::

        >>> from mxnet import autograd, np
        >>> from d2lrnn import grad_clipping
        >>> w = np.array([3.0, 4.0])
        >>> w.attach_grad()
        >>> with autograd.record():
        ...     loss = (w * w).sum() / 2
        >>> loss.backward()
        >>> grad_clipping([w], theta=1).item(), w.grad
        (5.0, array([0.6, 0.8]))

    Args:
        params: arrays with gradients, or Gluon parameters, such as ``net.collect_params()`` (those with ``grad_req``
            "null" are passed over); or the model that has them.
        theta: the largest norm.
        ctx: the device to clip on, for Gluon parameters that live on several.

    Returns:
        the norm before clipping, an array of shape (1,) on the device; reading it waits.  An nd array if ``params`` is
        a list of such.

    Raises:
        D2lrnnError: if ``theta`` is not above 0, or there are no gradients, or an array has none.
    """
    theta = check_number("theta", theta, above=0, most=math.inf)
    grads = _flat_gradients(params, ctx)
    norm = _norm(grads)
    finite = norm < math.inf  # 0 for NaN too
    scale = mx.nd.minimum(theta / norm, 1)
    for g in grads:
        mx.nd.broadcast_mul(g, scale, out=g)
        # NaN times 0 is NaN, so NaN must be overwritten. SequenceMask, whose length 0 or 1 is read on the device, is
        # the cheapest operator for that: 0.7 ms for all of the book's LSTM, nan_to_num 4.7, where 10.
        whole = g.reshape((1, 1, -1))  # (num_steps, batch_size, numbers) for SequenceMask
        mx.nd.SequenceMask(whole, finite, use_sequence_length=True, out=whole)
    return norm.as_np_ndarray()
