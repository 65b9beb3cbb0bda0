"""A fresh Python, to see what importing d2lrnn does there."""

import os
import subprocess
import sys

# The threads that MXNet's OpenMP really has, which is not yet certain from the variable alone.
PRINT_THREADS = """import ctypes, threading, d2lrnn
def threads(): print(ctypes.CDLL('libgomp.so.1').omp_get_max_threads())
other = threading.Thread(target=threads); other.start(); other.join()  # as MXNet's worker is another thread
"""


def python(*arguments, **variables):
    """Run a fresh Python without the variables of this one that d2lrnn heeds."""
    heeded = ("OMP_NUM_THREADS", "MXNET_CPU_WORKER_NTHREADS", "MXNET_USE_MKLDNN_RNN", "PYTHONWARNINGS")
    heeded += ("MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_")
    environment = {name: value for name, value in os.environ.items() if name not in heeded}
    return subprocess.run(
        [sys.executable, *arguments], env={**environment, **variables}, capture_output=True, text=True
    )


def only_line(text):
    (line,) = text.splitlines()
    return line
