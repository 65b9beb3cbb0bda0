"""Hosts by ssh: a real sshd on this machine, with keys made for the tests."""

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from d2lrnn.cluster.job import JobError, Remote
from d2lrnn.cluster.launcher import run_job

SSHD = shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
NEEDED = SSHD and shutil.which("ssh") and shutil.which("ssh-keygen")

# sshd accepts the key of the tests alone.  Each alias stands for a host of its own.
SERVER = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
UsePAM no
PasswordAuthentication no
StrictModes no
PermitRootLogin yes
"""
CLIENT = """\
Host lab1 lab2 silent closed
    User {user}
    IdentityFile {folder}/user
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known
Host lab1 lab2
    HostName 127.0.0.1
    Port {port}
Host closed
    HostName 127.0.0.1
    Port 1
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The file by which ssh reaches lab1 and lab2, which an sshd of the tests stands for."""
    if not NEEDED:
        pytest.skip("there is no sshd or no ssh here (Debian: openssh-server, openssh-client)")
    folder = tmp_path_factory.mktemp("ssh")
    for name in ("host", "user"):
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(key, check=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "sshd_config").write_text(SERVER.format(port=port, folder=folder))
    (folder / "config").write_text(CLIENT.format(port=port, folder=folder, user=getpass.getuser()))
    Path("/run/sshd").mkdir(exist_ok=True) if os.geteuid() == 0 else None  # where sshd locks itself in
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=subprocess.PIPE)
    try:
        server.stderr.readline()  # "Server listening on 127.0.0.1"
        yield folder / "config"
    finally:
        server.terminate()
        server.wait()
        server.stderr.close()


@pytest.fixture
def on_hosts(job, config):
    """Return a function that makes a job on lab1 and lab2."""

    def make(*actions, **fields):
        remote = Remote(sys.executable, str(config.parent), ("ssh", "-F", str(config)))
        return job(*actions, **{"hosts": ("lab1", "lab2"), "remote": remote, **fields})

    return make


def failure(job):
    with pytest.raises(JobError) as caught:
        run_job(job, print, print)
    return str(caught.value).removesuffix("; all processes of the job have been ended")


def test_a_job_on_two_hosts(on_hosts, capsys, processes):
    assert run_job(on_hosts(num_workers=3), print, print) == 0
    out, err = capsys.readouterr()
    assert out == "job      3 workers and 1 server on 2 hosts\nworker0 prints\n"
    assert sorted(err.splitlines()) == [
        "worker 1 on lab2: worker1 warns",
        "worker 2 on lab1: worker2 warns",
        "worker0 warns",
    ]


@pytest.mark.parametrize(
    ("actions", "who"),
    [
        (["worker1=kill:9"], "worker 1 on lab2 was killed by signal 9 (SIGKILL)"),
        (["worker1=kill_keeper"], "the connection to worker 1 on lab2 is lost, or the keeper there was killed"),
    ],
)
def test_a_process_on_a_host_that_dies_ends_the_job(on_hosts, actions, who):
    assert failure(on_hosts(*actions, "worker0=stay")) == who


def test_hosts_that_cannot_be_reached(on_hosts):
    assert re.fullmatch(
        "closed cannot be reached by ssh: ssh: connect to host 127.0.0.1 port 1: Connection refused",
        failure(on_hosts(hosts=("lab1", "closed"))),
    )
    assert failure(on_hosts(hosts=("lab1", "no.such.host.invalid"))).startswith(
        "no.such.host.invalid cannot be reached by ssh: ssh: Could not resolve hostname no.such.host.invalid"
    )


def test_a_host_without_the_folder_or_python(on_hosts, config):
    ssh = ("ssh", "-F", str(config))
    reason = failure(on_hosts(remote=Remote(sys.executable, "/no/such/folder", ssh)))
    assert re.match(r"(the scheduler|server 0|worker \d) on lab\d cannot be started: .*/no/such/folder", reason)
    reason = failure(on_hosts(remote=Remote("/no/such/python", "/", ssh)))
    assert re.match(r"(the scheduler|server 0|worker \d) on lab\d cannot be started: .*/no/such/python", reason)


def test_a_connection_that_is_lost_ends_the_job_on_both_sides(on_hosts, processes, tmp_path, config):
    """The ssh of worker 1 is killed; its keeper finds its input at an end."""
    asked = on_hosts("worker0=stay", "worker1=stay")

    def cut(line):
        if line.startswith("job "):
            while not (tmp_path / "shared" / "worker1.met").exists():
                time.sleep(0.01)
            found = subprocess.run(["pgrep", "-f", f"ssh -F {config} .* lab2 "], capture_output=True, text=True)
            os.kill(int(found.stdout.split()[0]), signal.SIGKILL)

    with pytest.raises(JobError, match="the keeper of worker 1 on lab2 was killed by signal 9"):
        run_job(asked, cut, print)
