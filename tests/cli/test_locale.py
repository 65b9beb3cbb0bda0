"""A terminal that is not in UTF-8: nothing ends in a traceback, and texts are read as they were written."""

import os
import subprocess
import sys

import pytest

WITHOUT_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def python(*arguments, **environment):
    """Run a fresh Python; returns its status, its output and its errors."""
    command = [sys.executable, *map(os.fsencode, arguments)]
    done = subprocess.run(command, capture_output=True, env={**os.environ, **environment})
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        (WITHOUT_UTF8, b"--prefix ??"),
        ({"PYTHONIOENCODING": "latin-1"}, b"--prefix ??"),
        ({"PYTHONIOENCODING": "ascii:strict"}, b"--prefix ??"),
        ({"PYTHONIOENCODING": "gbk"}, "--prefix 我们".encode("gbk")),
    ],
)
def test_help_in_any_encoding(environment, shown):
    status, out, err = python("-m", "d2lrnn", "--help", **environment)
    assert (status, err) == (0, b"") and shown in out


@pytest.mark.parametrize("environment", [WITHOUT_UTF8, {"PYTHONIOENCODING": "latin-1"}, {}])
def test_arguments_that_are_not_in_utf8_are_shown_as_what_they_are(environment):
    status, out, err = python("-m", "d2lrnn", "show", "r", "--what", "caf\udce9", **environment)
    assert (status, out) == (2, b"") and rb"--what: invalid choice: 'caf\udce9' (choose from" in err
    status, out, err = python("-m", "d2lrnn", "plot", "r", "--caf\udce9\x1b", **environment)
    assert (status, out) == (2, b"") and rb"unrecognized arguments: --caf\udce9\x1b" in err


@pytest.mark.parametrize("environment", [WITHOUT_UTF8, {"LC_ALL": "C.UTF-8"}])
def test_texts_are_in_utf8_and_paths_in_the_bytes_of_the_system(environment):
    """A text that is not in UTF-8 stays as it is: the vocabulary then lacks its characters."""
    code = (
        "import os, sys\nfrom d2lrnn.cli.parser import make_parser\nargs = make_parser().parse_args(sys.argv[1:])\n"
        "print(ascii([*args.prefix, *args.without, args.stop, *args.acrostic]), os.fsencode(args.run))"
    )
    texts = ["--prefix=我们", "--prefix=caf\udce9", "--without=é", "--stop=们", "--acrostic=春"]
    status, out, err = python("-c", code, "sample", "r我\udce9", *texts, **environment)
    expected = ["我们", "caf\udce9", "é", "们", "春"], os.fsencode("r我\udce9")
    assert (status, out.decode(), err) == (0, f"{ascii(expected[0])} {expected[1]}\n", b"")
