"""The command ``launch``: what it reads and prints; tests/cluster has what becomes of a job."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from made_jobs import STAND_IN

from d2lrnn.cli import launch as command
from d2lrnn.cli import main as cli
from d2lrnn.cli.launch import job_of
from d2lrnn.cli.parser import make_parser
from d2lrnn.cluster.job import GO_ON

WORKER = (sys.executable, "-m", "d2lrnn")


def job(*arguments):
    """Return the job that the arguments of ``launch`` ask for."""
    words = ["launch", *arguments]
    args = make_parser().parse_args(words)
    args.argv = words
    return job_of(args)


@pytest.mark.parametrize("separator", [["--"], []], ids=["--", "no --"])
def test_what_is_launched(separator):
    found = job("--num-workers", "3", "--restarts", "2", *separator, "train", "--config", "small", "--num-epochs", "2")
    assert found.worker == (*WORKER, "train", "--config", "small", "--num-epochs", "2")
    assert found.server == (sys.executable, "-c", "import d2lrnn._runtime")
    assert (found.num_workers, found.num_servers, found.restarts, found.hosts) == (3, 1, 2, ())


@pytest.mark.parametrize(
    ("words", "file", "again"),
    [
        ([], "runs/lyrics/last.d2lrnn", ["--resume", "runs/lyrics"]),
        (["--config", "small"], "runs/small/last.d2lrnn", ["--resume", "runs/small"]),
        (["--out=-my run"], "-my run/last.d2lrnn", ["--resume", "./-my run"]),
        (["--resume", "runs/x", "--num-epochs", "9"], "runs/x/last.d2lrnn", ["--resume", "runs/x"]),
        (["--resume", "runs/x/last.d2lrnn"], "runs/x/last.d2lrnn", ["--resume", "runs/x"]),
        (
            ["--ctx", "cpu", "--data-dir", "my data"],
            "runs/lyrics/last.d2lrnn",
            ["--resume", "runs/lyrics", "--data-dir", "my data", "--ctx", "cpu"],
        ),
        (["--import", "json"], "runs/lyrics/last.d2lrnn", ["--resume", "runs/lyrics", "--import", "json"]),
    ],
)
def test_from_where_a_job_goes_on(words, file, again):
    found = job("--", "train", *words).checkpoint
    assert (found.file, found.command) == (file, (*WORKER, "train", *again))


@pytest.mark.parametrize("separator", [["--"], []], ids=["--", "no --"])
def test_the_users_command_goes_on_with_the_same_job(separator):
    found = job("--num-workers", "3", "--restarts", "2", *separator, "train", "--out", "my run", "--ctx", "cpu")
    words = shlex.split(found.checkpoint.go_on)[1:]
    options = ["--num-workers", "3", "--restarts", "2"]
    assert words == ["-m", "d2lrnn", "launch", *options, "--", "train", "--resume", "my run", "--ctx", "cpu"]
    assert found.environment[GO_ON] == found.checkpoint.go_on == job(*words[3:]).checkpoint.go_on
    assert GO_ON not in job("--print", "train").environment


def test_the_hosts_have_the_same_paths_unless_others_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("hosts").write_text("lab1\nme@lab2\n")
    found = job("--hosts", "hosts", "--", "train")
    assert found.hosts == ("lab1", "me@lab2")
    assert (found.remote.python, found.remote.folder, found.remote.ssh) == (sys.executable, str(tmp_path), ("ssh",))
    options = ["--remote-python", "/opt/python", "--remote-dir", "/home/me", "--ssh", "ssh -F 'my config'"]
    found = job("--hosts", "hosts", *options, "--", "train")
    assert (found.remote.python, found.remote.folder) == ("/opt/python", "/home/me")
    assert found.remote.ssh == ("ssh", "-F", "my config")
    assert found.worker == ("/opt/python", "-m", "d2lrnn", "train")
    assert found.checkpoint.command[0] == found.server[0] == "/opt/python"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            [],
            "the command of the workers stands after the options, as in launch --num-workers 2 -- train "
            "--config small: it is missing",
        ),
        (["--"], "it is missing"),
        (["--", "sample", "runs/x"], "found 'sample runs/x'"),
        (["--num-workers", "0", "--", "train"], "num_workers is 0: expected a whole number, at least 1"),
        (["--num-servers", "-1", "--", "train"], "num_servers is -1: expected a whole number, at least 1"),
        (["--restarts", "-1", "--", "train"], "restarts is -1: expected a whole number, at least 0"),
        (["--port", "70000", "--", "train"], "port is 70000: expected a whole number, at least 0 and at most 65,535"),
        (["--start-timeout", "nan", "--", "train"], "start_timeout is nan: expected a number, above 0"),
        (["--hosts", "no-such-file", "--", "train"], "No such file or directory: 'no-such-file'"),
        (["--hosts", "/dev/null", "--", "train"], "names no host"),
        *(
            ([option, "/x", "--", "train"], f"{option} is for the hosts that --hosts names: give both, or none")
            for option in ("--ssh", "--remote-python", "--remote-dir")
        ),
        (
            ["--hosts", "/dev/null", "--ssh", "a 'b", "--", "train"],
            "a shell could not read this (No closing",
        ),
        (["--hosts", "/dev/null", "--ssh=", "--", "train"], "--ssh is empty"),
        (["--hosts", "/dev/null", "--remote-python=", "--", "train"], "--remote-python is empty: expected a path on"),
        (["--hosts", "/dev/null", "--remote-dir=", "--", "train"], "--remote-dir is empty: expected a path on the ho"),
    ],
)
def test_mistakes_are_told_in_one_line(complaint, arguments, reason):
    assert reason in complaint("launch", *arguments)


def test_mistakes_in_the_training_are_told_before_anything_is_started(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["launch", "--num-workers", "4", "--", "train", "--num-epoch", "3"])
    err = capsys.readouterr().err
    assert caught.value.code == 2 and err.count("\n") == 1
    assert err.startswith(
        "python -m d2lrnn train: error: unrecognized arguments: --num-epoch 3; the nearest are --num-e"
    )


def test_print_starts_nothing(run, monkeypatch):
    monkeypatch.setattr(command, "run_job", None)
    lines = run(
        "launch", "--num-workers", "2", "--port", "9999", "--print", "--", "train", "--config", "small"
    ).splitlines()
    assert lines[0::2] == ["# scheduler", "# server 0", "# worker 0", "# worker 1"]
    assert shlex.split(lines[-1])[-6:] == [*WORKER, "train", "--config", "small"]


@pytest.fixture
def standing_in(monkeypatch, tmp_path):
    """Let the processes of a job be stand-ins, which do what the test says."""

    def let(*actions):
        made = (*STAND_IN, str(tmp_path), *actions)
        monkeypatch.setattr(command, "sys", type("sys", (), {"executable": made[0]}))
        monkeypatch.setattr(command, "SERVER", made[1:])
        monkeypatch.setattr(command, "MODULE", made[1:])

    return let


@pytest.mark.parametrize(("actions", "status"), [([], 0), (["worker1=exit:3"], 1)])
def test_a_job_runs(standing_in, capsys, actions, status):
    standing_in(*actions)
    assert cli.main(["launch", "--num-workers", "2", "--start-timeout", "60", "--", "train"]) == status
    out, err = capsys.readouterr()
    assert out == "job      2 workers and 1 server on this machine\nworker0 prints\n"
    failures = [line for line in err.splitlines() if line.startswith("d2lrnn: ")]
    assert failures == ["d2lrnn: worker 1 ended with status 3; all processes of the job have been ended"] * status


def test_the_launcher_does_not_import_mxnet_or_numpy():
    words = [sys.executable, "-X", "importtime", "-m", "d2lrnn", "launch", "--print", "--", "train"]
    result = subprocess.run(words, capture_output=True, text=True)
    imported = {line.split("|")[-1].strip().split(".")[0] for line in result.stderr.splitlines()}
    assert result.returncode == 0 and "d2lrnn" in imported
    assert not imported & {"mxnet", "numpy"}
