"""What a lesson shows beside its words: pictures, and the module's own source."""

from __future__ import annotations

import inspect
from pathlib import Path

from d2lrnn.plotting import save_figure as write_figure
from d2lrnn.plotting import show_figure
from d2lrnn.training import in_notebook


def save_figure(figure, path: Path) -> None:
    """Write a figure of :func:`d2lrnn.plotting.new_figure` to a file, and show it."""
    show_figure(write_figure(figure, path))
    show_picture(path)


def show_picture(path: Path) -> None:
    """Print where a picture was written; a notebook has shown the picture itself."""
    if not in_notebook():
        print(f"picture  {path}")


def show_source(function) -> None:
    """Print the source of one of the module's functions or classes; a notebook shows it highlighted."""
    source = inspect.getsource(function).rstrip()
    if in_notebook():
        from IPython.display import Code, display

        display(Code(source, language="python"))
    else:
        print(source)
