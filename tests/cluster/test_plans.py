"""What a job is made of: hosts, processes, variables, commands."""

import re
import shlex

import pytest

from d2lrnn.cluster.hosts import read_hosts
from d2lrnn.cluster.job import Job, JobError, Member, Remote
from d2lrnn.cluster.kept import BOOT, command_of
from d2lrnn.cluster.plan import plan_of
from d2lrnn.errors import D2lrnnError, FileError

TRAIN = ("python", "-m", "d2lrnn", "train")
SERVE = ("python", "-c", "import d2lrnn._runtime")


def job(**fields):
    return Job(**{"worker": TRAIN, "server": SERVE, "num_workers": 2, "environment": {}, **fields})


def test_hosts_are_read(tmp_path):
    file = tmp_path / "hosts"
    file.write_text("# the lab\nlab1\n\n  me@lab2.example.org # fast\n10.0.0.3\n")
    assert read_hosts(file) == ("lab1", "me@lab2.example.org", "10.0.0.3")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "names no host: expected one a line, such as lab1 or me@lab1"),
        ("# lab1\n", "names no host"),
        ("lab1\n-oProxyCommand=x\n", "line 2: expected a host, such as lab1 or me@lab1, found '-oProxyCommand=x'"),
        ("lab1 slots=2\n", "line 1: expected a host, such as lab1 or me@lab1, found 'lab1 slots=2'"),
        ("lab1;x\n", "line 1: expected a host"),
        ("lab1\nlab1\n", "line 2: lab1 is named twice"),
    ],
)
def test_files_that_name_no_hosts(tmp_path, content, reason):
    file = tmp_path / "hosts"
    file.write_text(content)
    with pytest.raises(JobError, match=re.escape(reason)):
        read_hosts(file)
    with pytest.raises(FileError, match="No such file"):
        read_hosts(tmp_path / "missing")


def test_hosts_take_processes_in_turn():
    members = job(num_workers=3, num_servers=2, hosts=("a", "b")).members
    assert [member.name for member in members] == [
        "the scheduler on a",
        "server 0 on a",
        "server 1 on b",
        "worker 0 on a",
        "worker 1 on b",
        "worker 2 on a",
    ]
    assert [member.name for member in job().members][0::2] == ["the scheduler", "worker 0"]


def test_the_variables_of_a_process():
    both = job(
        num_workers=3, hosts=("a", "b"), environment={"MXNET_X": "1", "PS_VERBOSE": "2", "HOME": "/", "PSX": "3"}
    )
    found = both.variables_of(Member("worker", 2, "a"), ("10.0.0.1", 9091), "10.0.0.7", 8)
    assert found == {
        "OMP_NUM_THREADS": "4",  # a has two workers
        "MXNET_X": "1",
        "PS_VERBOSE": "2",
        "DMLC_ROLE": "worker",
        "D2LRNN_PROCESS": "worker 2",
        "DMLC_PS_ROOT_URI": "10.0.0.1",
        "DMLC_PS_ROOT_PORT": "9091",
        "DMLC_NUM_WORKER": "3",
        "DMLC_NUM_SERVER": "1",
        "DMLC_NODE_HOST": "10.0.0.7",
    }


@pytest.mark.parametrize(
    ("member", "cores", "set_by_user", "threads"),
    [
        (Member("worker", 0), 8, {}, "4"),
        (Member("worker", 0), 1, {}, "1"),
        (Member("server", 0), 8, {}, "1"),
        (Member("worker", 0), 8, {"OMP_NUM_THREADS": "3"}, "3"),
    ],
)
def test_workers_share_the_cores_of_their_host(member, cores, set_by_user, threads):
    found = job(environment=set_by_user).variables_of(member, ("127.0.0.1", 1), "127.0.0.1", cores)
    assert found["OMP_NUM_THREADS"] == threads


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_workers", 0),
        ("num_servers", 0),
        ("num_workers", 2.0),
        ("port", 70000),
        ("restarts", -1),
        ("start_timeout", 0),
    ],
)
def test_numbers_of_a_job_that_make_no_sense(field, value):
    with pytest.raises(D2lrnnError, match=f"{field} is {value}: expected a"):
        job(**{field: value})


def test_the_command_by_ssh_is_quoted():
    remote = Remote("/opt/my python", "/home/me/it's", ("ssh", "-F", "my config"))
    words = command_of(Member("worker", 0, "me@lab1"), remote)
    assert words[:4] == ["ssh", "-F", "my config", "-T"] and words[-2] == "me@lab1"
    assert "BatchMode=yes" in words and "ConnectTimeout=10" in words and "ServerAliveInterval=2" in words
    assert shlex.split(words[-1]) == ["cd", "/home/me/it's", "&&", "exec", "/opt/my python", "-I", "-S", "-c", BOOT]


def test_the_plan_of_a_job_can_be_pasted():
    lines = plan_of(job(num_workers=1, port=9999))
    assert lines[0::2] == ["# scheduler", "# server 0", "# worker 0"]
    for line, role, command in zip(lines[1::2], ("scheduler", "server", "worker"), (SERVE, SERVE, TRAIN)):
        words = shlex.split(line)
        assert words[0] == "env" and tuple(words[-len(command) :]) == command
        variables = dict(word.split("=") for word in words[1 : -len(command)])
        assert (variables["DMLC_ROLE"], variables["DMLC_PS_ROOT_PORT"]) == (role, "9999")
        assert variables["DMLC_PS_ROOT_URI"] == variables["DMLC_NODE_HOST"] == "127.0.0.1"
    assert "'D2LRNN_PROCESS=worker 0'" in lines[5]


def test_the_plan_names_the_addresses_of_hosts():
    lines = plan_of(job(hosts=("me@127.0.0.5", "no.such.host.invalid")))
    assert lines[0::2] == [
        "# scheduler on me@127.0.0.5",
        "# server 0 on me@127.0.0.5",
        "# worker 0 on me@127.0.0.5",
        "# worker 1 on no.such.host.invalid",
    ]
    assert all("DMLC_PS_ROOT_URI=127.0.0.5 DMLC_PS_ROOT_PORT=9091" in line for line in lines[1::2])
    assert "DMLC_NODE_HOST=no.such.host.invalid" in lines[-1]
