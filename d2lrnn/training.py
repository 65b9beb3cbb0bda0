"""The training loop."""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy

from d2lrnn._runtime import mx
from d2lrnn.config import TrainConfig
from d2lrnn.decoding import check_causal, check_vocab, encode_prefix, predict
from d2lrnn.models import LanguageModel, named_parameters
from d2lrnn.optimisation import cross_entropy, format_perplexity, gradient_norm, make_update, perplexity
from d2lrnn.samplers import data_iter_consecutive, data_iter_random
from d2lrnn.text import Corpus


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
    """The gradient or the perplexity became NaN or infinite; the model keeps the last good parameters.

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
        TrainingDivergedError: if a gradient or the perplexity becomes NaN or infinite; the model keeps the last
            good parameters.
    """
    set_seed(config.seed)
    history, step = History(), make_step(model, config)
    with _progress_bar(config) as bar:
        try:
            for epoch in range(1, config.num_epochs + 1):
                _train_epoch(step, make_batches(), history, bar)
                bar.update()
                if on_epoch is not None:
                    on_epoch(epoch, history)
        except KeyboardInterrupt:
            history.stopped = f"interrupted after {len(history.perplexity)} of {config.num_epochs} epochs"
            _say(config, f"{history.stopped}; the model keeps what it has learnt")
    return history


def make_step(model: LanguageModel, config: TrainConfig) -> Callable:
    """Return the loop's step: a function from a batch and the state before it to what the step showed.

    ``step(X, Y, state)`` returns the mean loss, an array of shape (), the gradient's norm before clipping, a number,
    and the state after the batch.  A norm that is NaN or infinite leaves the parameters as they were.
    """
    params = list(named_parameters(model).values())
    update = make_update(params, config.optimizer, config.lr)

    def step(X, Y, state: tuple | None) -> tuple:
        if state is None or config.use_random_iter:
            state = model.begin_state(X.shape[0], X.ctx)
        state = tuple(s.detach() for s in state)  # gradients end where the batch begins
        with mx.autograd.record():
            logits, state = model(X, state)
            loss = cross_entropy(logits, Y)
        loss.backward()
        norm = float(gradient_norm(params))
        if math.isfinite(norm):
            update(config.theta / norm if norm > config.theta else 1.0)
        return loss.detach(), norm, state

    return step


def _train_epoch(step: Callable, batches: Iterable, history: History, bar: Any) -> None:
    """Take a step on each batch of an epoch, and enter what it showed into the history."""
    loss_sum, num_tokens, norm_sum, num_batches, state = 0.0, 0, 0.0, 0, None
    start = shown = time.perf_counter()
    for X, Y in batches:
        loss, norm, state = step(X, Y, state)
        num_batches += 1
        if not math.isfinite(norm):
            epoch = len(history.perplexity) + 1
            _diverged(f"the gradient's norm became {norm} in epoch {epoch}, batch {num_batches}", history)
        loss_sum = loss_sum + loss * Y.size
        num_tokens += Y.size
        norm_sum += norm
        if time.perf_counter() - shown > 1:
            shown = time.perf_counter()
            bar.set_postfix_str(f"{num_tokens / (shown - start):,.0f} tokens/s")
    if not num_batches:
        raise ValueError("make_batches() gave no batch: expected at least one pair (X, Y)")
    found = perplexity(float(loss_sum), num_tokens)
    if not math.isfinite(found):
        _diverged(f"the perplexity became {found} in epoch {len(history.perplexity) + 1}", history)
    history.perplexity.append(found)
    history.grad_norm.append(norm_sum / num_batches)
    history.seconds.append(time.perf_counter() - start)
    history.tokens_per_second.append(num_tokens / history.seconds[-1])
    bar.set_postfix_str(
        f"perplexity {format_perplexity(history.perplexity[-1])}, {history.tokens_per_second[-1]:,.0f} tokens/s"
    )


def _diverged(reason: str, history: History) -> NoReturn:
    history.stopped = reason
    raise TrainingDivergedError(
        f"{reason}: training stopped and the model keeps the last parameters that were numbers; "
        "try a smaller lr or theta",
        history,
    )


def train_and_predict(model: LanguageModel, corpus: Corpus, config: TrainConfig | None = None) -> History:
    """Train a language model on a corpus, and let it write every ``pred_period`` epochs (d2l-zh v1, section 6.4.7).

    Args:
        model: an :class:`RNNModelScratch` or :class:`RNNModel`, trained in place on the device of its parameters.
        corpus: its ``train`` ids are what is learnt.
        config: how to train, and which prefixes the samples start from; None: as the book trains its LSTM.

    Returns:
        the history: perplexity, gradient norm, speed and time of each epoch, and the samples.

    Raises:
        LooksAheadError: for a bidirectional model, which would see its own targets.
        ValueError: if model and corpus differ in vocabulary, a prefix is empty or unknown, or the corpus too short.
        TrainingDivergedError: as :func:`train`.
    """
    config = config or TrainConfig()
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
        perplexity, speed = format_perplexity(history.perplexity[-1]), history.tokens_per_second[-1]
        numbers = f"gradient norm {history.grad_norm[-1]:.3f}, {speed:,.0f} tokens/s, {sum(history.seconds):.1f} s"
        _say(config, f"epoch {epoch}, perplexity {perplexity}, {numbers}")
        for prefix in config.prefixes:
            text = predict(prefix, config.pred_len, model, corpus.vocab)
            history.samples.append((epoch, prefix, text))
            _say(config, f" - {text}")

    return train(model, make_batches, config, report)


def _say(config: TrainConfig, line: str) -> None:
    if config.verbose:
        from tqdm.auto import tqdm  # not above, where every import of d2lrnn would wait for it

        tqdm.write(line)


def _progress_bar(config: TrainConfig) -> Any:
    """Return tqdm's bar over the epochs, for a terminal or a notebook; a log file gets the report lines alone."""
    from tqdm.auto import tqdm

    shown = config.verbose and (sys.stderr.isatty() or in_notebook())
    return tqdm(total=config.num_epochs, unit="epoch", leave=False, disable=not shown)


def in_notebook() -> bool:
    """Return whether this runs in a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")
