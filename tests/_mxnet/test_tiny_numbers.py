"""MXNet's threads take denormal numbers for zero; Python's and NumPy's do not."""

import os
import platform
import threading

import numpy
import pytest

from d2lrnn._runtime import mx
from d2lrnn.training.optimisers import make_update

TINY = numpy.float32(1e-40)

x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the setting is x86-64's")


def halves(count):
    """Return what MXNet, and what NumPy, computes for half of a tiny number, many times."""
    tiny = numpy.full(count, TINY)
    return (mx.np.array(tiny, dtype="float32") * 0.5).asnumpy(), tiny * numpy.float32(0.5)


@x86
@pytest.mark.parametrize("count", [3, 2**20])  # the second is divided among MXNet's threads
def test_they_are_zero_in_mxnet_alone(count):
    by_mxnet, by_numpy = halves(count)
    assert not by_mxnet.any() and (by_numpy == TINY / 2).all() and 2.0**-1070 * 0.5 > 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_knows_them(dtype):
    """NumPy finds out about them once, which may be in MXNet's import; it warns if they are zero then."""
    assert 0 < numpy.finfo(dtype).smallest_subnormal < numpy.finfo(dtype).tiny


@x86
def test_it_is_so_whichever_thread_asks():
    found = []
    thread = threading.Thread(target=lambda: found.append(halves(2**16)))
    thread.start()
    thread.join()
    assert not found[0][0].any() and (found[0][1] == TINY / 2).all()


@x86
def test_it_is_so_after_a_fork():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    by_mxnet, by_numpy = halves(3)
    assert not by_mxnet.any() and (by_numpy == TINY / 2).all()


@x86
def test_the_means_of_adam_become_zero():
    """Without the setting they end at 6e-45, of which nine tenths round to 6e-45 again."""
    param = mx.np.zeros(4)
    param.attach_grad()
    update = make_update([param], "adam")
    update.memory["mean"][0][:] = 1e-30
    for _ in range(250):
        update(0.0)
    assert not update.memory["mean"][0].asnumpy().any()
