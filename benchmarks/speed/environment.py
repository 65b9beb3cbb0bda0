"""The peers' own environment, and a description of this machine."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
import time
from pathlib import Path

from speed.workers import BENCHMARKS

ROOT = BENCHMARKS.parent
PEERS = BENCHMARKS / ".venv-peers"
REQUIREMENTS = ROOT / "requirements.txt"  # MXNet, NumPy, d2l 0.17.0, Matplotlib and IPython: the peers get the same
BOOK, TORCH = "d2lzh==1.0.0", "torch==2.13.0"


def make_peers() -> str | None:
    """Make the peers' environment if it is missing or old, and return its Python, or None if that fails.

    Where PyTorch cannot be installed, the environment lacks it, and the worker of PyTorch says so.
    """
    python, done = PEERS / "bin" / "python", PEERS / "done"
    wanted = f"{BOOK} {TORCH}\n{REQUIREMENTS.read_text()}"
    if done.exists() and done.read_text() == wanted:
        return str(python)
    print(f"Making {PEERS.relative_to(ROOT)} for the peers: {BOOK}, {TORCH}, MXNet ...", flush=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", PEERS], check=True)
        _install("-r", str(REQUIREMENTS))
        _install("--no-deps", BOOK)  # its dependencies are Jupyter and others without a version
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"The peers' environment could not be made ({error}): going on without the peers.", flush=True)
        return None
    try:
        # pip first: it reads pip.conf, which may name an index with the CPU build. uv would fetch the large CUDA build.
        _install(TORCH, "--constraint", str(REQUIREMENTS), uv=False)
        done.write_text(wanted)
    except subprocess.CalledProcessError as error:
        print(f"PyTorch could not be installed ({error}): going on without it.", flush=True)
    return str(python)


def _install(*what: str, uv: bool = True) -> None:
    """Install into the peers' environment by uv, and by pip where that fails."""
    python = str(PEERS / "bin" / "python")
    command = [str(ROOT / ".venv" / "bin" / "uv"), "--quiet", "pip", "install", "--python", python, *what]
    if uv and Path(command[0]).exists() and subprocess.run(command).returncode == 0:
        return
    quiet = ("-qq", "--disable-pip-version-check")
    subprocess.run([python, "-m", "pip", "install", *quiet, *what], check=True)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def worker_environment(threads: int) -> dict[str, str]:
    """Return the environment variables of every worker; OMP_WAIT_POLICY stays as it is, normally unset."""
    return {**os.environ, "OMP_NUM_THREADS": str(threads)}


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
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
