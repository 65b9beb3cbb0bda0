"""What all workers share: the data, and the type of a piece of work."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy

from speed.cases import GATES


class SkippedError(Exception):
    """An implementation does not do a case; the message says why."""


class Work(NamedTuple):
    """One piece of work, ready to run."""

    run: Callable[[], object]  # one training step, which ends by reading the loss; or one generation
    scale: float = 1.0  # multiplies the time, where only a part of the work is run


def zipf_batch(params: dict) -> tuple:
    """Return ids X and Y (batch_size, num_steps), int32: Y is X one step later, the id r comes 1 / (r + 1) as often."""
    weights = 1 / numpy.arange(1, params["vocab_size"] + 1)
    shape = (params["batch_size"], params["num_steps"] + 1)
    random = numpy.random.RandomState(0)
    ids = random.choice(len(weights), shape, p=weights / weights.sum()).astype("int32")
    return ids[:, :-1].copy(), ids[:, 1:].copy()


def start(params: dict) -> dict:
    """Return the parameters from which ours on Gluon, PyTorch and JAX start, float32, so that their losses are equal.

    The names are PyTorch's.  As in PyTorch and in Gluon, the rows of a weight are its outputs, a layer has two biases,
    and the gates lie in the order r, z, h (GRU) and i, f, c, o (LSTM).  The values are the book's: a normal
    distribution of standard deviation 0.01, and biases of 0.
    """
    size, width, vocab_size = params["num_hiddens"], params["embed_size"], params["vocab_size"]
    shapes = {} if width is None else {"embedding.weight": (vocab_size, width)}
    for layer in range(params["num_layers"]):
        num_inputs = size if layer else width or vocab_size
        shapes[f"rnn.weight_ih_l{layer}"] = (GATES[params["cell"]] * size, num_inputs)
        shapes[f"rnn.weight_hh_l{layer}"] = (GATES[params["cell"]] * size, size)
        shapes[f"rnn.bias_ih_l{layer}"] = shapes[f"rnn.bias_hh_l{layer}"] = (GATES[params["cell"]] * size,)
    shapes |= {"dense.weight": (vocab_size, size), "dense.bias": (vocab_size,)}
    random = numpy.random.default_rng(0)
    normal = functools.partial(random.standard_normal, dtype="float32")
    return {name: 0.01 * normal(of) if "weight" in name else numpy.zeros(of, "float32") for name, of in shapes.items()}


def pair_batches(params: dict) -> list[tuple]:
    """Return the batches (X, Y_in, Y_out, weights) of a file that the driver wrote: arrays (batch_size, steps)."""
    with numpy.load(params["batches"]) as arrays:
        found = list(arrays.values())
    return list(zip(*(found[i::4] for i in range(4))))


def in_turn(batches: Sequence[tuple], step: Callable[[tuple], float]) -> Work:
    """Return the work of a step on the next batch, again from the first after the last."""
    turns = itertools.cycle(batches)
    return Work(lambda: step(next(turns)))


def alphabet(vocab_size: int) -> list[str]:
    """Return as many different characters."""
    return [chr(0x4E00 + i) for i in range(vocab_size)]


def prefixes(count: int, vocab_size: int) -> list[str]:
    """Return prefixes of two characters."""
    letters = alphabet(vocab_size)
    return [letters[i] + letters[-1 - i] for i in range(count)]
