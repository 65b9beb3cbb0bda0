"""The worker's side of this module."""

from __future__ import annotations

import dataclasses
import statistics
import time

import numpy

import d2lrnn
from d2lrnn._mxnet.waiting import PERIOD, QUIET
from d2lrnn._runtime import mx
from d2lrnn.config.presets import CONFIGS
from d2lrnn.models.twins import write_parameters
from d2lrnn.training.loop import Training  # its step is that of the module's own training loop, not a copy of it
from d2lrnn.training.objective import NextToken
from d2lrnn.training.translation import NextTargetToken
from speed.work import SkippedError, Work, alphabet, in_turn, pair_batches, prefixes, start, zipf_batch

PACKAGES = ("d2lrnn", "mxnet", "numpy")
LIMIT_SHAPE = (1120, 1024, 1024)  # rows, inputs, outputs: all 35 steps of a batch of 32 at once, four gates of 256
GATE_NAMES = {"rnn": "h", "gru": "rzh", "lstm": "ifco"}  # in the order of Gluon and PyTorch

wait = mx.nd.waitall


def settle() -> None:
    """Wait until the threads spin, as they do where no other program computes: those of a peer just did."""
    time.sleep((QUIET + 1) * PERIOD)


def prepare(implementation: str, task: str, params: dict) -> Work:
    """Make the work of one case."""
    d2lrnn.set_seed(0)
    if task == "translation":
        return _translation(params)
    kind = implementation.split()[1]
    model = d2lrnn.build_model(_config(kind, params), params["vocab_size"])
    if kind == "gluon":
        _set_start(model, params)
    return {"training": _training, "generation": _generation}[task](model, params)


def _config(kind: str, params: dict) -> d2lrnn.ModelConfig:
    options = {name: params[name] for name in ("cell", "num_hiddens", "num_layers", "embed_size", "dropout")}
    try:
        return d2lrnn.ModelConfig(kind, **options)
    except ValueError as error:
        raise SkippedError(str(error)) from error


def _set_start(model, params: dict) -> None:
    """Give a model on Gluon the parameters from which PyTorch and JAX start."""
    found, gates = start(params), GATE_NAMES[params["cell"]]
    values = {"W_hq": found["dense.weight"].T, "b_q": found["dense.bias"]}
    for layer in range(params["num_layers"]):
        prefix = f"l{layer}." if params["num_layers"] > 1 else ""
        for ours, theirs in {"W_x": "weight_ih", "W_h": "weight_hh", "b_": "bias_ih", "c_": "bias_hh"}.items():
            parts = numpy.split(found[f"rnn.{theirs}_l{layer}"], len(gates))
            values |= {f"{prefix}{ours}{gate}": part.T for gate, part in zip(gates, parts)}
    write_parameters(model, values)
    if params["embed_size"]:
        model.embedding.weight.set_data(mx.np.array(found["embedding.weight"]))


def _training(model, params: dict) -> Work:
    config = d2lrnn.TrainConfig(
        batch_size=params["batch_size"], num_steps=params["num_steps"], lr=params["lr"], theta=params["theta"]
    )
    step, state = Training(model, config, NextToken(model.vocab_size)).step, None
    X, Y = (mx.np.array(ids, dtype="int32") for ids in zipf_batch(params))

    def run() -> float:
        nonlocal state
        loss, _, state, _ = step((X, Y), state)
        return float(loss)

    return Work(run)


def _translation(params: dict) -> Work:
    named, num_outputs = CONFIGS[params["config"]], params["num_outputs"]
    model = d2lrnn.build_model(dataclasses.replace(named.model, num_outputs=num_outputs), params["vocab_size"])
    step = Training(model, named.training, NextTargetToken(num_outputs)).step
    batches = [
        (mx.np.array(X, dtype="int32"), None, *(mx.np.array(ids, dtype="int32") for ids in Y), mx.np.array(weights))
        for X, *Y, weights in pair_batches(params)
    ]
    return in_turn(batches, lambda batch: float(step(batch, None).loss))


def _generation(model, params: dict) -> Work:
    vocab = d2lrnn.Vocab.from_list(alphabet(params["vocab_size"]))
    texts, num_preds = prefixes(params["num_prefixes"], params["vocab_size"]), params["num_preds"]
    if len(texts) == 1:
        return Work(lambda: d2lrnn.predict(texts[0], num_preds, model, vocab))
    if not hasattr(d2lrnn, "predict_batch"):
        raise SkippedError("there is no d2lrnn.predict_batch")
    return Work(lambda: d2lrnn.predict_batch(texts, num_preds, model, vocab))


def limit() -> float:
    """Return how many operations a second oneDNN does in one big product here and now."""
    rows, inputs, outputs = LIMIT_SHAPE
    X, W = mx.np.ones((rows, inputs)), mx.np.ones((outputs, inputs))
    times = []
    for _ in range(12):
        start = time.perf_counter()
        mx.npx.fully_connected(X, W, no_bias=True, num_hidden=outputs, flatten=False).wait_to_read()
        times.append(time.perf_counter() - start)
    return 2.0 * rows * inputs * outputs / statistics.median(times[2:])
