"""A training needs no more memory after hundreds of steps than after the first ones."""

import os
from pathlib import Path

from tiny import quiet, rain, tiny_model

from d2lrnn import train_and_predict
from d2lrnn._runtime import mx


def resident():
    """Return how many bytes of this process are in memory."""
    mx.npx.waitall()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_memory_does_not_grow_with_the_steps():
    corpus, found = rain(20, valid="the rain"), []
    model = tiny_model(corpus.vocab_size, kind="gluon")
    config = quiet(num_epochs=4, batch_size=4, num_steps=2, batches="consecutive", prefixes=())
    train_and_predict(model, corpus, config, on_segment=lambda: found.append(resident()))
    # 110 steps an epoch.  Where each step's result is kept, with its graph, the last two epochs add more than this.
    assert found[-1] - found[len(found) // 2 - 1] < 2**19
