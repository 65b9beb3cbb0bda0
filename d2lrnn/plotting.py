"""Pictures of training runs.  Matplotlib is imported when the first one is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from d2lrnn.history import History

COLOURS = ("#1f5fa8", "#d1570d", "#2a8c55", "#8b3fa0", "#b8860b", "#5b6770")
LINE_STYLES = ("-", "--", "-.", ":")  # a curve that covers another shows it in the gaps


def new_figure(title: str, num_panels: int = 1):
    """Return a Matplotlib figure that needs no display, and its panels side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.2 + 4.3 * num_panels, 3.6), layout="constrained")
    figure.suptitle(title.encode("ascii", "replace").decode())  # a file's Chinese name: Matplotlib's font lacks it
    panels = list(figure.subplots(1, num_panels, squeeze=False)[0])
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.3)
    return figure, panels


Curves = Mapping[str, Sequence[float]]  # values by the name that the legend gives them


def draw_curves(
    panel, curves: Curves, labels: tuple[str, str], log: bool = False, dashed: Curves | None = None
) -> None:
    """Draw curves over 1, 2, 3 ... into a panel.

    Args:
        panel: one of :func:`new_figure`.
        curves: values by the name that the legend gives them.
        labels: of the two axes.
        log: whether the vertical axis is logarithmic.
        dashed: further curves, drawn dashed in the colours of those with the same names, which are solid then.

    Raises:
        ValueError: if none of the curves has a value.
    """
    drawn = [value for values in curves.values() for value in values]
    if not drawn:
        raise ValueError("there is nothing to plot: no curve has a value; has a run finished an epoch?")
    for i, (name, values) in enumerate(curves.items()):
        style = {"color": COLOURS[i % len(COLOURS)], "marker": "o" if len(values) < 3 else ""}
        solid = "-" if dashed is not None else LINE_STYLES[i % len(LINE_STYLES)]
        panel.plot(range(1, len(values) + 1), values, label=name, linestyle=solid, **style)
        if dashed and name in dashed:
            panel.plot(range(1, len(dashed[name]) + 1), dashed[name], linestyle="--", **style)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.set_xlabel(labels[0])
    panel.set_ylabel(labels[1])
    if log and any(0 < value < math.inf for value in drawn):
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        low, high = panel.get_ylim()
        if high < 30 * low:  # at most one power of ten to label
            panel.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "235" else "")
    if len(curves) > 1:
        panel.legend(frameon=False)


def save_figure(figure, path: str | Path | None):
    """Write a figure to ``path``, whose ending says the format (.png, .svg, .pdf), unless it is None; return it."""
    if path is not None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120)
    return figure


def plot_history(histories: Mapping[str, History], path: str | Path | None = None, title: str = "Training"):
    """Draw perplexity, in training and where there is one in validation, and gradient norm, epoch by epoch.

    Args:
        histories: the runs, by the name that the legend gives them.
        path: the file to write; None writes none.
        title: above the picture.

    Returns:
        the Matplotlib figure.

    Raises:
        ValueError: if there is no run with a finished epoch.
    """
    figure, panels = new_figure(title, 2)
    perplexity = {name: history.perplexity for name, history in histories.items()}
    validation = {name: history.valid_perplexity for name, history in histories.items() if history.valid_perplexity}
    grad_norm = {name: history.grad_norm for name, history in histories.items()}
    label = "perplexity (dashed: validation)" if validation else "training perplexity"
    draw_curves(panels[0], perplexity, ("epoch", label), log=True, dashed=validation or None)
    draw_curves(
        panels[1],
        grad_norm,
        ("epoch", "mean gradient norm before clipping"),
        log=True,
        dashed={} if validation else None,
    )
    return save_figure(figure, path)
