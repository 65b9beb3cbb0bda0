"""The driver's side of the worker processes: start, ask, wait, stop."""

from __future__ import annotations

import json
import select
import subprocess
import tempfile
import time
from pathlib import Path

from speed.work import SkippedError

BENCHMARKS = Path(__file__).resolve().parent.parent
PATIENCE = 900  # seconds without an answer after which a worker is given up
# After its last product an OpenMP thread spins for some milliseconds. The pause lets it fall asleep before the next
# turn.
PAUSE = 0.1


class WorkerProcess:
    """One worker process; it is started by the first request, and again by the first request after it has died."""

    def __init__(self, family: str, python: str | None, environment: dict[str, str], folder: Path = BENCHMARKS) -> None:
        self.family, self.python, self.environment, self.folder = family, python, environment, folder
        self.process: subprocess.Popen | None = None
        self.said = None  # the file with what it wrote to stderr

    def ask(self, do: str, **request):
        """Send a request and return the answer.

        Raises:
            SkippedError: if the worker cannot do it, with its reason.
        """
        if self.python is None:
            raise SkippedError("the peers' environment could not be made")
        try:
            if self.process is None:
                self._start()
            self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self.process.stdin.flush()
            ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            line = self.process.stdout.readline() if ready else ""
        except BrokenPipeError:
            ready, line = True, ""
        except OSError as error:
            raise SkippedError(f"the worker {self.family} could not be started: {error}") from error
        if not line:
            why = f"ended with status {self.process.wait()}" if ready else f"gave no answer in {PATIENCE} s"
            self.stop()
            raise SkippedError(f"the worker {self.family} {why}: {self._last_words()}")
        time.sleep(PAUSE)
        answer = json.loads(line)
        if "skipped" in answer:
            raise SkippedError(answer["skipped"])
        return answer["answer"]

    def _start(self) -> None:
        self.said = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [self.python, "-m", "speed.worker", self.family],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            text=True,
            cwd=self.folder,  # where the package speed is
            env=self.environment,
            start_new_session=True,  # Ctrl-C is the driver's
        )

    def _last_words(self) -> str:
        self.said.seek(0)
        return (self.said.read().strip().split("\n")[-1])[:300]

    def stop(self) -> None:
        """End the process; another request starts it anew."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
