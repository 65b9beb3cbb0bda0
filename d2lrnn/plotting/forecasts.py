"""Pictures of forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy

from d2lrnn.errors import D2lrnnError
from d2lrnn.plotting.figures import COLOURS, GREY, new_figure, save_figure, show_figure
from d2lrnn.plotting.fonts import legible
from d2lrnn.plotting.inspection import check_finite


@dataclass(frozen=True)
class ForecastPicture:
    """What a picture of a forecast shows; all arrays have a column for each name."""

    columns: tuple[str, ...]
    before: numpy.ndarray  # what the model has read (length, num_columns)
    forecast: numpy.ndarray  # what it forecasts (steps, num_columns)
    low: numpy.ndarray | None = None  # bounds of the same shape; None: none
    high: numpy.ndarray | None = None
    truth: numpy.ndarray | None = None  # what came, of as many steps as are known
    level: float = 0.9  # the share of the values that is to be between the bounds


def plot_forecast(picture: ForecastPicture, path: str | Path | None = None, title: str = "Forecast"):
    """Draw what a model has read, what it forecasts with its bounds, and what came; a panel for each column.

    Args:
        picture: what to show.
        path: the file to write; None writes none.
        title: above the picture.

    Returns:
        the Matplotlib figure; a notebook shows it below the cell, once.

    Raises:
        D2lrnnError: if there is nothing to draw, or something that is no number.
    """
    if not len(picture.forecast) or not len(picture.before):
        raise D2lrnnError("there is nothing to plot: expected values before the forecast, and a forecast")
    parts = (picture.before, picture.forecast, picture.low, picture.high, picture.truth)
    for part in parts:
        if part is not None:
            check_finite("the values", part)
    num_panels = len(picture.columns)
    figure, panels = new_figure(title, num_panels, (8, 0.9 + 2.6 * num_panels), stacked=True)
    labels, families = legible(picture.columns)
    for i, (panel, label) in enumerate(zip(panels, labels)):
        past, steps = numpy.arange(1 - len(picture.before), 1), numpy.arange(1, 1 + len(picture.forecast))
        panel.plot(past, picture.before[:, i], color=COLOURS[5], label="read")
        if picture.truth is not None and len(picture.truth):
            known = numpy.arange(1, 1 + len(picture.truth))
            panel.plot(known, picture.truth[:, i], color=COLOURS[5], linestyle=":", marker=".", label="what came")
        panel.plot(steps, picture.forecast[:, i], color=COLOURS[1], label="forecast")
        if picture.low is not None and picture.high is not None:
            name = f"{100 * picture.level:g} % interval"
            panel.fill_between(
                steps, picture.low[:, i], picture.high[:, i], color=COLOURS[1], alpha=0.2, linewidth=0, label=name
            )
        panel.axvline(0.5, color=GREY, linewidth=1)
        panel.set_ylabel(label, fontfamily=families, parse_math=False)
        panel.xaxis.get_major_locator().set_params(integer=True)
    panels[-1].set_xlabel("step")
    panels[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, borderaxespad=0.2)
    return show_figure(save_figure(figure, path))
