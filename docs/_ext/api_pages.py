"""The pages of the API reference: one for each package, with the names of the package's face."""

import ast
import importlib
import inspect
from pathlib import Path

from comments import comments
from sphinx.util.nodes import make_refnode

DOCS = Path(__file__).resolve().parent.parent
ROOT = DOCS.parent
PAGES = DOCS / "api"
# In the order of the road from a text to a picture, as in d2lrnn/__init__.py.
PACKAGES = ("cells", "config", "data", "models", "evaluation", "generation", "training", "runs", "exchange", "plotting")
# The face of `cells` imports these when they are asked for.
LAZY = {
    "cells": {
        "CELLS": "d2lrnn.cells.declaration",
        "add_cell": "d2lrnn.cells.registry",
        **dict.fromkeys(("rnn_step", "gru_step", "gru_reset_after_step", "lstm_step", "dot"), "d2lrnn.cells.steps"),
        **dict.fromkeys(("sigmoid", "tanh", "relu"), "d2lrnn.cells.compiled"),
    }
}
LONGEST = 80  # of a constant's value that is shown


def write_pages():
    """Write the pages; those that would stay the same are left alone."""
    top = importlib.import_module("d2lrnn")
    ground = {name: file for name, file in face("d2lrnn").items() if file.count(".") == 1 and hasattr(top, name)}
    ground = {name: file for name, file in ground.items() if file.split(".")[1] not in PACKAGES}
    wanted = {"ground": _page("d2lrnn", "Errors and devices, which all packages share.", _entries(top, ground))}
    for package in PACKAGES:
        module = importlib.import_module(f"d2lrnn.{package}")
        names = {**face(f"d2lrnn.{package}"), **LAZY.get(package, {})}
        wanted[package] = _page(module.__name__, inspect.getdoc(module), _entries(module, names))
    for name, content in wanted.items():
        path = PAGES / f"{name}.md"
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")


def face(module):
    """Return the names that a module passes on, in their order, with the module that each is imported from."""
    tree = ast.parse(_source(module))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module for node in imports for alias in node.names if alias.asname == alias.name}


def _source(module):
    path = ROOT.joinpath(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")


def _entries(module, names):
    top = importlib.import_module("d2lrnn")
    return [
        _entry("d2lrnn" if name in top.__all__ else module.__name__, name, getattr(module, name), file)
        for name, file in names.items()
    ]


def _entry(module, name, value, file):
    """Return the kind of a name, and the lines that describe it; the name stands where a user finds it first."""
    if inspect.isclass(value):
        bases = [] if value.__bases__ == (object,) else ["   :show-inheritance:"]
        return "autoclass", f"{module}.{name}", ["   :members:", *bases]
    if callable(value):
        return "autofunction", f"{module}.{name}", []
    text = repr(value)
    shown = [f"   :value: {text}"] if len(text) <= LONGEST else []
    while name in face(file):
        file = face(file)[name]
    return "py:data", name, [f"   :module: {module}", *shown, "", f"   {comments(_source(file))[name]}"]


def _page(title, about, entries):
    lines = [f"# {title}", "", about, "", "```{eval-rst}", ".. autosummary::", "   :nosignatures:", ""]
    lines += [f"   ~{name}" for kind, name, _ in entries if kind.startswith("auto")]
    for kind, name, described in entries:
        lines += ["", f".. {kind}:: {name}", *described]
    return "\n".join([*lines, "```", ""])


def find_described(app, env, node, contnode):
    """Resolve a docstring's reference to a name that is described in another place than that of its definition."""
    if node.get("refdomain") != "py" or not node["reftarget"].strip():
        return None
    *parents, name = node["reftarget"].split(".")
    name = ".".join([*(parent for parent in parents[-1:] if parent[:1].isupper()), name])
    found = dict(env.get_domain("py").find_obj(env, None, None, name, None, searchmode=1))
    described = found.get(f"d2lrnn.{name}") or (next(iter(found.values())) if len(found) == 1 else None)
    if described is None:
        return None
    return make_refnode(app.builder, node["refdoc"], described.docname, described.node_id, contnode)


def setup(app):
    """Write the pages."""
    write_pages()
    app.connect("missing-reference", find_described)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
