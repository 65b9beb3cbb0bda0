"""The environment: Python, what MXNet needs, packages, threads, variables; imports neither MXNet nor NumPy."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from d2lrnn._mxnet.environment import UnsupportedPlatformError, check_docstrings, check_environment
from d2lrnn._mxnet.installation import SUPPORTED_PYTHONS, check_python
from d2lrnn._mxnet.waiting import VARIABLES as WAITING
from d2lrnn.cores import usable_cores
from d2lrnn.diagnosis.finding import BROKEN, NOTE, OK, Finding, place
from d2lrnn.version import VERSION
from d2lrnn.visible import in_a_line

# What pyproject.toml asks for.  MXNet and NumPy are looked at apart; so is what only some Pythons need.
NEEDED = ("d2l", "ipython", "matplotlib", "babel", "charset-normalizer", "pooch", "pylatexenc", "tqdm", "wcwidth")
PAGE = ("tornado",)
BOOK = ("sphinx", "sphinx-book-theme", "myst-nb", "jupyter-cache", "jupytext", "sphinx-intl", "sphinx-mathjax-offline")
EXCHANGE = ("onnx", "onnxruntime", "safetensors")

# The variables that change what MXNet, its libraries and d2lrnn do.
VARIABLES = re.compile(
    "(OMP|GOMP|MXNET|DMLC|PS|DNNL|MKLDNN|OPENBLAS|CUDA|CUDNN|NVIDIA|NCCL|D2LRNN|MALLOC|GLIBC|LD|LC)_[A-Z0-9_]+|"
    "PYTHON(PATH|OPTIMIZE|WARNINGS|IOENCODING|UTF8)|MPLBACKEND|LANG|LANGUAGE"
)
LONGEST = 40  # characters of a value that are shown


def python() -> Finding:
    """Return which Python this is, and whether MXNet runs on it."""
    bits, (low, high) = 64 if sys.maxsize > 2**32 else 32, SUPPORTED_PYTHONS
    try:
        check_python(sys.version_info[:2], platform.machine(), bits == 64)
        check_docstrings(sys.flags.optimize)
    except UnsupportedPlatformError as error:
        return Finding(BROKEN, "Python", str(error))
    fits = f"{low[0]}.{low[1]} to {high[0]}.{high[1]} fit"
    return Finding(OK, "Python", f"{platform.python_version()} ({fits}), {place(Path(sys.executable))}")


def version() -> Finding:
    """Return the version of d2lrnn, and where it lies."""
    return Finding(OK, "d2lrnn", f"{VERSION} in {place(Path(__file__).parents[1])}")


def packages(version_of: Callable[[str], str] = importlib.metadata.version) -> Iterator[Finding]:
    """Yield the versions of packages: those that d2lrnn needs, those for the page, for the book and for ``export``.

    Args:
        version_of: returns the version of a package that is installed.
    """
    install = "run `pip install -r requirements.txt`"
    yield _versions(version_of, "packages", NEEDED, BROKEN, install)
    yield _versions(version_of, "for play", PAGE, BROKEN, f"`play` needs it: {install}")
    yield _versions(
        version_of, "for export", EXCHANGE, NOTE, "`export` needs them: run `pip install 'd2lrnn[exchange]'`"
    )
    yield _versions(version_of, "for book", BOOK, NOTE, "`make book` needs them, and installs them itself")


def _versions(version_of: Callable[[str], str], what: str, names: tuple[str, ...], state: str, remedy: str) -> Finding:
    found, missing = [], []
    for name in names:
        try:
            found.append(f"{name} {version_of(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    texts = [", ".join(found)] * bool(found) + [f"not installed: {', '.join(missing)}"] * bool(missing)
    return Finding(state if missing else OK, what, "; ".join(texts), remedy if missing else "")


def threads(environ: Mapping[str, str]) -> Finding:
    """Return how many threads MXNet takes, and how they wait for one another.

    Args:
        environ: the environment as it was when Python started.
    """
    cores, given = usable_cores(), environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    try:
        count = int(given or cores)
    except ValueError:
        return Finding(NOTE, "threads", "how many MXNet would take is not known", "correct OMP_NUM_THREADS")
    found = f"MXNet takes {count} on {cores} cores, as OMP_NUM_THREADS says" if given else f"MXNet takes {count}"
    if count > cores:
        return Finding(NOTE, "threads", found, "unset OMP_NUM_THREADS")
    set_ones = [name for name in WAITING if environ.get(name)]
    if not set_ones:
        return Finding(OK, "threads", f"{found}; they spin, but sleep while other programs need a core")
    how = " and ".join(f"{name}={in_a_line(environ[name])}" for name in set_ones)
    found += f"; they wait by {how}, whatever other programs do"
    return Finding(NOTE, "threads", found, f"without {' and '.join(set_ones)} d2lrnn chooses what is faster")


def variables(environ: Mapping[str, str]) -> Finding:
    """Return which variables are set that change what MXNet, its libraries and d2lrnn do, and whether MXNet reads them.

    Args:
        environ: the environment as it was when Python started.
    """
    try:
        check_environment(dict(environ))
    except UnsupportedPlatformError as error:
        return Finding(BROKEN, "variables", str(error))
    shown = [f"{name}={_shortened(value)}" for name, value in sorted(environ.items()) if VARIABLES.fullmatch(name)]
    return Finding(OK, "variables", " ".join(shown) or "none is set that changes anything")


def _shortened(value: str) -> str:
    return in_a_line(value if len(value) <= LONGEST else f"{value[:LONGEST]}...")
