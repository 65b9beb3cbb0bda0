"""From the command line to a command; a command's file is imported when the command is chosen."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from d2lrnn.cli.imports import import_first, imports_in
from d2lrnn.cli.output import visible_output
from d2lrnn.cli.parser import make_parser
from d2lrnn.cli.streams import LOST, complain, discard, present
from d2lrnn.errors import D2lrnnError

# The function of each command, in the file of its name.
COMMANDS = {
    "train": "train",
    "evaluate": "evaluate",
    "sample": "sample",
    "compare": "compare_kinds",
    "plot": "plot",
    "show": "show",
    "play": "play",
}


@present()
@visible_output()
def main(argv: Sequence[str] | None = None, **options: Any) -> int:
    """Run the command line and return its exit status: 0, 1 after an error, 130 after Ctrl-C.

    A training that another signal stopped ends with 128 and the signal's number: 143 after SIGTERM.

    Args:
        argv: the arguments; None: those that Python was started with.
        options: what the command's function takes beside its arguments, such as the ``pace`` of ``train``.
    """
    argv = sys.argv[1:] if argv is None else argv
    imports = imports_in(argv)
    try:
        for what in imports:
            import_first(what)
        args = make_parser().parse_args(argv)
        args.imports, args.argv = imports, list(argv)
        return run(args, **options)
    except D2lrnnError as error:  # the user can mend these; other exceptions are defects of d2lrnn
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        complain("interrupted")
        return 130
    except OSError as error:
        # Standard output is lost.  For all other files d2lrnn raises a FileError, which is a D2lrnnError.
        if error.errno not in LOST or error.filename is not None:
            raise
        discard(sys.stdout)
        complain(f"standard output is lost ({error.strerror}): the rest of the output is not shown")
        return 1


def run(args: argparse.Namespace, **options: Any) -> int:
    """Run the command that the arguments name, and return its exit status."""
    # MXNet is imported here, so that --help and an error in an option do not wait for it.
    from d2lrnn._runtime import mx
    from d2lrnn.training.interrupts import none_dropped

    try:
        command = importlib.import_module(f"d2lrnn.cli.{args.command}")
        with none_dropped():
            return getattr(command, COMMANDS[args.command])(args, **options)
    except MemoryError as error:
        reason = str(error) or "Python could not allocate it"
        complain(f"there is not the memory for this, ask for less: {reason}")
        return 1
    except mx.MXNetError as error:
        reason = str(error).strip().splitlines()[-1].removeprefix("MXNetError: ")
        if "alloc" not in reason.lower():
            raise
        complain(f"MXNet has not the memory, take a smaller model or batch: {reason}")
        return 1
