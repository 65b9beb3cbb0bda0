"""Jobs of processes that take milliseconds, and a look at what processes are left."""

import secrets
import time

import pytest
from made_jobs import STAND_IN, marked

from d2lrnn.cluster.job import Job


@pytest.fixture
def processes(monkeypatch):
    """Return the processes of the test's jobs that still run; the test must leave none."""
    mark = f"{secrets.token_hex(8)}-of-a-test"
    monkeypatch.setenv("D2LRNN_MARK", mark)
    yield lambda: marked(mark)
    until = time.monotonic() + 20
    while marked(mark) and time.monotonic() < until:
        time.sleep(0.02)
    assert marked(mark) == []


@pytest.fixture
def job(tmp_path, processes):
    """Return a function that makes a job of stand-ins: what some of them do, and fields of the job."""

    def make(*actions, **fields):
        folder = tmp_path / "shared"
        folder.mkdir(exist_ok=True)
        command = (*STAND_IN, str(folder), *actions)
        return Job(**{"worker": command, "server": command, "num_workers": 2, "start_timeout": 60.0, **fields})

    return make
