"""One step of a recurrent cell: what a cell declares, its equations, the same compiled, and the table of all cells."""

import importlib
from typing import Any

from d2lrnn.cells.declaration import Cell as Cell

# The equations bring MXNet, for which the settings, whose help reads the declarations, are not to wait.
_FILES = {
    **{"CELLS": "registry", "add_cell": "registry", "dot": "steps"},
    **dict.fromkeys(("sigmoid", "tanh", "relu"), "compiled"),
}


def __getattr__(name: str) -> Any:
    """Bring a name of this package's face when it is asked for."""
    file = "steps" if name.endswith("_step") else _FILES.get(name)
    if file is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{file}"), name)
