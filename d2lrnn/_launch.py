"""Tell how this Python was started and who asks; imports neither MXNet nor NumPy."""

from __future__ import annotations

import os
import sys
from typing import Any


def is_command_line() -> bool:
    """Return whether this is ``python -m d2lrnn`` or the command ``d2lrnn``, and no other program that imports d2lrnn.

    ``sys.argv[0]`` does not tell: it is "-m" for every package whose ``__main__`` Python is looking for, and another
    package may import d2lrnn.  The outermost call tells: runpy makes it, with the module's name; or the file of the
    command does, which the installation of d2lrnn wrote.
    """
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
    if frame.f_code.co_name == "<module>":
        return os.path.basename(frame.f_code.co_filename) == "d2lrnn"
    return frame.f_code.co_name == "_run_module_as_main" and frame.f_locals.get("mod_name") == "d2lrnn"


def is_from_import() -> bool:
    """Return whether the caller's caller, a module's ``__getattr__``, is asked for a name of ``from ... import``."""
    return sys._getframe(2).f_code.co_name == "_handle_fromlist"


def notebook_shell() -> Any:
    """Return IPython's shell if this runs in a Jupyter kernel, else None."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if hasattr(shell, "kernel") else None


def in_notebook() -> bool:
    """Return whether this runs in a Jupyter kernel."""
    return notebook_shell() is not None
