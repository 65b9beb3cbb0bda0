"""A Python or an environment that MXNet cannot run in is refused in a sentence."""

import sys

import numpy
import pytest
from fresh_python import only_line

from d2lrnn._mxnet import installation
from d2lrnn._mxnet.environment import UnsupportedPlatformError
from d2lrnn._mxnet.installation import check_packages, check_python


@pytest.mark.parametrize("version", [(3, 9), (3, 10), (3, 11), (3, 12)])
def test_supported_pythons_pass(version):
    check_python(version, "x86_64", True)


@pytest.mark.parametrize(
    ("version", "machine", "is_64bit", "found"),
    [
        ((3, 8), "x86_64", True, "d2lrnn needs Python 3.9 to 3.12, .* this is Python 3.8 (64-bit, x86_64): make "),
        ((3, 13), "x86_64", True, "d2lrnn needs Python 3.9 to 3.12, .* this is Python 3.13 (64-bit, x86_64): make "),
        ((2, 7), "x86_64", True, "d2lrnn needs Python 3.9 to 3.12, .* this is Python 2.7 (64-bit, x86_64): make "),
        ((3, 11), "x86_64", False, "d2lrnn needs a 64-bit Python on an x86-64 processor, .*(32-bit, x86_64)."),
        ((3, 11), "aarch64", True, "d2lrnn needs a 64-bit Python on an x86-64 processor, .*(64-bit, aarch64)."),
    ],
)
def test_other_pythons_are_refused_in_a_sentence(version, machine, is_64bit, found):
    with pytest.raises(UnsupportedPlatformError, match=found.replace("(", r"\(").replace(")", r"\)")) as caught:
        check_python(version, machine, is_64bit)
    assert only_line(str(caught.value)).endswith(".")


@pytest.mark.parametrize("name", ["mxnet", "numpy"])
def test_a_missing_package_is_named(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(UnsupportedPlatformError, match=f"^{name} is not installed: run `pip install -r requirements"):
        check_packages()


def test_numpy_2_is_refused(monkeypatch):
    monkeypatch.setattr(numpy, "__version__", "2.1.3")
    with pytest.raises(UnsupportedPlatformError, match=r"NumPy 2 \(found 2.1.3\): run `pip install 'numpy<2'`"):
        check_packages()


def test_distutils_may_come_from_setuptools(monkeypatch):
    installed = {"numpy", "mxnet", "setuptools"}
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda name: name if name in installed else None)
    check_packages()
    installed.remove("setuptools")
    with pytest.raises(UnsupportedPlatformError, match="needs `distutils`.*: run `pip install setuptools`"):
        check_packages()
