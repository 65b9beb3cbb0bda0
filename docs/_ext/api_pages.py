"""The pages of the API reference: one for each package, with the names of the package's face."""

import ast
import importlib
import inspect
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent
PAGES = DOCS / "api"
# In the order of the road from a text to a picture, as in d2lrnn/__init__.py.
PACKAGES = ("cells", "config", "data", "models", "evaluation", "generation", "training", "runs", "plotting")
# The face of `cells` is not made of imports: it imports a name when the name is asked for.
LAZY = {
    "cells": [
        *("CELLS", "add_cell", "rnn_step", "gru_step", "gru_reset_after_step", "lstm_step"),
        *("dot", "sigmoid", "tanh", "relu"),
    ]
}


def write_pages():
    """Write the pages; those that would stay the same are left alone."""
    top = importlib.import_module("d2lrnn")
    wanted = {"ground": _page("d2lrnn", "The errors and the device that all packages share.", _ground(top))}
    for package in PACKAGES:
        module = importlib.import_module(f"d2lrnn.{package}")
        wanted[package] = _page(module.__name__, inspect.getdoc(module), _entries(module, face(package), top))
    for name, content in wanted.items():
        path = PAGES / f"{name}.md"
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")


def face(package):
    """Return the names of a package's face, in their order."""
    tree = ast.parse((DOCS.parent / "d2lrnn" / package / "__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module != "typing"]
    return [alias.asname for node in imports for alias in node.names if alias.asname] + LAZY.get(package, [])


def _ground(top):
    found = {name: getattr(top, name) for name in top.__all__}
    names = [name for name, value in found.items() if getattr(value, "__module__", "").count(".") == 1]
    return [_entry("d2lrnn", name, found[name]) for name in names]


def _entries(module, names, top):
    return [_entry("d2lrnn" if name in top.__all__ else module.__name__, name, getattr(module, name)) for name in names]


def _entry(module, name, value):
    if inspect.isclass(value):
        return f"{module}.{name}", ["autoclass", ":members:", ":show-inheritance:"]
    return f"{module}.{name}", ["autofunction"] if callable(value) else ["py:data", f":value: {_short(value)}"]


def _short(value):
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]} ..."


def _page(title, about, entries):
    lines = [f"# {title}", "", about, "", "```{eval-rst}", ".. autosummary::", "   :nosignatures:", ""]
    lines += [f"   ~{name}" for name, (kind, *_) in entries if kind.startswith("auto")]
    for name, (kind, *options) in entries:
        lines += ["", f".. {kind}:: {name}", *(f"   {option}" for option in options)]
    return "\n".join([*lines, "```", ""])


def setup(app):
    """Write the pages."""
    write_pages()
    return {"parallel_read_safe": True, "parallel_write_safe": True}
