"""Diagrams of minibatches: two samplers, the border between batches, padded lines, one-hot rows.

The batches in them are those of the module's own iterators.
"""

import numpy
from diagram import (
    BLUE,
    GRADIENT,
    GREEN,
    GREY,
    INK,
    INPUT,
    LOSS,
    ORANGE,
    OUTPUT,
    PALE,
    SLATE,
    SMALL,
    STATE,
    STRONG,
    Diagram,
    diagram,
)
from signs import sign_of_wire

from d2lrnn.data import data_iter_consecutive, data_iter_random, pad_lines

NUM_IDS, BATCH_SIZE, NUM_STEPS = 26, 2, 4
BATCH_COLOURS = (BLUE, ORANGE, GREEN)


def _grid(
    d: Diagram, x: float, y: float, rows, colours, width: float = 26, height: float = 26, share: float = PALE
) -> None:
    """Draw a table whose upper left corner is (x, y); ``colours`` gives one for each row and column, or one for all."""
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            colour = colours if isinstance(colours, str) else colours[i][j]
            d.cell(x + j * width, y + i * height, width, height, f"{value}", colour, share)


def _sampling(d: Diagram, batches, carried: bool) -> None:
    """Draw the ids of a text, coloured by the batch they are in, and below them the batches with their states."""
    colours = [GREY] * NUM_IDS
    for (X, _), colour in zip(batches, BATCH_COLOURS):
        for row in X.tolist():
            for i in row:
                colours[i] = colour
            middle = 25 + 25 * (row[0] + NUM_STEPS / 2)
            d.wire((middle, 68), (middle, 86), colour=colour)
            d.text(middle, 98, f"batch {BATCH_COLOURS.index(colour) + 1}", size=SMALL, colour=colour)
    d.text(14, 20, "the ids of a text", "left")
    _grid(d, 25, 40, [range(NUM_IDS)], [colours], 25, share=STRONG)
    for i, ((X, Y), colour) in enumerate(zip(batches, BATCH_COLOURS)):
        x = 22 + 232 * i
        d.text(x + 128, 138, f"batch {i + 1}", colour=colour)
        fresh = i == 0 or not carried
        state = d.box(x + 24, 184, r"$\mathbf{H}=0$" if fresh else r"$\mathbf{H}$", STATE, 58 if fresh else 40, 36)
        _grid(d, x + 76, 158, X.tolist(), colour, share=STRONG)
        _grid(d, x + 76, 224, Y.tolist(), SLATE)
        d.text(x + 194, 184, r"$\mathbf{X}$")
        d.text(x + 194, 250, r"$\mathbf{Y}$")
        d.wire(state.right(), (x + 76, 184), colour=STATE)
        if carried and i:
            d.wire((x - 26, 184), state.left(), colour=STATE)


@diagram(700, 292)
def random_sampling(d: Diagram) -> None:
    """Windows in random order: a batch does not continue the one before, so each begins with a state of zeros."""
    before = numpy.random.get_state()
    numpy.random.seed(14)  # an order in which neighbours are in different batches
    batches = list(data_iter_random(range(NUM_IDS), BATCH_SIZE, NUM_STEPS))
    numpy.random.set_state(before)
    _sampling(d, batches, carried=False)


@diagram(700, 292)
def consecutive_sampling(d: Diagram) -> None:
    """Two rows of text read side by side: each batch continues the one before, so the state is carried on."""
    _sampling(d, list(data_iter_consecutive(range(NUM_IDS), BATCH_SIZE, NUM_STEPS)), carried=True)


@diagram(700, 352)
def truncation(d: Diagram) -> None:
    """Over the border of two batches the state's values go on, the gradient does not."""
    d.frame(80, 40, 340, 300)
    d.frame(396, 40, 656, 300)
    d.text(210, 20, "batch 1")
    d.text(526, 20, "batch 2")
    states = []
    for i in range(6):
        x = 125 + 86 * i + (56 if i > 2 else 0)
        states.append(d.box(x, 186, rf"$\mathbf{{H}}_{i + 1}$", STATE))
        loss = d.box(x, 88, rf"$\ell_{i + 1}$", LOSS)
        d.box(x, 268, rf"$\mathbf{{X}}_{i + 1}$", INPUT)
        d.wire((x, 250), (x, 204))
        d.wire((x, 168), loss.bottom())
        d.wire(loss.bottom(11), (x + 11, 168), colour=GRADIENT, dashed=True)
    d.wire((30, 180), states[0].left(-6))
    for i, (one, other) in enumerate(zip(states, states[1:])):
        d.wire(one.right(-6), other.left(-6))
        if i != 2:
            d.wire(other.left(6), one.right(6), colour=GRADIENT, dashed=True)
    d.wire(states[-1].right(-6), (694, 180))
    d.wire(states[3].left(6), (371, 192), colour=GRADIENT, dashed=True)
    d.wire((368, 185), (368, 205), colour=GRADIENT, arrow=False)
    d.legend(
        332,
        (
            (sign_of_wire(INK), "value: goes on"),
            (sign_of_wire(GRADIENT, dashed=True), "gradient: stops at the border"),
        ),
    )


@diagram(700, 226)
def masked_lines(d: Diagram) -> None:
    """Lines of different lengths as rows: padded with line ends, and a mask that says which labels count."""
    letters = sorted({*"春风又来花开水长流↵"})
    rows = [numpy.array([letters.index(letter) for letter in line]) for line in ("春风又来↵", "花开↵", "水长流↵")]
    X, Y, counted = pad_lines(rows, letters.index("↵"))
    tables = (
        (90, r"input $\mathbf{X}$", [[letters[i] for i in row] for row in X], INPUT),
        (304, r"label $\mathbf{Y}$", [[letters[i] for i in row] for row in Y], OUTPUT),
        (518, "mask", counted.astype(int).tolist(), SLATE),
    )
    for i in range(3):
        d.text(14, 82 + 34 * i, f"line {i + 1}", "left")
    for x, words, values, colour in tables:
        d.text(x + 85, 36, words)
        shown = [[colour if real else GREY for real in row] for row in counted]
        _grid(d, x, 65, values, shown, 34, 34)
    d.text(350, 204, "↵ line end      grey: padding; its loss is multiplied by 0", size=SMALL)


@diagram(700, 272)
def one_hot(d: Diagram) -> None:
    """A one-hot row times a matrix is a row of the matrix."""
    weights = [[0.1, -0.4, 0.7], [-0.2, 0.5, 0.3], [0.6, -0.1, -0.8], [0.9, 0.2, -0.3], [-0.5, 0.4, 0.0]]
    d.text(50, 38, "id")
    d.text(185, 38, "one-hot row")
    d.text(440, 38, r"$\mathbf{W}_{xh}$")
    d.text(605, 38, r"row 2 of $\mathbf{W}_{xh}$")
    d.cell(34, 127, 32, 32, "2", INPUT)
    d.wire((72, 143), (102, 143))
    _grid(d, 108, 127, [[0, 0, 1, 0, 0]], [[GREY, GREY, INPUT, GREY, GREY]], 31, 32)
    d.text(300, 143, r"$\times$")
    shown = [[f"{value:.1f}".replace("-", "−") for value in row] for row in weights]
    for i, row in enumerate(shown):
        d.text(346, 79 + 32 * i, f"{i}", size=SMALL)
        _grid(d, 365, 63 + 32 * i, [row], STATE if i == 2 else GREY, 50, 32)
    d.text(532, 143, r"$=$")
    _grid(d, 550, 127, [shown[2]], STATE, 46, 32)
    d.text(185, 250, "one column for each token", size=SMALL)
    d.text(440, 250, "one row for each token", size=SMALL)
