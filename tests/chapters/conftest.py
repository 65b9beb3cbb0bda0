import re
import sys
from pathlib import Path

import pytest
from lessons import CHAPTERS, Ran, check_picture, run_cells


@pytest.fixture
def run(capsys, tmp_path, monkeypatch, only_here):
    """Run a lesson as a script with --quick, check what every lesson has to do, and return what it printed.

    ``pictures`` names the files that the lesson must draw, without their endings; those of ``grey`` have no colours.
    """

    def run(name, *args, pictures=(), grey=()):
        out = tmp_path / name
        monkeypatch.setenv("LANGUAGE", "en")
        monkeypatch.setattr(sys, "path", [str(CHAPTERS), *sys.path])
        monkeypatch.setattr(sys, "argv", [f"{name}.py", "--quick", "--ctx", "cpu", "--out", str(out), *args])
        capsys.readouterr()
        names = run_cells(name)
        text = capsys.readouterr().out
        title, headings = text.splitlines()[0], re.findall(r"^(.+)\n(?:-+)$", text, re.MULTILINE)
        assert text.startswith(f"{title}\n{'=' * len(title)}\n\n")
        assert headings[-2:] == ["Summary", "Exercises"] and len(headings) >= 4
        # What is left of LaTeX and Markdown; a $ that stands alone is a word of the Penn Treebank.
        for mark in (r"\bnan\b", r"\$\S", r"\\[a-z]{2}", "<summary>", r"\*\*\w", "# %%"):
            assert not re.search(mark, text), mark
        printed = re.findall(r"^picture  (.*)$", text, re.MULTILINE)
        assert printed == [str(out / f"{picture}.png") for picture in pictures]
        assert sorted(map(str, out.glob("*"))) == sorted(printed)
        for path in printed:
            check_picture(path, Path(path).stem in grey)
        return Ran(text, names)

    return run
