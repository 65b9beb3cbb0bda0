"""Signs that legends explain: each function draws one at (x, y), its left end, and returns its width."""

from __future__ import annotations

from collections.abc import Callable

from diagram import SLATE, SMALL, Diagram


def sign_of_layer(d: Diagram, x: float, y: float) -> float:
    """Draw a legend's sign of a layer and return its width."""
    d.box(x + 15, y, r"$\sigma$", SLATE, 30, 24, SMALL)
    return 30


def sign_of_element(d: Diagram, x: float, y: float) -> float:
    """Draw a legend's sign of an operation on each element and return its width."""
    d.circle(x + 13, y, r"$\odot$")
    return 26


def sign_of_join(d: Diagram, x: float, y: float) -> float:
    """Draw a legend's sign of joined arrays and return its width."""
    d.join(x + 6, y, 13, 13)
    return 12


def sign_of_fork(d: Diagram, x: float, y: float) -> float:
    """Draw a legend's sign of a wire that forks and return its width."""
    d.wire((x, y + 4), (x + 32, y + 4))
    d.wire((x + 14, y + 4), (x + 14, y - 12))
    d.fork(x + 14, y + 4)
    return 32


def sign_of_wire(colour: str, dashed: bool = False) -> Callable[[Diagram, float, float], float]:
    """Return a function that draws a legend's sign of an arrow."""

    def draw(d: Diagram, x: float, y: float) -> float:
        d.wire((x, y), (x + 34, y), colour=colour, dashed=dashed)
        return 34

    return draw


def sign_of_box(colour: str) -> Callable[[Diagram, float, float], float]:
    """Return a function that draws a legend's sign of a box of a colour."""

    def draw(d: Diagram, x: float, y: float) -> float:
        d.box(x + 11, y, "", colour, 22, 18)
        return 22

    return draw


CELL_SIGNS = (
    (sign_of_layer, "fully connected layer and activation"),
    (sign_of_element, "elementwise operation"),
    (sign_of_join, "concatenate"),
    (sign_of_fork, "copy"),
)
