"""Commands and options as d2lrnn prints them: a user can paste them into a shell."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from d2lrnn.visible import visible


def command(*words: str, imports: Sequence[str] = ()) -> str:
    """Return a command of d2lrnn, such as ``.venv/bin/python -m d2lrnn sample runs/my --import my_cell.py``.

    Args:
        words: the command, its arguments and its options.
        imports: the values of ``--import`` that the command needs too.
    """
    added = [word for name in imports for word in option("--import", name)]
    return joined([_python(), "-m", "d2lrnn", *words, *added])


def joined(words: Iterable[str], shown: Callable[[str], str] = visible) -> str:
    """Return words as a shell reads them, none of which is changed by the function that shows them.

    Args:
        words: of a command.
        shown: :func:`d2lrnn.visible.visible`; for an error, :func:`d2lrnn.visible.in_a_line`.
    """
    return " ".join(shlex.quote(word) if _shown(word, shown) == word else _escaped(word, shown) for word in words)


def _shown(text: str, shown: Callable[[str], str]) -> str:
    """Return a text as standard output shows it, whose encoding may lack some of its characters."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return shown(text).encode(encoding, "replace").decode(encoding)


def _escaped(word: str, shown: Callable[[str], str]) -> str:
    r"""Return a word as bash, zsh and ksh read it, such as ``$'a\033'``: its bytes in UTF-8 for what is not shown."""
    try:
        bytes_of = {c: c.encode("utf-8", "surrogateescape") for c in word if _shown(c, shown) != c}
    except UnicodeEncodeError:  # half a surrogate pair, which no command line can hold
        return shlex.quote(shown(word))
    pieces = (
        "".join(f"\\{byte:03o}" for byte in bytes_of[c]) if c in bytes_of else f"\\{c}" if c in "'\\" else c
        for c in word
    )
    return f"$'{''.join(pieces)}'"


def option(name: str, value: str) -> list[str]:
    """Return an option and its value as words; as one word if the value would be taken for an option."""
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def argument(path: Path) -> str:
    """Return a path as a word that is taken for no option and for no user's home."""
    return f"./{path}" if str(path).startswith(("-", "~")) else str(path)


def _python() -> str:
    """Return what to call this Python from the current folder: ``.venv/bin/python``, or just ``python``."""
    python = Path(sys.executable)
    try:
        here = Path.cwd()
    except FileNotFoundError:  # the current folder was removed: nothing can be called from there
        return str(python)
    return str(python.relative_to(here)) if here in python.parents else "python"
