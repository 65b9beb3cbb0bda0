"""The book, made once for all tests of it: from a copy of what git knows, as in an empty clone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def pytest_collection_modifyitems(items):
    """Keep the tests of the book in one process of pytest-xdist, and give the first of them the time to make it."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("book"))
            item.add_marker(pytest.mark.timeout(1500))


@pytest.fixture(scope="session")
def book(tmp_path_factory):
    """The folders of the book's two languages, of the executed notebooks and of the messages; and what make said."""
    pytest.importorskip("sphinx", reason="Sphinx is not installed: make dev does it")
    if not (shutil.which("git") and (ROOT / ".git").exists()):
        pytest.skip("this is no clone: git does not say which files are the project's")
    clone = tmp_path_factory.mktemp("book") / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and not name.startswith("tests/") and (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, clone / name)
    (clone / ".venv").symlink_to(sys.prefix)
    ours = ("D2LRNN_", "MPLBACKEND", "PYTHONPATH", "COLUMNS")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}

    def make(*arguments):
        """Run make in the copy, without making the environment."""
        return subprocess.run(
            ["make", "-o", "dev", *arguments],
            cwd=clone,
            env={**env, "PYTHONIOENCODING": "utf-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    return SimpleNamespace(
        clone=clone,
        html=clone / "docs" / "_build" / "html",
        made=make("book", "QUICK=1"),
        notebooks=make("-o", "book", "notebooks"),
        messages=make("messages"),
    )


@pytest.fixture
def pages(book, language):
    """The pages of the book in a language, by their place in it."""
    folder = book.html / language
    return {path.relative_to(folder): path for path in folder.glob("**/*.html") if "_static" not in path.parts}
