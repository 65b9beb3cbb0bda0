import re
import sys
from pathlib import Path

import notebooks
import pytest
from lessons import CHAPTERS, Ran, check_picture, run_cells

import d2lrnn


def is_of_the_book(name, args):
    """Return whether these options run a lesson as the book does; one that names its corpus may have another."""
    source = (CHAPTERS / f"{name}.py").read_text(encoding="utf-8")
    return not args or (args == ("--corpus", "sample") and 'corpus="' not in source)


@pytest.fixture
def run(capsys, tmp_path, monkeypatch, only_here):
    """Run a lesson with --quick, check what every lesson has to do, and return what it printed.

    It runs as a script. With the options of the book it has run as a notebook, once for the book and for this, unless
    the test wants a script.  ``pictures`` names the files that the lesson must draw, without their endings; those of
    ``grey`` have no colours.
    """

    def run(name, *args, pictures=(), grey=(), script=False):
        if not script and is_of_the_book(name, args):
            done = notebooks.execute(name)
            (text, names), out = done.as_ran(), done.out
            d2lrnn.CELLS.update(done.cells)
        else:
            text, names, out = run_script(name, args, pictures)
        title, headings = text.splitlines()[0], re.findall(r"^(.+)\n(?:-+)$", text, re.MULTILINE)
        assert text.startswith(f"{title}\n{'=' * len(title)}\n\n")
        assert headings[-2:] == ["Summary", "Exercises"] and len(headings) >= 4
        # What is left of LaTeX and Markdown; a $ that stands alone is a word of the Penn Treebank.
        for mark in (r"\bnan\b", r"\$\S", r"\\[a-z]{2}", "<summary>", r"\*\*\w", "# %%"):
            assert not re.search(mark, text), mark
        drawn = sorted(str(out / f"{picture}.png") for picture in pictures)
        assert sorted(map(str, out.glob("*"))) == drawn
        for path in drawn:
            check_picture(path, Path(path).stem in grey)
        return Ran(text, names)

    def run_script(name, args, pictures):
        out = tmp_path / name
        monkeypatch.setenv("LANGUAGE", "en")
        monkeypatch.setattr(sys, "path", [str(CHAPTERS), *sys.path])
        monkeypatch.setattr(sys, "argv", [f"{name}.py", "--quick", "--ctx", "cpu", "--out", str(out), *args])
        capsys.readouterr()
        names = run_cells(name)
        text = capsys.readouterr().out
        printed = re.findall(r"^picture  (.*)$", text, re.MULTILINE)
        assert printed == [str(out / f"{picture}.png") for picture in pictures]
        return text, names, out

    return run
