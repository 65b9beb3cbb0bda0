"""Draw the chapter's diagrams: ``python chapters/img/draw.py [NAME ...]`` writes them beside this file.

Each function under ``@diagram`` in this folder is one diagram: NAME.svg in English and, where words occur,
NAME.zh_CN.svg in Chinese.  The same code always writes the same bytes, so a test draws them again and compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parents[1])]  # the checkout's d2lrnn, installed or not

import batches  # noqa: E402, F401
import gated_cells  # noqa: E402, F401
import learning  # noqa: E402, F401
import networks  # noqa: E402, F401
from diagram import DIAGRAMS  # noqa: E402


def draw(folder: Path, names: Iterable[str] = DIAGRAMS) -> dict[str, set[str]]:
    """Write diagrams into a folder.

    Args:
        folder: where the files go.
        names: of the diagrams.

    Returns:
        by the name of each diagram, the English words in it.
    """
    words = {}
    for name in names:
        sheet = DIAGRAMS[name](False)
        (folder / f"{name}.svg").write_text(sheet.svg(), encoding="utf-8")
        if sheet.words:
            (folder / f"{name}.zh_CN.svg").write_text(DIAGRAMS[name](True).svg(), encoding="utf-8")
        words[name] = sheet.words
    return words


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(DIAGRAMS)
    if unknown:
        sys.exit(f"no diagram is called {', '.join(sorted(unknown))}: expected some of {', '.join(DIAGRAMS)}")
    draw(FOLDER, sys.argv[1:] or DIAGRAMS)
