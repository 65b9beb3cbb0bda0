"""The book, made once for all tests of it: from a copy of what git knows, as in an empty clone."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from lessons import NAMES

ROOT = Path(__file__).resolve().parent.parent.parent
BY_MAKE = "language_models"  # the lesson that make itself runs, in a process of Jupyter's


def pytest_collection_modifyitems(items):
    """Give the first test of the book the time to make it."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(1500))


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """A copy of the project's files, and make in it, without what makes the environment."""
    pytest.importorskip("sphinx", reason="Sphinx is not installed: make dev does it")
    if not (shutil.which("git") and (ROOT / ".git").exists()):
        pytest.skip("this is no clone: git does not say which files are the project's")
    folder = tmp_path_factory.mktemp("book") / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, stdout=subprocess.PIPE
    )
    for name in listed.stdout.decode().split("\0"):
        if name and not name.startswith("tests/") and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    ours = ("D2LRNN_", "MPLBACKEND", "PYTHONPATH", "COLUMNS")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    env["PYTHONIOENCODING"] = "utf-8"

    def make(*arguments):
        done = subprocess.run(
            ["make", "--silent", "-o", "dev", *arguments],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        return SimpleNamespace(succeeded=done.returncode == 0, said=done.stdout)

    return SimpleNamespace(folder=folder, make=make)


@pytest.fixture(scope="session")
def book(clone):
    """The folder of the book, with a folder for each language, and what make said; the lessons have run but for one."""
    notebooks = importlib.import_module("notebooks")
    notebooks.keep([name for name in NAMES if name != BY_MAKE], clone.folder / "docs")
    return SimpleNamespace(html=clone.folder / "docs" / "_build" / "html", made=clone.make("book", "QUICK=1"))


@pytest.fixture(scope="session")
def notebooks(clone, book):
    """The folder of the executed notebooks, whose prose is Chinese."""
    made = clone.make("-o", "book", "notebooks", "QUICK=1", "LANGUAGE=zh_CN")
    assert made.succeeded, made.said
    return clone.folder / "notebooks"


@pytest.fixture(scope="session")
def messages(clone):
    """The folder of the messages as the pages have them now."""
    made = clone.make("messages")
    assert made.succeeded, made.said
    return clone.folder / "docs" / "_build" / "messages"


@pytest.fixture
def pages(book, language):
    """The pages of the book in a language, by their place in it."""
    folder = book.html / language
    return {path.relative_to(folder): path for path in folder.glob("**/*.html") if "_static" not in path.parts}
