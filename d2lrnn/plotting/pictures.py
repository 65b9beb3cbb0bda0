"""Pictures of training runs and of what models do.  Matplotlib is imported when the first one is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy

from d2lrnn.checks import check_number, check_whole, shown
from d2lrnn.errors import D2lrnnError
from d2lrnn.plotting.figures import COLOURS, GREY, draw_curves, new_figure, save_figure, show_figure
from d2lrnn.plotting.fonts import legible
from d2lrnn.plotting.inspection import EmbeddingMap, check_finite
from d2lrnn.training.history import History

GATE_NAMES = {"i": "input gate", "f": "forget gate", "o": "output gate", "z": "update gate", "r": "reset gate"}


def plot_history(histories: Mapping[str, History], path: str | Path | None = None, title: str = "Training"):
    """Draw the measure that runs are judged by, in training and, dashed, in validation, and the gradient's norm.

    Args:
        histories: the runs, by the name that the legend gives them.
        path: the file to write; None writes none.
        title: above the picture.

    Returns:
        the Matplotlib figure; a notebook shows it below the cell, once.

    Raises:
        D2lrnnError: if there is no run with a finished epoch.
    """
    figure, panels = new_figure(title, 2)
    validation = _draw_measure(panels[0], histories, "{} (dashed: validation)")
    grad_norm = {name: history.numbered("grad_norm") for name, history in histories.items()}
    labels = ("epoch", "mean gradient norm before clipping")
    draw_curves(panels[1], grad_norm, labels, log=True, dashed={} if validation else None)
    return show_figure(save_figure(figure, path))


def plot_comparison(histories: Mapping[str, History], path: str | Path | None = None, title: str = ""):
    """Draw the measure that runs are judged by over the epochs, and their speed; otherwise as :func:`plot_history`."""
    figure, panels = new_figure(title, 2)
    _draw_measure(panels[0], histories, "{}; dashed: in validation")
    speed = {name: history.numbered("tokens_per_second") for name, history in histories.items()}
    draw_curves(panels[1], speed, ("epoch", "tokens per second"))
    panels[1].set_ylim(bottom=0)
    return show_figure(save_figure(figure, path))


def _draw_measure(panel, histories: Mapping[str, History], label: str) -> bool:
    """Draw the runs' measure over the epochs, and return whether any run has validation.

    If one has, ``label`` is the vertical axis's, with {} for the measure.
    """
    first = next(iter(histories.values()), History())
    curves = {name: history.numbered(history.measure) for name, history in histories.items()}
    validation = {name: history.numbered(history.valid_measure) for name, history in histories.items() if history.valid}
    label = label.format(first.measure) if validation else f"training {first.measure}"
    draw_curves(panel, curves, ("epoch", label), log=first.less_is_better, dashed=validation or None)
    return bool(validation)


def plot_next(probabilities: Sequence[tuple[str, float]], path: str | Path | None = None, title: str = "Next token"):
    """Draw the probabilities of the next token as bars, the first on top, and below them one of all other tokens.

    Args:
        probabilities: tokens and their probabilities, as
            :func:`d2lrnn.plotting.inspection.next_token_probabilities` gives them.
        path: the file to write; None writes none.
        title: above the picture.

    Returns:
        the Matplotlib figure.

    Raises:
        D2lrnnError: if there is no token, or the probabilities are no numbers or sum up to more than 1.
    """
    check_finite("the probabilities", numpy.array([value for _, value in probabilities if isinstance(value, float)]))
    for token, probability in probabilities:
        check_number(f"the probability of {shown(token)}", probability)
    rest = 1 - sum(probability for _, probability in probabilities)
    if not probabilities or rest < -1e-6:
        raise D2lrnnError(f"the probabilities sum up to {1 - rest:g}: expected those of at least one token, at most 1")
    bars = [*probabilities, ("others", rest)] if rest > 1e-6 else list(probabilities)
    labels, families = token_labels([token for token, _ in bars])
    values = [probability for _, probability in bars]
    figure, (panel,) = new_figure(title, size=(5.5, 1.3 + 0.26 * len(bars)))
    colours = [COLOURS[0]] * len(probabilities) + [GREY] * (len(bars) - len(probabilities))
    drawn = panel.barh(range(len(bars)), values, color=colours, height=0.7)
    panel.bar_label(drawn, [f"{100 * value:.1f} %" for value in values], padding=4, fontsize=9)
    panel.set_yticks(range(len(bars)), labels, fontfamily=families, parse_math=False, fontsize=11)
    panel.set_ylim(len(bars) - 0.4, -0.6)
    panel.tick_params(axis="y", length=0)
    panel.grid(visible=False, axis="y")
    panel.margins(x=0.12)
    panel.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    panel.set_xlabel("probability")
    return show_figure(save_figure(figure, path))


def plot_gates(
    gates: Mapping[str, numpy.ndarray],
    tokens: Sequence[str],
    path: str | Path | None = None,
    title: str = "Gates",
    num_units: int = 12,
):
    """Draw how far gates open at each token of a text, a heat map for each gate.

    All maps show the same hidden units: those that vary most over the text.  Units that vary alike are neighbours.

    Args:
        gates: arrays (num_tokens, num_hiddens) by the gates' letters, as
            :func:`d2lrnn.plotting.inspection.gate_activations` gives them.
        tokens: the text's characters or words.
        path: the file to write; None writes none.
        title: above the picture.
        num_units: how many hidden units, at most.

    Returns:
        the Matplotlib figure.

    Raises:
        D2lrnnError: if there is no gate, or a gate has not a row for each token, or holds anything but numbers; if
            ``num_units`` is no whole number of at least 1.
    """
    check_whole("num_units", num_units, most=math.inf)
    if not gates or not tokens or any(gate.ndim != 2 or len(gate) != len(tokens) for gate in gates.values()):
        shapes = ", ".join(f"{letter} {gate.shape}" for letter, gate in gates.items()) or "none"
        raise D2lrnnError(f"gates are {shapes}, tokens {len(tokens)}: expected of each gate a row for each token")
    for gate in gates.values():
        check_finite("the gates", gate)
    units = varied_units(list(gates.values()), num_units)
    labels, families = token_labels(tokens)
    step = math.ceil(len(tokens) / 80)  # in a long text not all labels have room
    longest = max(map(len, labels))
    if longest == 2:  # pairs: one character below the other
        labels = ["\n".join(label) for label in labels]
    height = 0.55 + 0.15 * len(units) + (0.08 * longest if longest > 1 else 0)
    size = (1.9 + 0.24 * min(max(len(tokens), 12), 80), 0.9 + len(gates) * height)
    figure, panels = new_figure(title, len(gates), size, stacked=True)
    for panel, (letter, gate) in zip(panels, gates.items()):
        image = panel.imshow(gate[:, units].T, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        (name,), families_of = legible([f"{GATE_NAMES.get(letter, 'gate')} {letter}"])
        panel.set_title(name, fontsize=10, loc="left", fontfamily=families_of, parse_math=False)
        panel.set_xticks(range(0, len(tokens), step), labels[::step], fontfamily=families, parse_math=False)
        panel.tick_params(axis="x", length=0, rotation=90 if longest > 2 else 0)
        panel.set_yticks(range(len(units)), units, fontsize=7)
        panel.tick_params(axis="y", length=0)
        panel.set_ylabel("hidden unit")
        panel.grid(visible=False)
    figure.colorbar(image, ax=panels, ticks=(0, 0.5, 1), label="activation: 0 shut, 1 open", aspect=40, pad=0.02)
    return show_figure(save_figure(figure, path))


def varied_units(gates: Sequence[numpy.ndarray], count: int) -> numpy.ndarray:
    """Return the hidden units whose activations vary most, at most ``count``, so that units that vary alike are close.

    The variance is over the tokens and is summed over the gates, each (num_tokens, num_hiddens).  The units are in the
    order of the first principal component.
    """
    centred = numpy.concatenate([gate - gate.mean(axis=0) for gate in gates])  # (gates * num_tokens, num_hiddens)
    units = numpy.argsort(-(centred**2).sum(axis=0), kind="stable")[:count]
    components = numpy.linalg.svd(centred[:, units], full_matrices=False)[2]
    first = components[0] * numpy.where(components[0].sum() < 0, -1, 1)  # SVD leaves the sign open
    return units[numpy.argsort(-first, kind="stable")]


def plot_embedding(embedding: EmbeddingMap, path: str | Path | None = None, title: str = "Embedding"):
    """Draw a map of tokens, each written at its point, or as near to its point as there is room.

    Both axes have the same scale.  A token without room within about a character's width of its point is drawn as a
    dot.  Where points lie close together, the first tokens have precedence.

    Args:
        embedding: as :func:`d2lrnn.plotting.inspection.embedding_map` gives it.
        path: the file to write; None writes none.
        title: above the picture.

    Returns:
        the Matplotlib figure.

    Raises:
        D2lrnnError: if a point's coordinates are no numbers.
    """
    check_finite("the points", embedding.points)
    width, height = numpy.ptp(embedding.points, axis=0) + 1e-9
    figure, (panel,) = new_figure(title, size=(9, min(max(9 * height / width, 5), 9)))
    panel.update_datalim(embedding.points)
    panel.margins(0.06)
    panel.autoscale_view()
    panel.set_aspect("equal", adjustable="datalim")  # or distances would mislead
    for axis, which, share in zip((panel.xaxis, panel.yaxis), ("first", "second"), embedding.shares):
        axis.set_label_text(f"{which} principal component, {100 * share:.0f} % of the variance")
    dots = _write_at_points(panel, embedding.points, *token_labels(embedding.tokens))
    panel.scatter(*embedding.points[dots].T, s=7, color=GREY, zorder=1)
    return show_figure(save_figure(figure, path))


def _write_at_points(panel, points: numpy.ndarray, labels: Sequence[str], families: list[str]) -> list[int]:
    """Write labels at points or near them, none over another, and return the indices of labels without room."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    panel.figure.draw_without_rendering()  # fixes where the axes are
    renderer = FigureCanvasAgg(panel.figure).get_renderer()
    steps = numpy.stack(numpy.meshgrid(*[numpy.arange(-14, 15, 2)] * 2), axis=-1).reshape(-1, 2)
    steps = steps[numpy.argsort((steps**2).sum(axis=1), kind="stable")]  # in pixels, the shortest first
    low, high = numpy.empty((0, 2)), numpy.empty((0, 2))  # corners of the labels that are written
    without_room = []
    for i, (place, label) in enumerate(zip(panel.transData.transform(points), labels)):
        text = panel.text(*points[i], label, ha="center", va="center", fontfamily=families, parse_math=False)
        text.set_in_layout(False)
        half = text.get_window_extent(renderer).size / 2 + 1
        middles = place + steps
        inside = ((middles - half >= panel.bbox.min) & (middles + half <= panel.bbox.max)).all(axis=1)
        covers = ((middles - half)[:, None] < high) & ((middles + half)[:, None] > low)  # (steps, texts, 2)
        free = numpy.flatnonzero(inside & ~covers.all(axis=2).any(axis=1))
        if free.size:
            middle = middles[free[0]]
            text.set_position(panel.transData.inverted().transform(middle))
            low, high = numpy.vstack([low, middle - half]), numpy.vstack([high, middle + half])
        else:
            text.remove()
            without_room.append(i)
    return without_room


def token_labels(tokens: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return tokens with visible spaces and line ends, and the font families to write them in."""
    return legible([token.replace(" ", "␣").replace("\n", "↵") for token in tokens])
