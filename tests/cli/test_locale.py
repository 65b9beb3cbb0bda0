"""A terminal that is not in UTF-8: nothing ends in a traceback, and texts are read as they were written."""

import json
import os
import subprocess
import sys

import pytest
from tiny import SONG, save_model

from d2lrnn import load_corpus

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


PROGRAM = """
import contextlib, io, json, sys
from d2lrnn.cli.main import main
found = []
sample = [*"sample RUN --pred-len 3 --prefix".split(), sys.argv[3]]
for arguments in (sample, ["evaluate", "RUN", "--text", sys.argv[2]], ["evaluate", "RUN"]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([sys.argv[1] if word == "RUN" else word for word in arguments])
    found.append([status, out.getvalue(), err.getvalue()])
from d2lrnn import load_corpus
found.append(len(load_corpus("\\u6b4c.txt").train))
print(json.dumps([sys.getfilesystemencoding(), *found]))
"""


def test_chinese_arguments_in_the_plain_locale(tmp_path):
    path = tmp_path / "歌.txt"
    path.write_text(SONG, encoding="utf-8")
    save_model(tmp_path / "跑" / "model.d2lrnn", load_corpus(path), (), str(path))
    command = [sys.executable, "-c", PROGRAM, "跑", "歌.txt", "雨下"]
    environment = {**os.environ, **WITHOUT_UTF8, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    encoding, sampled, measured, reloaded, size = json.loads(done.stdout)
    assert encoding == "ascii"
    assert (sampled[0], sampled[2], sampled[1][:2]) == (0, "", "雨下") and len(sampled[1].strip("\n")) == 5
    assert (measured[0], measured[2], reloaded[0], reloaded[2]) == (0, "", 0, "")
    assert measured[1].partition(": ")[2].splitlines()[0] == reloaded[1].partition(": ")[2].splitlines()[0]
    assert size == len(SONG)
