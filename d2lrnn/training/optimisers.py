"""The update, its learning rate, and the mean of the parameters over the steps."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator

from d2lrnn._runtime import mx
from d2lrnn.checks import LARGEST, as_float32, check_memory, check_number
from d2lrnn.config.training import TrainConfig
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.models.parameters import data_and_grad, trainable
from d2lrnn.training.history import History


def sgd(params: Iterable, lr: float, batch_size: int, ctx: ContextLike = None) -> None:
    """Take one step of minibatch stochastic gradient descent: ``param -= lr * grad / batch_size`` (d2l section 3.4).

    Args:
        params: arrays with gradients, or Gluon parameters.
        lr: the learning rate.
        batch_size: what the loss is a sum over; 1 for a loss that is a mean, as in this chapter.
        ctx: the device to update on, for Gluon parameters that live on several.
    """
    device = as_ctx(ctx) if ctx is not None else None
    lr = check_number("lr", lr, least=-LARGEST)
    scale = as_float32(1 / check_number("batch_size", batch_size, above=0))
    for param in trainable(params):
        data, grad = data_and_grad(param, device)
        weight = data.as_nd_ndarray()
        mx.nd.sgd_update(weight, grad.as_nd_ndarray(), lr=lr, wd=0, rescale_grad=scale, out=weight)


class SGD:
    """Stochastic gradient descent on the gradients times a scale, with decoupled weight decay.

    Clipping by the scale costs nothing; clipping the gradients themselves would go over all of them once more.

    Args:
        params: arrays with gradients, or Gluon parameters.
        weight_decay: each step takes ``lr`` times this off the parameters.
    """

    def __init__(self, params: Iterable, weight_decay: float = 0.0) -> None:
        self.params, self.weight_decay = trainable(params), weight_decay
        self.steps = 0  # taken so far

    @property
    def keeps_unused(self) -> bool:
        """Whether a parameter with a gradient of 0 stays as it is."""
        return not self.weight_decay

    def __call__(self, lr: float, scale: float = 1.0, params: Iterable | None = None) -> None:
        """Take a step with the learning rate ``lr``; ``params`` are updated in the place of the optimiser's."""
        self.steps += 1
        factors = {"lr": lr, "wd": self.weight_decay, "rescale_grad": scale}
        options = {name: as_float32(value) for name, value in factors.items()}
        for param in self.params if params is None else params:
            data, grad = data_and_grad(param, None)
            weight = data.as_nd_ndarray()
            mx.nd.sgd_update(weight, grad.as_nd_ndarray(), out=weight, **options)

    @property
    def memory(self) -> dict[str, list]:
        """What is remembered from step to step: lists by name, with an array for each parameter; for SGD none."""
        return {}


class Adam(SGD):
    """Adam (Kingma and Ba 2015, arXiv 1412.6980), with decoupled weight decay (AdamW: arXiv 1711.05101)."""

    BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8

    def __init__(self, params: Iterable, weight_decay: float = 0.0) -> None:
        super().__init__(params, weight_decay)
        self._mean, self._variance = (
            [mx.nd.zeros_like(data_and_grad(param, None)[0].as_nd_ndarray()) for param in self.params] for _ in range(2)
        )

    @property
    def keeps_unused(self) -> bool:
        """False: without a gradient, the mean of the gradients before goes on changing a parameter."""
        return False

    def __call__(self, lr: float, scale: float = 1.0, params: Iterable | None = None) -> None:
        """Take a step with the learning rate ``lr``."""
        self.steps += 1
        unbiased = lr * math.sqrt(1 - self.BETA2**self.steps) / (1 - self.BETA1**self.steps)
        options = {"beta1": self.BETA1, "beta2": self.BETA2, "epsilon": self.EPSILON, "wd": 0}
        options |= {"lr": as_float32(unbiased), "rescale_grad": as_float32(scale)}
        for param, mean, variance in zip(self.params if params is None else params, self._mean, self._variance):
            data, grad = data_and_grad(param, None)
            weight = data.as_nd_ndarray()
            if self.weight_decay:
                weight *= 1 - lr * self.weight_decay
            mx.nd.adam_update(weight, grad.as_nd_ndarray(), mean, variance, out=weight, **options)

    @property
    def memory(self) -> dict[str, list]:
        """The means of the gradients and of their squares."""
        return {"mean": self._mean, "variance": self._variance}


def make_update(params: Iterable, optimizer: str, weight_decay: float = 0.0) -> SGD:
    """Return a function ``update(lr, scale)`` that takes one step of ``sgd`` or ``adam``.

    Raises:
        D2lrnnError: if memory cannot hold the parameters with their gradients and, for Adam, the two means.
    """
    params = trainable(params)
    count, arrays = sum(math.prod(param.shape) for param in params), {"sgd": 2, "adam": 4}[optimizer]
    check_memory(f"training {count:,} parameters by {optimizer}", 4 * arrays * count, "take a smaller model")
    return {"sgd": SGD, "adam": Adam}[optimizer](params, weight_decay)


def learning_rate(config: TrainConfig, epoch: int, share: float) -> float:
    """Return the learning rate of a batch, by the schedule of a configuration.

    Args:
        config: ``decay`` is the TensorFlow PTB tutorial's: ``constant_epochs`` epochs with ``lr``, then each
            epoch with ``lr_decay`` times the rate of the one before; ``one-cycle`` rises to ``lr`` and falls to 0 in
            straight lines (Smith and Topin 2018, arXiv 1708.07120).
        epoch: the batch's, from 1.
        share: the share of the epoch's batches that came before it, 0 to 1.
    """
    if config.lr_schedule == "decay":
        return config.lr * config.lr_decay ** max(epoch - config.constant_epochs, 0)
    if config.lr_schedule == "one-cycle":
        done = (epoch - 1 + share) / config.num_epochs
        if done < config.warm_up:
            return config.lr * (0.01 + 0.99 * done / config.warm_up)  # at 0 the first step would change nothing
        return config.lr * (1 - done) / (1 - config.warm_up)
    return config.lr


def is_time_to_average(history: History, patience: int) -> bool:
    """Return whether validation is worse than the best of more than ``patience`` epochs ago; never for 0.

    This is NT-ASGD (Merity et al. 2017, arXiv 1708.02182) as its authors' code has it.
    """
    sign = 1 if history.less_is_better else -1
    found = [sign * value for value in history.valid]
    return bool(patience and found) and found[-1] > min(found[: -1 - patience], default=math.inf)


class Average:
    """The mean of parameters over the steps since :meth:`start` (Polyak and Juditsky 1992).

    Args:
        params: arrays with gradients, or Gluon parameters.

    Attributes:
        steps: how many steps the mean is over; 0: not started.
        arrays: the mean, an array for each parameter, once started.
    """

    def __init__(self, params: Iterable) -> None:
        self._params = trainable(params)
        self.steps = 0
        self.arrays: list = []

    def start(self) -> None:
        """Begin with the present parameters."""
        self.steps, self.arrays = 1, [data_and_grad(param, None)[0].as_nd_ndarray().copy() for param in self._params]

    def add(self) -> None:
        """Add the present parameters to the mean; before :meth:`start`, do nothing."""
        if not self.steps:
            return
        self.steps += 1
        for param, mean in zip(self._params, self.arrays):
            mean += (data_and_grad(param, None)[0].as_nd_ndarray() - mean) / self.steps

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the parameters be the mean within the ``with`` block; before :meth:`start`, change nothing."""
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
