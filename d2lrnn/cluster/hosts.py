"""The file that names the hosts of a job."""

from __future__ import annotations

import re

from d2lrnn.checks import shown
from d2lrnn.cluster.job import JobError
from d2lrnn.errors import naming
from d2lrnn.paths import PathLike, user_path


def read_hosts(path: PathLike) -> tuple[str, ...]:
    """Return the hosts that a file names, one a line: ``lab1``, ``me@lab2`` or an address; ``#`` begins a comment.

    Raises:
        JobError: for a line that names no host, a host that comes twice, or a file that names none.
        FileError: if the file cannot be read.
    """
    path = user_path(path)
    with naming(path):
        content = path.read_bytes()
    hosts: list[str] = []
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        host = line.partition("#")[0].strip()
        if not host:
            continue
        # What begins with a hyphen, ssh would take for an option.
        if not re.fullmatch(r"(?!-)[\w.@:%+-]+", host, re.ASCII):
            raise JobError(f"{path}, line {number}: expected a host, such as lab1 or me@lab1, found {shown(host)}")
        if host in hosts:
            raise JobError(f"{path}, line {number}: {host} is named twice; processes are divided among the hosts")
        hosts.append(host)
    if not hosts:
        raise JobError(f"{path} names no host: expected one a line, such as lab1 or me@lab1")
    return tuple(hosts)
