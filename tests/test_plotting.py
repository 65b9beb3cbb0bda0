import math

import numpy
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from d2lrnn.comparison import plot_comparison
from d2lrnn.history import History
from d2lrnn.plotting import COLOURS, new_figure, plot_history, save_figure

RUNS = {
    "scratch": History([90.0, 20.0, 3.5, 1.5], [0.5, 0.25, 0.75, 0.125], [100.0, 110.0, 120.0, 105.0], [1.0] * 4),
    "gluon": History([80.0, 40.0, 9.5], [0.2, 0.3, 0.1], [900.0, 1000.0, 950.0], [0.1] * 3),
}


def curves(panel):
    """Return what a panel shows, by the names in its legend."""
    for line in panel.lines:
        assert line.get_xdata().tolist() == list(range(1, len(line.get_xdata()) + 1))
    return {line.get_label(): list(line.get_ydata()) for line in panel.lines}


def pixels(picture, colour):
    """Return how many pixels of a picture have a colour."""
    return int((numpy.abs(picture[..., :3] - to_rgb(colour)).max(axis=-1) < 0.02).sum())


@pytest.mark.parametrize(
    ("plot", "shown"),
    [(plot_history, ["perplexity", "grad_norm"]), (plot_comparison, ["perplexity", "tokens_per_second"])],
)
def test_a_picture_shows_the_numbers(tmp_path, plot, shown):
    path = tmp_path / "new" / "folder" / "picture.png"
    figure = plot(RUNS, path, "GRU on lyrics")
    for panel, name in zip(figure.axes, shown):
        assert curves(panel) == {run: getattr(history, name) for run, history in RUNS.items()}
        assert [text.get_text() for text in panel.get_legend().get_texts()] == ["scratch", "gluon"]
        assert name.split("_")[0] in panel.get_ylabel()
    assert figure.get_suptitle() == "GRU on lyrics"
    assert path.read_bytes().startswith(b"\x89PNG\r\n")
    picture = imread(path)
    height, width = picture.shape[:2]
    assert 300 <= height <= 1000 and 600 <= width <= 2000
    assert pixels(picture, COLOURS[0]) > 500 and pixels(picture, COLOURS[1]) > 500  # both curves are there to see
    assert pixels(picture, COLOURS[2]) == 0
    assert pixels(picture, "white") > 0.8 * height * width


def test_perplexity_is_on_a_logarithmic_axis_and_speed_starts_at_0():
    figure = plot_comparison(RUNS)
    assert [panel.get_yscale() for panel in figure.axes] == ["log", "linear"]
    assert figure.axes[1].get_ylim()[0] == 0


def test_one_run_needs_no_legend_and_one_epoch_gets_a_mark():
    (panel, _) = plot_history({"lstm": History([90.0], [0.5])}).axes
    assert curves(panel) == {"lstm": [90.0]}
    assert panel.get_legend() is None
    assert panel.lines[0].get_marker() == "o"


@pytest.mark.parametrize("plot", [plot_history, plot_comparison])
@pytest.mark.parametrize("runs", [{}, {"scratch": History(), "gluon": History()}])
def test_nothing_to_plot_is_refused_and_nothing_written(tmp_path, plot, runs):
    with pytest.raises(ValueError, match="there is nothing to plot"):
        plot(runs, tmp_path / "picture.png")
    assert not list(tmp_path.iterdir())


def test_a_run_that_has_not_begun_leaves_the_others_their_picture():
    panel = plot_comparison({**RUNS, "gluon": History()}).axes[0]
    assert curves(panel) == {"scratch": RUNS["scratch"].perplexity, "gluon": []}


@pytest.mark.parametrize("perplexity", [[math.inf, math.inf], [math.inf, 3.0], [1.0, 1.0]])
def test_numbers_that_a_logarithm_cannot_show_do_no_harm(tmp_path, perplexity):
    path = tmp_path / "picture.png"
    plot_history({"rnn": History(perplexity, [0.0, 0.0])}, path)
    assert imread(path).std() > 0


def test_the_ending_says_the_format(tmp_path):
    plot_history(RUNS, tmp_path / "picture.svg")
    assert "<svg" in (tmp_path / "picture.svg").read_text()[:1000]
    with pytest.raises(ValueError, match="Format 'docx' is not supported"):
        plot_history(RUNS, tmp_path / "picture.docx")


def test_no_figure_is_left_open():
    before = pyplot.get_fignums()
    plot_history(RUNS)
    assert pyplot.get_fignums() == before


def test_a_title_that_the_font_cannot_write(tmp_path):
    """Matplotlib would warn of every missing glyph, and warnings are errors here."""
    figure, panels = new_figure("GRU on 歌词.txt")
    panels[0].plot([1, 2])
    save_figure(figure, tmp_path / "title.png")
    assert figure.get_suptitle() == "GRU on ??.txt"
