"""What MXNet 1.9.1 reads from the environment, checked before it is imported; imports neither MXNet nor NumPy.

At a value that it cannot read, MXNet ends the process, in the import or at the first operator that asks for it.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping

MOST_THREADS = 1024  # more cannot be meant, and a thread too many ends the process
MOST = 2**31 - 1


class UnsupportedPlatformError(ImportError):
    """MXNet 1.9.1 cannot run here; the message is one sentence that says why and what would work."""


def _between(low: int, high: int, names: str) -> dict[str, tuple[int, int]]:
    return dict.fromkeys(names.split(), (low, high))


# Variables that MXNet reads as whole numbers, with the least and the most that work (tried one by one).
NUMBERS = {
    **_between(
        1,
        MOST_THREADS,
        "OMP_NUM_THREADS MXNET_CPU_WORKER_NTHREADS MXNET_CPU_PRIORITY_NTHREADS MXNET_GPU_WORKER_NTHREADS "
        "MXNET_GPU_COPY_NTHREADS MXNET_MP_WORKER_NTHREADS MXNET_KVSTORE_REDUCTION_NTHREADS",
    ),
    **_between(0, MOST_THREADS, "MXNET_OMP_MAX_THREADS MXNET_MP_OPENCV_NUM_THREADS"),
    **_between(
        1, 64, "MXNET_CPU_TEMP_COPY MXNET_CPU_PARALLEL_RAND_COPY MXNET_GPU_TEMP_COPY MXNET_GPU_PARALLEL_RAND_COPY"
    ),
    **_between(
        0,
        10**6,  # so many pointers are reserved
        "MXNET_EXEC_BULK_EXEC_MAX_NODE_TRAIN MXNET_EXEC_BULK_EXEC_MAX_NODE_TRAIN_BWD "
        "MXNET_EXEC_BULK_EXEC_MAX_NODE_TRAIN_FWD",
    ),
    **_between(
        0,
        MOST,
        "MXNET_CPU_PARALLEL_SIZE MXNET_DISABLE_MKLDNN_CONV_OPT MXNET_DISABLE_MKLDNN_FC_OPT "
        "MXNET_DISABLE_MKLDNN_FUSE_CONV_BN MXNET_DISABLE_MKLDNN_FUSE_CONV_RELU MXNET_DISABLE_MKLDNN_FUSE_CONV_SUM "
        "MXNET_DISABLE_MKLDNN_TRANSFORMER_OPT MXNET_EXEC_INPLACE_GRAD_SUM_CAP MXNET_KVSTORE_BIGARRAY_BOUND "
        "MXNET_KVSTORE_SLICE_THRESHOLD MXNET_KVSTORE_USETREE MXNET_OPTIMIZER_AGGREGATION_SIZE "
        "MXNET_PROFILER_AUTOSTART MXNET_PROFILER_MODE MXNET_RNN_USE_WEIGHT_CACHE MXNET_UPDATE_AGGREGATION_SIZE "
        "MXNET_UPDATE_ON_KVSTORE MXNET_USE_MKLDNN_RNN MXNET_USE_NUM_CORES_OPERATOR_TUNING MXNET_ENABLE_CYTHON "
        "MXNET_ENFORCE_CYTHON",
    ),
    **_between(-1, MOST, "MXNET_MKLDNN_CACHE_NUM"),
}
SWITCHES = (  # those that are on or off
    "MXNET_BACKWARD_DO_MIRROR MXNET_DISABLE_MKLDNN_FUSE_FC_ELTWISE MXNET_DISABLE_MKLDNN_QEM_FLOAT_OUTPUT "
    "MXNET_DISABLE_MKLDNN_QEM_FUSE_ALL MXNET_DISABLE_MKLDNN_QFC_FLOAT_OUTPUT MXNET_DISABLE_MKLDNN_QFC_FUSE_ALL "
    "MXNET_DISABLE_MKLDNN_QTRANSFORMER_FLOAT_OUTPUT MXNET_DISABLE_MKLDNN_QTRANSFORMER_FUSE_ALL "
    "MXNET_ELIMINATE_COMMON_EXPR MXNET_ENABLE_GPU_P2P MXNET_ENGINE_INFO MXNET_EXEC_BULK_EXEC_INFERENCE "
    "MXNET_EXEC_BULK_EXEC_TRAIN MXNET_EXEC_VERBOSE_LOGGING MXNET_INFER_STORAGE_TYPE_VERBOSE_LOGGING "
    "MXNET_KVSTORE_LOGTREE MXNET_KVSTORE_SERIAL_PUSH MXNET_MEM_PLAN_VERBOSE_LOGGING MXNET_MKLDNN_DEBUG "
    "MXNET_MKLDNN_ENABLED MXNET_MKLDNN_FORCE_FC_AB_FORMAT MXNET_OUTPUT_TUNING_DATA MXNET_SAFE_ACCUMULATION "
    "MXNET_STORAGE_FALLBACK_LOG_VERBOSE MXNET_USE_FUSION MXNET_VERBOSE_TUNING_INFO"
).split()
CHOICES = {
    "MXNET_ENGINE_TYPE": ("ThreadedEnginePerDevice", "ThreadedEngine", "NaiveEngine"),
    "DMLC_ROLE": ("worker", "server", "scheduler"),
    **dict.fromkeys(SWITCHES, ("0", "1", "false", "true")),
}


def check_environment(environ: MutableMapping[str, str]) -> None:
    """Refuse what MXNet cannot read from the environment, and write what is clear as MXNet reads it.

    An empty variable is taken away, as if it were not set.  Of ``OMP_NUM_THREADS=4,2``, which OpenMP allows, the first
    number stays: that of the outermost loops, and MXNet has no others.

    Raises:
        UnsupportedPlatformError: with the first variable of a wrong value, and what MXNet expects there.
    """
    for name in (*NUMBERS, *CHOICES):
        value = environ.get(name, "").strip()
        if not value:
            environ.pop(name, None)
            continue
        if name == "OMP_NUM_THREADS" and re.fullmatch(r"[1-9]\d*(\s*,\s*[1-9]\d*)+", value):
            value = environ[name] = value.split(",")[0].strip()
        if name in NUMBERS:
            low, high = NUMBERS[name]
            fits = re.fullmatch(r"[+-]?\d{1,10}", value, re.ASCII) and low <= int(value) <= high
            expected = f"a whole number from {low} to {high}"
        else:
            fits = (value.lower() if name in SWITCHES else value) in CHOICES[name]
            expected = f"one of {', '.join(CHOICES[name])}"
        if not fits:
            raise UnsupportedPlatformError(
                f"the environment has {name}={value!r}, which MXNet 1.9.1 cannot use: expected {expected}; "
                f"correct it, or run `unset {name}`."
            )


def check_docstrings(optimize: int) -> None:
    """Refuse a Python that has thrown docstrings away; ``optimize`` is ``sys.flags.optimize``.

    Raises:
        UnsupportedPlatformError: for ``python -OO``.
    """
    if optimize >= 2:
        raise UnsupportedPlatformError(
            "MXNet 1.9.1 cannot be imported by `python -OO`, which drops the docstrings that MXNet needs: "
            "use `python -O` or plain `python`, and unset PYTHONOPTIMIZE if it is 2."
        )
