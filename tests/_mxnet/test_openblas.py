"""The kernels of MXNet's OpenBLAS are those that the processor can run."""

import ctypes
import os
from pathlib import Path

import pytest

from d2lrnn._mxnet.openblas import VARIABLE, core_type, kernels_that_fit
from d2lrnn._runtime import mx

AVX2 = "fpu sse sse2 avx avx2 fma"
AVX512 = f"{AVX2} avx512f"


def cpuinfo(vendor, family, flags):
    return f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: 207\nflags\t\t: {flags}\n\n" * 2


@pytest.mark.parametrize(
    ("vendor", "family", "flags", "expected"),
    [
        ("GenuineIntel", 6, AVX512, "Haswell"),
        ("GenuineIntel", 6, AVX2, "Haswell"),
        ("GenuineIntel", 6, "fpu sse sse2 avx", None),
        ("AuthenticAMD", 25, AVX512, "Zen"),
        ("AuthenticAMD", 26, AVX512, "Zen"),
        ("AuthenticAMD", 21, AVX2, None),  # Excavator has kernels of its own
        ("HygonGenuine", 24, AVX2, None),
    ],
)
def test_the_kernels_follow_from_the_instructions(vendor, family, flags, expected):
    assert core_type(cpuinfo(vendor, family, flags)) == expected


def test_what_cannot_be_read_chooses_nothing(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert core_type("") is None
    with kernels_that_fit(str(tmp_path / "missing")):
        assert VARIABLE not in os.environ


def test_the_variable_is_set_for_the_while(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    path = tmp_path / "cpuinfo"
    path.write_text(cpuinfo("GenuineIntel", 6, AVX512))
    with kernels_that_fit(str(path)):
        assert os.environ[VARIABLE] == "Haswell"
    assert VARIABLE not in os.environ
    monkeypatch.setenv(VARIABLE, "Nehalem")  # a user's own choice
    with kernels_that_fit(str(path)):
        assert os.environ[VARIABLE] == "Nehalem"
    assert os.environ[VARIABLE] == "Nehalem"


def test_openblas_has_taken_them():
    expected = core_type(Path("/proc/cpuinfo").read_text())
    library = Path(mx.__file__).with_name("libopenblas.so.0")
    if expected is None or VARIABLE in os.environ or not library.exists():
        pytest.skip("OpenBLAS chooses the kernels itself here")
    corename = ctypes.CDLL(str(library), mode=os.RTLD_NOLOAD).openblas_get_corename
    corename.restype = ctypes.c_char_p
    assert corename().decode().lower() == expected.lower()
