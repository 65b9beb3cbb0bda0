import ctypes
import os
import shutil
import subprocess
import sys

import numpy
import pytest
from fresh_python import PRINT_THREADS, only_line, python

from d2lrnn import _runtime
from d2lrnn._runtime import UnsupportedPlatformError, mx


def test_numpy_has_its_old_name_back_and_np_mode_is_on():
    assert numpy.bool is numpy.bool_
    assert mx.util.is_np_array() and mx.util.is_np_shape()
    assert mx.np.ones(()).shape == ()  # without np mode, a scalar has the shape (1,)


# The interpreter


@pytest.fixture
def python313(tmp_path):
    """Run a Python that starts as 3.13 and has no NumPy, as one where requirements.txt could not be installed."""
    return another_python(tmp_path, 13)


def another_python(folder, minor):
    """Return a function that runs a Python which starts as such a Python 3 and has no NumPy."""
    start = f"import sys; sys.version_info = (3, {minor}, 0, 'final', 0); sys.modules['numpy'] = None"
    (folder / "sitecustomize.py").write_text(start)
    return lambda *arguments: python(*arguments, PYTHONPATH=str(folder))


@pytest.mark.parametrize("arguments", [("-m", "d2lrnn", "train"), ("-c", "import d2lrnn")])
def test_on_another_python_the_user_sees_the_sentence_alone(python313, arguments):
    result = python313(*arguments)
    assert only_line(result.stderr).startswith("d2lrnn needs Python 3.9 to 3.12, ")
    assert (result.returncode, result.stdout) == (1, "")


def test_on_another_python_there_is_still_help(python313):
    result = python313("-m", "d2lrnn", "train", "--help")
    assert "--num-epochs" in result.stdout
    assert (result.returncode, result.stderr) == (0, "")


def test_on_an_older_python_the_command_line_is_not_even_imported(tmp_path):
    result = another_python(tmp_path, 8)("-X", "importtime", "-m", "d2lrnn", "--help")
    assert "this is Python 3.8 (" in result.stderr.splitlines()[-1] and "d2lrnn.cli" not in result.stderr
    assert (result.returncode, result.stdout) == (1, "")


def test_other_errors_keep_their_traceback(capsys):
    shown = []
    hook = _runtime._without_traceback(lambda *error: shown.append(error))
    hook(UnsupportedPlatformError, UnsupportedPlatformError("the sentence"), None)
    error = ImportError("another"), None
    hook(ImportError, *error)
    assert capsys.readouterr().err == "the sentence\n"
    assert shown == [(ImportError, *error)]


# The library


@pytest.mark.parametrize(
    ("complaint", "remedy"),
    [
        ("libgomp.so.1: cannot open shared object file", "apt-get install libgomp1"),
        ("libquadmath.so.0: cannot open shared object file", "apt-get install libquadmath0"),
        ("libcuda.so.1: cannot open shared object file", "the GPU build needs an NVIDIA driver; without one run "),
        ("libcudart.so.11.0: cannot open shared object file", "run `pip install -r requirements-gpu.txt`"),
        ("libnccl.so.2: cannot open shared object file", "run `pip install -r requirements-gpu.txt`"),
        ("Cannot find the MXNet library.\nList of candidates:\nx", "run `pip install --force-reinstall -r req"),
    ],
)
def test_what_the_loader_says_gets_its_remedy(complaint, remedy):
    message = str(_runtime._explain_load_failure(OSError(complaint)))
    assert only_line(message).startswith(f"MXNet could not be loaded ({complaint.splitlines()[0].rstrip('.')}): ")
    assert remedy in message and message.endswith(".")


def test_without_libgomp_the_user_sees_the_sentence_alone():
    program = """
import ctypes
class NoLibgomp(ctypes.CDLL):
    def __init__(self, name, *args, **kwargs):
        if "libmxnet" in str(name):
            raise OSError("libgomp.so.1: cannot open shared object file: No such file or directory")
        super().__init__(name, *args, **kwargs)
ctypes.CDLL = NoLibgomp
import d2lrnn
"""
    result = python("-c", program)
    assert only_line(result.stderr) == (
        "MXNet could not be loaded (libgomp.so.1: cannot open shared object file: No such file or directory): "
        "install the system package libgomp1 (Debian, Ubuntu: apt-get install libgomp1)."
    )
    assert result.returncode == 1


# The threads


def test_mxnet_gets_all_usable_cores():
    assert python("-c", PRINT_THREADS).stdout == f"{_runtime.usable_cores()}\n"


def test_only_the_cores_of_this_process_are_usable():
    core = min(os.sched_getaffinity(0))
    program = f"import os; os.sched_setaffinity(0, {{{core}}}); {PRINT_THREADS}print(os.environ['OMP_NUM_THREADS'])"
    assert python("-c", program).stdout == "1\n1\n"


def test_a_thread_count_of_the_user_stands():
    assert python("-c", PRINT_THREADS, OMP_NUM_THREADS="3").stdout == "3\n"


def test_mxnet_imported_first_is_warned_of_once():
    program = """
import os, warnings, numpy
numpy.bool = numpy.bool_
import mxnet
os.sched_getaffinity = lambda process: {0, 1, 2, 3}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import d2lrnn, d2lrnn.cli
print(*(warning.message for warning in caught if warning.category is RuntimeWarning), sep="\\n")
"""
    line = only_line(python("-c", program).stdout)
    assert line.startswith("mxnet was imported before d2lrnn, so it uses half of this machine's cores: ")
    assert line.endswith("import d2lrnn first, or set OMP_NUM_THREADS=4 in the environment before Python starts.")
    assert python("-c", program, OMP_NUM_THREADS="1").stdout == "\n"


@pytest.fixture
def four_cores(monkeypatch):
    """Pretend to have four cores and an environment that says nothing of threads."""
    monkeypatch.setattr(_runtime, "usable_cores", lambda: 4)
    for name in ("OMP_NUM_THREADS", "MXNET_CPU_WORKER_NTHREADS", "MXNET_USE_MKLDNN_RNN"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("first", [True, False])
def test_two_mxnet_workers_are_refused(four_cores, first):
    if first:
        four_cores.delitem(sys.modules, "mxnet")
    four_cores.setenv("OMP_NUM_THREADS", "2")
    four_cores.setenv("MXNET_CPU_WORKER_NTHREADS", "2")
    with pytest.raises(UnsupportedPlatformError, match="MXNET_CPU_WORKER_NTHREADS=2 .* spin .*: unset it"):
        _runtime._set_threads()
    four_cores.setenv("OMP_NUM_THREADS", "1")  # with one thread nothing spins
    _runtime._set_threads()
    four_cores.setenv("OMP_NUM_THREADS", "2")
    four_cores.setenv("MXNET_CPU_WORKER_NTHREADS", "1")
    _runtime._set_threads()


def test_a_setting_that_breaks_gradients_is_warned_of(four_cores):
    four_cores.setenv("OMP_NUM_THREADS", "4")
    _runtime._set_threads()  # says nothing
    four_cores.setenv("MXNET_USE_MKLDNN_RNN", "0")
    with pytest.warns(RuntimeWarning, match="^MXNET_USE_MKLDNN_RNN=0 gives wrong gradients .*: unset it.$"):
        _runtime._set_threads()


# The CUDA libraries


def nvidia_wheels(folder, monkeypatch, *names):
    """Make folders as the nvidia wheels do, with an empty file for each library, and let Python find them."""
    paths = [folder / "nvidia" / name / "lib" / f"lib{name}.so.11" for name in names]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.touch()
    monkeypatch.syspath_prepend(folder)
    return paths


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc to make libraries with")
def test_a_library_that_needs_a_later_one_is_loaded_too(tmp_path, monkeypatch):
    first, second = nvidia_wheels(tmp_path, monkeypatch, "a_d2lrnn", "z_d2lrnn")
    for path, source, needs in (
        (second, "int z_d2lrnn_value(void) { return 41; }", []),
        (first, "int z_d2lrnn_value(void); int a_d2lrnn_value(void) { return z_d2lrnn_value() + 1; }", [second]),
    ):
        path.with_suffix(".c").write_text(source)
        subprocess.check_call(
            ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{path.name}", "-o", path, path.with_suffix(".c"), *needs]
        )
        path.with_suffix(".c").unlink()
    with pytest.raises(OSError, match="libz_d2lrnn.so.11: cannot open shared object file"):
        ctypes.CDLL(str(first))
    _runtime._preload_cuda()
    assert ctypes.CDLL(None).a_d2lrnn_value() == 42  # its symbols are for every library that comes later


def test_loading_ends_when_a_round_brings_nothing_new(tmp_path, monkeypatch):
    _, good = nvidia_wheels(tmp_path, monkeypatch, "broken", "good")
    tried = []

    def load(path):
        if tmp_path in path.parents:  # and not one of the wheels that are really installed
            tried.append(path.name)
        return path == good

    monkeypatch.setattr(_runtime, "_load", load)
    _runtime._preload_cuda()
    assert tried == ["libbroken.so.11", "libgood.so.11", "libbroken.so.11"]


def test_a_file_that_is_no_library_is_passed_over(tmp_path):
    (tmp_path / "libempty.so").touch()
    assert _runtime._load(tmp_path / "libempty.so") is False


def test_cuda_libraries_are_loaded_only_for_a_build_that_needs_them(monkeypatch):
    """Another program's CUDA wheels beside the CPU build, PyTorch's say, would cost memory and start-up time."""
    loads = []
    monkeypatch.setattr(_runtime, "_preload_cuda", lambda: loads.append("cuda"))
    monkeypatch.setattr(_runtime, "_set_threads", lambda: None)
    _runtime._import_mxnet()
    assert loads == []
    monkeypatch.setattr(_runtime, "_libmxnet_loads", lambda: False)
    _runtime._import_mxnet()
    assert loads == ["cuda"]


# The threads of OpenMP

COUNT_THREADS = """
import os, numpy, d2lrnn
from d2lrnn._runtime import mx
def count():
    return len(os.listdir('/proc/self/task'))
mx.np.tanh(mx.np.ones((700, 1000))).wait_to_read(); before = count()
mx.np.array(numpy.ones((2000, 1000), dtype='float32')).asnumpy(); print(count() - before)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="there is no /proc to count threads in")
def test_copying_a_large_array_starts_no_second_team_of_threads():
    """More OpenMP threads than cores end the spinning between loops for good: writing took three times as long."""
    assert python("-c", COUNT_THREADS, OMP_NUM_THREADS="2").stdout == "0\n"
