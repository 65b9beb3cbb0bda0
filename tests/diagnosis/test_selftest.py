"""The test of a device: it finds nothing where all is sound, and it does find what is wrong."""

import numpy
import pytest

from d2lrnn._runtime import mx
from d2lrnn.diagnosis import selftest
from d2lrnn.diagnosis.finding import BROKEN, OK
from d2lrnn.diagnosis.selftest import (
    COMPARISONS,
    Comparison,
    gradient_difference,
    layer,
    lstm_outputs,
    product,
    self_test,
    twins,
)

SMALL = {"num_steps": 4, "batch_size": 3, "num_hiddens": 6}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(selftest, "SECONDS", 0)


def test_the_cpu_computes_what_numpy_does():
    for found in (product(mx.cpu(), 30, 20, 10), layer(mx.cpu(), num_inputs=5, **SMALL), twins(mx.cpu(), **SMALL)):
        assert max(found.differences.values()) < 5e-6 and found.milliseconds > 0
    assert {compare.__name__ for compare in COMPARISONS} == {"product", "layer", "twins"}


def test_numpys_equations_are_those_of_the_book():
    """One step, by hand: all gates at 0.5, a candidate of tanh(1)."""
    W_x, W_h = numpy.zeros((4, 1)), numpy.zeros((4, 1))
    outputs = lstm_outputs(numpy.ones((2, 1, 1)), W_x, W_h, numpy.array([0, 0, 1, 0]), numpy.zeros(4))
    first = 0.5 * numpy.tanh(1)
    assert outputs.ravel() == pytest.approx([0.5 * numpy.tanh(first), 0.5 * numpy.tanh(1.5 * first)])


def test_a_wrong_product_is_found(monkeypatch):
    dot = mx.np.dot
    monkeypatch.setattr(mx.np, "dot", lambda a, b: dot(a, b) * 1.001)
    assert product(mx.cpu(), 30, 20, 10).differences["product"] == pytest.approx(1e-3, rel=1e-2)


def test_a_wrong_layer_is_found(monkeypatch):
    """One weight in a hundred is another one for MXNet than for NumPy."""

    def outputs(X, W_h, **values):
        return lstm_outputs(X, W_h=numpy.where(numpy.arange(W_h.size).reshape(W_h.shape) % 100, W_h, 2 * W_h), **values)

    monkeypatch.setattr(selftest, "lstm_outputs", outputs)
    differences = layer(mx.cpu(), num_inputs=5, **SMALL).differences
    assert min(differences.values()) > 10 * selftest.LIMITS["cpu"]


def test_a_wrong_gradient_is_found():
    values = {"w": numpy.arange(1.0, 101.0), "b": numpy.ones(3)}
    gradient = {"w": values["w"].astype("float32"), "b": numpy.zeros(3)}

    def difference(gradient):
        return gradient_difference(lambda at: (at["w"] ** 2).sum() / 2, values, gradient, numpy.random.default_rng(1))

    assert difference(gradient) < 1e-7
    lost = {**gradient, "w": gradient["w"] * (numpy.arange(100) != 50)}
    assert difference(lost) > 10 * selftest.LIMITS["cpu"]
    assert numpy.isnan(difference({**gradient, "b": numpy.full(3, numpy.nan)}))
    assert difference({**gradient, "b": numpy.ones(3)}) > selftest.LIMITS["cpu"]


def compared(**differences):
    return lambda ctx: Comparison("a layer", "NumPy", differences, 1234.567)


def test_what_is_sound_and_what_is_not(monkeypatch):
    sound, wrong, nan = self_test(
        mx.cpu(),
        [compared(outputs=3e-7, gradient=9e-5), compared(outputs=3e-7, gradient=2e-4), compared(all=float("nan"))],
    )
    assert (sound.state, sound.what, sound.remedy) == (OK, "cpu", "")
    assert sound.found == "a layer: 1,234.6 ms; differs from NumPy by 3e-07 (outputs), 9e-05 (gradient)"
    assert wrong.state == nan.state == BROKEN and "compute on another device" in wrong.remedy
    assert wrong.found.endswith("2e-04 (gradient); at most 1e-04 is sound") and "by nan (all)" in nan.found
    (on_gpu,) = self_test(mx.gpu(1), [compared(outputs=2e-3)])
    assert (on_gpu.state, on_gpu.what) == (OK, "gpu:1")


def test_a_device_that_cannot_compute_is_broken_and_tried_no_further():
    def fail(ctx):
        raise mx.MXNetError("Traceback:\nMXNetError: Check failed: CUDA: out of memory")

    (finding,) = self_test(mx.gpu(0), [fail, compared(outputs=0.0)])
    assert (finding.state, finding.what) == (BROKEN, "gpu:0")
    assert finding.found == "MXNet cannot compute here: Check failed: CUDA: out of memory"
    assert finding.remedy == "use another device, --ctx cpu"
