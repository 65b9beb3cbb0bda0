"""The training loop, and what it is made of: clipping, the update, perplexity."""

from __future__ import annotations

import functools
import math
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy
from tqdm.auto import tqdm

from d2lrnn._runtime import mx
from d2lrnn.decoding import check_causal, check_vocab, encode_prefix, predict
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.models import LanguageModel, named_parameters
from d2lrnn.samplers import check_batch, data_iter_consecutive, data_iter_random
from d2lrnn.text import Corpus

OPTIMIZERS = ("sgd", "adam")


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained; the defaults are the book's for the GRU and the LSTM."""

    num_epochs: int = 160
    batch_size: int = 32
    num_steps: int = 35  # length of truncated backpropagation through time
    optimizer: str = "sgd"  # the book's, or adam
    lr: float = 1e2  # learning rate, on the loss averaged over tokens; for adam take 0.005 or so
    theta: float = 1e-2  # gradients are scaled down to this L2 norm; math.inf: never
    use_random_iter: bool = False  # random windows and a fresh state each; else consecutive ones and a carried state
    pred_period: int = 40  # epochs between reports and samples
    pred_len: int = 50  # tokens of a sample, after its prefix
    prefixes: tuple[str, ...] = ()  # what the samples start from
    seed: int = 0  # of the order of batches and of dropout
    verbose: bool = True  # progress bar, reports and samples

    def __post_init__(self) -> None:
        for name in ("num_epochs", "batch_size", "num_steps", "pred_period"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: expected at least 1")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"unknown optimizer {self.optimizer!r}: expected one of {', '.join(OPTIMIZERS)}")
        for name in ("lr", "theta"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}: expected a number above 0")
        if self.pred_len < 0:
            raise ValueError(f"pred_len is {self.pred_len}: expected 0 or more")
        if isinstance(self.prefixes, str):
            raise ValueError(
                f"prefixes is the text {self.prefixes!r}: expected several texts, such as ({self.prefixes!r},)"
            )


@dataclass
class History:
    """What a training run showed: one entry an epoch in each list, and the samples."""

    perplexity: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)  # mean over the epoch's batches, before clipping
    tokens_per_second: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # of each epoch, without its samples
    samples: list[tuple[int, str, str]] = field(default_factory=list)  # (epoch, prefix, text)
    stopped: str = ""  # why training ended before num_epochs; empty if it did not


class TrainingDivergedError(ArithmeticError):
    """The gradient became NaN or infinite; the model keeps the last good parameters.

    Attributes:
        history: what was seen until then.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and MXNet with one number."""
    random.seed(seed)
    numpy.random.seed(seed)
    mx.random.seed(seed)


def _data_and_grad(param, ctx: mx.Context | None):
    """Return a parameter's array and gradient; ``param`` is an array with a gradient or a Gluon parameter."""
    if not isinstance(param, mx.gluon.Parameter):
        return param, param.grad
    ctx = ctx or param.list_ctx()[0]
    return param.data(ctx), param.grad(ctx)


def _trainable(params: Iterable) -> list:
    return [p for p in params if getattr(p, "grad_req", "write") != "null"]


def grad_clipping(params: Iterable, theta: float, ctx: ContextLike = None):
    """Scale all gradients so that their global L2 norm is at most ``theta`` (d2l-zh v1, section 6.4.6).

    Everything happens on the device, and the host does not wait.  Where the norm is NaN or infinite all gradients
    become 0, so that the update that follows changes nothing.  On two cores and the book's LSTM (1.6 million
    parameters) one call takes 2.5 ms, where the book's takes 23 ms (benchmarks/clipping.py).

    Args:
        params: arrays with gradients, or Gluon parameters (those with ``grad_req`` "null" are passed over).
        theta: the largest norm.
        ctx: where to clip Gluon parameters that live on several devices.

    Returns:
        the norm before clipping, an array of shape (1,) on the device; reading it waits.

    Raises:
        ValueError: if ``theta`` is not above 0, or there are no gradients.
    """
    if not theta > 0:
        raise ValueError(f"theta is {theta}: expected a number above 0")
    device = as_ctx(ctx) if ctx is not None else None
    grads = [_data_and_grad(p, device)[1].as_nd_ndarray().reshape(-1) for p in _trainable(params)]
    if not grads:
        raise ValueError("there are no gradients to clip: params is empty, or none of them has a gradient")
    norm = mx.nd.add_n(*[mx.nd.dot(g, g) for g in grads]).sqrt()
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
    for param in _trainable(params):
        data, grad = _data_and_grad(param, device)
        weight = data.as_nd_ndarray()
        mx.nd.sgd_update(weight, grad.as_nd_ndarray(), lr=lr, wd=0, rescale_grad=1 / batch_size, out=weight)


@functools.cache
def _compiled_loss():
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    loss.hybridize()  # five times faster than step by step
    return loss


def cross_entropy(logits, Y):
    """Return the mean cross-entropy of a batch in nats, an array of shape ().

    Args:
        logits: as a model returns them, of shape (num_steps * batch_size, num_outputs).
        Y: the ids to predict, of shape (batch_size, num_steps).

    Raises:
        ValueError: for ids outside 0 .. num_outputs - 1, which MXNet would clip in silence, or another count of them.
    """
    check_batch(Y, logits.shape[1])
    if Y.size != logits.shape[0]:
        raise ValueError(f"Y has shape {Y.shape}, {Y.size} ids, but there are {logits.shape[0]} rows of logits")
    return _compiled_loss()(logits, Y.T.reshape(-1)).mean()


def _make_update(params: list, config: TrainConfig) -> Callable[[], None]:
    """Return a function that takes one step of the optimiser on the gradients as they are."""
    params = _trainable(params)
    if config.optimizer == "sgd":
        return lambda: sgd(params, config.lr, 1)  # the loss is a mean already
    updater = mx.optimizer.get_updater(mx.optimizer.create(config.optimizer, learning_rate=config.lr))

    def update() -> None:
        for i, param in enumerate(params):
            data, grad = _data_and_grad(param, None)
            updater(i, grad, data)

    return update


def perplexity(loss_sum: float, num_tokens: int) -> float:
    """Return the exponential of the mean cross-entropy in nats; infinite where that is too large for a float."""
    if num_tokens < 1:
        raise ValueError(f"num_tokens is {num_tokens}: expected at least 1")
    try:
        return math.exp(loss_sum / num_tokens)
    except OverflowError:
        return math.inf


def train(
    model: LanguageModel,
    make_batches: Callable[[], Iterable],
    config: TrainConfig,
    on_epoch: Callable[[int, History], None] | None = None,
) -> History:
    """Train a model, from scratch or on Gluon, by truncated backpropagation through time.

    This is the one loop: :func:`train_and_predict` gives it the batches of a language model.  The state is carried
    from batch to batch within an epoch, or made afresh for each with ``use_random_iter``.  Ctrl-C ends training
    cleanly: the history of the finished epochs is returned.

    Args:
        model: what is trained, in place.
        make_batches: called once an epoch; returns pairs ``(X, Y)`` of ids of shape (batch_size, num_steps).
        config: how to train; its ``prefixes`` and ``pred_len`` do not matter here.
        on_epoch: called after each epoch with its number, from 1, and the history so far.

    Returns:
        the history; ``history.stopped`` says why it is shorter than ``num_epochs``, if it is.

    Raises:
        TrainingDivergedError: if a gradient becomes NaN or infinite; the model keeps the last good parameters.
    """
    set_seed(config.seed)
    history, step = History(), _make_step(model, config)
    with _progress_bar(config) as bar:
        try:
            for epoch in range(1, config.num_epochs + 1):
                _train_epoch(step, make_batches(), history, bar)
                bar.update()
                if on_epoch is not None:
                    on_epoch(epoch, history)
        except KeyboardInterrupt:
            history.stopped = f"interrupted in epoch {len(history.perplexity) + 1} of {config.num_epochs}"
            _say(config, f"{history.stopped}; the model keeps what it has learnt")
    return history


def _make_step(model: LanguageModel, config: TrainConfig) -> Callable:
    """Return a function from a batch and the state before it to loss, gradient norm and the state after it."""
    params = list(named_parameters(model).values())
    update = _make_update(params, config)

    def step(X, Y, state: tuple | None) -> tuple:
        if state is None or config.use_random_iter:
            state = model.begin_state(X.shape[0], X.ctx)
        state = tuple(s.detach() for s in state)  # gradients end where the batch begins
        with mx.autograd.record():
            logits, state = model(X, state)
            loss = cross_entropy(logits, Y)
        loss.backward()
        norm = grad_clipping(params, config.theta)
        update()
        return loss.detach(), norm, state

    return step


def _train_epoch(step: Callable, batches: Iterable, history: History, bar: tqdm) -> None:
    """Take a step on each batch of an epoch, and enter what it showed into the history."""
    loss_sum, num_tokens, state = 0.0, 0, None
    norms: list = []
    start = shown = time.perf_counter()
    for X, Y in batches:
        loss, norm, state = step(X, Y, state)
        norms.append(norm)
        loss_sum = loss_sum + loss * Y.size
        num_tokens += Y.size
        if len(norms) > 1:  # one batch behind, so that the device never waits for the host
            norms[-2] = _finite(norms[-2], len(norms) - 1, history, bar)
        if time.perf_counter() - shown > 1:
            shown = time.perf_counter()
            bar.set_postfix_str(f"{num_tokens / (shown - start):,.0f} tokens/s")
    if not norms:
        raise ValueError("make_batches() gave no batch: expected at least one pair (X, Y)")
    norms[-1] = _finite(norms[-1], len(norms), history, bar)
    history.perplexity.append(perplexity(float(loss_sum), num_tokens))
    history.grad_norm.append(sum(norms) / len(norms))
    history.seconds.append(time.perf_counter() - start)
    history.tokens_per_second.append(num_tokens / history.seconds[-1])
    bar.set_postfix_str(f"perplexity {history.perplexity[-1]:.2f}, {history.tokens_per_second[-1]:,.0f} tokens/s")


def _finite(norm, batch: int, history: History, bar: tqdm) -> float:
    """Return a gradient's norm as a number, waiting for it; raise if it is none."""
    value = float(norm)
    if not math.isfinite(value):
        epoch = len(history.perplexity) + 1
        history.stopped = f"the gradient's norm became {value} in epoch {epoch}, batch {batch}"
        bar.close()
        raise TrainingDivergedError(
            f"{history.stopped}: training stopped and the model keeps the last good parameters; "
            f"try a smaller lr or theta",
            history,
        )
    return value


def train_and_predict(model: LanguageModel, corpus: Corpus, config: TrainConfig = TrainConfig()) -> History:  # noqa: B008
    """Train a language model on a corpus, and let it write every ``pred_period`` epochs (d2l-zh v1, section 6.4.7).

    Args:
        model: an :class:`RNNModelScratch` or :class:`RNNModel`, trained in place on the device of its parameters.
        corpus: its ``train`` ids are what is learnt.
        config: how to train, and which prefixes the samples start from.

    Returns:
        the history: perplexity, gradient norm, speed and time of each epoch, and the samples.

    Raises:
        LooksAheadError: for a bidirectional model, which would see its own targets.
        ValueError: if model and corpus differ in vocabulary, a prefix is empty or unknown, or the corpus too short.
        TrainingDivergedError: as :func:`train`.
    """
    check_causal(model)
    check_vocab(model, corpus.vocab)
    for prefix in config.prefixes:
        encode_prefix(prefix, corpus.vocab)
    ctx = model.begin_state(1)[0].ctx
    sampler = data_iter_random if config.use_random_iter else data_iter_consecutive

    def make_batches() -> Iterator:
        return sampler(corpus.train, config.batch_size, config.num_steps, ctx)

    def report(epoch: int, history: History) -> None:
        if epoch % config.pred_period and epoch != config.num_epochs:
            return
        _say(
            config,
            f"epoch {epoch}, perplexity {history.perplexity[-1]:.2f}, gradient norm {history.grad_norm[-1]:.3f}, "
            f"{history.tokens_per_second[-1]:,.0f} tokens/s, {sum(history.seconds):.1f} s",
        )
        for prefix in config.prefixes:
            text = predict(prefix, config.pred_len, model, corpus.vocab)
            history.samples.append((epoch, prefix, text))
            _say(config, f" - {text}")

    return train(model, make_batches, config, report)


def _say(config: TrainConfig, line: str) -> None:
    if config.verbose:
        tqdm.write(line)


def _progress_bar(config: TrainConfig) -> tqdm:
    """Return a bar over the epochs, for a terminal or a notebook; a log file gets the report lines alone."""
    shown = config.verbose and (sys.stderr.isatty() or _in_notebook())
    return tqdm(total=config.num_epochs, unit="epoch", leave=False, disable=not shown)


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in shell.config
