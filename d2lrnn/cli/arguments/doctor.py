"""The arguments of ``doctor``."""

from __future__ import annotations

import argparse

from d2lrnn.cli.options import add_data_dir


def add(commands) -> None:
    """Add the command and its arguments to the command line."""
    doctor = commands.add_parser(
        "doctor",
        help="say what this machine and this environment can do, and what to do about it",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Look at this machine and this environment, and let each device compute for two seconds. Each\n"
        "line says ok, note (worth knowing) or broken, and what to do. The command runs where MXNet cannot be\n"
        "imported, downloads nothing and writes nothing. The exit status is 1 if something is broken, else 0.",
    )
    add_data_dir(doctor)
