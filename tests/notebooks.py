"""Lessons run as notebooks, each once for all tests that look at it: by a kernel of Jupyter's within this process.

A process of its own for each kernel would import MXNet again, and the tests could not look at what a lesson has made.
"""

import atexit
import contextlib
import functools
import importlib.util
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import matplotlib
import tqdm.auto
from lessons import CHAPTERS, Ran

import d2lrnn

QUICK = "--quick"  # the options of the lessons


class Executed(NamedTuple):
    """A lesson that has run as a notebook with the option ``--quick``."""

    notebook: Any  # of nbformat
    names: dict  # its global names
    out: Path  # the folder of its pictures
    cells: dict  # that it has added, by their names

    def as_ran(self):
        """Return the lesson as if it were a script: its prose as a terminal shows it, and what its cells printed."""
        with importing_from(CHAPTERS):
            script = importlib.import_module("common.script")
        text = ""
        for cell in self.notebook.cells:
            if cell.cell_type == "markdown":
                text += f"\n{script.plain(cell.source)}\n\n" if text else f"{script.plain(cell.source)}\n\n"
            else:
                text += "".join(output.text for output in cell.outputs if output.output_type == "stream")
        return Ran(text, self.names)


class NoBar(tqdm.auto.tqdm):
    """A bar of progress that is not shown: what the book sets in the environment is read when tqdm is imported."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **{**options, "disable": True})


@contextlib.contextmanager
def importing_from(folder):
    """Let the modules of a folder be imported."""
    with mock.patch.object(sys, "path", [str(folder), *sys.path]):
        yield


def extension(docs):
    """Return the module by which a book reads the lessons and keeps what they print, in a folder like ``docs``."""
    spec = importlib.util.spec_from_file_location("lessons_of_the_book", docs / "_ext" / "lessons.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def execute(name):
    """Run a lesson as the book does."""
    notebook = extension(CHAPTERS.parent / "docs").read(CHAPTERS / f"{name}.py")
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    out = folder / "pictures"
    with as_before(), importing_from(CHAPTERS), mock.patch("tqdm.auto.tqdm", NoBar):
        os.environ.pop("D2LRNN_DATA", None)
        os.environ.update(D2LRNN_LESSON=f"{QUICK} --ctx cpu --out {out}", LANGUAGE="en")
        os.environ.update(IPYTHONDIR=str(folder / "ipython"), PYDEVD_DISABLE_FILE_VALIDATION="1")
        known = set(d2lrnn.CELLS)
        names = run_cells(notebook)
        return Executed(notebook, names, out, {name: d2lrnn.CELLS[name] for name in set(d2lrnn.CELLS) - known})


def keep(names, docs):
    """Keep what lessons print and draw where a book in a folder like ``docs`` looks for it before it runs a lesson."""
    book = extension(docs)
    with mock.patch.dict(os.environ, D2LRNN_LESSON=QUICK):
        os.environ.pop("D2LRNN_DATA", None)
        cache = book.get_cache(book.cache_folder(docs / "_build" / "cache"))
    from jupyter_cache.base import CacheBundleIn

    for name in names:
        cache.cache_notebook_bundle(CacheBundleIn(execute(name).notebook, str(docs / "lessons" / f"{name}.md")))


@contextlib.contextmanager
def as_before():
    """Leave environment, warnings, cells and the settings of Matplotlib as they were."""
    backend, is_interactive, cells = matplotlib.get_backend(), matplotlib.is_interactive(), dict(d2lrnn.CELLS)
    with mock.patch.dict(os.environ), warnings.catch_warnings(), matplotlib.rc_context():
        try:
            yield
        finally:
            matplotlib.use(backend)
            matplotlib.interactive(is_interactive)
            d2lrnn.CELLS.clear()
            d2lrnn.CELLS.update(cells)


def run_cells(notebook):
    """Run the cells of a notebook, which gets their outputs; return the global names."""
    import matplotlib_inline.backend_inline
    from ipykernel.inprocess.manager import InProcessKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionComplete
    from traitlets.config import Config

    manager = InProcessKernelManager(config=Config({"HistoryManager": {"hist_file": ":memory:"}}))
    main = sys.modules["__main__"]
    manager.start_kernel()
    try:
        shell, client, outputs = manager.kernel.shell, manager.client(), NotebookClient(notebook, record_timing=False)
        client.start_channels()
        outputs.reset_execution_trackers()
        outputs.clear_before_next_output = False
        matplotlib.use("module://matplotlib_inline.backend_inline")
        matplotlib_inline.backend_inline.configure_inline_support(shell, matplotlib.get_backend())
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            number = client.execute(cell.source)
            with contextlib.suppress(CellExecutionComplete):
                while True:
                    message = client.iopub_channel.get_msg(timeout=60)
                    # A kernel within a process does not say of a printed text which cell it is of.
                    if message["msg_type"] == "stream" or message["parent_header"].get("msg_id") == number:
                        outputs.process_message(message, cell, index)
            reply = client.get_shell_msg(timeout=60)["content"]
            assert reply["status"] == "ok", "\n".join(reply.get("traceback", []))
        return shell.user_ns
    finally:
        type(manager.kernel.shell).clear_instance()
        manager.shutdown_kernel()
        sys.modules["__main__"] = main
