"""Freed memory is kept for the next array, and given back to the system where that is asked for."""

import os
import resource
from pathlib import Path

import numpy
import pytest
from fresh_python import python
from tiny import FOX_CORPUS

from d2lrnn import ModelConfig, NextToken, TrainConfig, Training, build_model
from d2lrnn._runtime import give_back_memory, mx
from d2lrnn.runs.checkpoint import LAST, Checkpoint
from d2lrnn.runs.folder import RunFolder

# How often the system must bring a page while arrays of 28 MB come and go, after the first few.
COUNT_PAGES = """
import resource, d2lrnn
from d2lrnn._runtime import mx
def pages():
    for _ in range(10):
        mx.np.ones((700, 10_000)).wait_to_read()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
pages(); before = pages(); print(pages() - before)
"""

needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="there is no /proc to read memory from")


def resident():
    """Return the megabytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def test_freed_memory_is_kept_for_the_next_array_unless_the_user_chose_otherwise():
    kept, chosen = python("-c", COUNT_PAGES), python("-c", COUNT_PAGES, MALLOC_MMAP_THRESHOLD_=str(2**17))
    assert 5 * int(kept.stdout) < int(chosen.stdout)


@needs_proc
def test_memory_between_other_arrays_is_given_back():
    arrays = [numpy.ones(125_000) for _ in range(101)]  # of 1 MB each
    whole = resident()
    arrays = arrays[::10]
    assert resident() > whole - 10
    give_back_memory()
    assert resident() < whole - 80
    assert all(array.sum() == 125_000 for array in arrays)


@needs_proc
def test_batches_that_a_resumed_training_reads_take_the_memory_of_one():
    """They take no step, so nothing else waits for one before the next is read."""
    model = build_model(ModelConfig(kind="gluon", cell="lstm", num_hiddens=200, embed_size=200), 1000)
    training = Training(model, TrainConfig(), NextToken(1000))
    X = mx.np.zeros((20, 35), dtype="int32")
    training.devices.read(training.objective, (X, X))
    mx.npx.waitall()
    before = resident()
    for _ in range(20):
        training.devices.read(training.objective, (X, X))
    mx.npx.waitall()
    assert resident() < before + 30  # a call takes 10 MB


@needs_proc
def test_a_saved_training_gives_back_what_saving_took(tmp_path):
    model_config, config = ModelConfig(num_hiddens=1200), TrainConfig(num_epochs=1)  # 23 MB of parameters
    training = Training(build_model(model_config, FOX_CORPUS.vocab_size), config, NextToken(FOX_CORPUS.vocab_size))
    run = RunFolder(tmp_path, training, Checkpoint.about(model_config, config, FOX_CORPUS, {}))
    run.begin("train")
    run.save()  # Gluon puts the parameters where they are to be when they are first read
    give_back_memory()
    before = resident()
    run.save()
    assert os.path.getsize(tmp_path / LAST) > 20e6
    assert resident() < before + 10
