import re
import warnings

import pytest
from drivers import StandIn

from d2lrnn import device
from d2lrnn._mxnet.gpus import ask_driver
from d2lrnn._runtime import mx
from d2lrnn.device import DeviceError, as_ctx, try_all_gpus, try_gpu, usable_gpus


@pytest.fixture
def cards(monkeypatch):
    """Return a function that makes MXNet count GPUs of these compute capabilities, and the driver list them."""

    def make(*capabilities, build="cu117", listed=True):
        monkeypatch.setattr(mx.npx, "num_gpus", lambda: len(capabilities))
        gpus = ask_driver(StandIn(*capabilities)).gpus if listed else ()
        monkeypatch.setattr(device, "listed_gpus", lambda: (gpus, build))

    yield make
    device._warn_once.cache_clear()
    device._first_operation.cache_clear()


@pytest.fixture
def gpus(cards):
    """Return a function that makes MXNet see so many GPUs, which it can use."""
    return lambda count: cards(*["8.6"] * count)


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


# GPUs that MXNet counts and cannot use

H100 = "gpu:{} (NVIDIA H100 80GB HBM3, compute capability 9.0) cannot be used: mxnet-cu117 1.9.1 has machine code for "
H100 += "compute capability 5.0, 6.0, 7.0, 8.0 and 8.6 alone"


@pytest.fixture
def warned(recwarn):
    """Return a function that returns what was warned of since its last call; a warning ends no test here."""
    warnings.simplefilter("always")

    def since():
        found = [str(warning.message) for warning in recwarn.list if warning.category is RuntimeWarning]
        recwarn.clear()
        return found

    return since


@pytest.mark.parametrize("capability", ["5.2", "7.5", "8.0", "8.6", "8.9"])
def test_a_card_that_mxnet_has_code_for_is_taken(cards, warned, capability):
    cards(capability)
    assert as_ctx("auto") == as_ctx("gpu") == try_gpu() == try_gpu(0) == mx.gpu(0)
    assert (try_all_gpus(), usable_gpus(), warned()) == ([mx.gpu(0)], [0], [])


def test_a_card_that_is_too_new_is_named_once_and_not_taken(cards, warned):
    cards("9.0")
    assert as_ctx("auto") == try_gpu() == try_gpu(0) == mx.cpu() and try_all_gpus() == [mx.cpu()]
    assert warned() == [H100.format(0) + "; the CPU is used"]
    assert (as_ctx("auto"), warned(), usable_gpus()) == (mx.cpu(), [], [])


@pytest.mark.parametrize("ctx", ["gpu", "gpu:0", mx.gpu(0)])
def test_a_card_that_is_too_new_is_refused_with_the_same_sentence(cards, ctx):
    cards("9.0")
    with pytest.raises(DeviceError, match=f"^{re.escape(H100.format(0))}; use cpu or auto$"):
        as_ctx(ctx)


def test_an_older_build_refuses_a_card_that_a_newer_build_takes(cards):
    cards("8.6", build="cu102")
    with pytest.raises(
        DeviceError, match="RTX 3090, compute capability 8.6.*mxnet-cu102 .* 3.0, 5.0, .* and 7.5 alone"
    ):
        as_ctx("gpu")


def test_of_two_kinds_of_cards_those_are_taken_that_mxnet_can_use(cards, warned):
    cards("9.0", "8.6")
    assert as_ctx("auto") == try_gpu() == as_ctx("gpu:1") == try_gpu(1) == mx.gpu(1)
    assert warned() == [H100.format(0) + "; gpu:1 is used"]
    assert (try_gpu(0), warned()) == (mx.cpu(), [H100.format(0) + "; the CPU is used"])
    assert (try_all_gpus(), warned()) == ([mx.gpu(1)], [H100.format(0) + "; the others are used"])
    with pytest.raises(DeviceError, match="^gpu:0 "):
        as_ctx("gpu")
    cards("8.9", "9.0")
    assert (as_ctx("auto"), as_ctx("gpu"), warned()) == (mx.gpu(0), mx.gpu(0), [])


class Failing:
    """An array on a GPU, whose numbers cannot be had."""

    def __init__(self, error):
        self.error = error

    def wait_to_read(self):
        raise self.error


NO_KERNEL = mx.MXNetError(
    'Traceback (most recent call last):\n  File "../src/operator/init_op.cu", line 1\n'
    "MXNetError: Check failed: e == cudaSuccess: CUDA: no kernel image is available for execution on the device"
)


@pytest.fixture
def first_operation(monkeypatch):
    """Return a function that makes the operations on GPUs fail, or succeed with None, and returns their list."""

    def let(error):
        asked = []

        def ones(shape, ctx):
            asked.append(ctx)
            return mx.np.zeros(shape) if error is None else Failing(error)

        monkeypatch.setattr(mx.np, "ones", ones)
        return asked

    return let


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"listed": False},
            "gpu:0 cannot be used: mxnet-cu117 1.9.1 has machine code for compute capability 5.0, .* alone",
        ),
        (
            {"build": None},
            r"gpu:0 \(NVIDIA H100 .* 9.0\) cannot be used: this build of MXNet has no machine code for it",
        ),
    ],
)
def test_the_first_operation_tells_what_the_driver_or_the_build_does_not(
    cards, first_operation, warned, options, sentence
):
    cards("9.0", **options)
    asked = first_operation(NO_KERNEL)
    assert (as_ctx("auto"), as_ctx("auto"), asked) == (mx.cpu(), mx.cpu(), [mx.gpu(0)])
    (message,) = warned()
    assert re.fullmatch(f"{sentence}; the CPU is used", message)
    with pytest.raises(DeviceError, match=f"^{sentence}; use cpu or auto$"):
        as_ctx("gpu")
    assert asked == [mx.gpu(0)]


def test_where_nothing_is_known_a_gpu_that_computes_is_taken(cards, first_operation):
    cards("8.6", listed=False, build=None)
    asked = first_operation(None)
    assert as_ctx("auto") == as_ctx("gpu") == mx.gpu(0) == asked[0] and len(asked) == 1


def test_another_error_of_the_first_operation_is_told_as_it_is(cards, first_operation):
    cards("8.6", listed=False)
    first_operation(mx.MXNetError("Traceback:\nMXNetError: Check failed: CUDA: out of memory"))
    with pytest.raises(DeviceError, match="^gpu:0 cannot be used: Check failed: CUDA: out of memory; use cpu or auto$"):
        as_ctx("gpu")


def test_gpus_that_cannot_be_counted_are_warned_of_once(cards, monkeypatch, warned):
    def num_gpus():
        raise mx.MXNetError("Check failed: e == cudaSuccess (35 vs. 0) : CUDA: driver version is insufficient")

    cards()
    monkeypatch.setattr(mx.npx, "num_gpus", num_gpus)
    assert as_ctx("auto") == try_gpu(0) == mx.cpu() and try_all_gpus() == [mx.cpu()]
    (message,) = warned()
    assert re.fullmatch(r"MXNet cannot count the GPUs \(.* driver version is insufficient\); the CPU is used", message)
    with pytest.raises(
        DeviceError, match=r"^gpu:0 was asked for, but MXNet cannot count the GPUs \(.*: does `nvidia-smi`"
    ):
        as_ctx("gpu")


def test_the_cpu_build_asks_no_driver(monkeypatch):
    if mx.runtime.Features().is_enabled("CUDA"):
        pytest.skip("this is a build for GPUs")
    monkeypatch.setattr(device, "listed_gpus", lambda: pytest.fail("asked for GPUs"))
    assert as_ctx("auto") == try_gpu() == try_gpu(1) == mx.cpu() and try_all_gpus() == [mx.cpu()]


def test_the_driver_is_asked_as_it_is_found():
    listed, build = device.listed_gpus()
    assert len(listed) >= len(usable_gpus()) and (build is None or mx.runtime.Features().is_enabled("CUDA"))


def test_an_array_on_the_gpu(needs_gpu):
    ones = mx.np.ones((2, 3), ctx=as_ctx("gpu"))
    assert ones.ctx == needs_gpu == as_ctx("auto") == try_gpu()
    assert float(ones.sum()) == 6
