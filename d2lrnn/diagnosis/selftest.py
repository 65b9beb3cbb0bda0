"""A short test of a device: MXNet computes and differentiates there, and NumPy does the same in float64.

Each comparison is a function of the device and of sizes.  It returns the largest difference, relative to the largest
number, and how long MXNet took.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy

from d2lrnn._runtime import mx
from d2lrnn.config.model import ModelConfig
from d2lrnn.diagnosis.finding import BROKEN, OK, Finding
from d2lrnn.evaluation.losses import cross_entropy
from d2lrnn.models.gluon.facts import parameters_by_kind
from d2lrnn.models.gluon.layers import rnn_layer
from d2lrnn.models.twins import copy_parameters, make_twins, read_parameters

# The largest difference of a sound device.  The CPU stays below a hundredth of it.  GPUs may round the factors of
# products to the 10 bits of TF32.
LIMITS = {"cpu": 1e-4, "gpu": 1e-2}

EPSILON = 1e-5  # of the finite differences

SECONDS = 0.4  # for which a computation is repeated, to time it


@dataclass(frozen=True)
class Comparison:
    """What a comparison has found."""

    what: str  # what was computed
    other: str  # what it was held against
    differences: dict[str, float]  # by the numbers that were compared
    milliseconds: float  # of one computation on the device, the median


def product(ctx: mx.Context, rows: int = 700, inner: int = 256, columns: int = 1027) -> Comparison:
    """Multiply two matrices by ``np.dot``."""
    random = numpy.random.default_rng(0)
    A, B = (random.normal(size=shape).astype("float32") for shape in ((rows, inner), (inner, columns)))
    a, b = (mx.np.array(matrix, ctx=ctx) for matrix in (A, B))
    difference = _difference(mx.np.dot(a, b).asnumpy(), A.astype(float) @ B)
    milliseconds = _milliseconds(lambda: mx.np.dot(a, b).wait_to_read())
    return Comparison("np.dot", "NumPy", {"product": difference}, milliseconds)


def layer(
    ctx: mx.Context, num_steps: int = 35, batch_size: int = 32, num_inputs: int = 128, num_hiddens: int = 256
) -> Comparison:
    """Compute a fused LSTM layer and its gradient, and hold the gradient against finite differences in float64."""
    random = numpy.random.default_rng(0)
    lstm = rnn_layer("lstm", num_hiddens, num_inputs)
    lstm.initialize(ctx=ctx)
    (params,) = parameters_by_kind(lstm)
    values = {kind: random.normal(0, 0.1, param.shape) for kind, param in params.items()}
    for kind, param in params.items():
        param.set_data(mx.np.array(values[kind], dtype="float32", ctx=ctx))
    X, R = (random.normal(size=(num_steps, batch_size, size)) for size in (num_inputs, num_hiddens))
    x, r = (mx.np.array(array, dtype="float32", ctx=ctx) for array in (X, R))
    state = lstm.begin_state(batch_size, ctx=ctx)

    def step():
        with mx.autograd.record():
            outputs, _ = lstm(x, state)
            loss = (outputs * r).sum()
        loss.backward()
        mx.npx.waitall()
        return outputs

    found = step().asnumpy()
    gradient = {kind: param.grad(ctx).asnumpy() for kind, param in params.items()}
    differences = {
        "outputs": _difference(found, lstm_outputs(X, **values)),
        "gradient": gradient_difference(lambda values: (lstm_outputs(X, **values) * R).sum(), values, gradient, random),
    }
    return Comparison("LSTM layer", "NumPy", differences, _milliseconds(step))


def twins(
    ctx: mx.Context, num_steps: int = 10, batch_size: int = 8, vocab_size: int = 50, num_hiddens: int = 32
) -> Comparison:
    """Compute logits and gradients of an LSTM from scratch and of its twin on Gluon."""
    random = numpy.random.default_rng(0)
    models = make_twins(ModelConfig(cell="lstm", num_hiddens=num_hiddens), vocab_size, ctx)
    for param in models["scratch"].params:
        param[:] = mx.np.array(random.normal(0, 0.3, param.shape), dtype="float32", ctx=ctx)
    copy_parameters(models["scratch"], models["gluon"])
    X, Y = (
        mx.np.array(random.integers(0, vocab_size, (batch_size, num_steps)), dtype="int32", ctx=ctx) for _ in range(2)
    )

    def step(model):
        with mx.autograd.record():
            logits, _ = model(X, model.begin_state(batch_size, ctx))
            loss = cross_entropy(logits, Y)
        loss.backward()
        mx.npx.waitall()
        return logits.asnumpy()

    scratch, gluon = (step(models[kind]) for kind in ("scratch", "gluon"))
    expected, found = (read_parameters(models[kind], gradients=True) for kind in ("scratch", "gluon"))
    differences = {
        "logits": _difference(gluon, scratch),
        "gradients": _largest(_difference(found[name], expected[name]) for name in expected),
    }
    return Comparison("scratch LSTM", "Gluon", differences, _milliseconds(lambda: step(models["scratch"])))


COMPARISONS = (product, layer, twins)


def self_test(
    ctx: mx.Context, comparisons: Iterable[Callable[[mx.Context], Comparison]] = COMPARISONS
) -> Iterator[Finding]:
    """Yield what each comparison finds on a device."""
    what = "cpu" if ctx.device_type == "cpu" else f"gpu:{ctx.device_id}"
    for compare in comparisons:
        try:
            found = compare(ctx)
        except mx.MXNetError as error:
            reason = str(error).strip().splitlines()[-1].removeprefix("MXNetError: ")
            remedy = "install MXNet anew" if what == "cpu" else "use another device, --ctx cpu"
            yield Finding(BROKEN, what, f"MXNet cannot compute here: {reason}", remedy)
            return
        differences = ", ".join(f"{size:.0e} ({name})" for name, size in found.differences.items())
        text = f"{found.what}: {found.milliseconds:,.1f} ms; differs from {found.other} by {differences}"
        # A difference that is no number is none that is small enough.
        if all(size <= LIMITS[ctx.device_type] for size in found.differences.values()):
            yield Finding(OK, what, text)
        else:
            remedy = "compute on another device, and report this with the whole of this output"
            yield Finding(BROKEN, what, f"{text}; at most {LIMITS[ctx.device_type]:.0e} is sound", remedy)


def lstm_outputs(X: numpy.ndarray, W_x, W_h, b_, c_) -> numpy.ndarray:
    """Compute an LSTM layer with Gluon's parameters from the zero state, in NumPy.

    Args:
        X: inputs (num_steps, batch_size, num_inputs).
        W_x: (4 * num_hiddens, num_inputs), of the gates i and f, the candidate and the gate o.
        W_h: (4 * num_hiddens, num_hiddens).
        b_: the first biases, 4 * num_hiddens.
        c_: the second ones.

    Returns:
        the hidden states (num_steps, batch_size, num_hiddens).
    """
    H = C = numpy.zeros((X.shape[1], W_h.shape[1]))
    outputs = []
    for X_t in X:
        I, F, candidate, O = numpy.split(X_t @ W_x.T + H @ W_h.T + b_ + c_, 4, axis=1)
        C = _sigmoid(F) * C + _sigmoid(I) * numpy.tanh(candidate)
        H = _sigmoid(O) * numpy.tanh(C)
        outputs.append(H)
    return numpy.stack(outputs)


def _sigmoid(x: numpy.ndarray) -> numpy.ndarray:
    return 1 / (1 + numpy.exp(-x))


def gradient_difference(loss: Callable, values: dict, gradient: dict, random: numpy.random.Generator) -> float:
    """Return how far a gradient is from finite differences of the loss, relative to the gradient's norm.

    The slope along a random direction is compared, since one number then shows an error in any of the parameters.
    """
    norm, differences = numpy.sqrt(sum((part.astype(float) ** 2).sum() for part in gradient.values())), []
    for _ in range(2):
        direction = {name: random.normal(size=part.shape) for name, part in gradient.items()}
        slope = sum((gradient[name] * direction[name]).sum() for name in gradient)
        ahead, behind = (
            loss({name: values[name] + step * direction[name] for name in values}) for step in (EPSILON, -EPSILON)
        )
        differences.append(abs((ahead - behind) / (2 * EPSILON) - slope) / norm)
    return _largest(differences)


def _difference(found: numpy.ndarray, expected: numpy.ndarray) -> float:
    """Return the largest difference, relative to the largest expected number."""
    return float(abs(found - expected).max() / abs(expected).max())


def _largest(differences: Iterable[float]) -> float:
    """Return the largest difference; NaN, which Python's ``max`` may pass over, if one is no number."""
    return float(numpy.max([*differences]))


def _milliseconds(compute: Callable[[], object]) -> float:
    """Return how long a computation takes, the median of as many as fit into SECONDS."""
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while not times or time.perf_counter() < end:
        begin = time.perf_counter()
        compute()
        times.append(time.perf_counter() - begin)
    return 1000 * statistics.median(times)
