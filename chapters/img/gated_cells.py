"""Diagrams of one step of the GRU and of the LSTM, built up gate by gate."""

from diagram import GATE, MEMORY, SMALL, STATE, Diagram, diagram
from signs import CELL_SIGNS


def _gate(d: Diagram, x: float, y: float, words: str, function: str, colour: str = GATE, width: float = 102):
    """Draw a fully connected layer with its name and its activation function."""
    return d.box(x, y, f"{words}\n${function}$", colour, width, 50, SMALL)


def _equation(d: Diagram, y: float, *formulas: str) -> None:
    """Write equations below a cell, one a line."""
    for i, formula in enumerate(formulas):
        d.text(350, y + 26 * i, f"${formula}$")


def _gru(d: Diagram, stage: int) -> None:
    """Draw the GRU up to a stage: 1 the two gates, 2 the candidate, 3 the new state."""
    d.frame(104, 26, 606, 336)
    d.text(56, 62, r"$\mathbf{H}_{t-1}$")
    d.text(150, 366, r"$\mathbf{X}_t$")
    joined = d.join(150, 282)
    reset, update = _gate(d, 245, 224, "reset gate", r"\sigma"), _gate(d, 365, 224, "update gate", r"\sigma")
    d.wire((150, 350), joined.bottom())
    if stage == 1:
        d.wire((88, 62), (150, 62), joined.top())
    else:
        d.wire((88, 62), (150, 62), arrow=False)
        d.wire((150, 62), joined.top())
        d.fork(150, 62)
    d.wire(joined.right(), (365, 282), update.bottom())
    d.wire((245, 282), reset.bottom())
    d.fork(245, 282)
    d.text(228, 182, r"$\mathbf{R}_t$")
    d.text(348, 182, r"$\mathbf{Z}_t$")
    if stage == 1:
        d.wire(reset.top(), (245, 150))
        d.wire(update.top(), (365, 150))
        return
    reset_state = d.circle(245, 152, r"$\odot$")
    candidate = _gate(d, 530, 224, "candidate state", r"\tanh", STATE, 112)
    second = d.join(440, 282)
    if stage == 2:
        d.wire((150, 62), (245, 62), reset_state.top())
    d.wire(reset.top(), reset_state.bottom())
    d.wire((150, 318), (440, 318), second.bottom())
    d.fork(150, 318)
    d.wire(second.right(), (530, 282), candidate.bottom())
    d.text(512, 182, r"$\tilde{\mathbf{H}}_t$")
    if stage == 2:
        d.wire(candidate.top(), (530, 114))
        d.wire(update.top(), (365, 114))
        d.wire(reset_state.right(), (440, 152), second.top(), over=True)
        return
    kept, mixed = d.circle(365, 62, r"$\odot$"), d.circle(530, 62, r"$+$")
    rest, new = d.circle(450, 114, r"$1-$", 34), d.circle(530, 114, r"$\odot$")
    d.wire((150, 62), kept.left())
    d.wire((245, 62), reset_state.top())
    d.fork(245, 62)
    d.wire(update.top(), kept.bottom())
    d.wire((365, 114), rest.left())
    d.fork(365, 114)
    d.wire(reset_state.right(), (440, 152), second.top(), over=True)
    d.wire(rest.right(), new.left())
    d.wire(candidate.top(), new.bottom())
    d.wire(new.top(), mixed.bottom())
    d.wire(kept.right(), mixed.left())
    d.wire(mixed.right(), (636, 62))
    d.text(656, 62, r"$\mathbf{H}_t$")


@diagram(700, 482)
def gru_gates(d: Diagram) -> None:
    """Both gates are layers of their own on [X, H]; their values lie between 0 and 1."""
    _gru(d, 1)
    _equation(
        d, 400,
        r"\mathbf{R}_t = \sigma(\mathbf{X}_t \mathbf{W}_{xr} + \mathbf{H}_{t-1} \mathbf{W}_{hr} + \mathbf{b}_r)",
        r"\mathbf{Z}_t = \sigma(\mathbf{X}_t \mathbf{W}_{xz} + \mathbf{H}_{t-1} \mathbf{W}_{hz} + \mathbf{b}_z)",
    )  # fmt: skip
    d.legend(460, (CELL_SIGNS[0], CELL_SIGNS[2], CELL_SIGNS[3]))


@diagram(700, 456)
def gru_candidate(d: Diagram) -> None:
    """The candidate sees the old state through the reset gate."""
    _gru(d, 2)
    _equation(
        d, 400,
        r"\tilde{\mathbf{H}}_t = \tanh(\mathbf{X}_t \mathbf{W}_{xh} + "
        r"(\mathbf{R}_t \odot \mathbf{H}_{t-1}) \mathbf{W}_{hh} + \mathbf{b}_h)",
    )  # fmt: skip
    d.legend(434, CELL_SIGNS)


@diagram(700, 456)
def gru_state(d: Diagram) -> None:
    """The new state is a mean of the old one and the candidate, weighted by the update gate."""
    _gru(d, 3)
    _equation(
        d, 400,
        r"\mathbf{H}_t = \mathbf{Z}_t \odot \mathbf{H}_{t-1} + (1 - \mathbf{Z}_t) \odot \tilde{\mathbf{H}}_t",
    )  # fmt: skip
    d.legend(434, CELL_SIGNS)


def _lstm(d: Diagram, stage: int) -> None:
    """Draw the LSTM up to a stage: 1 the three gates, 2 the candidate, 3 the new memory, 4 the new hidden state."""
    d.frame(84, 26, 624, 336)
    d.text(40, 262, r"$\mathbf{H}_{t-1}$")
    d.text(120, 366, r"$\mathbf{X}_t$")
    joined = d.join(120, 306)
    places = {"F": 190, "I": 303, "C": 424, "O": 545}
    gates = {
        letter: _gate(d, places[letter], 242, words, r"\sigma")
        for letter, words in (("F", "forget gate"), ("I", "input gate"), ("O", "output gate"))
    }
    if stage > 1:
        gates["C"] = _gate(d, places["C"], 242, "candidate memory", r"\tanh", MEMORY, 128)
    d.wire((120, 350), joined.bottom())
    d.wire((70, 262), (120, 262), joined.top())
    d.wire(joined.right(), (545, 306), gates["O"].bottom())
    for letter in gates:
        x = places[letter]
        if letter != "O":
            d.wire((x, 306), gates[letter].bottom())
            d.fork(x, 306)
        d.text(x - 18, 200, r"$\tilde{\mathbf{C}}_t$" if letter == "C" else rf"$\mathbf{{{letter}}}_t$")
    if stage < 3:
        for letter in gates:
            d.wire(gates[letter].top(), (places[letter], 168))
        return
    d.text(40, 70, r"$\mathbf{C}_{t-1}$")
    d.text(660, 70, r"$\mathbf{C}_t$")
    kept, added = d.circle(190, 70, r"$\odot$"), d.circle(424, 70, r"$+$")
    new = d.circle(424, 156, r"$\odot$")
    d.wire((70, 70), kept.left(), colour=MEMORY)
    d.wire(gates["F"].top(), kept.bottom())
    d.wire(kept.right(), added.left(), colour=MEMORY)
    d.wire(gates["I"].top(), (303, 156), new.left())
    d.wire(gates["C"].top(), new.bottom())
    d.wire(new.top(), added.bottom())
    d.wire(added.right(), (640, 70), colour=MEMORY)
    if stage == 3:
        d.wire(gates["O"].top(), (545, 168))
        return
    squashed, shown = d.circle(545, 112, r"$\tanh$", 50), d.circle(545, 156, r"$\odot$")
    d.wire((545, 70), squashed.top())
    d.fork(545, 70, MEMORY)
    d.wire(squashed.bottom(), shown.top())
    d.wire(gates["O"].top(), shown.bottom())
    d.wire(shown.right(), (640, 156))
    d.text(660, 156, r"$\mathbf{H}_t$")


@diagram(700, 508)
def lstm_gates(d: Diagram) -> None:
    """Three gates, each a layer of its own on [X, H]."""
    _lstm(d, 1)
    _equation(
        d, 400,
        *(
            rf"\mathbf{{{gate}}}_t = \sigma(\mathbf{{X}}_t \mathbf{{W}}_{{x{small}}} + "
            rf"\mathbf{{H}}_{{t-1}} \mathbf{{W}}_{{h{small}}} + \mathbf{{b}}_{small})"
            for gate, small in ("Ii", "Ff", "Oo")
        ),
    )  # fmt: skip
    d.legend(486, (CELL_SIGNS[0], CELL_SIGNS[2], CELL_SIGNS[3]))


@diagram(700, 456)
def lstm_candidate(d: Diagram) -> None:
    """The candidate memory: what the step would write, between -1 and 1."""
    _lstm(d, 2)
    _equation(
        d, 400,
        r"\tilde{\mathbf{C}}_t = \tanh(\mathbf{X}_t \mathbf{W}_{xc} + \mathbf{H}_{t-1} \mathbf{W}_{hc} + \mathbf{b}_c)",
    )  # fmt: skip
    d.legend(434, (CELL_SIGNS[0], CELL_SIGNS[2], CELL_SIGNS[3]))


@diagram(700, 456)
def lstm_memory(d: Diagram) -> None:
    """The forget gate keeps some of the old memory, the input gate lets in some of the candidate."""
    _lstm(d, 3)
    _equation(
        d, 400, r"\mathbf{C}_t = \mathbf{F}_t \odot \mathbf{C}_{t-1} + \mathbf{I}_t \odot \tilde{\mathbf{C}}_t"
    )  # fmt: skip
    d.legend(434, CELL_SIGNS)


@diagram(700, 456)
def lstm_state(d: Diagram) -> None:
    """The output gate says how much of the memory the hidden state shows."""
    _lstm(d, 4)
    _equation(d, 400, r"\mathbf{H}_t = \mathbf{O}_t \odot \tanh(\mathbf{C}_t)")
    d.legend(434, CELL_SIGNS)
