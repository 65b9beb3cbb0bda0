"""What a job is: its processes, where they run, and the environment of each."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from d2lrnn.checks import check_number, check_whole
from d2lrnn.errors import D2lrnnError

SCHEDULER, SERVER, WORKER = ROLES = ("scheduler", "server", "worker")  # as DMLC_ROLE names them

HERE = "127.0.0.1"  # where the processes of a job on this machine alone listen: no other machine can reach them

PROCESS = "D2LRNN_PROCESS"  # the variable that says which process it is, such as "worker 1"
GO_ON = "D2LRNN_GO_ON"  # the variable with the user's command that goes on with the job once it has been stopped

# Variables of the launcher's environment that the processes on other hosts get too, by the beginnings of their names.
PASSED_ON = ("D2LRNN_", "MXNET_", "OMP_", "GOMP_", "PS_")

MOST = 1000  # processes of a kind, far beyond what MXNet's KVStore is good for


class JobError(D2lrnnError):
    """A job cannot be started, or one of its processes or hosts has failed: the message says which one and why."""


class MistakeError(JobError):
    """A worker has failed since its user has to mend something: started again, it would fail again."""


@dataclass(frozen=True)
class Member:
    """One process of a job."""

    role: str  # one of ROLES
    number: int  # counts the processes of a role from 0; a worker's rank is another number, which ps-lite decides
    host: str | None = None  # as ssh knows it; None: this machine

    @property
    def name(self) -> str:
        """What the process is called in messages, such as "worker 1 on lab2"."""
        number = "" if self.role == SCHEDULER else f" {self.number}"
        return f"{'the ' if self.role == SCHEDULER else ''}{self.role}{number}{f' on {self.host}' if self.host else ''}"


@dataclass(frozen=True)
class Remote:
    """How the hosts are reached, and what is where on them."""

    python: str  # the Python that has d2lrnn
    folder: str  # the working directory
    ssh: tuple[str, ...] = ("ssh",)  # the program and the user's own options


@dataclass(frozen=True)
class Checkpoint:
    """From where a job goes on that has been started again."""

    file: str  # if it is not there, the job begins anew
    command: tuple[str, ...]  # of a worker that goes on from it
    go_on: str = ""  # the user's command by which the job goes on from it; empty: none is told


@dataclass(frozen=True)
class Job:
    """A training by several processes, on this machine or on several hosts.

    Raises:
        D2lrnnError: if a number is out of its range.
    """

    worker: tuple[str, ...]  # the command of a worker
    server: tuple[str, ...]  # the command of the scheduler and of a server: MXNet's import is all that they do
    num_workers: int
    num_servers: int = 1
    hosts: tuple[str, ...] = ()  # take the workers in turn, and the servers; none: this machine takes all
    remote: Remote | None = None  # of the hosts
    port: int = 0  # of the scheduler; 0: any that is free
    start_timeout: float = 15.0  # seconds until all workers must have met
    step_timeout: float = 300.0  # seconds that all workers may wait for one another
    restarts: int = 0  # how often a job that has failed is started again
    checkpoint: Checkpoint | None = None  # from which it then goes on
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))  # the launcher's

    def __post_init__(self) -> None:
        check_whole("num_workers", self.num_workers, most=MOST)
        check_whole("num_servers", self.num_servers, most=MOST)
        check_whole("port", self.port, least=0, most=65535)
        check_whole("restarts", self.restarts, least=0, most=math.inf)
        check_number("start_timeout", self.start_timeout, above=0.0, most=3600.0)
        check_number("step_timeout", self.step_timeout, above=0.0, most=math.inf)

    @property
    def members(self) -> list[Member]:
        """The processes: the scheduler, which is on the first host, the servers and the workers."""
        counts = {SCHEDULER: 1, SERVER: self.num_servers, WORKER: self.num_workers}
        hosts: Sequence[str | None] = self.hosts or [None]
        return [Member(role, i, hosts[i % len(hosts)]) for role, count in counts.items() for i in range(count)]

    def command_of(self, member: Member) -> tuple[str, ...]:
        """Return the command of a process."""
        return self.worker if member.role == WORKER else self.server

    def variables_of(self, member: Member, root: tuple[str, int], address: str, cores: int) -> dict[str, str]:
        """Return what the environment of a process must hold.

        Args:
            member: the process.
            root: where the scheduler listens, an address and a port.
            address: the address of the process's host at which the others reach it; ps-lite listens there.
            cores: of the host.  Its workers share them, unless the launcher's environment has an OMP_NUM_THREADS.
        """
        beside = sum(other.role == WORKER and other.host == member.host for other in self.members)
        threads = max(1, cores // max(1, beside)) if member.role == WORKER else 1
        passed = {name: value for name, value in self.environment.items() if name.startswith(PASSED_ON)}
        return {
            "OMP_NUM_THREADS": str(threads),
            **passed,
            PROCESS: f"{member.role} {member.number}",
            "DMLC_ROLE": member.role,
            "DMLC_PS_ROOT_URI": root[0],
            "DMLC_PS_ROOT_PORT": str(root[1]),
            "DMLC_NUM_WORKER": str(self.num_workers),
            "DMLC_NUM_SERVER": str(self.num_servers),
            "DMLC_NODE_HOST": address,
        }

    def checkpoint_of(self, member: Member, begins: bool, mark: Any) -> dict[str, Any] | None:
        """Return from where a process can go on, as its keeper takes it.

        Args:
            member: the process.
            begins: whether the job begins, and goes on from nothing.
            mark: of the file that was there before the job began, which is an earlier run's.
        """
        if member.role != WORKER or self.checkpoint is None:
            return None
        command = None if begins else list(self.checkpoint.command)
        return {"file": self.checkpoint.file, "command": command, "mark": mark}
