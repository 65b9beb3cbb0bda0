"""What a recurrent cell declares: its gates, and from them the names, shapes and states; knows no MXNet."""

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

    The gates of a product stand side by side in ``products``, and so do they in what the compiled step splits.
    ``candidate`` and ``peepholes_after`` change no number of a model: pictures of the gates go by them.

    Raises:
        ValueError: if the letters contradict one another.
    """

    step: Callable  # (X, state, params) -> (H, state), in the book's letters
    compiled_step: (
        Callable  # (F, X, state, weights) -> (H, state), the same with gates side by side: d2lrnn.cells.compiled
    )
    gates: str  # the letters of its gates, in the order of its parameters
    products: tuple[str, ...] = ()  # the gates whose products with the state are made at once; (): all of them
    num_states: int = 1  # arrays in its state; the first is H
    num_biases: int = 1  # biases of each gate: b, or b beside the input and c beside the state
    peepholes: str = ""  # the gates that see the memory, each through a vector w_c
    projected: bool = False  # whether H is a projection, by W_mr, of num_projections numbers
    identity: bool = False  # whether W_h begins as the identity
    candidate: str = ""  # the letter that is a tanh and no gate; "": the last of ``gates``
    peepholes_after: str | None = None  # the peepholes that see the memory after the step; None: it is not said

    def __post_init__(self) -> None:
        if not self.products:
            object.__setattr__(self, "products", (self.gates,))
        if not self.candidate:
            object.__setattr__(self, "candidate", self.gates[-1:])
        if not self.gates or len(set(self.gates)) != len(self.gates) or "q" in self.gates:
            raise D2lrnnError(f"gates is {self.gates!r}: expected different letters, without the output layer's q")
        if sorted(self.stacked) != sorted(self.gates):
            raise D2lrnnError(f"products is {self.products!r}: expected each of the gates {self.gates!r} once")
        if self.num_biases not in (1, 2):
            raise D2lrnnError(f"num_biases is {self.num_biases}: expected 1 or 2")
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
        """The letters of its gates in the order of its products, in which Gluon's layers stack them."""
        return "".join(self.products)

    @property
    def kinds(self) -> dict[str, str]:
        """What its parameters' names begin with, each with the letters that follow, in the order of the products."""
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
        """Return the shape of one of its parameters."""
        width = num_projections or num_hiddens
        by_kind = {"W_x": (num_inputs, num_hiddens), "W_h": (width, num_hiddens), "W_m": (num_hiddens, width)}
        return by_kind.get(name[:3], (num_hiddens,))

    def check_projections(self, name: str, num_projections: int | None, num_hiddens: int | None = None) -> None:
        """Check the width of the projected hidden state.

        Args:
            name: of this cell, for the error.
            num_projections: the width; None: there is no projection.
            num_hiddens: which the width must stay below; None: not known yet.

        Raises:
            ValueError: if a projected cell gets no width, another cell gets one, or it is not below ``num_hiddens``.
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
        """Return the last axes of the arrays in its state."""
        return [num_projections or num_hiddens] + [num_hiddens] * (self.num_states - 1)


def _not_here(*arguments: Any) -> Any:
    """Stand for a step of the book's cells until the file with the steps, which needs MXNet, is imported."""
    raise RuntimeError("the steps of the cells come with d2lrnn.cells.registry: import that file first")


_declared = partial(Cell, _not_here, _not_here)

_LSTM: dict[str, Any] = {"gates": "ifoc", "products": ("ifco",), "num_states": 2}

# The one table of all cells.  d2lrnn.cells.registry gives each of these its two steps, and adds the cells of users.
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


def cell_named(name: str) -> Cell:
    """Return the cell of a name.

    Raises:
        UnknownCellError: if there is none.
    """
    if name not in CELLS:
        raise UnknownCellError(f"unknown cell {name!r}: expected one of {', '.join(CELLS)}")
    return CELLS[name]
