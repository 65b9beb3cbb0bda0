"""Several workers, processes that MXNet's KVStore joins on this machine, compute what one process computes."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fifty_steps
import numpy
import pytest
from tiny import quiet, tiny_model

from d2lrnn import D2lrnnError, NextToken, Outcome, Training
from d2lrnn._runtime import mx
from d2lrnn.cluster.job import Job
from d2lrnn.cluster.launcher import run_job
from d2lrnn.models.parameters import numbers_of
from d2lrnn.runs.checkpoint import BEST
from d2lrnn.training.devices import Devices
from d2lrnn.training.workers import Workers

TESTS = Path(__file__).parents[1]
SERVER = (sys.executable, "-c", "import d2lrnn._runtime")
TOLERANCES = {"float32": 1e-6, "float64": 1e-12}


class Stateless(NextToken):
    """Carries nothing from batch to batch."""

    def loss(self, model, batch, state):
        return Outcome(super().loss(model, batch, None).loss, ())


@pytest.fixture(scope="module")
def alone():
    """What one process gives, which is no worker: losses and parameters by precision."""
    found = {}
    for dtype in TOLERANCES:
        training = fifty_steps.training(dtype)
        found[dtype] = fifty_steps.losses(training), numbers_of(training.params)
    return found


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """What jobs of one, two and three workers wrote, by their number; the last two go on from the one before."""
    folders = {}
    for count in (1, 2, 3):
        folders[count] = tmp_path_factory.mktemp(f"workers{count}")
        others = [str(folders[count - 1])] if count > 1 else []
        command = (sys.executable, fifty_steps.__file__, str(folders[count]), *others)
        path = os.pathsep.join(map(str, (TESTS, TESTS.parent)))
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        job = Job(command, SERVER, count, start_timeout=120.0, environment=environment)
        said = []
        assert run_job(job, said.append, said.append) == 0, said
    return folders


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_workers_train_as_one_process(alone, folders, count, dtype):
    losses, params = alone[dtype]
    tolerance = TOLERANCES[dtype]
    assert len(losses) == 50 and losses[-1] < 0.8 * losses[0]
    with numpy.load(folders[count] / f"{dtype}.npz") as found:
        assert found["losses"] == pytest.approx(losses, rel=tolerance)
        for name, values in params.items():
            assert found[f"last.{name}"] == pytest.approx(values, rel=tolerance, abs=10 * tolerance), name


def test_two_workers_are_two_contexts_bit_for_bit(folders):
    """Both divide the rows alike, and a sum of two does not depend on their order."""
    training = fifty_steps.training("float32", contexts=[mx.cpu(0), mx.cpu(1)])
    fifty_steps.losses(training)
    with numpy.load(folders[2] / "float32.npz") as found:
        for name, values in numbers_of(training.params).items():
            assert found[f"last.{name}"].tobytes() == values.tobytes(), name


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("count", [2, 3])
def test_a_job_goes_on_where_a_job_of_other_workers_stood(alone, folders, count, dtype):
    losses, _ = alone[dtype]
    with numpy.load(folders[count] / f"{dtype}.npz") as found:
        assert found["resumed"] == pytest.approx(losses[25:], rel=TOLERANCES[dtype])


class InThread:
    """A worker of a job whose workers are threads."""

    def __init__(self, rank, barrier, found):
        self.rank, self.count, self._barrier, self._found = rank, len(found), barrier, found

    def begin(self, arrays):
        return list(range(len(arrays)))

    def add(self, key, parts, total):
        total[:] = mx.nd.array(self.gathered(sum(part.asnumpy() for part in parts)).sum(axis=0))

    def gathered(self, numbers):
        self._found[self.rank] = numbers
        self._barrier.wait()
        arrays = numpy.stack(self._found)
        self._barrier.wait()
        return arrays


@pytest.mark.parametrize("objective", [NextToken(9), Stateless(9)])
def test_more_workers_than_rows_gather_the_state_of_all_rows(objective):
    """Of two rows, the first of three workers, which writes the files, has none."""
    batch = tuple(mx.np.array(ids, dtype="int32") for ids in ([[1, 2, 3], [4, 5, 6]], [[2, 3, 4], [5, 6, 7]]))
    barrier, numbers = threading.Barrier(3, timeout=5), [None] * 3
    models = [tiny_model(9, cell="lstm", init_scale=0.5) for _ in range(4)]

    def train(rank):
        devices = Devices(models[rank], workers=InThread(rank, barrier, numbers) if rank < 3 else None)
        training = Training(models[rank], quiet(batches="consecutive", theta=1.0), objective, devices=devices)
        for _ in range(2):
            training.carried = training.step(batch, training.carried).state
        training.devices.gather(training.carried)
        return training.snapshot().arrays

    with ThreadPoolExecutor(3) as threads:
        found, expected = list(threads.map(train, range(3))), train(3)
    for arrays in found:
        assert list(arrays) == list(expected)
        for name, values in expected.items():
            numpy.testing.assert_allclose(arrays[name], values, rtol=1e-5, atol=1e-6)


def test_a_job_of_the_command_line_comes_to_its_end(tmp_path):
    options = ["--num-hiddens", "8", "--num-epochs", "1", "--num-steps", "200", "--out", str(tmp_path / "run")]
    words = [sys.executable, "-m", "d2lrnn", "launch", "--start-timeout", "120", "--", "train", "--corpus", "sample"]
    result = subprocess.run([*words, *options], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("job      2 workers and 1 server on this machine\nsample: ")
    assert (tmp_path / "run" / BEST).exists()


def test_a_process_without_a_job_is_no_worker(monkeypatch):
    monkeypatch.setenv("DMLC_ROLE", "worker")
    with pytest.raises(D2lrnnError, match="lacks DMLC_PS_ROOT_URI, DMLC_PS_ROOT_PORT"):
        Workers()
    monkeypatch.delenv("DMLC_ROLE")
    with pytest.raises(D2lrnnError, match="this process is no worker of a job"):
        Workers()
