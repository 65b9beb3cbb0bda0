"""The command that says what a machine can do, on this machine and on broken ones."""

import re
import shutil
from pathlib import Path

import pytest
from drivers import compiled
from fresh_python import python

from d2lrnn._mxnet.gpus import installed_build
from d2lrnn.cli import doctor as command
from d2lrnn.cli import main as cli
from d2lrnn.cli.doctor import WIDTH, lines_of
from d2lrnn.diagnosis.finding import BROKEN, NOTE, OK, Finding


def read(out):
    """Return the findings of an output, (state, what, text) each, and its last line."""
    *lines, empty, last = out.splitlines()
    assert empty == "" and all(len(line) <= WIDTH or " " not in line[19:] for line in lines), max(lines, key=len)
    found = []
    for line in lines:
        state, what, text = line[:8].strip(), line[8:19].strip(), line[19:]
        if state:
            found.append((state, what, text))
        else:
            assert not what
            found[-1] = (*found[-1][:2], f"{found[-1][2]} {text}")
    return found, last


def test_a_sound_machine_is_told_on_one_screen(tmp_path):
    """In a fresh Python; for MXNet's CPU build with a driver that lists two GPUs, where there is a gcc to make one."""
    with_driver = installed_build() is None and shutil.which("gcc") is not None
    variables = {"LD_LIBRARY_PATH": str(compiled(tmp_path, "8.6", "9.0").parent)} if with_driver else {}
    result = python("-m", "d2lrnn", "doctor", OMP_NUM_THREADS="1", **variables)
    assert (result.returncode, result.stderr) == (0, "")
    found, last = read(result.stdout)
    assert len(result.stdout.splitlines()) <= 48 and re.fullmatch(r"nothing broken, \d+ notes?", last)
    states = {what: state for state, what, _ in found}
    for what in ("system", "d2lrnn", "Python", "variables", "packages", "for play", "MXNet", "corpora"):
        assert states[what] == "ok", what
    assert {"processor", "cores", "busy", "memory", "threads", "for export", "for book", "GPU", "font", "cpu"} <= {
        *states
    }
    texts = "\n".join(text for _, _, text in found)
    assert "OMP_NUM_THREADS=1" in texts and "as OMP_NUM_THREADS says" in texts
    computed = re.findall(r"^(.*): [\d,.]+ ms; differs from (NumPy|Gluon) by \de-0[5-9] ", texts, re.MULTILINE)
    assert computed == [("np.dot", "NumPy"), ("LSTM layer", "NumPy"), ("scratch LSTM", "Gluon")]
    if with_driver:
        assert states["GPU"] == "ok" and "which lists 2 GPUs" in texts
        assert states["gpu:0"] in ("ok", "note") and "GeForce RTX 3090, compute capability 8.6" in texts
        assert states["gpu:1"] == "note" and "H100 80GB HBM3, compute capability 9.0" in texts


BROKEN_START = """
import ctypes
class NoLibgomp(ctypes.CDLL):
    def __init__(self, name, *args, **kwargs):
        if "libmxnet" in str(name):
            raise OSError("libgomp.so.1: cannot open shared object file: No such file or directory")
        super().__init__(name, *args, **kwargs)
ctypes.CDLL = NoLibgomp
"""


@pytest.mark.parametrize(
    ("start", "variables", "what", "said"),
    [
        ("", {"OMP_NUM_THREADS": "all"}, "variables", "OMP_NUM_THREADS='all', which MXNet 1.9.1 cannot use: .*unset"),
        ("import sys; sys.version_info = (3, 13, 0)", {}, "Python", "needs Python 3.9 to 3.12, .* this is Python 3.13"),
        ("import sys; sys.modules['mxnet'] = None", {}, "MXNet", "mxnet is not installed: run `pip install -r req"),
        (BROKEN_START, {}, "MXNet", r"libgomp.so.1: cannot open .*: install the system package libgomp1"),
    ],
    ids=["a variable", "another Python", "no MXNet", "no libgomp"],
)
def test_where_mxnet_cannot_be_imported_the_cause_and_the_remedy_are_told(tmp_path, start, variables, what, said):
    (tmp_path / "sitecustomize.py").write_text(start)
    result = python("-m", "d2lrnn", "doctor", PYTHONPATH=str(tmp_path), **variables)
    found, last = read(result.stdout)
    assert (result.returncode, result.stderr) == (1, "")
    (line,) = [line for line in found if line[0] == "broken"]
    assert line[1] == what and re.search(said, line[2]), line
    assert last.startswith("1 broken, ") and "without MXNet" not in found[0][2]
    assert found[-1][:2] == ("note", "the rest") and {"system", "packages", "GPU"} <= {line[1] for line in found}


# In this process


@pytest.fixture
def told(monkeypatch, capsys):
    """Return a function that runs the command where these findings are made, and returns its status and output."""

    def run(*findings, arguments=()):
        asked = []
        monkeypatch.setattr(command, "examine", lambda data_dir: asked.append(data_dir) or findings)
        status = cli.main(["doctor", *arguments])
        out, err = capsys.readouterr()
        assert err == ""
        return status, out, asked

    return run


def test_the_exit_status_says_whether_something_is_broken(told):
    ok, note, broken = Finding(OK, "a", "b"), Finding(NOTE, "a", "b"), Finding(BROKEN, "a", "b")
    assert told(ok)[:2] == (0, "ok      a          b\n\nnothing broken, 0 notes\n")
    assert told(ok, note)[:2] == (0, "ok      a          b\nnote    a          b\n\nnothing broken, 1 note\n")
    status, out, asked = told(broken, note, note, broken, arguments=["--data-dir", "x"])
    assert status == 1 and out.endswith("\n2 broken, 2 notes\n") and asked == [Path("x")]


def test_long_findings_are_wrapped_and_remedies_follow_in_a_line_of_their_own():
    lines = lines_of(Finding(NOTE, "memory", "little " * 20 + "/" + "x" * 90, "more " * 20))
    assert [line[:19] for line in lines] == ["note    memory     ", *[" " * 19] * 4]
    assert lines[0].endswith(" little") and lines[2].strip() == "/" + "x" * 90  # a path stays whole
    assert lines[3].strip().startswith("-> more") and lines[4].strip() == "more more more more more"


def test_what_a_terminal_would_obey_is_shown(told):
    assert "\\x1b[2J" in told(Finding(OK, "variables", "LANG=\x1b[2J"))[1]
