"""What one training step is made of: the loss, clipping, the update and its learning rate; and perplexity."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterable, Iterator

from d2lrnn._runtime import mx
from d2lrnn.config import TrainConfig
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.samplers import check_batch


@functools.cache
def _compiled_loss():
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    # One compiled graph that keeps its memory: on 700 x 10,000 logits 11 ms, with memory from the system 22.
    loss.hybridize(static_alloc=True, static_shape=True)
    return loss


def cross_entropy(logits, Y, counted=None):
    """Return the mean cross-entropy of a batch in nats, an array of shape ().

    Args:
        logits: as a model returns them, of shape (num_steps * batch_size, num_outputs).
        Y: the ids to predict, of shape (batch_size, num_steps).
        counted: of the shape of Y, 1 for what counts, 0 for padding; None: all counts.

    Raises:
        ValueError: for ids outside 0 .. num_outputs - 1, which MXNet would clip in silence, or another count of them.
    """
    losses = token_losses(logits, Y)
    if counted is None:
        return losses.mean()
    weights = counted.astype(losses.dtype).T.reshape(-1)
    return (losses * weights).sum() / weights.sum()


def token_losses(logits, Y):
    """Return the cross-entropy of each token in nats, of shape (num_steps * batch_size,); as :func:`cross_entropy`."""
    check_batch(Y, logits.shape[1])
    if Y.size != logits.shape[0]:
        raise ValueError(f"Y has shape {Y.shape}, {Y.size} ids, but there are {logits.shape[0]} rows of logits")
    return _compiled_loss()(logits, Y.T.reshape(-1))


def perplexity(loss_sum: float, num_tokens: int) -> float:
    """Return the exponential of the mean cross-entropy in nats; infinite where that is too large for a float."""
    if num_tokens < 1:
        raise ValueError(f"num_tokens is {num_tokens}: expected at least 1")
    try:
        return math.exp(loss_sum / num_tokens)
    except OverflowError:
        return math.inf


def format_perplexity(value: float) -> str:
    """Return a perplexity with two digits after the point, or in powers of ten where it is huge."""
    return f"{value:.2f}" if value < 1e5 else f"{value:.3g}"


def data_and_grad(param, ctx: mx.Context | None):
    """Return a parameter's array and gradient; ``param`` is an array with a gradient or a Gluon parameter."""
    if not isinstance(param, mx.gluon.Parameter):
        if param.grad is None:
            raise ValueError(f"an array of shape {param.shape} has no gradient: call its attach_grad() first")
        return param, param.grad
    ctx = ctx or param.list_ctx()[0]
    return param.data(ctx), param.grad(ctx)


def trainable(params) -> list:
    """Return the parameters that have a gradient, of a list, a dictionary or a model."""
    if isinstance(params, mx.gluon.Block):
        params = params.collect_params()
    params = params.values() if hasattr(params, "values") else getattr(params, "params", params)
    return [p for p in params if getattr(p, "grad_req", "write") != "null"]


def gradient_norm(params: Iterable, ctx: ContextLike = None):
    """Return the global L2 norm of all gradients, an array of shape (1,) on the device; reading it waits.

    Args:
        params: arrays with gradients, or Gluon parameters, such as ``net.collect_params()`` (those with ``grad_req``
            "null" are passed over); or the model that has them.
        ctx: where to look for Gluon parameters that live on several devices.

    Raises:
        ValueError: if there are no gradients, or an array has none.
    """
    return _norm(_flat_gradients(params, ctx)).as_np_ndarray()


def _flat_gradients(params: Iterable, ctx: ContextLike) -> list:
    device = as_ctx(ctx) if ctx is not None else None
    grads = [data_and_grad(p, device)[1].as_nd_ndarray().reshape(-1) for p in trainable(params)]
    if not grads:
        raise ValueError("there are no gradients: params is empty, or none of them has a gradient")
    return grads


def _norm(grads: list):
    return mx.nd.add_n(*[mx.nd.dot(g, g) for g in grads]).sqrt()


def grad_clipping(params: Iterable, theta: float, ctx: ContextLike = None):
    """Scale all gradients so that their global L2 norm is at most ``theta`` (d2l-zh v1, section 6.4.6).

    Everything happens on the device, and the host does not wait.  Where the norm is NaN or infinite all gradients
    become 0, so that a step of SGD that follows changes nothing.  On two cores and the book's LSTM (1.6 million
    parameters) one call takes 2.5 ms, where the book's takes 23 ms (benchmarks/clipping.py).

    Args:
        params: arrays with gradients, or Gluon parameters, such as ``net.collect_params()`` (those with ``grad_req``
            "null" are passed over); or the model that has them.
        theta: the largest norm.
        ctx: where to clip Gluon parameters that live on several devices.

    Returns:
        the norm before clipping, an array of shape (1,) on the device; reading it waits.

    Raises:
        ValueError: if ``theta`` is not above 0, or there are no gradients, or an array has none.
    """
    if not theta > 0:
        raise ValueError(f"theta is {theta}: expected a number above 0")
    grads = _flat_gradients(params, ctx)
    norm = _norm(grads)
    finite = norm < math.inf  # 0 for NaN too
    scale = mx.nd.minimum(theta / norm, 1)
    for g in grads:
        mx.nd.broadcast_mul(g, scale, out=g)
        # NaN times anything is NaN: overwrite. SequenceMask, with the length 0 or 1 read on the device, is the
        # cheapest operator that does so: 0.7 ms for all of the book's LSTM, nan_to_num 4.7, where 10.
        whole = g.reshape((1, 1, -1))
        mx.nd.SequenceMask(whole, finite, use_sequence_length=True, out=whole)
    return norm.as_np_ndarray()


def sgd(params: Iterable, lr: float, batch_size: int, ctx: ContextLike = None) -> None:
    """Take one step of minibatch stochastic gradient descent: ``param -= lr * grad / batch_size`` (d2l section 3.4).

    Args:
        params: arrays with gradients, or Gluon parameters.
        lr: the learning rate.
        batch_size: what the loss is a sum over; 1 for a loss that is a mean, as in this chapter.
        ctx: where to update Gluon parameters that live on several devices.
    """
    device = as_ctx(ctx) if ctx is not None else None
    for param in trainable(params):
        data, grad = data_and_grad(param, device)
        weight = data.as_nd_ndarray()
        mx.nd.sgd_update(weight, grad.as_nd_ndarray(), lr=lr, wd=0, rescale_grad=1 / batch_size, out=weight)


class SGD:
    """Stochastic gradient descent on the gradients times a scale, with decoupled weight decay.

    Clipping by the scale costs nothing, where clipping the gradients themselves goes over all of them once more.

    Args:
        params: arrays with gradients, or Gluon parameters.
        weight_decay: each step takes ``lr`` times this off the parameters.
    """

    def __init__(self, params: Iterable, weight_decay: float = 0.0) -> None:
        self.params, self.weight_decay = trainable(params), weight_decay
        self.steps = 0  # taken so far

    def __call__(self, lr: float, scale: float = 1.0) -> None:
        """Take a step with the learning rate ``lr``."""
        self.steps += 1
        for param in self.params:
            data, grad = data_and_grad(param, None)
            weight = data.as_nd_ndarray()
            options = {"lr": lr, "wd": self.weight_decay, "rescale_grad": scale}
            mx.nd.sgd_update(weight, grad.as_nd_ndarray(), out=weight, **options)

    @property
    def memory(self) -> dict[str, list]:
        """What is remembered from step to step: by its name an array for each parameter."""
        return {}


class Adam(SGD):
    """Adam (Kingma and Ba 2015, arXiv 1412.6980), with decoupled weight decay (AdamW: arXiv 1711.05101)."""

    BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8

    def __init__(self, params: Iterable, weight_decay: float = 0.0) -> None:
        super().__init__(params, weight_decay)
        self._mean, self._variance = (
            [mx.nd.zeros_like(data_and_grad(param, None)[0].as_nd_ndarray()) for param in self.params] for _ in range(2)
        )

    def __call__(self, lr: float, scale: float = 1.0) -> None:
        """Take a step with the learning rate ``lr``."""
        self.steps += 1
        unbiased = lr * math.sqrt(1 - self.BETA2**self.steps) / (1 - self.BETA1**self.steps)
        options = {"beta1": self.BETA1, "beta2": self.BETA2, "epsilon": self.EPSILON, "wd": 0, "rescale_grad": scale}
        for param, mean, variance in zip(self.params, self._mean, self._variance):
            data, grad = data_and_grad(param, None)
            weight = data.as_nd_ndarray()
            if self.weight_decay:
                weight *= 1 - lr * self.weight_decay
            mx.nd.adam_update(weight, grad.as_nd_ndarray(), mean, variance, lr=unbiased, out=weight, **options)

    @property
    def memory(self) -> dict[str, list]:
        """Means of the gradients and of their squares."""
        return {"mean": self._mean, "variance": self._variance}


def make_update(params: Iterable, optimizer: str, weight_decay: float = 0.0) -> SGD:
    """Return a function ``update(lr, scale)`` that takes one step of ``sgd`` or ``adam``."""
    return {"sgd": SGD, "adam": Adam}[optimizer](params, weight_decay)


def learning_rate(config: TrainConfig, epoch: int, share: float) -> float:
    """Return the learning rate of a batch, by the schedule of a configuration.

    Args:
        config: ``decay`` is the TensorFlow PTB tutorial's: ``constant_epochs`` epochs with ``lr``, then ``lr_decay``
            times the last epoch's in each; ``one-cycle`` rises to ``lr`` and falls to 0 in straight lines (Smith and
            Topin 2018, arXiv 1708.07120).
        epoch: the batch's, from 1.
        share: how much of the epoch went before it, 0 to 1.
    """
    if config.lr_schedule == "decay":
        return config.lr * config.lr_decay ** max(epoch - config.constant_epochs, 0)
    if config.lr_schedule == "one-cycle":
        done = (epoch - 1 + share) / config.num_epochs
        if done < config.warm_up:
            return config.lr * (0.01 + 0.99 * done / config.warm_up)  # not 0, or the first step would be lost
        return config.lr * (1 - done) / (1 - config.warm_up)
    return config.lr


class Average:
    """The mean of parameters over the steps since :meth:`start` (Polyak and Juditsky 1992).

    Args:
        params: arrays with gradients, or Gluon parameters.

    Attributes:
        steps: how many the mean is over; 0: not started.
        arrays: the mean, an array for each parameter, once started.
    """

    def __init__(self, params: Iterable) -> None:
        self._params = trainable(params)
        self.steps = 0
        self.arrays: list = []

    def start(self) -> None:
        """Begin with the parameters as they are now."""
        self.steps, self.arrays = 1, [data_and_grad(param, None)[0].as_nd_ndarray().copy() for param in self._params]

    def add(self) -> None:
        """Take the parameters as they are now into the mean."""
        self.steps += 1
        for param, mean in zip(self._params, self.arrays):
            mean += (data_and_grad(param, None)[0].as_nd_ndarray() - mean) / self.steps

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the mean in the parameters' place for a while; before :meth:`start`, leave the parameters."""
        if self.steps:
            self._swap()
        try:
            yield
        finally:
            if self.steps:
                self._swap()

    def _swap(self) -> None:
        for param, mean in zip(self._params, self.arrays):
            data = data_and_grad(param, None)[0].as_nd_ndarray()
            kept = data.copy()
            mean.copyto(data)
            kept.copyto(mean)
