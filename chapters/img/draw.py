r"""Draw the chapter's diagrams again: ``.venv/bin/python chapters/img/draw.py [NAME ...]``, all if no NAME is given.

Each function under ``@diagram`` is one diagram.  The script writes it into this folder as NAME.svg, in English, and, if
it has words, as NAME.zh_CN.svg, in Chinese; the book takes the one of its language.  The same code always writes the
same files, and ``tests/chapters/test_img.py`` compares what the code draws with what is committed.

To add a diagram:

1. Write a function in the file of its subject (``networks``, ``gated_cells``, ``batches``, ``learning``); its name is
   the diagram's, the decorator tells the size in pixels, and ``diagram.py`` has what it is drawn with::

       @diagram(300, 120)
       def one_step(d):
           "A state becomes the next one."
           d.text(14, 20, "hidden layer", "left")
           old = d.box(80, 70, r"$\mathbf{H}_{t-1}$", STATE, width=60)
           new = d.box(220, 70, r"$\mathbf{H}_t$", STATE, width=60)
           d.wire(old.right(), new.left())

2. Write the Chinese of each new text into ``words.py``.
3. Draw it, look at both files, and commit them with the code.
4. Show it in a lesson: ``![what can be seen in it](img/one_step.svg)``.
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
from diagram import DIAGRAMS, Diagram  # noqa: E402


def draw(folder: Path, names: Iterable[str] = DIAGRAMS) -> dict[str, tuple[Diagram, Diagram]]:
    """Write diagrams into a folder.

    Args:
        folder: where the files go.
        names: of the diagrams.

    Returns:
        by its name, each diagram in English and in Chinese.
    """
    sheets = {name: (DIAGRAMS[name](False), DIAGRAMS[name](True)) for name in names}
    for name, (english, chinese) in sheets.items():
        (folder / f"{name}.svg").write_text(english.svg(), encoding="utf-8")
        if english.words:
            (folder / f"{name}.zh_CN.svg").write_text(chinese.svg(), encoding="utf-8")
    return sheets


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(DIAGRAMS)
    if unknown:
        sys.exit(f"no diagram is called {', '.join(sorted(unknown))}: expected some of {', '.join(DIAGRAMS)}")
    draw(FOLDER, sys.argv[1:] or DIAGRAMS)
