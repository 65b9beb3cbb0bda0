"""The arguments of ``launch``."""

from __future__ import annotations

import argparse

from d2lrnn.cli.options import PathText, as_text


def add(commands) -> None:
    """Add the command and its arguments to the command line."""
    launch = commands.add_parser(
        "launch",
        help="train with several processes, on this machine or on several ones",
        usage="python -m d2lrnn launch [-h] [options] -- train ...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train one model with several processes, each of which computes its share of every batch. All of\n"
        "them run on this machine, or are started by ssh on the hosts of --hosts. If one of them fails, all are\n"
        "ended, and a line says which one and why. Only the worker of rank 0 prints and writes the run.",
        epilog="for example:\n"
        "  python -m d2lrnn launch --num-workers 2 -- train --config small\n"
        "  python -m d2lrnn launch --num-workers 4 --hosts hosts.txt --restarts 3 -- train --config medium",
    )
    launch.add_argument(
        "training",
        nargs=argparse.REMAINDER,
        metavar="-- train ...",
        help="the command of one process; its batch is that of all workers together",
    )
    launch.add_argument("--num-workers", type=int, default=2, metavar="N", help="processes that train (%(default)s)")
    launch.add_argument(
        "--num-servers", type=int, default=1, metavar="N", help="processes that add up the gradients (%(default)s)"
    )
    launch.add_argument(
        "--restarts", type=int, default=0, metavar="N", help="go on by itself after a failure, N times (%(default)s)"
    )
    launch.add_argument(
        "--start-timeout",
        type=float,
        default=15.0,
        metavar="SECONDS",
        help="give up if the workers have not met by then (%(default)s)",
    )
    launch.add_argument(
        "--step-timeout",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="give up if all workers have waited for one another for so long (%(default)s)",
    )
    launch.add_argument("--port", type=int, default=0, metavar="N", help="of the scheduler; 0: any that is free")
    launch.add_argument("--print", action="store_true", help="print the processes' commands, and start nothing")
    _add_hosts(launch)


def _add_hosts(launch: argparse.ArgumentParser) -> None:
    """Add the arguments of a job on several hosts."""
    group = launch.add_argument_group(
        "several machines",
        "MXNet's processes neither encrypt what they send nor ask who connects: whoever reaches their ports can run "
        "programs there. The hosts belong in a private network.",
    )
    group.add_argument(
        "--hosts", type=PathText, metavar="FILE", help="the hosts, one a line: lab1 or me@lab1; this machine alone"
    )
    group.add_argument("--ssh", type=as_text, metavar="COMMAND", help="such as 'ssh -F config' (ssh)")
    group.add_argument(
        "--remote-python", type=as_text, metavar="FILE", help="the Python on the hosts (the path of this one)"
    )
    group.add_argument(
        "--remote-dir", type=as_text, metavar="DIR", help="where the hosts run it (the path of this folder)"
    )
