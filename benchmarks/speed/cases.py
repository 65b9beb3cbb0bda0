"""What is measured: every case with its shapes, who takes part, and the arithmetic it needs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

LYRICS = {
    "cell": "lstm",
    "vocab_size": 1027,
    "num_hiddens": 256,
    "num_layers": 1,
    "num_steps": 35,
    "batch_size": 32,
    "embed_size": None,  # None: one-hot vectors
    "dropout": 0.0,
    "theta": 1e-2,
    "lr": 1e2,
}
# The tutorial sums the loss over the steps of a batch; here the loss is their mean. So the tutorial's theta is divided
# by num_steps, and its learning rate, 1, is multiplied by num_steps.
PTB = {
    "small": {"num_hiddens": 200, "num_steps": 20, "dropout": 0.0, "theta": 5 / 20, "lr": 20.0},
    "medium": {"num_hiddens": 650, "num_steps": 35, "dropout": 0.5, "theta": 5 / 35, "lr": 35.0},
    "large": {"num_hiddens": 1500, "num_steps": 35, "dropout": 0.65, "theta": 10 / 35, "lr": 35.0},
}
SCALES = {
    "num_hiddens": (64, 128, 256, 512, 1024),
    "num_steps": (5, 20, 35, 70, 140),
    "batch_size": (8, 32, 128),
    "vocab_size": (256, 1027, 4096, 10000),
}
GENERATION = {**LYRICS, "num_preds": 200}

OURS = ("ours scratch", "ours fast", "ours gluon")
# The family of each implementation, which is the worker process that runs it.
FAMILIES = {
    **dict.fromkeys(OURS, "ours"),
    **dict.fromkeys(("book scratch", "book gluon", "plain gluon"), "book"),
    "torch": "torch",
    "jax": "jax",
}
GATES = {"rnn": 1, "gru": 3, "lstm": 4}


@dataclass(frozen=True)
class Case:
    """One case of the comparison: the same work for every implementation that takes part."""

    group: str  # lyrics, ptb, generation, startup, memory or scaling
    name: str
    implementations: tuple[str, ...]
    params: dict = field(default_factory=dict)
    task: str = "training"  # what a worker prepares: training or generation; or startup, which needs no worker

    @property
    def key(self) -> str:
        """What ``--only`` searches and the JSON is keyed by."""
        return f"{self.group}/{self.name}"

    @property
    def flops(self) -> float | None:
        """Floating-point operations of a training step."""
        return training_flops(self.params) if self.task == "training" else None

    @property
    def unit(self) -> str:
        """What the figures of the case are."""
        return "MiB" if self.group == "memory" else "ms"


def training_flops(params: dict) -> float:
    """Count the operations that one training step needs: the products, once forward and twice backward.

    A one-hot vector times a matrix is a look-up and counts 0, and so do the element-wise operations.
    """
    size, layers = params["num_hiddens"], params["num_layers"]
    inputs = (params["embed_size"] or 0) + (layers - 1) * size
    weights = GATES[params["cell"]] * size * (inputs + layers * size) + size * params["vocab_size"]
    return 3.0 * 2 * weights * params["num_steps"] * params["batch_size"]


def _lyrics() -> Iterator[Case]:
    for cell in GATES:
        params = {**LYRICS, "cell": cell}
        yield Case("lyrics", f"{cell} one-hot", (*OURS, "book scratch", "book gluon", "torch", "jax"), params)
    for cell in GATES:
        params = {**LYRICS, "cell": cell, "embed_size": 256}
        yield Case("lyrics", f"{cell} embedding", ("ours gluon", "torch", "jax"), params)


def _ptb(size: str) -> dict:
    shape = {"cell": "lstm", "vocab_size": 10000, "num_layers": 2, "batch_size": 20, **PTB[size]}
    return {**shape, "embed_size": shape["num_hiddens"]}


def _scaling() -> Iterator[Case]:
    seen = set()
    for name, values in SCALES.items():
        for value in values:
            params = {**LYRICS, name: value}
            shape = tuple(params[name] for name in SCALES)
            if shape not in seen:
                seen.add(shape)
                name_of = "H {} steps {} batch {} V {}".format(*shape)
                yield Case("scaling", name_of, (*OURS, "torch", "jax"), params)


def all_cases() -> list[Case]:
    """Return every case, in the order in which they run."""
    gluon = ("ours gluon", "plain gluon", "torch", "jax")
    writers = (*OURS, "book scratch", "book gluon", "torch", "jax")
    ours = ("ours: import d2lrnn", "ours: d2lrnn --help")
    startup = (*ours, "import mxnet", "from d2l import mxnet", "import torch", "import jax")
    return [
        *_lyrics(),
        *(Case("ptb", size, gluon, _ptb(size)) for size in PTB),
        Case("generation", "1 prefix", writers, {**GENERATION, "num_prefixes": 1}, "generation"),
        Case("generation", "64 prefixes", writers, {**GENERATION, "num_prefixes": 64}, "generation"),
        Case("startup", "fresh process", startup, task="startup"),
        Case("memory", "lyrics lstm", (*OURS, "book scratch", "book gluon", "torch", "jax"), LYRICS),
        *(Case("memory", f"ptb {size}", gluon, _ptb(size)) for size in ("small", "medium")),
        *_scaling(),
    ]


def characters(params: dict) -> int:
    """Return how many characters a case of generation writes."""
    return params["num_prefixes"] * params["num_preds"]


def num_steps_for(milliseconds: float, seconds: float, least: int) -> int:
    """Return how many runs of the given length fill a turn."""
    return max(least, min(40, math.ceil(seconds * 1e3 / max(milliseconds, 1e-3))))
