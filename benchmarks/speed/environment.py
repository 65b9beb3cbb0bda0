"""The peers' own environments, and a description of this machine."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from speed.workers import BENCHMARKS

ROOT = BENCHMARKS.parent
PEERS, JAX_PEER = BENCHMARKS / ".venv-peers", BENCHMARKS / ".venv-jax"
REQUIREMENTS = ROOT / "requirements.txt"  # MXNet, NumPy, d2l 0.17.0, Matplotlib and IPython: the peers get the same
BOOK, TORCH = "d2lzh==1.0.0", "torch==2.13.0"
JAX = "jax==0.10.2"  # the last one for Python 3.11. It needs NumPy 2, and MXNet NumPy 1: so it has its own environment


def make_peers() -> dict[str, str | None]:
    """Make the peers' environments that are missing or old; return the Python of each peer, or None where that failed.

    Where PyTorch cannot be installed, the environment lacks it, and the worker of PyTorch says so.
    """
    needed = (("-r", str(REQUIREMENTS)), ("--no-deps", BOOK))  # d2lzh needs Jupyter and others without a version
    wanted = f"{BOOK} {TORCH}\n{REQUIREMENTS.read_text()}"
    python = _made(PEERS, wanted, needed, torch=(TORCH, "--constraint", str(REQUIREMENTS)))
    return {"book": python, "torch": python, "jax": make_jax()}


def make_jax() -> str | None:
    """Make the environment of JAX if it is missing or old; return its Python, or None where that failed."""
    return _made(JAX_PEER, f"{JAX}\n", ((JAX,),))


def _made(folder: Path, wanted: str, needed: Sequence[Sequence[str]], torch: Sequence[str] = ()) -> str | None:
    """Make an environment unless it is there as wanted; return its Python, or None if that fails.

    Args:
        folder: of the environment.
        wanted: what its file ``done`` says when all is installed; its first line names the peers.
        needed: the arguments of each installation.
        torch: those of PyTorch's, without it, the others go on.
    """
    python, done = folder / "bin" / "python", folder / "done"
    if done.exists() and done.read_text() == wanted:
        return str(python)
    print(f"Making {folder.relative_to(ROOT)} for {wanted.splitlines()[0]} ...", flush=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        for what in needed:
            _install(python, *what)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{folder.relative_to(ROOT)} could not be made ({error}): going on without it.", flush=True)
        return None
    try:
        if torch:
            # By pip: it reads pip.conf, which may name an index with the CPU build. uv would fetch the CUDA build.
            _install(python, *torch, uv=False)
        done.write_text(wanted)
    except subprocess.CalledProcessError as error:
        print(f"PyTorch could not be installed ({error}): going on without it.", flush=True)
    return str(python)


def _install(python: Path, *what: str, uv: bool = True) -> None:
    """Install into an environment by uv, and by pip where that fails."""
    command = [str(ROOT / ".venv" / "bin" / "uv"), "--quiet", "pip", "install", "--python", str(python), *what]
    if uv and Path(command[0]).exists() and subprocess.run(command).returncode == 0:
        return
    quiet = ("-qq", "--disable-pip-version-check")
    subprocess.run([str(python), "-m", "pip", "install", *quiet, *what], check=True)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def worker_environment(threads: int) -> dict[str, str]:
    """Return the environment variables of every worker; OMP_WAIT_POLICY stays as it is, normally unset.

    JAX does not compute by OpenMP: PJRT_NPROC is the number of its threads.
    """
    return {**os.environ, "OMP_NUM_THREADS": str(threads), "PJRT_NPROC": str(threads)}


def describe(threads: int) -> dict:
    """Return what a reader needs to know to measure the same again."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M %z"),
        "command": shlex.join([Path(sys.executable).name, *sys.argv]),
        "commit": _output("git", "rev-parse", "--short=12", "HEAD"),
        "changed_files": len(_output("git", "status", "--porcelain").splitlines()),
        "cpu": _cpu_model(),
        "cores": usable_cores(),
        "threads": threads,
        "wait_policy": os.environ.get("OMP_WAIT_POLICY", "unset"),
        "system": platform.platform(),
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    found = dict(reversed([[part.strip() for part in line.split(":", 1)] for line in lines if ":" in line]))
    if "model name" not in found:
        return platform.processor() or platform.machine()
    # In a virtual machine the name alone may say little, such as "Intel(R) Xeon(R) Processor".
    return f"{found['model name']}, family {found.get('cpu family', '?')} model {found.get('model', '?')}"
