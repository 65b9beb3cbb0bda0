"""What a recurrent cell declares: its gates, from which the names and shapes follow; imports no MXNet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from d2lrnn.checks import check_whole
from d2lrnn.errors import D2lrnnError, UnknownCellError


@dataclass(frozen=True)
class Cell:
    """What sets one recurrent cell apart from another; names, shapes and first values of its parameters follow.

    Each text in ``products`` names gates whose products with the state are computed as one; the compiled step gets its
    gates in this order.  ``candidate`` and ``peepholes_after`` change no number of a model: only pictures of the gates
    use them.

    Raises:
        D2lrnnError: if the letters contradict one another.
    """

    step: Callable  # (X, state, params) -> (H, state), in the book's letters
    compiled_step: Callable  # (F, X, state, weights) -> (H, state), gates side by side: see d2lrnn.cells.compiled
    gates: str  # the letters of its gates, in the order of its parameters
    products: tuple[str, ...] = ()  # such as ("rz", "h") for the GRU; (): one product for all gates
    num_states: int = 1  # arrays in its state; the first is H
    num_biases: int = 1  # biases of each gate: b; or b of the input and c of the state
    peepholes: str = ""  # the gates that see the memory, each through a vector w_c
    projected: bool = False  # whether W_mr projects H to num_projections numbers
    identity: bool = False  # whether W_h begins as the identity
    candidate: str = ""  # the letter of the tanh, which is no gate; "": the last of ``gates``
    peepholes_after: str | None = None  # the peepholes that see the new memory; None: not declared

    def __post_init__(self) -> None:
        if not self.products:
            object.__setattr__(self, "products", (self.gates,))
        if not self.candidate:
            object.__setattr__(self, "candidate", self.gates[-1:])
        if not self.gates or len(set(self.gates)) != len(self.gates) or "q" in self.gates:
            raise D2lrnnError(f"gates is {self.gates!r}: expected different letters, without the output layer's q")
        if sorted(self.stacked) != sorted(self.gates):
            raise D2lrnnError(f"products is {self.products!r}: expected each of the gates {self.gates!r} once")
        check_whole("num_biases", self.num_biases, 1, 2)
        check_whole("num_states", self.num_states)
        if self.peepholes and not (set(self.peepholes) <= set(self.gates) and self.num_states > 1):
            raise D2lrnnError(
                f"peepholes is {self.peepholes!r}: expected some of the gates {self.gates!r}, and a memory, num_states "
                f"2; found {self.num_states}"
            )
        if self.projected and self.identity:
            raise D2lrnnError("identity is for square weights, and those of a projected hidden state are not square")
        if len(self.candidate) != 1 or self.candidate not in self.gates:
            raise D2lrnnError(f"candidate is {self.candidate!r}: expected one of the letters {self.gates!r}")
        if not set(self.peepholes_after or "") <= set(self.peepholes):
            raise D2lrnnError(
                f"peepholes_after is {self.peepholes_after!r}: expected some of the peepholes {self.peepholes!r}"
            )

    @property
    def stacked(self) -> str:
        """The letters of the gates in the order of ``products``; Gluon's layers stack the gates in this order."""
        return "".join(self.products)

    @property
    def kinds(self) -> dict[str, str]:
        """Prefixes of the parameter names, each with its letters: ``W_x``, ``W_h``, ``b_`` with "ifco" for the LSTM."""
        kinds = {"W_x": self.stacked, "W_h": self.stacked, "w_c": self.peepholes, "b_": self.stacked}
        if self.num_biases == 2:
            kinds["c_"] = self.stacked
        if self.projected:
            kinds["W_m"] = "r"
        return {kind: letters for kind, letters in kinds.items() if letters}

    @property
    def param_names(self) -> list[str]:
        """The names of the cell's parameters, in order: ``W_xz``, ``W_hz``, ``b_z`` and so on."""
        kinds = self.kinds
        names = [kind + gate for gate in self.gates for kind in kinds if kind != "W_m" and gate in kinds[kind]]
        return [*names, "W_mr"] if self.projected else names

    def param_shape(self, name: str, num_inputs: int, num_hiddens: int, num_projections: int | None) -> tuple[int, ...]:
        """Return the shape of the cell's parameter of this name."""
        width = num_projections or num_hiddens
        by_kind = {"W_x": (num_inputs, num_hiddens), "W_h": (width, num_hiddens), "W_m": (num_hiddens, width)}
        return by_kind.get(name[:3], (num_hiddens,))

    def check_projections(self, name: str, num_projections: int | None, num_hiddens: int | None = None) -> None:
        """Check the width of the projected hidden state.

        Args:
            name: the cell's name, for the error.
            num_projections: the width; None: there is no projection.
            num_hiddens: the width must be below this; None: not known yet.

        Raises:
            D2lrnnError: if a projected cell gets no width, if another cell gets one, or if the width is not below
                ``num_hiddens``.
        """
        if (num_projections is not None) != self.projected:
            expected = "a whole number below num_hiddens" if self.projected else "None, since it projects nothing"
            raise D2lrnnError(f"num_projections is {num_projections!r} for cell {name!r}: expected {expected}")
        if num_projections is not None:
            check_whole("num_projections", num_projections)
            if num_hiddens is not None and num_projections >= num_hiddens:
                raise D2lrnnError(
                    f"num_projections is {num_projections}: expected less than num_hiddens = {num_hiddens}"
                )

    def state_widths(self, num_hiddens: int, num_projections: int | None) -> list[int]:
        """Return the length of the last axis of each array in the cell's state."""
        return [num_projections or num_hiddens] + [num_hiddens] * (self.num_states - 1)


def _no_step_yet(*arguments: Any) -> Any:
    """Stand in for the steps of the book's cells until d2lrnn.cells.registry, which imports MXNet, brings them."""
    raise RuntimeError("the steps of the cells come with d2lrnn.cells.registry: import that file first")


_declared = partial(Cell, _no_step_yet, _no_step_yet)

_LSTM: dict[str, Any] = {"gates": "ifoc", "products": ("ifco",), "num_states": 2}

# The one table of all cells.  d2lrnn.cells.registry gives each of these cells its two steps, and adds users' cells.
CELLS: dict[str, Cell] = {
    "rnn": _declared("h"),
    "rnn_relu": _declared("h", identity=True),
    "gru": _declared("zrh", ("rz", "h")),
    "gru_reset_after": _declared("zrh", ("rzh",), num_biases=2),
    "lstm": _declared(**_LSTM),
    "lstm_peephole": _declared(**_LSTM, peepholes="ifo", peepholes_after="o"),
    "lstm_projected": _declared(**_LSTM, projected=True),
    "lstm_peephole_projected": _declared(**_LSTM, peepholes="ifo", peepholes_after="o", projected=True),
}

OWN_CELLS = tuple(CELLS)  # the names of these eight, without the cells that users add


def cell_named(name: str) -> Cell:
    """Return the cell of this name.

    Raises:
        UnknownCellError: if no cell has this name.
    """
    if name not in CELLS:
        raise UnknownCellError(f"unknown cell {name!r}: expected one of {', '.join(CELLS)}")
    return CELLS[name]
