"""What the diagnosis finds, one thing at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

OK, NOTE, BROKEN = "ok", "note", "broken"  # nothing to do; worth knowing; d2lrnn cannot do its work so


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    state: str  # OK, NOTE or BROKEN
    what: str  # in a word or two, such as "memory"
    found: str  # in words, with numbers and their units
    remedy: str = ""  # what to do about it


def place(path: Path) -> str:
    """Return a path as it is shown, with ``~`` for the user's home folder."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if home in path.parents else str(path)
