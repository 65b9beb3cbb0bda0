import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import d2lrnn

PACKAGE = Path(d2lrnn.__file__).parent
# Lowest first: a module may import what stands before it.
FLOORS = (
    "_launch config configs options whole_file _runtime device text originality files corpora samplers inputs compiled "
    "cells scratch fast packed unrolled concise models decoding distributions sampling forms inspection optimisation "
    "evaluation adaptive history progress loop training checkpoint run_log runs fonts plotting comparison "
    "evaluate_command sample_command show_command playing page_server play_command commands cli __main__"
).split()
FORBIDDEN = {
    "text": {"_runtime", "device"},  # know no MXNet
    "originality": {"_runtime", "device"},
    "files": {"_runtime", "device"},
    "corpora": {"_runtime", "device"},
    "concise": {"inputs", "scratch", "fast"},  # neither of the two ways to write a model leans on the other
    "unrolled": {"inputs", "scratch", "fast"},
}
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def imports(source):
    """Return the full names of all that a source imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(["d2lrnn"] * bool(node.level) + [node.module or ""] * bool(node.module))
            names |= {f"{package}.{alias.name}" for alias in node.names}
    return names


def rooms(names):
    """Return the modules of d2lrnn among names; ``d2lrnn`` itself where a name is of no module."""
    inside = [name.split(".") for name in names if name.split(".")[0] == "d2lrnn"]
    return {parts[1] if len(parts) > 1 and parts[1] in MODULES else "d2lrnn" for parts in inside}


def python(*arguments, **options):
    """Run a fresh Python."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, **options)


def test_every_form_of_import_is_seen():
    source = (
        "import a.b\nfrom d2lrnn.text import Vocab\nfrom d2lrnn import cli, train\ndef f():\n    from . import device"
    )
    assert imports(source) == {"a.b", "d2lrnn.text.Vocab", "d2lrnn.cli", "d2lrnn.train", "d2lrnn.device"}
    assert rooms(imports(source)) == {"text", "cli", "d2lrnn", "device"}


def test_every_module_has_its_floor():
    assert set(MODULES) == set(FLOORS)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    names = imports((PACKAGE / f"{module}.py").read_text())
    below = set(FLOORS[: FLOORS.index(module)]) - FORBIDDEN.get(module, set())
    assert rooms(names) <= below
    if module != "_runtime":
        assert not {name for name in names if name.split(".")[0] == "mxnet"}


def test_init_is_one_explicit_import_a_line_under_one_condition():
    docstring, launch, condition = ast.parse((PACKAGE / "__init__.py").read_text()).body
    assert isinstance(docstring.value, ast.Constant)
    assert rooms(imports(ast.unparse(launch))) == {"_launch"}
    assert isinstance(condition, ast.If)
    assert ast.unparse(condition.test) == "not _is_command_line()"
    assert condition.orelse == []
    for node in condition.body:
        (alias,) = node.names
        assert isinstance(node, ast.ImportFrom)
        assert node.lineno == node.end_lineno
        assert alias.name == alias.asname
        assert not alias.name.startswith("_")


def test_every_public_name_is_documented():
    full_names = imports((PACKAGE / "__init__.py").read_text()) - {"d2lrnn._launch.is_command_line"}
    names = {full_name.split(".")[-1] for full_name in full_names}
    constants = {name for name in names if name.isupper()}
    assert len(names - constants) > 50
    for name in names - constants:
        doc = getattr(d2lrnn, name).__doc__
        assert doc and not doc.startswith(f"{name}("), f"{name} has no docstring"  # dataclasses make such a one up


def test_importing_is_quiet_and_light():
    heavy = {"matplotlib", "pandas", "IPython", "d2l", "pooch", "tqdm"}
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


def test_another_package_that_is_run_gets_all_of_d2lrnn(tmp_path):
    (tmp_path / "poet").mkdir()
    (tmp_path / "poet" / "__init__.py").write_text("import d2lrnn, mxnet\nprint(d2lrnn.train, mxnet.np)")
    (tmp_path / "poet" / "__main__.py").touch()
    result = python("-m", "poet", "d2lrnn", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert result.stdout.startswith("<function train at ")
    assert result.stderr == ""
