"""The picture of a forecast shows what it is given."""

import numpy
import pytest

from d2lrnn import D2lrnnError
from d2lrnn.plotting.forecasts import ForecastPicture, plot_forecast


def test_what_the_picture_shows(tmp_path):
    before, found = numpy.arange(8.0).reshape(4, 2), numpy.arange(6.0).reshape(3, 2)
    picture = ForecastPicture(("x", "$y$"), before, found, found - 1, found + 1, found[:2] + 0.5, 0.8)
    figure = plot_forecast(picture, tmp_path / "a.png", "a title")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    first, second = figure.axes
    assert [panel.get_ylabel() for panel in figure.axes] == ["x", "$y$"]
    read, came, forecast = first.lines[:3]
    assert read.get_xydata().tolist() == [[-3, 0], [-2, 2], [-1, 4], [0, 6]]
    assert came.get_xydata().tolist() == [[1, 0.5], [2, 2.5]]
    assert forecast.get_xydata().tolist() == [[1, 0], [2, 2], [3, 4]]
    assert second.lines[2].get_ydata().tolist() == [1, 3, 5]
    (band,) = first.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (-1, 5)
    assert [text.get_text() for text in first.get_legend().get_texts()] == [
        *("read", "what came", "forecast"),
        "80 % interval",
    ]


def test_a_picture_without_bounds_and_truth():
    figure = plot_forecast(ForecastPicture(("x",), numpy.ones((2, 1)), numpy.ones((2, 1))))
    assert len(figure.axes[0].lines) == 3 and not figure.axes[0].collections  # read, forecast, the line between


def test_what_cannot_be_drawn():
    one = numpy.ones((2, 1))
    with pytest.raises(D2lrnnError, match="there is nothing to plot"):
        plot_forecast(ForecastPicture(("x",), one, one[:0]))
    with pytest.raises(D2lrnnError, match="the values"):
        plot_forecast(ForecastPicture(("x",), one, one * numpy.nan))
