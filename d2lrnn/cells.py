"""The recurrent cells: one step of each in the book's letters, one line of code for each equation, and what it needs.

Source: *Dive into Deep Learning*, d2l-zh v1, sections 6.4 (RNN), 6.7 (GRU) and 6.8 (LSTM); for the others, the papers
that their steps name.  A cell of your own: :func:`add_cell`, and ``chapters/another_cell.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from d2lrnn import compiled
from d2lrnn._runtime import mx
from d2lrnn.config import CELL_NAMES, PROJECTED_CELLS, check_whole
from d2lrnn.inputs import dot

np, npx = mx.np, mx.npx


# One step of each cell: (X, state, params) -> (H, state), where X is (batch_size, num_inputs), H is
# (batch_size, num_hiddens), or (batch_size, num_projections) if projected, and params come in the book's order.


def rnn_step(X, state, params):
    """Take one step of the simple recurrent network (equation 6.4.1)."""
    W_xh, W_hh, b_h = params
    (H,) = state
    H = np.tanh(dot(X, W_xh) + dot(H, W_hh) + b_h)
    return H, (H,)


def rnn_relu_step(X, state, params):
    """Take one step of the simple recurrent network with relu, made for W_hh that begins as the identity.

    Source: Le, Jaitly and Hinton (2015), arXiv 1504.00941.
    """
    W_xh, W_hh, b_h = params
    (H,) = state
    H = npx.relu(dot(X, W_xh) + dot(H, W_hh) + b_h)
    return H, (H,)


def gru_step(X, state, params):
    """Take one step of the book's GRU: the reset gate comes before the product (equations 6.7.1 to 6.7.3)."""
    W_xz, W_hz, b_z, W_xr, W_hr, b_r, W_xh, W_hh, b_h = params
    (H,) = state
    Z = npx.sigmoid(dot(X, W_xz) + dot(H, W_hz) + b_z)
    R = npx.sigmoid(dot(X, W_xr) + dot(H, W_hr) + b_r)
    H_tilda = np.tanh(dot(X, W_xh) + dot(R * H, W_hh) + b_h)
    H = Z * H + (1 - Z) * H_tilda
    return H, (H,)


def gru_reset_after_step(X, state, params):
    """Take one step of the GRU of Gluon and cuDNN: the reset gate comes after the product.

    Gluon keeps two biases a gate, ``b`` beside the input and ``c`` beside the state.  Only ``c_h`` says something
    that ``b`` does not, but in training two biases move twice as far as one: so that this cell and Gluon's stay
    equal, it has them all.
    """
    W_xz, W_hz, b_z, c_z, W_xr, W_hr, b_r, c_r, W_xh, W_hh, b_h, c_h = params
    (H,) = state
    Z = npx.sigmoid(dot(X, W_xz) + b_z + dot(H, W_hz) + c_z)
    R = npx.sigmoid(dot(X, W_xr) + b_r + dot(H, W_hr) + c_r)
    H_tilda = np.tanh(dot(X, W_xh) + b_h + R * (dot(H, W_hh) + c_h))
    H = Z * H + (1 - Z) * H_tilda
    return H, (H,)


def lstm_step(X, state, params):
    """Take one step of the long short-term memory (equations 6.8.1 to 6.8.4)."""
    W_xi, W_hi, b_i, W_xf, W_hf, b_f, W_xo, W_ho, b_o, W_xc, W_hc, b_c = params
    (H, C) = state
    I = npx.sigmoid(dot(X, W_xi) + dot(H, W_hi) + b_i)
    F = npx.sigmoid(dot(X, W_xf) + dot(H, W_hf) + b_f)
    O = npx.sigmoid(dot(X, W_xo) + dot(H, W_ho) + b_o)
    C_tilda = np.tanh(dot(X, W_xc) + dot(H, W_hc) + b_c)
    C = F * C + I * C_tilda
    H = O * np.tanh(C)
    return H, (H, C)


def lstm_peephole_step(X, state, params):
    """Take one step of the LSTM with peepholes: each gate sees the memory, the output gate the new one.

    Source: Gers and Schmidhuber (2000), "Recurrent nets that time and count".  Unit by unit: ``w_ci`` is the diagonal
    of a matrix.
    """
    W_xi, W_hi, w_ci, b_i, W_xf, W_hf, w_cf, b_f, W_xo, W_ho, w_co, b_o, W_xc, W_hc, b_c = params
    (H, C) = state
    I = npx.sigmoid(dot(X, W_xi) + dot(H, W_hi) + C * w_ci + b_i)
    F = npx.sigmoid(dot(X, W_xf) + dot(H, W_hf) + C * w_cf + b_f)
    C_tilda = np.tanh(dot(X, W_xc) + dot(H, W_hc) + b_c)
    C = F * C + I * C_tilda
    O = npx.sigmoid(dot(X, W_xo) + dot(H, W_ho) + C * w_co + b_o)
    H = O * np.tanh(C)
    return H, (H, C)


def lstm_projected_step(X, state, params):
    """Take one step of the LSTM whose hidden state is a narrow projection of what the output gate shows.

    PyTorch's ``nn.LSTM(proj_size=...)``; without peepholes the LSTMP of Sak, Senior and Beaufays (2014, arXiv
    1402.1128).
    """
    *lstm_params, W_mr = params
    M, (_, C) = lstm_step(X, state, lstm_params)
    H = dot(M, W_mr)
    return H, (H, C)


def lstm_peephole_projected_step(X, state, params):
    """Take one step of the LSTMP of Sak, Senior and Beaufays (2014, arXiv 1402.1128), with peepholes."""
    *lstm_params, W_mr = params
    M, (_, C) = lstm_peephole_step(X, state, lstm_params)
    H = dot(M, W_mr)
    return H, (H, C)


@dataclass(frozen=True)
class Cell:
    """What sets one recurrent cell apart from another; names, shapes and first values of its parameters follow.

    The gates of a product stand side by side in ``products``, and so do they in what the compiled step splits.

    Raises:
        ValueError: if the letters contradict one another.
    """

    step: Callable  # (X, state, params) -> (H, state), in the book's letters
    compiled_step: Callable  # (F, X, state, weights) -> (H, state), the same with gates side by side: d2lrnn.compiled
    gates: str  # the letters of its gates, in the order of its parameters
    products: tuple[str, ...] = ()  # the gates whose products with the state are made at once; (): all of them
    num_states: int = 1  # arrays in its state; the first is H
    num_biases: int = 1  # biases of each gate: b, or b beside the input and c beside the state
    peepholes: str = ""  # the gates that see the memory, each through a vector w_c
    projected: bool = False  # whether H is a projection, by W_mr, of num_projections numbers
    identity: bool = False  # whether W_h begins as the identity

    def __post_init__(self) -> None:
        if not self.products:
            object.__setattr__(self, "products", (self.gates,))
        if not self.gates or len(set(self.gates)) != len(self.gates) or "q" in self.gates:
            raise ValueError(f"gates is {self.gates!r}: expected different letters, without the output layer's q")
        if sorted(self.stacked) != sorted(self.gates):
            raise ValueError(f"products is {self.products!r}: expected each of the gates {self.gates!r} once")
        if self.num_biases not in (1, 2):
            raise ValueError(f"num_biases is {self.num_biases}: expected 1 or 2")
        check_whole("num_states", self.num_states)
        if self.peepholes and not (set(self.peepholes) <= set(self.gates) and self.num_states > 1):
            raise ValueError(
                f"peepholes is {self.peepholes!r}: expected some of the gates {self.gates!r}, and a memory, num_states "
                f"2; found {self.num_states}"
            )
        if self.projected and self.identity:
            raise ValueError("identity is for square weights, and those of a projected hidden state are not square")

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

    def state_widths(self, num_hiddens: int, num_projections: int | None) -> list[int]:
        """Return the last axes of the arrays in its state."""
        return [num_projections or num_hiddens] + [num_hiddens] * (self.num_states - 1)


CELLS = {
    "rnn": Cell(rnn_step, compiled.rnn_step, "h"),
    "rnn_relu": Cell(rnn_relu_step, compiled.rnn_relu_step, "h", identity=True),
    "gru": Cell(gru_step, compiled.gru_step, "zrh", ("rz", "h")),
    "gru_reset_after": Cell(gru_reset_after_step, compiled.gru_reset_after_step, "zrh", ("rzh",), num_biases=2),
    "lstm": Cell(lstm_step, compiled.lstm_step, "ifoc", ("ifco",), num_states=2),
    "lstm_peephole": Cell(lstm_peephole_step, compiled.lstm_peephole_step, "ifoc", ("ifco",), 2, peepholes="ifo"),
    "lstm_projected": Cell(lstm_projected_step, compiled.lstm_projected_step, "ifoc", ("ifco",), 2, projected=True),
    "lstm_peephole_projected": Cell(
        lstm_peephole_projected_step,
        compiled.lstm_peephole_projected_step,
        "ifoc",
        ("ifco",),
        num_states=2,
        peepholes="ifo",
        projected=True,
    ),
}


def add_cell(name: str, cell: Cell) -> None:
    """Make a cell of yours known by a name: to ``Stack``, ``ModelConfig``, ``UnrolledLayer`` and all that uses them.

    A name stands for one cell as long as Python runs, since compiled graphs and models remember it.  Checkpoints know
    cells by name: add yours before you load one.  ``chapters/another_cell.py`` goes through it step by step.

    Args:
        name: a name that no cell has.
        cell: its two steps and what they need.

    Raises:
        ValueError: if the name is taken, or none; if the cell is no :class:`Cell`.
    """
    if not isinstance(cell, Cell):
        raise ValueError(f"cell {name!r}: expected a Cell, found a {type(cell).__name__}")
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"the cell's name is {name!r}: expected a word of letters, digits and _")
    if name in CELLS:
        raise ValueError(f"there is a cell {name!r} already: expected another name than {', '.join(CELLS)}")
    CELLS[name] = cell
    CELL_NAMES.append(name)
    if cell.projected:
        PROJECTED_CELLS.append(name)
