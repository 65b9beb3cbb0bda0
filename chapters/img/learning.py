"""Diagrams of what is learned and how: the road of a training step, clipping, contexts of n-grams, beam search."""

from math import cos, log10, radians, sin

from diagram import (
    BLUE,
    GRADIENT,
    GREY,
    INPUT,
    LOSS,
    ORANGE,
    OUTPUT,
    PARAMETER,
    PURPLE,
    SLATE,
    SMALL,
    STATE,
    Diagram,
    diagram,
)
from signs import sign_of_box


@diagram(700, 256)
def pipeline(d: Diagram) -> None:
    """One training step, from a text to new parameters."""
    upper = (
        ("text", "春天来了", INPUT),
        ("ids", "3  0  7  1", INPUT),
        ("minibatch", r"$\mathbf{X}, \mathbf{Y}$", INPUT),
        ("model", r"$\mathbf{O} = f(\mathbf{X}; \mathbf{W})$", STATE),
    )
    lower = (
        ("update", r"$\mathbf{W} - \eta\, \mathbf{g}$", PARAMETER),
        ("clipping", r"$\Vert\mathbf{g}\Vert \leq \theta$", GRADIENT),
        ("gradient", r"$\mathbf{g} = \partial L / \partial \mathbf{W}$", GRADIENT),
        ("loss", r"$L(\mathbf{O}, \mathbf{Y})$", LOSS),
    )
    boxes = []
    for y, title, row in ((66, 28, upper), (182, 220, lower)):
        boxes.append([d.box(88 + 174 * i, y, text, colour, 122, 46) for i, (_, text, colour) in enumerate(row)])
        for i, (words, _, _) in enumerate(row):
            d.text(88 + 174 * i, title, words, size=SMALL)
    for one, other in zip(boxes[0], boxes[0][1:]):
        d.wire(one.right(), other.left())
    for one, other in zip(boxes[1], boxes[1][1:]):
        d.wire(other.left(), one.right())
    model, update, loss = boxes[0][-1], boxes[1][0], boxes[1][-1]
    d.wire(model.bottom(30), loss.top(30))
    d.wire(update.top(), (update.x, 126), (model.x - 30, 126), model.bottom(-30))
    d.text(350, 114, "new parameters", size=SMALL)


@diagram(700, 316)
def clipping(d: Diagram) -> None:
    """A gradient longer than theta is shortened to theta, a shorter one stays as it is."""
    for x, length, words in (
        (175, 165, "longer than $\\theta$: shortened"),
        (525, 62, "shorter than $\\theta$: unchanged"),
    ):
        y, theta, along = 186, 100, (cos(radians(38)), -sin(radians(38)))
        d.ring(x, y, theta, BLUE)
        d.wire((x, y), (x - theta, y), colour=BLUE, arrow=False)
        d.text(x - theta / 2, y + 14, r"$\theta$", colour=BLUE)
        end = (x + length * along[0], y + length * along[1])
        if length > theta:
            rim = (x + theta * along[0], y + theta * along[1])
            d.wire(rim, end, colour=SLATE, dashed=True)
            d.wire((x, y), rim, colour=GRADIENT)
            d.text(end[0] + 12, end[1] - 6, r"$\mathbf{g}$", colour=SLATE)
            d.text(x + 14, y - 60, r"$\dfrac{\theta}{\Vert\mathbf{g}\Vert}\, \mathbf{g}$", colour=GRADIENT)
        else:
            d.wire((x, y), end, colour=GRADIENT)
            d.text(end[0] + 10, end[1] - 6, r"$\mathbf{g}$", colour=GRADIENT)
        d.fork(x, y)
        d.text(x, 34, words)


@diagram(700, 336)
def ngram_contexts(d: Diagram) -> None:
    """An n-gram model counts |V|^n sequences; a recurrent network has a state of one size."""
    left, bottom, step, unit = 72, 272, 76, 9.6
    for power in (0, 6, 12, 18, 24):
        y = bottom - unit * power
        d.wire((left, y), (left + 5 * step + 14, y), colour=GREY, arrow=False)
        d.text(left - 10, y, rf"$10^{{{power}}}$", "right")
    for n in range(1, 7):
        d.text(left + (n - 1) * step, bottom + 22, f"{n}")
    d.text(left + 2.5 * step, bottom + 46, "$n$")
    curves = (
        (10_000, ORANGE, "sequences of $n$ words:\n$10{,}000^n$"),
        (27, PURPLE, "sequences of $n$ characters:\n$27^n$"),
        (None, BLUE, "hidden state of an RNN:\n256 numbers"),
    )
    for size, colour, words in curves:
        heights = [bottom - unit * (n * log10(size) if size else log10(256)) for n in range(1, 7)]
        points = [(left + i * step, height) for i, height in enumerate(heights)]
        for one, other in zip(points, points[1:]):
            d.wire(one, other, colour=colour, arrow=False)
        for point in points:
            d.fork(*point, colour)
        d.text(points[-1][0] + 26, points[-1][1], words, "left", SMALL, colour)


@diagram(700, 374)
def beam_search(d: Diagram) -> None:
    """A beam of two: at each step the two likeliest texts so far are kept."""
    tree = (  # column, height, token, probability of the text so far, the height it comes from, whether it is kept
        (1, 94, "天", 0.5, 165, True),
        (1, 214, "风", 0.4, 165, True),
        (1, 290, "雨", 0.1, 165, False),
        (2, 64, "来", 0.5 * 0.4, 94, True),
        (2, 128, "的", 0.5 * 0.3, 94, False),
        (2, 200, "吹", 0.4 * 0.9, 214, True),
        (2, 264, "来", 0.4 * 0.1, 214, False),
        (3, 36, "了", 0.2 * 0.8, 64, True),
        (3, 100, "的", 0.2 * 0.1, 64, False),
        (3, 182, "来", 0.36 * 0.5, 200, True),
        (3, 246, "了", 0.36 * 0.3, 200, False),
    )
    first = d.box(90, 165, "春", INPUT, 56, 50, 18)
    for column, y, token, share, before, kept in tree:
        x = 90 + 170 * column
        colour = OUTPUT if kept else GREY
        begin = first.right() if column == 1 else (x - 170 + 28, before)
        d.wire(begin, (x - 28, y), colour=colour)
        d.box(x, y, "", colour, 56, 50)
        d.text(x, y - 10, token, size=18)
        d.text(x, y + 14, f"{share:.2f}", size=SMALL)
    d.legend(
        350,
        (
            (sign_of_box(OUTPUT), "kept"),
            (sign_of_box(GREY), "dropped"),
            (_sign_of_number, "probability of the text so far"),
        ),
    )


def _sign_of_number(d: Diagram, x: float, y: float) -> float:
    d.text(x, y, "0.18", "left", SMALL)
    return 26
