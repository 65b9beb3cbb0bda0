"""The command ``launch``: train with several processes, on this machine or on several hosts."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from d2lrnn.checks import shown
from d2lrnn.cli.beginning import folder_of
from d2lrnn.cli.imports import import_first, imports_in
from d2lrnn.cli.options import option_of
from d2lrnn.cli.parser import make_parser
from d2lrnn.cli.shell import argument, command, joined, option
from d2lrnn.cli.streams import complain, lasting_output
from d2lrnn.cluster.hosts import read_hosts
from d2lrnn.cluster.job import GO_ON, Checkpoint, Job, JobError, Remote
from d2lrnn.cluster.launcher import run_job
from d2lrnn.cluster.plan import plan_of
from d2lrnn.config.run_files import LAST

EXAMPLE = "launch --num-workers 2 -- train --config small"

MODULE = ("-m", "d2lrnn")

# The scheduler and the servers do their work inside MXNet's import, and then end.
SERVER = ("-c", "import d2lrnn._runtime")

# What a training that goes on is told again; the checkpoint knows the rest.
AGAIN = {"data_dir": None, "ctx": "auto", "layers_on": None, "compression": None}


def launch(args: argparse.Namespace) -> int:
    """Run a job, or print the commands of its processes, and return the exit status."""
    job = job_of(args)
    if args.print:
        print("\n".join(plan_of(job, joined)))
        return 0
    with lasting_output("the training goes on without it, and the log in the run's folder tells of it"):
        return run_job(job, print, complain)


def job_of(args: argparse.Namespace) -> Job:
    """Return the job that the arguments ask for.

    Raises:
        D2lrnnError: if the training is missing, or something else than a training; for hosts that cannot be read, or
            options that are for hosts where there are none; as :class:`Job`.
    """
    hosts, remote = _hosts(args)
    python = remote.python if remote else sys.executable
    words = args.training[args.training[:1] == ["--"] :]
    options = args.argv[: len(args.argv) - len(words)]
    checkpoint = _checkpoint(words, python, options)
    return Job(
        worker=(python, *MODULE, *words),
        server=(python, *SERVER),
        num_workers=args.num_workers,
        num_servers=args.num_servers,
        hosts=hosts,
        remote=remote,
        port=args.port,
        start_timeout=args.start_timeout,
        step_timeout=args.step_timeout,
        restarts=args.restarts,
        checkpoint=checkpoint,
        environment=os.environ if args.print else {**os.environ, GO_ON: checkpoint.go_on},
    )


def _checkpoint(words: list[str], python: str, options: list[str]) -> Checkpoint:
    """Return from where a training can go on, whose arguments are checked on the way.

    Args:
        words: of the training.
        python: of a worker.
        options: what stands before those words on the command line.
    """
    if words[:1] != ["train"]:
        found = f"found {shown(' '.join(words))}" if words else "it is missing"
        raise JobError(f"the command of the workers stands after the options, as in {EXAMPLE}: {found}")
    imports = imports_in(words)
    for what in imports:
        import_first(what)  # it may add what other arguments name, such as a cell
    args = make_parser().parse_args(words)
    if args.resume is None:
        folder = folder_of(args)
    else:
        folder = args.resume.parent if args.resume.name == LAST else args.resume
    again = ["train", *option("--resume", argument(folder))]
    for name, usual in AGAIN.items():
        value = getattr(args, name, usual)
        if value != usual:
            again += option(option_of(name), str(value))
    again += [word for what in imports for word in option("--import", what)]
    before = options[:-1] if options[-1:] == ["--"] else options
    return Checkpoint(str(folder / LAST), (python, *MODULE, *again), command(*before, "--", *again))


def _hosts(args: argparse.Namespace) -> tuple[tuple[str, ...], Remote | None]:
    """Return the hosts of a job, and how they are reached; none: this machine alone."""
    if args.hosts is None:
        for name in ("ssh", "remote_python", "remote_dir"):
            if getattr(args, name) is not None:
                raise JobError(f"{option_of(name)} is for the hosts that --hosts names: give both, or none")
        return (), None
    try:
        ssh = ("ssh",) if args.ssh is None else tuple(shlex.split(args.ssh))
    except ValueError as error:
        raise JobError(f"--ssh {args.ssh}: a shell could not read this ({error})") from error
    if not ssh:
        raise JobError("--ssh is empty: expected a command, such as ssh")
    for name in ("remote_python", "remote_dir"):
        if getattr(args, name) == "":
            raise JobError(f"{option_of(name)} is empty: expected a path on the hosts")
    python, folder = args.remote_python or sys.executable, args.remote_dir or str(Path.cwd())
    return read_hosts(args.hosts), Remote(python, folder, ssh)
