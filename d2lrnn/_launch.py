"""Tell how this Python was started; imports neither MXNet nor NumPy."""

from __future__ import annotations

import sys


def is_command_line() -> bool:
    """Return whether this is ``python -m d2lrnn``, and not another program that imports d2lrnn.

    ``sys.argv[0]`` does not tell: it is "-m" for every package whose ``__main__`` Python is looking for, and another
    package may import d2lrnn.  The outermost call tells: runpy makes it, with the module's name.
    """
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_name == "_run_module_as_main" and frame.f_locals.get("mod_name") == "d2lrnn"
