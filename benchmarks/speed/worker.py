"""A worker process: runs one family of implementations; JSON lines on stdin are requests, lines on stdout answers.

    python -m speed.worker ours|book|torch|jax

It computes only between a request and its answer. So the driver decides whose turn it is.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import json
import os
import platform
import resource
import sys
import time

from speed.work import SkippedError, Work

MODULES = {"ours": "speed.ours", "book": "speed.book", "torch": "speed.torch_peer", "jax": "speed.jax_peer"}


class Worker:
    """Answers the driver's requests; each public method is a request."""

    def __init__(self, family: str) -> None:
        self.module = importlib.import_module(MODULES[family])
        self.settle = getattr(self.module, "settle", lambda: None)
        self.works: dict[str, Work] = {}
        self.first: dict[str, list] = {}  # what the runs that warmed up returned

    def hello(self) -> dict:
        """Say what this process runs on."""
        versions = {name: importlib.metadata.version(name) for name in self.module.PACKAGES}
        omp = {
            name: value for name, value in os.environ.items() if name.startswith(("OMP_", "KMP_", "GOMP_", "MXNET_"))
        }
        return {"python": platform.python_version(), "versions": versions, "environment": omp}

    def prepare(self, implementation: str, task: str, params: dict, warm_up: int) -> float:
        """Make the work of a case and warm up; return the milliseconds of the last run."""
        work = self.works[implementation] = self.module.prepare(implementation, task, params)
        self.first[implementation], milliseconds = [], 0.0
        for _ in range(warm_up):
            start = time.perf_counter()
            self.first[implementation].append(work.run())
            self.module.wait()
            milliseconds = (time.perf_counter() - start) * 1e3
        return milliseconds

    def losses(self, implementation: str) -> list[float]:
        """Return the losses of the training steps that warmed up, the first ones from the start."""
        return self.first[implementation]

    def round(self, implementation: str, count: int) -> list[float]:
        """Run some steps and return the milliseconds of each.

        MXNet goes on computing after the loss has been read.  So the clock runs from one loss to the next, and the
        first step is not timed.  The work that a step leaves behind is counted in the next step's time.
        """
        work, times = self.works[implementation], []
        self.settle()
        work.run()
        last = time.perf_counter()
        for _ in range(count):
            work.run()
            now = time.perf_counter()
            times.append((now - last) * 1e3 * work.scale)
            last = now
        self.module.wait()
        return times

    def memory(self) -> float:
        """Return this process's peak resident memory in MiB."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def limit(self) -> float:
        """Return the floating-point operations a second of one big product."""
        return self.module.limit()

    def forget(self) -> None:
        """Let go of the models of the last case."""
        self.works.clear()
        self.first.clear()
        gc.collect()


def main() -> None:
    """Answer until the driver closes its end or dies."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # output of libraries must not be read as an answer
    worker = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            worker = worker or Worker(sys.argv[1])
            answer = {"answer": getattr(worker, request.pop("do"))(**request)}
        except SkippedError as reason:
            answer = {"skipped": str(reason)}
        except Exception as error:  # the driver reports every error of a peer
            answer = {"skipped": f"{type(error).__name__}: {error}".strip().split("\n")[0][:300]}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
