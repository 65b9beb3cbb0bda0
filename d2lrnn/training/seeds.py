"""One number seeds all that is random."""

from __future__ import annotations

import random

import numpy

from d2lrnn._runtime import mx
from d2lrnn.checks import check_whole
from d2lrnn.config.fields import MAX_SEED


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and MXNet with one number, 0 to 2**32 - 1."""
    seed = check_whole("seed", seed, 0, MAX_SEED)
    random.seed(seed)
    numpy.random.seed(seed)
    mx.random.seed(seed)


def seed_batch(seed: int, epoch: int, batch: int) -> None:
    """Seed Python, NumPy and MXNet for the batches of a run from this one on.

    Pending operators are waited for first: their dropout must still draw from the old state.

    Args:
        seed: of the run.
        epoch: of the batch, from 1.
        batch: how many batches of the epoch come before it.
    """
    mx.npx.waitall()
    sequence = numpy.random.SeedSequence((seed, epoch, batch))
    set_seed(int(sequence.generate_state(1)[0] >> 1))  # MXNet takes 31 bits
