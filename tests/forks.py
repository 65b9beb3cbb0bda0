"""Programs of the tests, each run in a fork of one process that has imported MXNet: that takes a second or two.

What a fork shows is what a fresh Python would show of a program that does not ask how Python was started.
"""

import atexit
import functools
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path


def run(program, *arguments):
    """Run a program of this folder in the present folder and environment.

    Args:
        program: the name of its file.
        arguments: of its command line.

    Returns:
        exit status, standard output and standard error, as :func:`subprocess.run` gives them.
    """
    words = [str(Path(__file__).with_name(program)), *map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        request = {"words": words, "folder": os.getcwd(), "environment": dict(os.environ), "out": folder}
        parent, status = _parent(), None
        print(json.dumps(request), file=parent.stdin, flush=True)
        while status is None:
            found, _, of = parent.stdout.readline().rstrip("\n").partition(" ")
            if not found:
                _parent.cache_clear()  # the next test has another one
                raise RuntimeError(f"the process that forks has ended with status {parent.wait(10)}")
            if of == folder:  # it is not the answer to a test that did not wait for it
                status = int(found)
        texts = [Path(folder, name).read_text(encoding="utf-8") for name in ("1", "2")]
    return subprocess.CompletedProcess(words, status, *texts)


@functools.cache
def _parent():
    """The process that forks, started once; it ends when its standard input does.

    Python 3.12 warns of a fork of a process with threads, as MXNet's is.
    """
    command = [sys.executable, "-W", "ignore:This process:DeprecationWarning", __file__]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, encoding="utf-8")
    atexit.register(process.communicate)
    return process


def _child(words, folder, environment, out):
    """Run a program in this process, which ends with it."""
    for number in (1, 2):
        os.dup2(os.open(Path(out, str(number)), os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv, status = words, 0
    try:
        runpy.run_path(words[0], run_name="__main__")
    except SystemExit as stop:
        status = stop.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _main():
    importlib.import_module("killed_run")  # which imports what a run of the command line does
    replies = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request, child = json.loads(line), os.fork()
        if not child:
            _child(**request)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), request["out"], file=replies, flush=True)


if __name__ == "__main__":
    _main()
