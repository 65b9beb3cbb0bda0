"""The lessons as pages: each script of chapters/ becomes a text notebook in docs/lessons/, which MyST-NB runs."""

import hashlib
import os
import re
import shutil
import sys
from pathlib import Path

# nbformat asks jsonschema, which would build the grammars of RFC 3987 for two seconds; no notebook has such an address.
sys.modules.setdefault("rfc3987_syntax", None)

import jupytext  # noqa: E402
import nbformat  # noqa: E402
from jupyter_cache import get_cache  # noqa: E402

DOCS = Path(__file__).resolve().parent.parent
ROOT = DOCS.parent
CHAPTERS = ROOT / "chapters"
PAGES = DOCS / "lessons"
CACHES = DOCS / "_build" / "cache"
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def names():
    """Return the lessons' names."""
    return sorted(path.stem for path in CHAPTERS.glob("*.py") if path.stem != "common")


def write_pages():
    """Write a page for each lesson, and copy the drawings; files that would stay the same are left alone."""
    wanted = {PAGES / f"{name}.md": _page(CHAPTERS / f"{name}.py") for name in names()}
    wanted.update((PAGES / "img" / path.name, path.read_bytes()) for path in CHAPTERS.glob("img/*.svg"))
    for path, content in wanted.items():
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    for path in [*PAGES.glob("*.md"), *PAGES.glob("img/*")]:
        if path not in wanted:
            path.unlink()


def _page(script):
    return jupytext.writes(read(script), fmt="md:myst").encode()


def read(script):
    """Return a lesson as a notebook."""
    notebook = jupytext.read(script)
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL})
    return notebook


def options():
    """Return the options that the lessons are run with, such as ``--quick``; a kernel reads them as well."""
    return os.environ.get("D2LRNN_LESSON", "").strip()


def fingerprint():
    """Return a number that changes with the code and the corpora that every lesson uses."""
    digest = hashlib.sha256()
    for path in sorted([*ROOT.glob("d2lrnn/**/*.py"), *CHAPTERS.glob("common/**/*.py"), *ROOT.glob("data/*.*")]):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def cache_folder(parent):
    """Return the folder that keeps what the lessons have printed and drawn with these options and this code.

    jupyter-cache knows a lesson by the code of its cells. It cannot know what this code imports.
    """
    name = re.sub(r"\W+", "-", options()).strip("-") or "full"
    folder = parent / (f"{name}-data" if os.environ.get("D2LRNN_DATA") else name)
    used = folder / "fingerprint.txt"
    if not used.is_file() or used.read_text() != fingerprint():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        used.write_text(fingerprint())
    return folder


def write_notebooks(folder):
    """Write the lessons with what they printed and drew when the book was made with the same options.

    Their prose is in the language that the environment asks for, such as ``LANGUAGE=zh_CN``. The links are what the
    lessons import and show.
    """
    sys.path.insert(0, str(CHAPTERS))
    from common import language

    cache, wanted = get_cache(cache_folder(CACHES)), language.wanted()
    folder.mkdir(exist_ok=True)
    for name in names():
        _, notebook = cache.merge_match_into_notebook(read(CHAPTERS / f"{name}.py"))
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = language.translate(cell.source, language.messages_of(name, wanted), wanted)
        nbformat.write(notebook, folder / f"{name}.ipynb")
    for name in ("common", "img"):
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(Path("..", "chapters", name))


def setup(app):
    """Write the pages, and prepare the environment of the kernels that run them."""
    write_pages()
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # pictures under the cells that draw them
    os.environ["TQDM_DISABLE"] = "1"  # in a notebook a bar of progress is a program that loads others from the network
    path = [str(CHAPTERS), str(ROOT), os.environ.get("PYTHONPATH")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    # When the options or the code change, every page is read again.
    app.add_config_value("lessons_run_with", f"{options()} {fingerprint()}", "env")
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    write_notebooks(ROOT / "notebooks")
