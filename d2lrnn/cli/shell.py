"""Commands and options as d2lrnn prints them: a user can paste them into a shell."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path


def command(*words: str, imports: Sequence[str] = ()) -> str:
    """Return a command of d2lrnn, such as ``.venv/bin/python -m d2lrnn sample runs/my --import my_cell.py``.

    Args:
        words: the command, its arguments and its options.
        imports: the values of ``--import`` that the command needs too.
    """
    added = [word for name in imports for word in option("--import", name)]
    return shlex.join([_python(), "-m", "d2lrnn", *words, *added])


def option(name: str, value: str) -> list[str]:
    """Return an option and its value as words; as one word if the value would be taken for an option."""
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def argument(path: Path) -> str:
    """Return a path as a word that is not taken for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def _python() -> str:
    """Return what to call this Python from the current folder: ``.venv/bin/python``, or just ``python``."""
    here, python = Path.cwd(), Path(sys.executable)
    return str(python.relative_to(here)) if here in python.parents else "python"
