"""The option ``--import``: Python files and modules of the reader's, imported before the command line is read.

For example, such a file adds a cell.  The cell's name is then among the choices of ``--cell``.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from d2lrnn.cli.options import Parser, add_imports
from d2lrnn.errors import D2lrnnError, naming
from d2lrnn.paths import user_path


def imports_in(argv: Sequence[str]) -> list[str]:
    """Return the values of ``--import`` among the arguments, before or after the command, each once."""
    parser = Parser(prog="python -m d2lrnn", add_help=False)
    add_imports(parser)
    found, _ = parser.parse_known_args(argv)
    return list(dict.fromkeys(getattr(found, "imports", [])))


def import_first(what: str) -> None:
    """Import a Python file, or a module by its name.

    MXNet is imported before it: elsewhere ``import d2lrnn`` imports MXNet too, and the file may rely on that.

    Args:
        what: the path of a file that ends in ``.py``, or the name of a module that Python finds.

    Raises:
        D2lrnnError: if there is no such file or module; or if the import fails, with the line and the error.
    """
    path = user_path(what)
    with naming(path):
        is_file = path.suffix == ".py" or path.exists() and not path.is_dir()
        is_missing = is_file and not path.is_file()
    if is_missing:
        raise D2lrnnError(f"--import {what}: there is no such file")
    importlib.import_module("d2lrnn._runtime")
    try:
        if is_file:
            _import_file(path)
        else:
            importlib.import_module(what)
    except (Exception, SystemExit) as error:
        if isinstance(error, ImportError) and not is_file and _lacks(what, error):
            raise D2lrnnError(f"--import {what}: expected a Python file, or a module that Python finds") from None
        raise D2lrnnError(f"--import {what}: {_where(error)}{_what(error)}") from error


def _import_file(path: Path) -> ModuleType:
    """Import a file under its own name; if another module has this name, under its path."""
    path = path.resolve()
    known = sys.modules.get(path.stem)
    name = path.stem if known is None or getattr(known, "__file__", None) == str(path) else str(path)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise D2lrnnError("expected a Python file, whose name ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look the module up here
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # so that it can import files beside it
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _lacks(name: str, error: ImportError) -> bool:
    """Return whether an import failed because the module, or a package that holds it, is not there."""
    return isinstance(error, ModuleNotFoundError) and error.name is not None and f"{name}.".startswith(f"{error.name}.")


def _where(error: BaseException) -> str:
    """Return "FILE, line N: " for the line of the reader's file that raised an error; nothing if it is not known."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}, line {error.lineno}: "
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in (__file__, importlib.__file__) and not frame.filename.startswith("<frozen ")
    ]
    lines = [frame.lineno for frame in frames if frame.filename == frames[0].filename]
    return f"{Path(frames[0].filename).name}, line {lines[-1]}: " if lines else ""


def _what(error: BaseException) -> str:
    """Return an error in one line: its message, after its kind if it is not an error of d2lrnn."""
    if isinstance(error, D2lrnnError):
        return str(error)
    lines = traceback.format_exception_only(type(error), error)
    return lines[-1].strip()
