"""A reader's own cell on the command line: ``--import``, in a fresh Python, as the reader runs it, and in this one."""

import re
import signal
import subprocess
import sys

import pytest
from tiny import ALWAYS

import d2lrnn
from d2lrnn.cli import imports
from d2lrnn.cli import main as cli
from d2lrnn.runs.checkpoint import load_checkpoint

# A minimal gated unit, written as a reader would: with MXNet's names, the package's names, those of its faces.
MINE = """
from mxnet import np, npx

import d2lrnn
from d2lrnn.cells import dot, sigmoid, tanh
from beside_it import GATES


def step(X, state, params):
    W_xf, W_hf, b_f, W_xh, W_hh, b_h = params
    (H,) = state
    F = npx.sigmoid(dot(X, W_xf) + dot(H, W_hf) + b_f)
    H_tilda = np.tanh(dot(X, W_xh) + dot(F * H, W_hh) + b_h)
    H = (1 - F) * H + F * H_tilda
    return H, (H,)


def compiled_step(F, X, state, weights):
    (H,) = state
    X_f, X_h = weights.split(X)
    G = sigmoid(F, X_f + weights.product(H, "f"))
    H = H + G * (tanh(F, X_h + weights.product(G * H, "h")) - H)
    return H, (H,)


d2lrnn.add_cell("mine", d2lrnn.Cell(step, compiled_step, GATES, ("f", "h")))
"""
# For one that Ctrl-C stops: what a step of it calls, and the last step of the fourth batch is the 40th.
STOPPING = """
GATES, steps = "fh", iter(range(4 * 10))


def stop_in_the_fifth_batch():
    if next(steps, None) is None:
        raise KeyboardInterrupt
"""
SIZES = "--max-tokens 1500 --num-hiddens 8 --batch-size 8 --num-steps 10 --num-epochs 1".split()
SMALL = [*SIZES, "--embed-size", "4"]


def command(*arguments, cwd):
    """Run the command line in a fresh Python: returns exit status, standard output and error."""
    words = [sys.executable, "-m", "d2lrnn", *map(str, arguments)]
    result = subprocess.run(words, capture_output=True, text=True, cwd=cwd)
    return result.returncode, result.stdout, result.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the file that adds the cell, and the run of a model of it."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "my cells").mkdir()
    (folder / "my cells" / "my_cell.py").write_text(MINE)
    (folder / "my cells" / "beside_it.py").write_text('GATES = "fh"')
    status, out, err = command("train", "--import", FILE, "--cell", "mine", *SMALL, "--out", "run", cwd=folder)
    assert (status, err) == (0, "")
    assert "gluon mine, 1 x 8 hidden units" in out
    assert re.search(r"let it write:  \S+ -m d2lrnn sample run --prefix \S+ --import 'my cells/my_cell.py'\n", out)
    return folder


FILE = "my cells/my_cell.py"


@pytest.fixture
def here(folder, monkeypatch, capsys, only_here):
    """Return a function that runs the command line in this Python, which knows the reader's cell no longer."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def forget():
        d2lrnn.CELLS.pop("mine", None)
        for name in ("my_cell", "beside_it"):
            sys.modules.pop(name, None)

    def run(*arguments):
        forget()
        capsys.readouterr()
        try:
            status = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    yield run
    forget()


def test_a_run_of_an_added_cell_is_sampled_measured_drawn_and_gone_on_with(folder, here):
    status, out, err = here("sample", "run", "--prefix", "我们", "--import", FILE)
    assert (status, err) == (0, "") and out.startswith("我们")
    status, out, err = here("--import", FILE, "evaluate", "run", "--split", "train")
    assert (status, err) == (0, "") and "sample, train: perplexity " in out
    status, out, err = here("show", "run", "--what", "gates", f"--import={FILE}")
    assert (status, out, err) == (0, "picture  run/gates.png\n", "")
    status, out, err = here("train", "--resume", "run", "--num-epochs", 2, "--import", FILE)
    assert (status, err) == (0, "") and "going on in epoch 2 of 2" in out


def test_the_page_and_the_comparison_know_an_added_cell(folder, here):
    words = [sys.executable, "-m", "d2lrnn", "play", "run", "--port", "0", "--import", FILE]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stdout.readline().startswith("page     http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    status, out, err = here("compare", *SIZES, "--cell", "mine", "--import", FILE)
    assert (status, err) == (0, "")
    assert float(re.search("largest relative difference in perplexity: (.*)", out)[1]) < 1e-3
    assert (folder / "runs" / "compare_mine.png").exists()


def test_what_is_unknown_says_what_to_name(folder, here):
    status, _, err = here("sample", "run")
    (line,) = err.splitlines()
    expected = "run/model.d2lrnn: the cell 'mine' is not known here: name the file that adds it, --import "
    assert status == 1 and line.startswith(f"d2lrnn: {expected}")
    status, _, err = here("train", "--cell", "mine")
    assert status == 2 and "argument --cell: invalid choice: 'mine' (choose from" in err
    status, out, _ = here("compare", "--help", "--import", FILE)
    assert status == 0 and "lstm_peephole_projected,mine}" in out


def test_a_module_is_imported_by_its_name_and_a_file_named_twice_once(folder):
    (folder / "cells_of_mine.py").write_text(MINE.replace("from beside_it import GATES", 'GATES = "fh"'))
    status, out, err = command(
        "--import", "cells_of_mine", "sample", "run", "--prefix", "我们", "--import", "cells_of_mine.py", cwd=folder
    )
    assert (status, err) == (0, "") and out.startswith("我们")


def test_files_that_cannot_be_imported(tmp_path, capsys, monkeypatch, only_here):
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "notes.txt").write_text("no Python")
    sources = {
        "divides": "import d2lrnn\n\n\ndef f():\n    1 / 0\n\n\nf()",
        "taken": 'import d2lrnn\nd2lrnn.add_cell("lstm", d2lrnn.CELLS["rnn"])',
        "unclosed": "x = 1\ny = (2",
        "lacking": "import math\nimport no_such_thing_there",
        "leaving": "import sys\nsys.exit(3)",
    }
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(source)
    there = "there is a cell 'lstm' already: expected another name than rnn"
    expected = {
        "nowhere.py": "there is no such file",
        "notes.txt": "expected a Python file, whose name ends in .py",
        "no_such_thing": "expected a Python file, or a module that Python finds",
        "no_such_thing.cells": "expected a Python file, or a module that Python finds",
        "divides.py": "divides.py, line 5: ZeroDivisionError: division by zero",
        "divides": "divides.py, line 5: ZeroDivisionError: division by zero",
        "taken.py": f"taken.py, line 2: {there}",
        "taken": f"taken.py, line 2: {there}",
        "unclosed.py": "unclosed.py, line 2: SyntaxError: ",
        "lacking.py": "lacking.py, line 2: ModuleNotFoundError: No module named 'no_such_thing_there'",
        "lacking": "lacking.py, line 2: ModuleNotFoundError: No module named 'no_such_thing_there'",
        "leaving.py": "leaving.py, line 2: SystemExit: 3",
    }
    monkeypatch.chdir(tmp_path)
    for what, complaint in expected.items():
        assert cli.main(["sample", "run", "--import", what]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"d2lrnn: --import {what}: {complaint}"), line
    assert not sources.keys() & sys.modules.keys()  # what failed may be mended and imported again


def test_an_option_without_a_file_is_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["train", "--import"])
    assert caught.value.code == 2
    assert "error: argument --import: expected one argument" in capsys.readouterr().err


def test_the_imports_are_read_before_and_after_the_command():
    assert imports.imports_in("--import a.py train --cell mine --import=b --lr -3 --import a.py".split()) == [
        "a.py",
        "b",
    ]
    assert imports.imports_in(["sample", "run", "--prefix=--import"]) == []


def test_a_run_that_is_stopped_says_how_to_go_on_with_the_file(tmp_path, capsys, monkeypatch, only_here):
    path = tmp_path / "stopped_cell.py"
    stopping = "    (H,) = state\n    stop_in_the_fifth_batch()\n    F = "
    mine = MINE.replace("from beside_it import GATES", STOPPING).replace("    (H,) = state\n    F = ", stopping)
    path.write_text(mine)
    monkeypatch.setattr(sys, "path", list(sys.path))
    arguments = ["train", "--import", str(path), "--kind", "scratch", "--cell", "mine", *SIZES]
    assert cli.main([*arguments, "--out", str(tmp_path / "run")], pace=ALWAYS) == 130
    out = capsys.readouterr().out
    assert f"d2lrnn train --resume {tmp_path / 'run'} --import {path}  # epoch 1, after 4 batches" in out
    assert load_checkpoint(tmp_path / "run" / "last.d2lrnn").model_config.cell == "mine"
    assert "mine" in d2lrnn.CELLS
    del sys.modules["stopped_cell"]


ASKING = """
import sys
import d2lrnn
from d2lrnn import add_cell, Vocab
assert d2lrnn.add_cell is add_cell and d2lrnn.train.__name__ == "train"
assert set(d2lrnn.CELLS) >= {"lstm", "gru"} and d2lrnn.CELLS["lstm"].step.__name__ == "lstm_step"
try:
    d2lrnn.no_such_name
except AttributeError as error:
    print(error)
names = sorted(name for name in vars(d2lrnn) if name[0] != "_")
print(Vocab("abc").encode("cab").tolist(), names == sys.argv[-1].split())
"""


def test_all_public_names_are_there_under_m(tmp_path):
    (tmp_path / "asking.py").write_text(ASKING)
    listing = (
        "import d2lrnn, d2lrnn.cli.main, d2lrnn.cli.imports; print(*sorted(n for n in vars(d2lrnn) if n[0] != '_'))"
    )
    names = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True).stdout.strip()
    status, out, err = command("plot", "--import", "asking.py", "--out", "x.png", names, cwd=tmp_path)
    assert out == "module 'd2lrnn' has no attribute 'no_such_name'\n[2, 0, 1] True\n"
    assert status == 1 and "x.png" not in err
