"""Make MXNet 1.9.1 importable on today's Pythons, and import it.

Every other module takes MXNet from here, never by a plain ``import mxnet``.  So what MXNet needs always comes before
that import: the checks of Python, of the environment and of the packages, the thread count, the settings of malloc, the
CUDA libraries, the ``numpy.bool`` alias.  What :mod:`d2lrnn._mxnet` puts right in MXNet follows the import at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import platform
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from d2lrnn._mxnet.copies import copy_with_gradients
from d2lrnn._mxnet.environment import UnsupportedPlatformError as UnsupportedPlatformError
from d2lrnn._mxnet.environment import check_docstrings, check_environment
from d2lrnn._mxnet.few_threads import FewThreads, WorkerThreads
from d2lrnn._mxnet.installation import check_packages, check_python
from d2lrnn._mxnet.memory import give_back_memory as give_back_memory
from d2lrnn._mxnet.memory import keep_freed_memory
from d2lrnn._mxnet.threads import (
    before_copies_in_every_thread,
    names_for_all_threads,
    np_mode_in_every_thread,
    one_graph_at_a_time,
)
from d2lrnn._mxnet.tiny_numbers import take_tiny_numbers_for_zero
from d2lrnn._mxnet.waiting import VARIABLES, start_watch
from d2lrnn.cores import usable_cores
from d2lrnn.neighbours import Neighbours


def _set_threads() -> None:
    """Give MXNet all usable cores: MXNet takes half of them unless OMP_NUM_THREADS is set before its import."""
    if os.environ.get("MXNET_USE_MKLDNN_RNN") == "0":
        warnings.warn(
            "MXNET_USE_MKLDNN_RNN=0 gives wrong gradients for two or more layers in MXNet 1.9.1: unset it.",
            RuntimeWarning,
            stacklevel=3,
        )
    if "mxnet" not in sys.modules:
        os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))
    elif "OMP_NUM_THREADS" not in os.environ and usable_cores() > 1:
        warnings.warn(
            f"mxnet was imported before d2lrnn, so it uses half of this machine's cores: import d2lrnn first, "
            f"or set OMP_NUM_THREADS={usable_cores()} in the environment before Python starts.",
            RuntimeWarning,
            stacklevel=3,
        )
    workers = os.environ.get("MXNET_CPU_WORKER_NTHREADS", "1")
    if workers != "1" and os.environ.get("OMP_NUM_THREADS") != "1" and usable_cores() > 1:
        raise UnsupportedPlatformError(
            f"MXNET_CPU_WORKER_NTHREADS={workers} together with several OpenMP threads makes MXNet 1.9.1 spin for "
            "ever in np.dot: unset it (OMP_NUM_THREADS alone decides the cores)."
        )


def _leave_openmp_to_the_engine() -> None:
    """Let this thread run OpenMP loops alone, so that only MXNet's worker thread has a team of threads.

    Copying a large array between NumPy and MXNet is an OpenMP loop in the caller's thread.  If that loop started a team
    as well, there would be more OpenMP threads than cores.  libgomp would then stop spinning between loops, for good:
    each small operator would wait to be woken, and on two cores writing a text would take three times as long.
    """
    with contextlib.suppress(OSError):  # another build of MXNet may have another OpenMP
        ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOLOAD).omp_set_num_threads(1)


def _watch(mxnet, neighbours: Neighbours, num_threads: int) -> None:
    """Let MXNet's threads give way to other programs; with one thread, or without libgomp, none has to."""
    global few_threads
    if num_threads < 2:
        return
    with contextlib.suppress(OSError, AttributeError):  # another build of MXNet may have another OpenMP
        gomp = ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOLOAD)
        _ = gomp.GOMP_parallel, mxnet.base._LIB.MXEnginePushSyncND
        watch = start_watch(neighbours, num_threads, gomp)
        few_threads = FewThreads(watch, WorkerThreads(mxnet, gomp).set, num_threads)


def _preload_cuda() -> None:
    """Load the CUDA 11 libraries of the ``nvidia-*-cu11`` wheels, so that no LD_LIBRARY_PATH is needed.

    A library may need another that comes later in the folder's order.  So the libraries that failed are tried again as
    long as a round loads at least one of them.  Without those wheels this function does nothing.
    """
    spec = importlib.util.find_spec("nvidia")
    folders = spec.submodule_search_locations if spec is not None else None
    waiting = [lib for folder in folders or () for lib in sorted(Path(folder).glob("*/lib/*.so*"))]
    loaded = True
    while waiting and loaded:
        failed = [lib for lib in waiting if not _load(lib)]
        loaded = len(failed) < len(waiting)
        waiting = failed


def _libmxnet_loads() -> bool:
    spec = importlib.util.find_spec("mxnet")
    library = Path(spec.origin).with_name("libmxnet.so") if spec and spec.origin else None
    return library is None or not library.exists() or _load(library, ctypes.RTLD_LOCAL)


def _load(library: Path, mode: int = ctypes.RTLD_GLOBAL) -> bool:
    try:
        ctypes.CDLL(str(library), mode=mode)
    except OSError:
        return False
    return True


# A part of the message of a failed import of MXNet, and the remedy; the first part that the message contains counts.
_REMEDIES = {
    "libgomp": "install the system package libgomp1 (Debian, Ubuntu: apt-get install libgomp1)",
    "libquadmath": "install the system package libquadmath0 (Debian, Ubuntu: apt-get install libquadmath0)",
    "libcuda.so": "the GPU build needs an NVIDIA driver; without one run `pip install mxnet==1.9.1` instead",
    "libcu": "run `pip install -r requirements-gpu.txt`, which brings the CUDA 11 libraries",
    "libn": "run `pip install -r requirements-gpu.txt`, which brings the CUDA 11 libraries",
    "": "run `pip install --force-reinstall -r requirements.txt`",
}


def _explain_load_failure(error: Exception) -> UnsupportedPlatformError:
    """Turn an error of MXNet's import, such as a library that cannot be loaded, into a sentence with the remedy."""
    reason = str(error).strip().split("\n")[0].rstrip(".")
    remedy = next(remedy for sign, remedy in _REMEDIES.items() if sign in reason)
    return UnsupportedPlatformError(f"MXNet could not be loaded ({reason}): {remedy}.")


def _import_mxnet():
    check_python(sys.version_info[:2], platform.machine(), sys.maxsize > 2**32)
    check_docstrings(sys.flags.optimize)
    check_environment(os.environ)
    check_packages()
    _set_threads()
    neighbours = None if any(name in os.environ for name in VARIABLES) else Neighbours()
    keep_freed_memory()
    if not _libmxnet_loads():  # the GPU build without CUDA on the library path; CUDA that is found there is used
        _preload_cuda()
    import numpy

    numpy.bool = numpy.bool_  # MXNet 1.9.1 reads numpy.bool, which NumPy 1.24 removed
    try:
        import mxnet
    except (OSError, ImportError, RuntimeError) as error:
        raise _explain_load_failure(error) from error
    take_tiny_numbers_for_zero(mxnet)
    _leave_openmp_to_the_engine()
    if neighbours is not None:
        _watch(mxnet, neighbours, int(os.environ.get("OMP_NUM_THREADS", usable_cores())))
    before_copies_in_every_thread(mxnet, _leave_openmp_to_the_engine)
    np_mode_in_every_thread(mxnet)
    names_for_all_threads(mxnet)
    one_graph_at_a_time(mxnet)
    copy_with_gradients(mxnet)
    mxnet.npx.set_np()
    return mxnet


def _without_traceback(excepthook: Callable) -> Callable:
    """Return an excepthook that prints an UnsupportedPlatformError as its sentence alone, without a traceback."""

    def hook(kind, error, traceback) -> None:
        if issubclass(kind, UnsupportedPlatformError):
            print(error, file=sys.stderr)
        else:
            excepthook(kind, error, traceback)

    return hook


# ``with few_threads():`` is for small operators: MXNet then has one thread while other programs need cores.
few_threads: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext

try:
    mx = _import_mxnet()
except UnsupportedPlatformError:
    sys.excepthook = _without_traceback(sys.excepthook)
    raise
