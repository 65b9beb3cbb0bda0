"""A figure, its curves, its file."""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Union

from d2lrnn._launch import notebook_shell
from d2lrnn.errors import D2lrnnError, naming
from d2lrnn.paths import make_folder, user_path
from d2lrnn.plotting.fonts import legible

COLOURS = ("#1f5fa8", "#d1570d", "#2a8c55", "#8b3fa0", "#b8860b", "#5b6770")  # of curves, in this order

GREY = "#b4bbc2"  # of what is not singled out: the bar of all other tokens, tokens without a label

DRAWN = 1e100  # the largest number that is drawn

LINE_STYLES = ("-", "--", "-.", ":")  # where one curve covers another, the other shows in the gaps


def new_figure(title: str, num_panels: int = 1, size: tuple[float, float] | None = None, stacked: bool = False):
    """Return a Matplotlib figure that needs no display, and its panels, side by side or one below the other.

    Args:
        title: above the picture.
        num_panels: how many panels.
        size: width and height in inches; None: the size for curves side by side.
        stacked: whether the panels are one below the other.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=size or (1.2 + 4.3 * num_panels, 3.6), layout="constrained")
    (title,), families = legible([title])
    figure.suptitle(title, fontfamily=families, parse_math=False)
    grid = (num_panels, 1) if stacked else (1, num_panels)
    panels = list(figure.subplots(*grid, squeeze=False).flat)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.3)
    return figure, panels


# By the name that the legend gives it, a curve: values over 1, 2, 3 and so on, or by the number that each is over.
Curves = Mapping[str, Union[Sequence[float], Mapping[int, float]]]


def draw_curves(
    panel, curves: Curves, labels: tuple[str, str], log: bool = False, dashed: Curves | None = None
) -> None:
    """Draw curves into a panel, such as measures over the epochs.

    Args:
        panel: one of :func:`new_figure`.
        curves: values over 1, 2, 3 and so on, or by the number that each is over, by the name in the legend.
        labels: of the two axes.
        log: whether the vertical axis is logarithmic, if the values are far enough apart to label it well.
        dashed: further curves, each drawn dashed in the colour of the curve of its name.  The curves themselves are
            then solid; without ``dashed`` they differ in their line styles too.

    Raises:
        D2lrnnError: if none of the curves has a value.
    """
    drawn = [value for curve in curves.values() for value in _points(curve)[1]]
    if not drawn:
        raise D2lrnnError("there is nothing to plot: no curve has a value; has a run finished an epoch?")
    (x_label, y_label, *names), families = legible([*labels, *curves])
    lines: list = []
    for i, (name, values) in enumerate(curves.items()):
        style = {"color": COLOURS[i % len(COLOURS)], "marker": "o" if len(values) < 3 else ""}
        solid = "-" if dashed is not None else LINE_STYLES[i % len(LINE_STYLES)]
        lines += panel.plot(*_points(values), label=names[i], linestyle=solid, **style)
        if dashed and name in dashed:
            panel.plot(*_points(dashed[name]), linestyle="--", **style)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.set_xlabel(x_label, fontfamily=families, parse_math=False)
    panel.set_ylabel(y_label, fontfamily=families, parse_math=False)
    drawn += [value for name in curves for value in _points((dashed or {}).get(name, ()))[1]]
    shown = [value for value in drawn if 0 < value < math.inf]
    if log and shown and max(shown) > 3 * min(shown):
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        low, high = panel.get_ylim()
        if high < 30 * low:  # at most one power of ten to label
            digits = "235" if high > 8 * low else "2345678"
            panel.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in digits else "")
    if len(curves) > 1:
        _add_legend(panel, lines, names, families)


def _add_legend(panel, lines: Sequence, names: Sequence[str], families: list[str]) -> None:
    """Add a legend with each line's name as it is; Matplotlib would leave out "_a" and read "$a$" as a formula.

    The legend stands above the panel, where no curve runs through it, in as many columns as its names leave room for.
    More than three rows, or a very long name, would leave no room for the curves: then it stands inside.
    """
    longest = max(map(len, names))
    num_columns = min(len(names), max(1, 40 // (6 + longest)))
    has_room = len(names) <= 3 * num_columns and longest <= 36
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": num_columns, "borderaxespad": 0.2}
    legend = panel.legend(
        lines, ["-"] * len(lines), frameon=False, prop={"family": families}, **(place if has_room else {})
    )
    for text, name in zip(legend.get_texts(), names):
        text.set_parse_math(False)
        text.set_text(name)


def _points(curve: Sequence[float] | Mapping[int, float]) -> tuple[Sequence[int], Sequence[float]]:
    """Return what a curve's values are over, and the values.

    Values beyond DRAWN become infinite: Matplotlib leaves these out, and its arithmetic would overflow with the others.
    """
    points = curve if isinstance(curve, Mapping) else dict(enumerate(curve, 1))
    return list(points), [math.copysign(math.inf, v) if abs(v) > DRAWN else v for v in points.values()]


def save_figure(figure, path: str | Path | None):
    """Write a figure to ``path``, unless that is None, and return the figure.

    Args:
        figure: one of :func:`new_figure`.
        path: the file; its ending says the format, such as .png, .svg or .pdf.

    Raises:
        D2lrnnError: if ``path`` has no such ending, or is a folder.
        FileError: if the file cannot be written.
    """
    if path is not None:
        path = user_path(path)
        with naming(path):
            is_folder = path.is_dir()
        if not path.suffix or is_folder:
            raise D2lrnnError(f"{path}: expected the name of a file that ends in .png, .svg or .pdf")
        known = figure.canvas.get_supported_filetypes()
        if path.suffix[1:].lower() not in known:
            raise D2lrnnError(
                f"Format {path.suffix[1:]!r} is not supported (supported formats: {', '.join(sorted(known))})"
            )
        make_folder(path.parent)
        with naming(path):
            try:
                figure.savefig(path, dpi=120)
            except ValueError as error:  # 65,536 pixels are too many for Matplotlib
                if "too large" not in str(error):
                    raise
                raise D2lrnnError(f"{path}: {error} Draw fewer tokens or units.") from error
            except RuntimeError as error:
                if path.suffix.lower() != ".pgf":
                    raise
                raise D2lrnnError(f"{path}: this format needs TeX: {error}") from error
    return figure


def show_figure(figure):
    """Show a figure below the cell of a notebook, and return it; elsewhere return it alone.

    A notebook shows what the last line of a cell returns.  If that is the figure that the cell has shown already,
    nothing is shown; in a later cell it is shown again.
    """
    if notebook_shell() is not None:
        _display(figure)
        figure._ipython_display_ = functools.partial(_display_again, figure, notebook_shell().execution_count)
    return figure


def _display(figure) -> None:
    from IPython.display import Image, display

    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    display(Image(picture.getvalue()))


def _display_again(figure, cell: int) -> None:
    """Show a figure that the cell with this number has shown, unless that cell still runs."""
    if notebook_shell() is None or notebook_shell().execution_count != cell:
        _display(figure)
