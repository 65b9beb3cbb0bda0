"""Labelled examples: what a classifier learns from, is validated with and is tested on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy

from d2lrnn.data.batches import Batches
from d2lrnn.device import ContextLike
from d2lrnn.errors import D2lrnnError


class Examples(Protocol):
    """Sequences, each with the number of its class.

    Attributes:
        labels: the class of each, whole numbers from 0, of shape (number of examples,).
    """

    labels: numpy.ndarray

    def __len__(self) -> int:
        """Return how many examples there are."""

    def digest(self) -> str:
        """Return a SHA-256 that tells these examples from others, for a run that goes on with them."""

    def batches(self, batch_size: int, ctx: ContextLike = None, training: bool = False) -> Batches:
        """Return batches ``(X, labels)``, or ``(X, labels, counted)`` where sequences differ in length.

        Args:
            batch_size: examples of a batch.
            ctx: the device of the batches.
            training: whether they are for training: then in random order, and without the last examples if these do not
                fill a batch.  All random choices come from NumPy's global generator.  Otherwise all examples come in
                their order, and the last batch may be smaller.

        Raises:
            D2lrnnError: if ``batch_size`` is no size; in training, if there are fewer examples than that.
        """


@dataclass(frozen=True)
class Labelled:
    """Examples for training, validation and test, and the names of their classes."""

    name: str
    classes: tuple[str, ...]  # by the numbers that stand for them
    train: Examples
    valid: Examples | None = None  # None: there are none
    test: Examples | None = None

    def split(self, name: str | None = None) -> tuple[str, Examples]:
        """Return a split and its name: train, valid or test; None: the last of these that there is.

        Raises:
            D2lrnnError: if there is no such split.
        """
        there = [split for split in ("train", "valid", "test") if getattr(self, split) is not None]
        if name is None:
            name = there[-1]
        if name not in there:
            raise D2lrnnError(f"{self.name} has no split {name!r}: expected {', '.join(there)}")
        return name, getattr(self, name)
