"""One step of a recurrent cell: what a cell declares, its equations, the same compiled, and the table of cells."""

import importlib
from typing import Any

from d2lrnn.cells.declaration import Cell as Cell

# The equations import MXNet.  The settings and --help read the declarations alone, and need not wait for MXNet.
_FILES = {
    **{"CELLS": "registry", "add_cell": "registry", "dot": "steps"},
    **dict.fromkeys(("sigmoid", "tanh", "relu"), "compiled"),
}


def __getattr__(name: str) -> Any:
    """Import a name of this package's face when the name is asked for."""
    file = "steps" if name.endswith("_step") else _FILES.get(name)
    if file is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{file}"), name)
