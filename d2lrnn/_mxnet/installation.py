"""What MXNet 1.9.1 needs to be imported: which Python, which packages; imports MXNet in no case."""

from __future__ import annotations

import importlib.util

from d2lrnn._mxnet.environment import UnsupportedPlatformError

SUPPORTED_PYTHONS = ((3, 9), (3, 12))


def check_python(version: tuple[int, int], machine: str, is_64bit: bool) -> None:
    """Refuse an interpreter that MXNet 1.9.1 cannot run on.

    Args:
        version: major and minor version, such as ``(3, 12)``.
        machine: the processor, as ``platform.machine()`` names it.
        is_64bit: whether the interpreter is a 64-bit one.

    Raises:
        UnsupportedPlatformError: with one sentence that says what was found and what would work.
    """
    found = f"Python {version[0]}.{version[1]} ({'64' if is_64bit else '32'}-bit, {machine})"
    low, high = SUPPORTED_PYTHONS
    if not low <= version <= high:
        raise UnsupportedPlatformError(
            f"d2lrnn needs Python {low[0]}.{low[1]} to {high[0]}.{high[1]}, because MXNet 1.9.1 is retired and does "
            f"not work beyond them; this is {found}: make an environment with one of those, as `make` does."
        )
    if not is_64bit or machine not in ("x86_64", "AMD64"):
        raise UnsupportedPlatformError(
            f"d2lrnn needs a 64-bit Python on an x86-64 processor, because MXNet 1.9.1 has no other Linux wheels; "
            f"this is {found}."
        )


def check_packages() -> None:
    """Refuse an environment without the packages that MXNet 1.9.1 needs, or with a NumPy that it cannot work with.

    Raises:
        UnsupportedPlatformError: with one sentence that says what was found and what to do.
    """
    for name in ("numpy", "mxnet"):
        if importlib.util.find_spec(name) is None:
            raise UnsupportedPlatformError(
                f"{name} is not installed: run `pip install -r requirements.txt` (or requirements-gpu.txt for a GPU)."
            )
    import numpy

    if int(numpy.__version__.split(".")[0]) >= 2:
        raise UnsupportedPlatformError(
            f"MXNet 1.9.1 does not work with NumPy 2 (found {numpy.__version__}): run `pip install 'numpy<2'`."
        )
    if importlib.util.find_spec("distutils") is None and importlib.util.find_spec("setuptools") is None:
        raise UnsupportedPlatformError(
            "MXNet 1.9.1 needs `distutils`, which Python 3.12 removed and setuptools brings back: "
            "run `pip install setuptools`."
        )
