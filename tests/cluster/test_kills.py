"""Real jobs lose a process at random moments: each ends at once, says why, and leaves no process."""

import json

import forks
import pytest

from d2lrnn.runs.checkpoint import BEST
from d2lrnn.runs.log import LOG, read_log

SEED = 19
ROLES = ("scheduler", "server", "worker")
ENDED = "; all processes of the job have been ended"


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """What became of jobs of two workers and a server, some of which run at the same time."""
    folder = tmp_path_factory.mktemp("jobs")
    result = forks.run("killed_jobs.py", folder, SEED)
    assert (result.returncode, result.stderr) == (0, "")
    jobs = json.loads(result.stdout)
    for number, job in enumerate(jobs):
        job["folder"] = folder / str(number) / "run"
    return jobs


@pytest.mark.parametrize("role", ROLES)
def test_ten_kills_leave_no_process_and_no_hang(jobs, role):
    """Before the workers meet, while they train, in the middle of writing a checkpoint, and at the end."""
    killed = [job for job in jobs if (job["role"], job["signal"], job["restarts"]) == (role, 9, 0)][:10]
    assert [job["phase"] for job in killed] == ["start"] * 3 + ["training"] * 3 + ["writing"] * 2 + ["end"] * 2
    for job in killed:
        why = f"d2lrnn: {job['victim']} was killed by signal 9 (SIGKILL){ENDED}"
        assert role in job["victim"]
        if job["missed"]:  # so late that the process had done all it had to
            assert (job["phase"], job["status"], job["left"]) == ("end", 0, False), job
            continue
        assert (job["status"], job["left"], [line[: len(why)] for line in job["said"]]) == (1, False, [why]), job
        assert job["seconds"] < 15
        assert job["kept"] > [1, 0] or job["phase"] in ("start", "training")


@pytest.mark.parametrize("role", ROLES)
def test_a_process_that_stands_still_ends_the_job(jobs, role):
    job = next(job for job in jobs if (job["role"], job["signal"]) == (role, 19))
    assert (job["status"], job["left"]) == (1, False)
    assert job["said"][-1].startswith(f"d2lrnn: {job['victim']} was stopped by signal 19 (SIGSTOP) and does not go on")
    assert job["seconds"] < 15


def test_workers_that_wait_without_end_end_the_job(jobs):
    """Their server is stopped, which here nobody tells the launcher."""
    job = jobs[-3]
    assert (job["role"], job["signal"], job["status"], job["left"]) == ("server", 19, 1, False)
    assert job["said"][-1].startswith("d2lrnn: all workers have waited for one another for 2 seconds (--step-timeout)")
    assert job["seconds"] < 15


@pytest.mark.parametrize("role", ROLES)
def test_a_job_outlasts_a_kill_and_ends_with_the_same_numbers(jobs, role):
    (job,) = [job for job in jobs if (job["role"], job["restarts"]) == (role, 1)]
    assert (job["status"], job["left"], len(job["said"])) == (0, False, 1)
    assert job["said"][0].endswith("; the job is started again (1 of 1)")
    assert (job["folder"] / BEST).read_bytes() == (jobs[-1]["folder"] / BEST).read_bytes()


def test_compression_changes_the_numbers_and_the_model_learns(jobs):
    (first, second), (_, whole) = (
        [entry["perplexity"] for entry in read_log(job["folder"] / LOG) if entry["event"] == "epoch"]
        for job in jobs[-2:]
    )
    assert [job["status"] for job in jobs[-2:]] == [0, 0]
    assert second < first and second != whole
