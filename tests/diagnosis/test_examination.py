"""MXNet's import: which build is told, what it warns of, and what stops it."""

import sys
import warnings
from types import SimpleNamespace

import pytest

from d2lrnn._mxnet.environment import UnsupportedPlatformError
from d2lrnn._runtime import mx
from d2lrnn.diagnosis import examination
from d2lrnn.diagnosis.examination import import_mxnet
from d2lrnn.diagnosis.finding import BROKEN, NOTE, OK, Finding


@pytest.fixture
def runtime(monkeypatch):
    """Return a function that lets the import of MXNet do what ``give`` does."""

    def let(give):
        class Runtime:
            mx = property(lambda self: give())

        monkeypatch.setitem(sys.modules, "d2lrnn._runtime", Runtime())

    return let


def mxnet(version="1.9.1", cuda=False):
    features = SimpleNamespace(is_enabled=lambda name: name == "CUDA" and cuda)
    return SimpleNamespace(__version__=version, runtime=SimpleNamespace(Features=lambda: features))


def test_the_mxnet_of_this_environment_is_told():
    imported, (finding,) = import_mxnet()
    assert imported is mx and finding.state == OK
    assert finding.found.startswith("1.9.1, ") and ", with NumPy 1." in finding.found


@pytest.mark.parametrize(
    ("cuda", "build", "name"),
    [(False, None, "the CPU build"), (True, "cu112", "mxnet-cu112"), (True, None, "a build for GPUs")],
)
def test_the_build_is_told(runtime, monkeypatch, cuda, build, name):
    monkeypatch.setattr(examination, "installed_build", lambda: build)
    runtime(lambda: mxnet(cuda=cuda))
    _, (finding,) = import_mxnet()
    assert finding.found.startswith(f"1.9.1, {name}, with NumPy ")


def test_another_version_is_noted_and_so_is_what_the_import_warns_of(runtime):
    def give():
        warnings.warn("MXNET_USE_MKLDNN_RNN=0 gives wrong gradients: unset it.", RuntimeWarning, stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        return mxnet("1.6.0")

    runtime(give)
    _, (version, note) = import_mxnet()
    assert version.state == NOTE and version.found.startswith("1.6.0, ")
    assert version.remedy == "d2lrnn is made for 1.9.1: run `pip install mxnet==1.9.1`"
    assert note == Finding(NOTE, "MXNet", "MXNET_USE_MKLDNN_RNN=0 gives wrong gradients: unset it.")


def test_what_stops_the_import_is_broken(runtime):
    def raising(error):
        def give():
            raise error

        return give

    runtime(raising(UnsupportedPlatformError("MXNet could not be loaded (x): do y.")))
    assert import_mxnet() == (None, [Finding(BROKEN, "MXNet", "MXNet could not be loaded (x): do y.")])
    runtime(raising(RuntimeError("module compiled against ABI version 2\nand more")))
    _, (finding,) = import_mxnet()
    assert finding.found == "RuntimeError: module compiled against ABI version 2" and finding.remedy
