"""The commands of a job's processes, for a scheduler such as Slurm or Kubernetes, or to be started by hand."""

from __future__ import annotations

import contextlib
import shlex
import socket
from collections.abc import Callable, Iterable

from d2lrnn.cluster.job import HERE, Job, Member
from d2lrnn.cores import usable_cores

PORT = 9091  # of the scheduler, where none is named and the system cannot choose one, as no process is started


def plan_of(job: Job, joined: Callable[[Iterable[str]], str] = shlex.join) -> list[str]:
    """Return the lines of a shell that start a job's processes, each in two lines: what it is, and the command.

    Nothing is started or asked of a host.  A host's address is what its name means on this machine; if it means
    nothing, the name itself stands there.

    Args:
        job: the job.
        joined: makes a command of words.
    """
    root = _address(job.members[0].host), job.port or PORT
    lines = []
    for member in job.members:
        variables = job.variables_of(member, root, _address(member.host), usable_cores())
        words = ["env", *(f"{name}={value}" for name, value in variables.items()), *job.command_of(member)]
        lines += [f"# {_title(member)}", joined(words)]
    return lines


def _title(member: Member) -> str:
    return member.name.replace("the ", "")


def _address(host: str | None) -> str:
    if host is None:
        return HERE
    name = host.rpartition("@")[2]
    with contextlib.suppress(OSError, UnicodeError):
        return socket.gethostbyname(name)
    return name
