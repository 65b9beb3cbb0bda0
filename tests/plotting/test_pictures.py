import math
import warnings

import numpy
import pytest
from matplotlib import colormaps, pyplot
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from pictures import pixels
from tiny import history_of
from typefaces import forget_fonts, only_usual_fonts

from d2lrnn import D2lrnnError
from d2lrnn.plotting import fonts
from d2lrnn.plotting.figures import COLOURS, GREY
from d2lrnn.plotting.inspection import EmbeddingMap
from d2lrnn.plotting.pictures import plot_comparison, plot_embedding, plot_gates, plot_history, plot_next, varied_units
from d2lrnn.training.history import History

RUNS = {
    "scratch": history_of([90.0, 20.0, 3.5, 1.5], [0.5, 0.25, 0.75, 0.125], [100.0, 110.0, 120.0, 105.0], [1.0] * 4),
    "gluon": history_of([80.0, 40.0, 9.5], [0.2, 0.3, 0.1], [900.0, 1000.0, 950.0], [0.1] * 3),
}


def curves(panel):
    """Return what a panel shows, by the names in its legend."""
    for line in panel.lines:
        assert line.get_xdata().tolist() == list(range(1, len(line.get_xdata()) + 1))
    return {line.get_label(): list(line.get_ydata()) for line in panel.lines}


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


def test_a_measure_of_which_more_is_better_is_on_a_linear_axis():
    epochs = [{"accuracy": accuracy, "grad_norm": 1.0} for accuracy in (0.1, 0.6, 0.95)]
    panel = plot_history({"classifier": History(epochs, measure="accuracy", less_is_better=False)}).axes[0]
    assert (panel.get_yscale(), panel.get_ylabel()) == ("linear", "training accuracy")


@pytest.mark.parametrize("low", [1.2, 4.4, 6.1, 9.7])
@pytest.mark.parametrize("ratio", [1.1, 1.7, 2.9, 3.1, 5, 12, 40, 1e4])
def test_a_vertical_axis_has_two_labels_or_more(low, ratio):
    panel = plot_history({"lstm": history_of([low, low * ratio], [1.0, 1.0])}).axes[0]
    begin, end = panel.get_ylim()
    labels = panel.yaxis.get_ticklabels(which="both")
    assert sum(bool(label.get_text()) for label in labels if begin <= label.get_position()[1] <= end) >= 2
    assert panel.get_yscale() == ("log" if ratio > 3 else "linear")


def test_one_run_needs_no_legend_and_one_epoch_gets_a_mark():
    (panel, _) = plot_history({"lstm": history_of([90.0], [0.5])}).axes
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
    losses, norms = plot_history({"rnn": history_of(perplexity, [0.0, 0.0])}, path).axes
    assert (curves(losses), curves(norms)) == ({"rnn": perplexity}, {"rnn": [0.0, 0.0]})
    assert losses.get_yscale() == norms.get_yscale() == "linear"
    left, right = numpy.array_split(imread(path), 2, axis=1)
    assert (pixels(left, COLOURS[0]) > 30) == (min(perplexity) < math.inf)  # a point at least
    assert pixels(right, COLOURS[0]) > 500  # a line


def test_the_ending_says_the_format(tmp_path):
    plot_history(RUNS, tmp_path / "picture.svg")
    assert "<svg" in (tmp_path / "picture.svg").read_text()[:1000]
    with pytest.raises(ValueError, match="Format 'docx' is not supported"):
        plot_history(RUNS, tmp_path / "picture.docx")


def test_no_figure_is_left_open():
    before = pyplot.get_fignums()
    plot_history(RUNS)
    assert pyplot.get_fignums() == before


@pytest.fixture(params=["the fonts of this machine", "no font"])
def words(request, monkeypatch):
    """What is written for the characters of a name, where a font has them and where none has."""
    if request.param == "no font":
        only_usual_fonts(monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (found,), _ = fonts.legible(["歌词"])  # which says once, if need be, that there is no font
    assert found in (["歌词", "U+6B4C U+8BCD"] if request.param != "no font" else ["U+6B4C U+8BCD"])
    yield found
    monkeypatch.undo()
    forget_fonts()


def test_names_that_are_not_ascii(tmp_path, words):
    """Matplotlib would warn of every missing glyph, and warnings are errors here."""
    runs = {"歌词": RUNS["scratch"], "gluon": RUNS["gluon"]}
    figure = plot_history(runs, tmp_path / "title.png", "GRU on 歌词.txt")
    assert figure.get_suptitle() == f"GRU on {words}.txt"
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [words, "gluon"]


def named(first, name):
    """Return a history of this name, which judges by a measure that is called the same."""
    return History([{name: first, "grad_norm": 0.5}, {name: 2.0, "grad_norm": 0.25}], measure=name)


NAMES = (r"$\frac$", "$a_b$", "_hidden", "_", "_child1", "", "{}%s", "$")


@pytest.mark.parametrize("plot", [plot_history, plot_comparison])
def test_names_are_shown_as_they_are(tmp_path, plot):
    r"""Matplotlib would draw $a_b$ as a formula, fail at $\frac$, and leave _hidden out of the legend."""
    runs = {name: named(3.0 + i, NAMES[0]) for i, name in enumerate(NAMES)}
    for history in runs.values():
        for epoch in history.epochs:
            epoch["tokens_per_second"] = 9.0
    figure = plot(runs, tmp_path / "picture.png", ", ".join(NAMES))
    assert figure.get_suptitle() == ", ".join(NAMES)
    assert figure.axes[0].get_ylabel() == rf"training {NAMES[0]}"
    for panel in figure.axes:
        legend = panel.get_legend()
        assert [text.get_text() for text in legend.get_texts()] == list(NAMES)
        assert [line.get_color() for line in legend.get_lines()] == [line.get_color() for line in panel.lines]
        texts = [*legend.get_texts(), panel.xaxis.label, panel.yaxis.label, figure._suptitle]
        assert not [text.get_text() for text in texts if text.get_parse_math()]


def test_a_curve_in_validation_takes_no_name_from_another():
    valid = history_of([3.0, 2.0], [0.5, 0.4])
    for epoch, found in zip(valid.epochs, (9.0, 8.0)):
        epoch["valid_perplexity"] = found
    panel = plot_history({"_a": valid, "_b": history_of([7.0, 6.0], [0.5, 0.4])}).axes[0]
    drawn = [(line.get_color(), line.get_linestyle()) for line in panel.lines]
    assert drawn == [(COLOURS[0], "-"), (COLOURS[0], "--"), (COLOURS[1], "-")]
    legend = panel.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["_a", "_b"]
    assert [line.get_color() for line in legend.get_lines()] == list(COLOURS[:2])


def test_gates_of_a_cell_of_ones_own_may_have_any_letter(tmp_path):
    figure = plot_gates({"$": numpy.random.random((2, 3)), "歌": numpy.random.random((2, 3))}, ["$\\frac$", "_"])
    figure.savefig(tmp_path / "gates.png")
    assert figure.axes[0].get_title("left") == "gate $"


# What may come next


def test_the_bars_are_the_probabilities_the_largest_on_top(tmp_path):
    figure = plot_next([("the", 0.5), (" ", 0.25), ("$_$", 0.125)], tmp_path / "next.png", "what follows '$a$'")
    (panel,) = figure.axes
    assert [bar.get_width() for bar in panel.patches] == [0.5, 0.25, 0.125, 0.125]
    assert [round(bar.get_y() + bar.get_height() / 2) for bar in panel.patches] == [0, 1, 2, 3]
    assert panel.yaxis.get_inverted()
    assert [text.get_text() for text in panel.get_yticklabels()] == ["the", "␣", "$_$", "others"]
    assert [text.get_text() for text in panel.texts] == ["50.0 %", "25.0 %", "12.5 %", "12.5 %"]
    assert [to_rgb(bar.get_facecolor()) for bar in panel.patches] == [to_rgb(COLOURS[0])] * 3 + [to_rgb(GREY)]
    assert figure.get_suptitle() == "what follows '$a$'"
    assert pixels(imread(tmp_path / "next.png"), COLOURS[0]) > 5000
    assert not [text for text in [*panel.get_yticklabels(), figure._suptitle] if text.get_parse_math()]


def test_no_others_where_there_are_none():
    (panel,) = plot_next([("a ", 0.75), ("\n", 0.25)]).axes
    assert [text.get_text() for text in panel.get_yticklabels()] == ["a␣", "↵"]


@pytest.mark.parametrize(("probabilities", "found"), [([], "0"), ([("a", 0.75), ("b", 0.5)], "1.25")])
def test_no_probabilities(probabilities, found):
    with pytest.raises(ValueError, match=f"the probabilities sum up to {found}: expected"):
        plot_next(probabilities)


@pytest.mark.parametrize("lost", [math.nan, math.inf])
def test_what_is_no_number_is_not_drawn(lost):
    gate = numpy.full((2, 3), 0.5)
    gate[1, 2] = lost
    for what, plot, arguments in (
        ("probabilities", plot_next, [[("a", 0.5), ("b", lost)]]),
        ("gates", plot_gates, [{"z": gate}, ["a", "b"]]),
        ("points", plot_embedding, [EmbeddingMap(("a", "b"), gate[:, 1:], (0.5, 0.5))]),
    ):
        with pytest.raises(D2lrnnError, match=f"the {what} hold NaN or infinity: did the model diverge in training"):
            plot(*arguments)


# Gates


def test_the_maps_show_the_activations_of_the_units_that_vary_most(tmp_path):
    gates = {"i": numpy.full((4, 6), 0.5), "f": numpy.full((4, 6), 0.5)}
    gates["i"][:, 4] = [0.25, 1, 0, 0.75]
    gates["f"][:, 1] = [0.5, 1, 0.5, 1]
    gates["i"][:, 0], gates["f"][:, 0] = [0.5, 0.5, 0.5, 0.6], 0.9  # large, but it hardly varies
    figure = plot_gates(gates, list("ab c"), tmp_path / "gates.png", num_units=2)
    maps = figure.axes[:2]
    assert [panel.get_title("left") for panel in maps] == ["input gate i", "forget gate f"]
    for panel, gate in zip(maps, gates.values()):
        units = [int(text.get_text()) for text in panel.get_yticklabels()]
        assert units == [4, 1]  # by their share in the first component
        numpy.testing.assert_array_equal(panel.images[0].get_array(), gate[:, units].T)
        assert panel.images[0].get_clim() == (0, 1)
        assert panel.images[0].origin == "upper"  # the first row is where the first tick is
        assert [text.get_text() for text in panel.get_xticklabels()] == ["a", "b", "␣", "c"]
    assert figure.axes[2].get_ylim() == (0, 1)
    picture, colours = imread(tmp_path / "gates.png"), colormaps["Blues"]
    counts = [pixels(picture, colours(value)) for value in (0.0, 0.25, 0.5, 0.75, 1.0)]
    square = counts[1]  # the one unit that is a quarter open at one token; two maps of two units have 16 squares
    assert square > 500
    assert numpy.round(numpy.array(counts) / square).tolist() == [1, 1, 10, 1, 3]


def test_units_that_vary_alike_stand_together():
    wave = numpy.sin(numpy.arange(20))[:, None]
    loads = numpy.array([0.2, -0.4, 0.5, -0.3, 0.4, -0.1])
    gates = [0.5 + wave * loads, 0.5 + wave * loads / 2]
    assert varied_units(gates, 6).tolist() == [2, 4, 0, 5, 3, 1]
    assert varied_units([1 - gate for gate in gates], 6).tolist() == [2, 4, 0, 5, 3, 1]
    assert varied_units(gates, 3).tolist() == [2, 4, 1]
    assert varied_units([gate[:1] for gate in gates], 3).tolist() == [0, 1, 2]


def test_pairs_stand_one_below_the_other_and_words_upright():
    for tokens, expected, rotation in [
        (["a ", "bc"], ["a\n␣", "b\nc"], 0),
        (["of", "the"], ["of", "the"], 90),
        (["a", "b"], ["a", "b"], 0),
    ]:
        labels = plot_gates({"z": numpy.random.random((2, 3))}, tokens).axes[0].get_xticklabels()
        assert [(text.get_text(), text.get_rotation()) for text in labels] == [(text, rotation) for text in expected]


@pytest.mark.parametrize("count", [1, 40, 300])
def test_the_tokens_of_a_text_of_any_length_are_labelled(tmp_path, count):
    tokens = [chr(ord("a") + i % 26) for i in range(count)]
    figure = plot_gates({"z": numpy.random.random((count, 3))}, tokens, tmp_path / "gates.png")
    panel = figure.axes[0]
    assert [tokens[int(place)] for place in panel.get_xticks()] == [text.get_text() for text in panel.get_xticklabels()]
    boxes = [text.get_window_extent() for text in panel.get_xticklabels()]
    assert len(boxes) == {1: 1, 40: 40, 300: 75}[count]
    assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:]))
    assert imread(tmp_path / "gates.png").shape[1] < 2800


@pytest.mark.parametrize(
    ("gates", "tokens", "complaint"),
    [
        ({}, "ab", "gates are none, tokens 2: expected of each gate a row for each token"),
        ({"z": numpy.ones((2, 3)), "r": numpy.ones((3, 3))}, "ab", r"gates are z \(2, 3\), r \(3, 3\), tokens 2"),
        ({"z": numpy.ones((0, 3))}, "", r"gates are z \(0, 3\), tokens 0"),
        ({"z": numpy.ones(2)}, "ab", r"gates are z \(2,\), tokens 2"),
    ],
)
def test_gates_that_do_not_fit_the_text(gates, tokens, complaint):
    with pytest.raises(ValueError, match=complaint):
        plot_gates(gates, list(tokens))


def test_at_least_one_unit_is_drawn():
    with pytest.raises(ValueError, match="num_units is 0: expected a whole number, at least 1"):
        plot_gates({"z": numpy.ones((2, 3))}, ["a", "b"], num_units=0)


# The embedding's map


def drawn(figure):
    """Return a map's labels with their boxes in pixels, and its points that have none."""
    figure.draw_without_rendering()
    (panel,) = figure.axes
    (dots,) = panel.collections
    return {text.get_text(): text.get_window_extent() for text in panel.texts}, dots.get_offsets()


def test_tokens_stand_at_their_points(tmp_path):
    points = numpy.array([[0, 0], [4, 1], [-3, -1], [-1, 0.5]])
    embedding = EmbeddingMap((" ", "the", "$", "a"), points, (0.5, 0.25))
    figure = plot_embedding(embedding, tmp_path / "map.png", "lyrics")
    labels, dots = drawn(figure)
    (panel,) = figure.axes
    assert list(labels) == ["␣", "the", "$", "a"] and not len(dots)
    centres = [(box.min + box.max) / 2 for box in labels.values()]
    numpy.testing.assert_allclose(centres, panel.transData.transform(points), atol=1)
    scale = panel.transData.transform([(1, 1)]) - panel.transData.transform([(0, 0)])
    assert scale[0, 0] == pytest.approx(scale[0, 1])
    assert panel.get_xlabel() == "first principal component, 50 % of the variance"
    assert panel.get_ylabel() == "second principal component, 25 % of the variance"
    picture, scale = imread(tmp_path / "map.png")[..., :3], 1.2  # pixels of the file to one of the figure
    for box in labels.values():
        left, right = int(scale * box.x0), math.ceil(scale * box.x1)
        bottom, top = len(picture) - int(scale * box.y0), len(picture) - math.ceil(scale * box.y1)
        assert picture[top:bottom, left:right].min() < 0.3  # ink


def test_no_label_covers_another_and_the_first_tokens_have_precedence():
    """A crowd, in which there is not room for all: what has no label is a dot."""
    points = numpy.random.normal(size=(150, 2)) * 0.3
    points[-1] = 5, 5
    tokens = tuple(f"{i:03}" for i in range(150))
    figure = plot_embedding(EmbeddingMap(tokens, points, (0.5, 0.5)))
    labels, dots = drawn(figure)
    assert 10 < len(labels) < 140
    assert {"000", "149"} < set(labels)
    boxes = list(labels.values())
    assert not [1 for i, box in enumerate(boxes) if box.count_overlaps(boxes[:i])]
    for token, box in labels.items():
        place = figure.axes[0].transData.transform(points[int(token)])
        assert abs((box.min + box.max) / 2 - place).max() < 15
    expected = [point for token, point in zip(tokens, points) if token not in labels]
    numpy.testing.assert_array_equal(dots, expected)


def test_a_map_of_one_place_and_of_one_line():
    for points in (numpy.zeros((3, 2)), numpy.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])):
        labels, _ = drawn(plot_embedding(EmbeddingMap(("a", "b", "c"), points, (1.0, 0.0))))
        assert "a" in labels
