"""The machine: system, cores, other programs, memory, processor; read from Linux's own files, imports no MXNet.

Each function takes the folder of its files.  Where a file is missing, or holds something else than Linux writes, the
finding says that the thing cannot be told.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import time
from pathlib import Path

from d2lrnn.checks import container_limits
from d2lrnn.cores import CONTAINER, container_cores, cores_by_affinity
from d2lrnn.diagnosis.finding import NOTE, OK, Finding
from d2lrnn.neighbours import Neighbours

PROC = Path("/proc")

SECONDS = 0.3  # for which the other programs are watched

BUSY = 0.3  # cores: from here on what other programs use is worth a note

LITTLE_MEMORY = 2**30  # bytes; `train` with its defaults takes a third of it

# What oneDNN, which computes MXNet's layers, makes use of: each feature's name, and its sign in /proc/cpuinfo.
FEATURES = {
    "SSE4.1": "sse4_1",
    "AVX": "avx",
    "FMA": "fma",
    "AVX2": "avx2",
    "AVX-512": "avx512f",
    "VNNI": "avx512_vnni",
    "BF16": "avx512_bf16",
    "AMX": "amx_tile",
}
WANTED = ("FMA", "AVX2")


def system(release: Path = Path("/etc/os-release")) -> Finding:
    """Return what the operating system is called."""
    found = f"{platform.system()} {platform.release()} on {platform.machine()}"
    names = re.findall(r'^PRETTY_NAME="?(.*?)"?$', _text(release), re.MULTILINE)
    return Finding(OK, "system", ", ".join([found, *names]))


def cores(cgroup: str = CONTAINER) -> Finding:
    """Return how many cores the machine has, and how many of them this process may use."""
    there, ours, limit = os.cpu_count() or 1, cores_by_affinity(), container_cores(cgroup)
    found = f"{there} in the machine, {'all' if ours >= there else ours} of them for this process"
    if limit is None:
        return Finding(OK, "cores", found)
    found += f"; its container may take the time of {limit:.3g}"
    if limit >= 1:
        return Finding(OK, "cores", found)
    return Finding(NOTE, "cores", found, "give the container at least one, such as docker run --cpus 1")


def other_programs(proc: Path = PROC, cgroup: str = CONTAINER, seconds: float = SECONDS) -> Finding:
    """Return how many of this process's cores other programs use, watched for some time."""
    neighbours = Neighbours(str(proc / "stat"), cgroup)
    time.sleep(seconds)
    used = neighbours.used()
    if used is None:
        return Finding(OK, "busy", "what other programs compute cannot be told here")
    load = _text(proc / "loadavg").split()[:3]
    found = f"other programs use {max(used, 0.0):.1f} of {neighbours.cores} cores"
    found += f"; load average {', '.join(load)}" if load else ""
    if used < BUSY:
        return Finding(OK, "busy", found)
    return Finding(NOTE, "busy", found, "training is slower meanwhile: end them, or leave a core by OMP_NUM_THREADS")


def memory(proc: Path = PROC, cgroup: str = CONTAINER) -> Finding:
    """Return how much memory is free, and how much there is."""
    sizes = dict(re.findall(r"^(\w+): *(\d+) kB$", _text(proc / "meminfo"), re.MULTILINE))
    if not {"MemTotal", "MemAvailable"} <= sizes.keys():
        return Finding(OK, "memory", "how much is free cannot be told here")
    total, free = (int(sizes[name]) * 2**10 for name in ("MemTotal", "MemAvailable"))
    limit = total
    with contextlib.suppress(ValueError):  # odd contents
        limit = min(container_limits(proc / "self" / "cgroup", Path(cgroup)), default=total)
    found = f"{_gib(free)} free of {_gib(total)}"
    if limit < total:
        found += f"; its container may take {_gib(limit)}"
    if min(free, limit) >= LITTLE_MEMORY:
        return Finding(OK, "memory", found)
    return Finding(NOTE, "memory", found, "end other programs, or train with a smaller model and smaller batches")


def processor(proc: Path = PROC) -> Finding:
    """Return the processor's name, and what it has of the features that oneDNN takes from a processor."""
    text = _text(proc / "cpuinfo")
    name, flags = (re.search(rf"^{field}\s*: (.*)$", text, re.MULTILINE) for field in ("model name", "flags"))
    if flags is None:
        return Finding(OK, "processor", "its features cannot be told here")
    features = ", ".join(feature for feature, sign in FEATURES.items() if sign in flags[1].split())
    found = f"{name[1].strip() if name else 'unknown'}: {features or 'none of the features that MXNet makes use of'}"
    if {*WANTED} <= {*features.split(", ")}:
        return Finding(OK, "processor", found)
    return Finding(
        NOTE,
        "processor",
        f"{found}; without {' and '.join(WANTED)} MXNet computes more slowly",
        "let a virtual machine show the features of its host",
    )


def _text(path: Path) -> str:
    """Return what a file holds; nothing if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
