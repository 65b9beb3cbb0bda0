import re

import pytest

from d2lrnn._runtime import mx
from d2lrnn.device import DeviceError, as_ctx, try_all_gpus, try_gpu


@pytest.fixture
def gpus(monkeypatch):
    """Return a function that makes MXNet see so many GPUs."""
    return lambda count: monkeypatch.setattr(mx.npx, "num_gpus", lambda: count)


@pytest.mark.parametrize("ctx", [None, "cpu", "CPU", " cpu ", "cpu:0", mx.cpu()])
def test_the_cpu(ctx):
    assert as_ctx(ctx) == mx.cpu(0)


@pytest.mark.parametrize(
    ("ctx", "expected"),
    [("gpu", mx.gpu(0)), ("gpu:0", mx.gpu(0)), ("GPU:1", mx.gpu(1)), (mx.gpu(1), mx.gpu(1)), ("auto", mx.gpu(0))],
)
def test_a_gpu_that_is_there(gpus, ctx, expected):
    gpus(2)
    assert as_ctx(ctx) == expected


def test_auto_is_the_cpu_without_a_gpu(gpus):
    gpus(0)
    assert as_ctx("auto") == mx.cpu()


@pytest.mark.parametrize("ctx", ["tpu", "", "gpu:", "gpu:-1", "gpu:x", "gpu1", "cpu gpu", 0, True, ["cpu"]])
def test_anything_else_is_refused(ctx):
    with pytest.raises(DeviceError, match=re.escape(f"unknown device {ctx!r}: expected cpu, gpu, gpu:1 (the second")):
        as_ctx(ctx)


@pytest.mark.parametrize("ctx", ["gpu:2", mx.gpu(2)])
def test_a_gpu_beyond_the_last_is_refused(gpus, ctx):
    gpus(2)
    with pytest.raises(DeviceError, match=re.escape("there is no gpu:2: MXNet sees 2 GPU(s), numbered from 0")):
        as_ctx(ctx)


@pytest.mark.parametrize("ctx", ["gpu", mx.gpu(0)])
@pytest.mark.parametrize(
    ("cuda", "advice"),
    [(False, "this is MXNet's CPU build: .*`pip install -r requirements-gpu.txt`"), (True, "does `nvidia-smi` list")],
)
def test_a_gpu_without_one_is_refused_with_the_way_to_one(gpus, monkeypatch, ctx, cuda, advice):
    gpus(0)
    monkeypatch.setattr(mx.runtime.Features, "is_enabled", lambda self, name: cuda)
    with pytest.raises(DeviceError, match=f"^gpu:0 was asked for, but .*{advice}"):
        as_ctx(ctx)


def test_the_books_functions_fall_back_to_the_cpu(gpus):
    gpus(2)
    assert [try_gpu(), try_gpu(1), try_gpu(2), try_gpu(-1)] == [mx.gpu(0), mx.gpu(1), mx.cpu(), mx.cpu()]
    assert try_all_gpus() == [mx.gpu(0), mx.gpu(1)]
    gpus(0)
    assert try_gpu() == mx.cpu()
    assert try_all_gpus() == [mx.cpu()]


def test_an_array_on_the_gpu(needs_gpu):
    ones = mx.np.ones((2, 3), ctx=as_ctx("gpu"))
    assert ones.ctx == needs_gpu == as_ctx("auto") == try_gpu()
    assert float(ones.sum()) == 6
