"""A training needs no more memory after hundreds of steps than after the first ones."""

import os
from pathlib import Path

import pytest
from tiny import quiet, rain, tiny_model

from d2lrnn import train_and_predict
from d2lrnn._runtime import mx


def resident():
    """Return how many bytes of this process are in memory."""
    mx.npx.waitall()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("kind", ["scratch", "gluon"])
def test_memory_does_not_grow_with_the_steps(kind):
    corpus, found = rain(30, valid="the rain"), []
    model = tiny_model(corpus.vocab_size, kind=kind)
    config = quiet(num_epochs=4, batch_size=4, num_steps=2, batches="consecutive", prefixes=())

    train_and_predict(model, corpus, config, on_segment=lambda: found.append(resident()))
    # 165 steps an epoch.  A step that kept its graph would hold at least 10 kB, 3 MB over the last two epochs.
    assert len(found) == 4 and found[3] - found[1] < 2**20
