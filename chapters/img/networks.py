"""Diagrams of networks over time: the simple one, its gradient, several layers, two directions."""

from diagram import GRADIENT, INK, INPUT, LOSS, MEMORY, OUTPUT, PARAMETER, SMALL, STATE, Diagram, diagram
from signs import CELL_SIGNS, sign_of_box, sign_of_wire


@diagram(700, 352)
def rnn(d: Diagram) -> None:
    """Three steps: X_t and H_{t-1} are joined, go through one layer, and the state goes on and up."""
    for y, words in ((50, "output layer"), (168, "hidden layer"), (284, "input")):
        d.text(14, y, words, "left")
    before = (122, 168)
    d.text(140, 150, r"$\mathbf{H}_{t-2}$")
    for x, step in ((225, "t-1"), (395, "t"), (565, "t+1")):
        d.frame(x - 62, 118, x + 62, 226)
        joined = d.join(x - 42, 168, upper=14, lower=24)
        layer = d.box(x + 6, 168, r"$\tanh$", STATE, 50)
        output = d.box(x + 46, 50, rf"$\mathbf{{O}}_{{{step}}}$", OUTPUT, 62)
        d.wire((x - 42, 268), joined.bottom())
        d.text(x - 42, 284, rf"$\mathbf{{X}}_{{{step}}}$")
        d.wire(before, (joined.left()[0], 168))
        d.wire(joined.right()[:1] + (168,), layer.left())
        d.wire((x + 46, 168), output.bottom())
        d.wire(layer.right(), (x + 62, 168), arrow=False)
        d.fork(x + 46, 168)
        d.text(x + 85, 150, rf"$\mathbf{{H}}_{{{step}}}$")
        before = (x + 62, 168)
    d.wire(before, (680, 168))
    d.legend(330, (CELL_SIGNS[0], CELL_SIGNS[2], CELL_SIGNS[3]))


@diagram(700, 400)
def rnn_characters(d: Diagram) -> None:
    """A language model on characters: each output says what comes next, and each has its loss."""
    heights = (36, 100, 166, 252, 322, 372)
    for y, words in zip(heights, ("label", "loss", "output layer", "hidden layer", "input", "time step")):
        d.text(14, y, words, "left")
    before = None
    for i, (now, after) in enumerate(zip("春天来了", "天来了，")):
        x, step = 205 + 130 * i, i + 1
        d.text(x, 36, after, size=20)
        d.text(x, 322, now, size=20)
        d.text(x, 372, f"{step}")
        loss = d.box(x, 100, rf"$\ell_{step}$", LOSS)
        output = d.box(x, 166, rf"$\mathbf{{O}}_{step}$", OUTPUT)
        state = d.box(x, 252, rf"$\mathbf{{H}}_{step}$", STATE)
        d.wire((x, 306), state.bottom())
        d.wire(state.top(), output.bottom())
        d.wire(output.top(), loss.bottom())
        d.wire((x, 52), loss.top())
        if before:
            d.wire(before.right(), state.left())
        before = state
    d.wire(before.right(), (685, 252))


@diagram(700, 470)
def bptt(d: Diagram) -> None:
    """The graph of three steps: what depends on what, and the way that the gradient takes back through the states."""
    columns = (215, 375, 535)
    total = d.box(640, 40, r"$L$", LOSS)
    rails = {"xh": 366, "hh": 334, "hq": 222}
    parameters = {name: d.box(50, y, rf"$\mathbf{{W}}_{{{name}}}$", PARAMETER, 58, 24) for name, y in rails.items()}
    first = d.box(120, 290, r"$\mathbf{H}_0$", STATE)
    for x in columns:
        d.wire((x, 400), (x, 308))
        d.wire((x, 272), (x, 188))
        d.wire((x, 152), (x, 118))
    d.wire((columns[0], 82), (columns[0], 40), total.left())
    for x in columns[1:]:
        d.wire((x, 82), (x, 40), arrow=False)
        d.fork(x, 40)
    for name, shift, bottom in (("xh", -10, 308), ("hh", -20, 308), ("hq", -14, 188)):
        y = rails[name]
        end = columns[-1] + shift
        d.wire(parameters[name].right(), (end, y), (end, bottom), colour=PARAMETER, over=True)
        for x in columns[:2]:
            d.wire((x + shift, y), (x + shift, bottom), colour=PARAMETER)
            d.fork(x + shift, y, PARAMETER)
    before = first
    for i, x in enumerate(columns, 1):
        state = d.box(x, 290, rf"$\mathbf{{H}}_{i}$", STATE, 60)
        d.wire(before.right(-6), state.left(-6))
        if i > 1:
            d.wire(state.left(8), before.right(8), colour=GRADIENT, dashed=True)
        d.box(x, 418, rf"$\mathbf{{X}}_{i}$", INPUT)
        output = d.box(x, 170, rf"$\mathbf{{O}}_{i}$", OUTPUT)
        loss = d.box(x, 100, rf"$\ell_{i}$", LOSS)
        d.wire(output.bottom(12), state.top(12), colour=GRADIENT, dashed=True)
        d.wire(loss.bottom(12), output.top(12), colour=GRADIENT, dashed=True)
        label = d.box(x + 66, 100, rf"$\mathbf{{y}}_{i}$", INPUT, 34, 30)
        d.wire(label.left(), loss.right())
        before = state
    for x in (295, 455):
        d.text(x, 316, r"$\mathbf{W}_{hh}^\top$", colour=GRADIENT, size=SMALL)
    signs = (sign_of_wire(INK), sign_of_wire(GRADIENT, dashed=True), sign_of_box(PARAMETER))
    d.legend(454, tuple(zip(signs, ("value", "gradient", "parameter, shared by all steps"))))


@diagram(700, 440)
def deep_rnn(d: Diagram) -> None:
    """Several layers: a state goes to the next step of its own layer, and up to the layer above."""
    for y, words in ((36, "output layer"), (116, r"layer $L$"), (266, "layer 2"), (342, "layer 1"), (416, "input")):
        d.text(14, y, words, "left")
    columns = ((175, "1"), (305, "2"), (435, None), (565, "T"))
    rows = ((416, "X"), (342, "1"), (266, "2"), (191, None), (116, "L"), (36, "O"))
    boxes = {}
    for x, step in columns:
        for y, layer in rows:
            if step is None or layer is None:
                if layer not in ("X", "O"):
                    d.text(x, y, r"$\cdots$" if step is None else r"$\vdots$")
                boxes[x, y] = None
                continue
            if layer in ("X", "O"):
                letters = rf"$\mathbf{{{layer}}}_{step}$"
                boxes[x, y] = d.box(x, y, letters, INPUT if layer == "X" else OUTPUT, 62, 40)
            else:
                boxes[x, y] = d.box(x, y, rf"$\mathbf{{H}}_{step}^{{({layer})}}$", STATE, 62, 40)
    for x, step in columns:
        if step is not None:
            for (below, _), (above, _) in zip(rows, rows[1:]):
                d.wire((x, below - 20), (x, above + 20))
    for y, layer in rows[1:-1]:
        if layer is not None:
            for (x, _), (after, _) in zip(columns, columns[1:]):
                d.wire((x + 31, y), (after - 31, y))
            d.wire((columns[-1][0] + 31, y), (660, y))


@diagram(700, 372)
def bi_rnn(d: Diagram) -> None:
    """Two layers side by side: one reads forwards, one backwards; the output layer sees both states."""
    for y, words in ((36, "output layer"), (142, "backward"), (242, "forward"), (344, "input")):
        d.text(14, y, words, "left")
    columns = ((175, "1"), (305, "2"), (435, None), (565, "T"))
    for x, step in columns:
        if step is None:
            d.text(x + 22, 142, r"$\cdots$")
            d.text(x - 22, 242, r"$\cdots$")
            continue
        there = d.box(x - 22, 242, rf"$\overrightarrow{{\mathbf{{H}}}}_{step}$", STATE, 58, 42)
        back = d.box(x + 22, 142, rf"$\overleftarrow{{\mathbf{{H}}}}_{step}$", MEMORY, 58, 42)
        output = d.box(x, 36, rf"$\mathbf{{O}}_{step}$", OUTPUT, 62, 40)
        read = d.box(x, 344, rf"$\mathbf{{X}}_{step}$", INPUT, 62, 40)
        d.wire(read.top(-16), there.bottom(6))
        d.wire(read.top(24), back.bottom(2))
        d.wire(there.top(-2), output.bottom(-24))
        d.wire(back.top(2), output.bottom(24))
    for (x, _), (after, _) in zip(columns, columns[1:]):
        d.wire((x - 22 + 29, 242), (after - 22 - 29, 242), colour=STATE, over=True)
        d.wire((after + 22 - 29, 142), (x + 22 + 29, 142), colour=MEMORY, over=True)
