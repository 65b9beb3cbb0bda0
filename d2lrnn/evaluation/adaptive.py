"""Evaluation of a model that adapts to the text, without training: a neural cache, and dynamic evaluation.

Both know only the tokens before the one that is predicted: each token is scored first, and then learnt from.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy

from d2lrnn._runtime import mx
from d2lrnn.checks import check_memory
from d2lrnn.config.evaluation import Cache, Dynamic
from d2lrnn.data.vocabulary import check_ids
from d2lrnn.errors import D2lrnnError
from d2lrnn.evaluation.losses import perplexity, token_losses
from d2lrnn.evaluation.texts import windows
from d2lrnn.models.parameters import get_gradient, get_values, is_overwritten, trainable_parameters
from d2lrnn.models.protocol import LanguageModel, check_batch_size, check_causal, shows_outputs

Progress = Callable[[int, int], None]  # called with the number of tokens read so far and the number in all


def evaluate_adaptively(
    model: LanguageModel,
    ids,
    cache: Cache | None = None,
    dynamic: Dynamic | None = None,
    train_ids=None,
    num_steps: int = 35,
    progress: Progress | None = None,
) -> float:
    """Return a model's perplexity on a text to which the model adapts.

    Arguments and errors are those of :func:`token_losses_adaptively`.  Without cache and dynamic, the result is that of
    :func:`d2lrnn.evaluation.texts.evaluate` with one row.
    """
    losses = token_losses_adaptively(model, ids, cache, dynamic, train_ids, num_steps, progress)
    return perplexity(losses.sum(), losses.size)


def token_losses_adaptively(
    model: LanguageModel,
    ids,
    cache: Cache | None = None,
    dynamic: Dynamic | None = None,
    train_ids=None,
    num_steps: int = 35,
    progress: Progress | None = None,
) -> numpy.ndarray:
    """Return the loss of each token but the first, while the model adapts to the text.

    The text is read in one row, and the state is carried through the whole of it.  Afterwards the parameters are what
    they were before, to the bit, even after an exception or Ctrl-C.  The gradients are not restored.

    Args:
        model: a language model, from scratch or on Gluon.
        ids: the text, whole numbers in one dimension, at least two.
        cache: the neural cache to mix in; the model needs ``with_outputs``, as models on Gluon have.
        dynamic: the rule by which the model learns from each window after the window is scored.
        train_ids: for ``dynamic``: the text that the model was trained on.  To try several settings, give the result
            of :func:`mean_squared_gradients` instead; then the text is read only once.
        num_steps: tokens in one call of the model; with ``dynamic``, ``dynamic.num_steps`` counts instead.
        progress: called after each window with the number of tokens read so far and the number in all: first for
            ``train_ids``, if they are read, then for ``ids``.

    Returns:
        losses in nats, float64, of shape (len(ids) - 1,).

    Raises:
        LooksAheadError: for a bidirectional model.
        D2lrnnError: if ids do not fit the model or are too few; if the model has no outputs for the cache to remember,
            or no gradients to learn from; if ``train_ids`` is missing; if learning made the loss NaN or infinite.
    """
    check_causal(model)
    ids = _check_text(ids, model, 2, "ids")
    memory = _Memory(cache) if cache is not None and cache.share else None
    if memory is not None and not shows_outputs(model):
        raise D2lrnnError(
            f"a cache needs the last layer's outputs, and {type(model).__name__} has no with_outputs(): expected a "
            "model on Gluon, RNNModel (kind 'gluon')"
        )
    if dynamic is None or not dynamic.lr:
        check_batch_size(model, 1, num_steps)
        return _read_text(model, ids, num_steps, memory, None, progress)
    if train_ids is None:
        raise D2lrnnError("train_ids is None: dynamic evaluation needs the text that the model was trained on")
    if not isinstance(train_ids, dict):
        train_ids = mean_squared_gradients(model, train_ids, dynamic, progress)
    learner = _Learner(_learning_parameters(model), train_ids, dynamic)
    with learner.restoring():
        return _read_text(model, ids, dynamic.num_steps, memory, learner, progress)


def mean_squared_gradients(
    model: LanguageModel, train_ids, dynamic: Dynamic, progress: Progress | None = None
) -> dict[str, Any]:
    """Return the mean of each parameter's squared gradient over the windows of a text (MS), by parameter name.

    Args:
        model: a language model; its parameters stay as they are.
        train_ids: the text that the model was trained on; its first ``dynamic.gradient_tokens`` tokens are read.
        dynamic: the settings; only ``num_steps`` and ``gradient_tokens`` count here.
        progress: called after each window with the number of tokens read so far and the number in all.

    Raises:
        D2lrnnError: if the text does not fit the model or is shorter than one window; if the model has no gradients.
    """
    train_ids = _check_text(train_ids, model, dynamic.num_steps + 1, "train_ids")
    num_windows = min(train_ids.size - 1, dynamic.gradient_tokens) // dynamic.num_steps
    total, state, params = num_windows * dynamic.num_steps, model.begin_state(1), _learning_parameters(model)
    squares = {name: mx.nd.zeros_like(get_values(param).as_nd_ndarray()) for name, param in params.items()}
    for i, (X, Y, _) in enumerate(windows(train_ids[: total + 1], 1, dynamic.num_steps), 1):
        losses, _, state = _read_window(model, X, Y, state, True)
        for name, param in params.items():
            grad = get_gradient(param).as_nd_ndarray()
            grad *= grad
            squares[name] += grad
        losses.wait_to_read()  # without a wait, the queue of MXNet's engine would grow and grow
        if progress is not None:
            progress(i * dynamic.num_steps, total)
    return {name: (square / num_windows).as_np_ndarray() for name, square in squares.items()}


def _read_text(model: Any, ids, num_steps: int, memory: _Memory | None, learner: _Learner | None, progress):
    """Return what :func:`token_losses_adaptively` does; the last window is filled up to the shape of the others."""
    text_losses, state, end = numpy.empty(ids.size - 1), model.begin_state(1), 0
    for X, Y, counted in windows(ids, 1, num_steps):
        losses, outputs, state = _read_window(model, X, Y, state, learner is not None)
        n = int(counted.sum())
        begin, end = end, end + n
        text_losses[begin:end] = losses.asnumpy()[:n]
        if learner is not None:
            if not numpy.isfinite(text_losses[begin:end]).all():
                raise D2lrnnError(
                    f"the loss became NaN or infinite within {end} tokens of dynamic evaluation: expected a smaller lr "
                    "(--dynamic-lr) or a larger eps (--dynamic-eps)"
                )
            if end < text_losses.size:  # after the last window there is nothing left to predict
                learner.step()
        if memory is not None:
            with numpy.errstate(invalid="ignore"):  # a NaN of the model's stays NaN
                text_losses[begin:end] = memory.mix(text_losses[begin:end], outputs.asnumpy()[:n], Y[0, :n])
        if progress is not None:
            progress(end, text_losses.size)
    return text_losses


def _read_window(model: Any, X: numpy.ndarray, Y: numpy.ndarray, state: tuple, learn: bool) -> tuple:
    """Return a window's losses (num_steps,), the last layer's outputs or None, and the new state.

    With ``learn``, the gradients of the mean loss are computed too; they do not go beyond the window.  Dropout is off.
    """
    ctx, outputs = state[0].ctx, None
    X, Y = (mx.np.array(array, dtype="int32", ctx=ctx) for array in (X, Y))
    state = tuple(s.detach() for s in state)
    with mx.autograd.record(train_mode=False) if learn else contextlib.nullcontext():
        if shows_outputs(model):
            logits, outputs, state = model.with_outputs(X, state)
        else:
            logits, state = model(X, state)
        losses = token_losses(logits, Y)
        mean = losses.mean()
    if learn:
        mean.backward()
    return losses, outputs, state


class _Memory:
    """The positions that a cache remembers: the model's outputs, and the token that followed each."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.outputs, self.tokens = numpy.empty((0, 0), "float32"), numpy.empty(0, "int32")

    def mix(self, losses: numpy.ndarray, outputs: numpy.ndarray, tokens: numpy.ndarray) -> numpy.ndarray:
        """Return the losses of n successive positions with the cache mixed in, then remember these positions.

        Args:
            losses: the model's losses (n,).
            outputs: the last layer's outputs (n, num_hiddens).
            tokens: the token that followed each position (n,).
        """
        share, window = self.cache.share, self.cache.window
        n, before = len(tokens), len(self.tokens)
        what = f"a cache of {before:,} positions, for {n:,} tokens at once,"
        check_memory(what, n * (before + n) * 32, "make window or num_steps smaller")
        self.outputs = numpy.concatenate([self.outputs, outputs]) if before else outputs
        self.tokens = numpy.concatenate([self.tokens, tokens])
        age = before + numpy.arange(n)[:, None] - numpy.arange(before + n)  # (n, before + n); 1: one step ago
        scores = self.cache.theta * (outputs @ self.outputs.T)
        scores[(age < 1) | (age > window)] = -math.inf
        # Each row's largest score becomes 0.  The text's first position has nothing to remember: -inf stays -inf.
        scores -= scores.max(axis=1, keepdims=True, initial=numpy.finfo(scores.dtype).min)
        weights = numpy.exp(scores)
        sums = weights.sum(axis=1)
        weights[self.tokens != tokens[:, None]] = 0
        with numpy.errstate(divide="ignore"):  # log(0), where a token is not in the cache
            log_p = numpy.log(weights.sum(axis=1) / numpy.maximum(sums, 1), dtype="float64")
        self.outputs, self.tokens = self.outputs[-window:], self.tokens[-window:]
        mixed = -numpy.logaddexp(math.log(1 - share) - losses, math.log(share) + log_p)
        return numpy.where(sums > 0, mixed, losses)


class _Learner:
    """The update of dynamic evaluation; what is the same for all windows is computed once."""

    def __init__(self, params: dict[str, Any], squares: dict[str, Any], dynamic: Dynamic) -> None:
        found, expected = ({name: array.shape for name, array in arrays.items()} for arrays in (squares, params))
        if found != expected:
            raise D2lrnnError(f"the mean squared gradients are of {found}: expected those of the model, {expected}")
        roots = {name: square.as_nd_ndarray().sqrt() for name, square in squares.items()}
        mean = sum(root.asnumpy().sum(dtype="float64") for root in roots.values())
        mean /= sum(root.size for root in roots.values())
        self._parts = [
            (
                param,
                get_values(param).as_nd_ndarray().copy(),  # theta_0
                dynamic.lr / (roots[name] + dynamic.eps),
                mx.nd.minimum(roots[name] * (dynamic.decay / (mean or 1)), 1),
                mx.nd.zeros_like(roots[name]),  # memory for the change of one step
            )
            for name, param in params.items()
        ]

    def step(self) -> None:
        """Update the parameters by the present gradients; the gradients are overwritten."""
        for param, origin, rate, decay, change in self._parts:
            weight, grad = (get(param).as_nd_ndarray() for get in (get_values, get_gradient))
            mx.nd.elemwise_sub(origin, weight, out=change)
            change *= decay
            grad *= rate
            change -= grad
            weight += change

    @contextlib.contextmanager
    def restoring(self) -> Iterator[None]:
        """Give the parameters their old values back at the end of the block, even after an exception."""
        try:
            yield
        finally:
            for param, origin, *_ in self._parts:
                origin.copyto(get_values(param).as_nd_ndarray())


def _learning_parameters(model: Any) -> dict[str, Any]:
    """Return the parameters that have a gradient, by name; refuse a model if backward does not overwrite these."""
    params = trainable_parameters(model)
    if not params or not all(is_overwritten(param) for param in params.values()):
        raise D2lrnnError("dynamic evaluation needs parameters with grad_req 'write': found none, or others")
    return params


def _check_text(ids: Any, model: LanguageModel, min_tokens: int, name: str) -> numpy.ndarray:
    """Return the ids of a text as int32, or refuse them under the name of their argument."""
    ids = check_ids(ids, model.vocab_size, name)
    if ids.ndim != 1 or ids.size < min_tokens:
        raise D2lrnnError(f"{name} has shape {ids.shape}: expected one dimension, at least {min_tokens} tokens")
    return ids
