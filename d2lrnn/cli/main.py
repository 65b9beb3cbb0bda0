"""From the command line to a command; a command's file is imported when the command is chosen."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from d2lrnn.cli.imports import import_first, imports_in
from d2lrnn.cli.output import visible_output
from d2lrnn.cli.parser import make_parser
from d2lrnn.cli.streams import LOST, complain, discard, present
from d2lrnn.cluster.report import MISTAKE
from d2lrnn.errors import D2lrnnError
from d2lrnn.interrupts import interrupt_waits, none_dropped

# The function of each command, in the file of its name, or in a file that stands before the function's name.
COMMANDS = {
    "train": "train",
    "evaluate": "evaluate",
    "sample": "sample",
    "classify": "classify",
    "compare": "compare_kinds",
    "plot": "plot",
    "show": "show",
    "words": "words",
    "play": "play",
    "forecast": "forecast",
    "translate": "translate",
    "export": "export",
    "import": "import_model.import_model",  # `import` is a word of Python's
    "launch": "launch",
    "doctor": "doctor",
}

# What runs where MXNet cannot be imported, and what leaves MXNet to other processes.
WITHOUT_MXNET = ("doctor", "launch")


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


def program() -> int:
    """Run the command line as a process of its own, which then ends with the status that this function returns.

    From then on Ctrl-C ends the process at once.  While Python and MXNet end, they would answer it by a traceback.

    A worker of a job (:mod:`d2lrnn.training.workers`) that fails ends at once.  MXNet would have it wait, without end,
    for the others to come to their end.  If its user has to mend something, its status is 2: such a job is not started
    again.
    """
    is_worker = os.environ.get("DMLC_ROLE") == "worker"
    try:
        status = main()
        if status == 1 and is_worker:
            status = MISTAKE
    except Exception:
        if not is_worker:
            raise
        traceback.print_exc()
        status = 1
    if status and is_worker:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(status)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return status


def run(args: argparse.Namespace, **options: Any) -> int:
    """Run the command that the arguments name, and return its exit status."""
    mxnet_error, command = _imported(args.command)
    try:
        with none_dropped():
            return command(args, **options)
    except MemoryError as error:
        reason = str(error) or "Python could not allocate it"
        complain(f"there is not the memory for this, ask for less: {reason}")
        return 1
    except mxnet_error as error:
        reason = str(error).strip().splitlines()[-1].removeprefix("MXNetError: ")
        # The second is what the system says where there is no memory for another thread of MXNet's.
        if not any(sign in reason.lower() for sign in ("alloc", "resource temporarily unavailable")):
            raise
        complain(f"MXNet has not the memory, take a smaller model or batch: {reason}")
        return 1


def _imported(name: str) -> tuple[type[Exception] | tuple[()], Callable]:
    """Import MXNet, where a command needs it, and the command's file; return MXNet's error and the command's function.

    They are imported here, so that --help and an error in an option do not wait for them.  Ctrl-C is answered after the
    import.
    """
    mxnet_error: type[Exception] | tuple[()] = ()
    with interrupt_waits():
        if name not in WITHOUT_MXNET:
            from d2lrnn._runtime import mx

            mxnet_error = mx.MXNetError
        file, _, function = COMMANDS[name].rpartition(".")
        command = getattr(importlib.import_module(f"d2lrnn.cli.{file or name}"), function)
    return mxnet_error, command
