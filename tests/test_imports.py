"""Who may import whom, and what importing does."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import d2lrnn

PACKAGE = Path(d2lrnn.__file__).parent
CHAPTERS = PACKAGE.parent / "chapters"
GROUND = {
    *("checks", "errors", "visible", "paths", "device", "interrupts"),
    *("cores", "neighbours"),
    *("_launch", "_runtime", "_mxnet", "nd_arrays"),
}
# What a package, or a file that stands beside the packages, may import beside its own files.  A name with a point is
# one file of a package; without one, all of the package.
MAY_IMPORT = {
    "visible": set(),
    "errors": {"visible"},
    "checks": {"errors"},
    "paths": {"errors"},
    "interrupts": set(),
    "_launch": set(),
    "_mxnet": {"neighbours"},
    "cores": set(),
    "neighbours": {"cores"},
    "_runtime": {"_mxnet", "cores", "neighbours"},
    "nd_arrays": {"errors", "_runtime"},
    "version": set(),
    "book_names": {"errors"},
    "device": {"checks", "errors", "_runtime", "_mxnet.gpus"},
    "cells": {"checks", "errors", "_runtime", "nd_arrays"},
    "config": {"checks", "errors", "cells.declaration"},
    "data": {"config.fields", "book_names", *GROUND},
    "models": {"cells", "config", "data", *GROUND},
    "evaluation": {"models", "data", "config", *GROUND},
    "generation": {"models", "data", "config", *GROUND},
    "training": {"evaluation", "models", "data", "config", *GROUND},
    "runs": {"training", "models", "data", "config", *GROUND},
    "exchange": {"runs", "models", "data", "config", "cells", "version", *GROUND},
    "plotting": {"training.history", "generation", "models", "cells", "data", "config", *GROUND},
    "diagnosis": {"plotting.fonts", "evaluation", "models", "data", "config", "version", *GROUND},
    "cluster": {"checks", "cores", "errors", "interrupts", "paths", "visible"},
    "web": {"runs", "generation", "models.protocol", "data", "config", "checks", "errors", "visible"},
    "cli": {
        *("cluster", "diagnosis", "web", "plotting", "exchange", "runs", "training", "generation", "evaluation"),
        *("models", "data", "config", "cells", "version"),
        *GROUND,
    },
    "__main__": {"cli.main", "_mxnet.environment", "_mxnet.installation"},
}
TEXTUAL = (
    "characters",
    "code_points",
    "checked_ids",
    "vocabulary",
    "encodings",
    "texts",
    "kept_numbers",
    "numbering",
    "archives",
    "files",
    "corpora",
    "corpus",
    "ids",
    "datasets",
)
# Files that may import less than their package, and those that may import more.
LESS = {
    "cells.declaration": {"checks", "errors"},
    "cells.compiled": set(),
    # These know no MXNet; of the textual ones, each may import those before it.
    **{
        f"data.{name}": {"config.fields", "checks", "errors", "paths", *(f"data.{before}" for before in TEXTUAL[:i])}
        for i, name in enumerate(TEXTUAL[:-1])
    },
    "data.datasets": {"book_names", "config.fields", "errors", "paths", *(f"data.{name}" for name in TEXTUAL[:-1])},
    # Sentence pairs become ids without MXNet, and batches with it.
    "data.sentences": {"config.fields", "errors", "data.characters", "data.vocabulary"},
    "data.pair_files": {"checks", "data.characters", "data.sentences", "data.texts"},
    "data.pairs": {"checks", "errors", "data.pair_files", "data.sentences", "data.vocabulary"},
    "data.pair_sets": {
        *("config.fields", "paths"),
        *("data.archives", "data.files", "data.pair_files", "data.pairs", "data.texts"),
    },
    "data.vector_files": {"checks", "errors", "paths", "data.encodings"},
    "data.vectors": {"checks", "errors", "paths", "data.vector_files", "data.vocabulary"},
    # These say why MXNet cannot be imported, so they do without it.
    "diagnosis.finding": set(),
    "diagnosis.machine": {"checks", "cores", "neighbours", "diagnosis.finding"},
    "diagnosis.environment": {"cores", "visible", "version", "_mxnet", "diagnosis.finding"},
    "diagnosis.gpus": {"_mxnet.gpus", "diagnosis.finding"},
    "cluster.keeper": set(),  # hosts run it alone
    "cluster.report": set(),
    "cli.beginning": {"config.fields"},
    "cli.options": {"config", "errors", "paths", "visible"},
    "cli.output": {"cli.options", "cli.streams", "visible"},
    "cli.imports": {"cli.options", "errors", "paths", "_runtime"},
    "cli.parser": {"cli.arguments", "cli.options", "version"},
}
# The arguments of every command are read before anything heavy is imported.
LESS |= {
    name: {"cli.options", "config"}
    for name in (f"cli.arguments.{path.stem}" for path in (PACKAGE / "cli" / "arguments").glob("*.py"))
}
MORE = {
    "training.language_model": {"generation"},
    "training.forecasting": {"generation"},
    "training.translation": {"generation"},
    "runs.trained": {"generation"},
}
# Neither of the two ways to write a model leans on the other.
APART = {"models.gluon": {"models.inputs", "models.stack", "models.scratch", "models.compiled"}}
FILES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(source):
    """Return the full names of all that a source imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide where a name comes from"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def inside(names):
    """Return those names that are d2lrnn's, without ``d2lrnn.``."""
    return {name.removeprefix("d2lrnn.") for name in names if name.split(".")[0] == "d2lrnn"}


def covers(allowed, name):
    """Return whether one of the packages or files that are allowed holds a name."""
    return any(name == place or name.startswith(f"{place}.") for place in allowed)


def python(*arguments, **options):
    """Run a fresh Python."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, **options)


def test_every_form_of_import_is_seen():
    source = "import a.b\nfrom d2lrnn.data.corpus import Corpus\ndef f():\n    from d2lrnn import train"
    assert imports(source) == {"a.b", "d2lrnn.data.corpus.Corpus", "d2lrnn.train"}
    assert inside(imports(source)) == {"data.corpus.Corpus", "train"}
    assert covers({"data"}, "data.corpus.Corpus") and not covers({"data.cor"}, "data.corpus.Corpus")


def test_every_package_has_its_row():
    assert {name.split(".")[0] for name in FILES} == set(MAY_IMPORT) | {"__init__"}


@pytest.mark.parametrize("name", [name for name in FILES if name != "__init__"])
def test_a_file_imports_what_its_package_may(name):
    found = imports(FILES[name].read_text())
    package = name.split(".")[0]
    allowed = LESS.get(name) if name in LESS else MAY_IMPORT[package] | MORE.get(name, set()) | {package}
    strange = {used for used in inside(found) if not covers(allowed, used)}
    assert not strange
    for place, others in APART.items():
        if covers({place}, name):
            assert not {used for used in inside(found) if covers(others, used)}
    if name != "_runtime":
        assert not {used for used in found if used.split(".")[0] == "mxnet"}


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith("__init__")])
def test_a_file_imports_from_files_and_no_private_name(name):
    for used in inside(imports(FILES[name].read_text())):
        module, _, imported = used.rpartition(".")
        assert module in FILES or used in FILES or f"{module}.__init__" not in FILES, f"{used} is taken from a face"
        assert not imported.startswith("_"), f"{used} is private"


@pytest.mark.parametrize("path", sorted(CHAPTERS.glob("*.py")), ids=lambda path: path.stem)
def test_a_chapter_imports_from_faces(path):
    allowed = {"cli.options", "cli.from_arguments", "cli.compare"}
    for used in inside(imports(path.read_text())):
        face = used.rpartition(".")[0]
        assert not face or f"{face}.__init__" in FILES or covers(allowed, used), used


def test_every_file_is_short():
    lengths = {name: path.read_text().count("\n") for name, path in FILES.items()}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_every_public_name_is_documented():
    own = ("_launch", "version", "book_names")  # what __init__ itself needs
    names = {name for name in inside(imports(FILES["__init__"].read_text())) if not name.startswith(own)}
    names = {name.rpartition(".")[2] for name in names}
    assert {"lstm", "RNNModel", "train_and_predict", "load_corpus", "CELLS"} <= names
    assert len(d2lrnn.__all__) == len(names) and set(d2lrnn.__all__) == names
    for name in names:
        if not name.isupper():
            doc = getattr(d2lrnn, name).__doc__
            assert doc and not doc.startswith(f"{name}("), f"{name} has no docstring"  # dataclasses make such a one up


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".__init__")])
def test_a_face_has_a_docstring_and_what_it_names(name):
    package = name.removesuffix(".__init__")
    module = __import__(f"d2lrnn.{package}", fromlist=["_"])
    assert module.__doc__
    for used in inside(imports(FILES[name].read_text())):
        home, _, imported = used.rpartition(".")
        where = __import__(f"d2lrnn.{home}", fromlist=["_"])
        assert getattr(module, imported) is getattr(where, imported)  # not a file of the same name


def test_the_cells_are_asked_for_at_their_face():
    from d2lrnn import cells

    assert cells.CELLS is d2lrnn.CELLS and cells.lstm_step is d2lrnn.CELLS["lstm"].step
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        cells.no_such_name  # noqa: B018


def test_importing_is_quiet_and_light():
    heavy = {"matplotlib", "pandas", "IPython", "d2l", "pooch", "tqdm", "tornado"}
    heavy |= {"onnxruntime", "safetensors", "sacrebleu", "torch"}  # onnx is imported by MXNet, where it is there
    result = python("-c", f"import sys, d2lrnn; print({heavy} & set(sys.modules))")
    assert (result.stdout, result.stderr) == ("set()\n", "")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--help"], 0), (["train", "--help"], 0), (["train", "--colour", "red"], 2), (["train", "--cell", "qru"], 2)],
)
def test_help_and_wrong_options_do_not_wait_for_mxnet(arguments, status):
    result = python("-X", "importtime", "-m", "d2lrnn", *arguments)
    lines = [line for line in result.stderr.splitlines() if line.startswith("import time:")]
    imported = {line.split("|")[-1].strip().split(".")[0] for line in lines}
    assert result.returncode == status
    assert "d2lrnn" in imported
    assert not imported & {"mxnet", "numpy", "tqdm", "pooch", "matplotlib"}


@pytest.fixture
def command(tmp_path):
    """The file that an installation writes for the command ``d2lrnn``."""
    project = (PACKAGE.parent / "pyproject.toml").read_text()
    module, function = re.search(r'^\[project.scripts\]\nd2lrnn = "([\w.]+):(\w+)"$', project, re.MULTILINE).groups()
    file = tmp_path / "bin" / "d2lrnn"
    file.parent.mkdir()
    file.write_text(
        f"import sys\nfrom {module} import {function}\nif __name__ == '__main__':\n    sys.exit({function}())\n"
    )
    return str(file)


def test_the_command_d2lrnn_does_not_wait_for_mxnet_either(command):
    result = python("-X", "importtime", command, "--help")
    imported = {line.split("|")[-1].strip().split(".")[0] for line in result.stderr.splitlines()}
    assert result.returncode == 0 and result.stdout.startswith("usage: ")
    assert "d2lrnn" in imported and not imported & {"mxnet", "numpy", "tqdm", "pooch", "matplotlib"}


def test_a_file_that_the_command_d2lrnn_imports_gets_all_of_d2lrnn(command, tmp_path):
    (tmp_path / "mine.py").write_text("from d2lrnn import *\nprint(train, len(CELLS))")
    result = python(command, "--import", str(tmp_path / "mine.py"), "plot", "nothing")
    assert result.stdout.startswith("<function train at ") and result.stdout.endswith(" 8\n")
    assert result.stderr.startswith("d2lrnn: ") and result.returncode == 1


@pytest.mark.parametrize("where", [["-m", "d2lrnn"], None], ids=["python -m", "command"])
def test_version(where, command):
    result = python(*(where or [command]), "--version")
    assert (result.stdout, result.stderr) == (f"d2lrnn {d2lrnn.__version__}\n", "")
    assert re.fullmatch(r"\d+\.\d+\.\d+", d2lrnn.__version__)


def test_another_package_that_is_run_gets_all_of_d2lrnn(tmp_path):
    (tmp_path / "poet").mkdir()
    (tmp_path / "poet" / "__init__.py").write_text("import d2lrnn, mxnet\nprint(d2lrnn.train, mxnet.np)")
    (tmp_path / "poet" / "__main__.py").touch()
    result = python("-m", "poet", "d2lrnn", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert result.stdout.startswith("<function train at ")
    assert result.stderr == ""
