"""What a diagram is drawn with: boxes, circles, wires, texts, a legend.

All lengths are in pixels of a page: a diagram 700 wide is shown 700 pixels wide.  ``x`` grows to the right, ``y`` grows
downwards.  A text may hold formulas between dollar signs; its words are looked up in ``words.py`` for the Chinese twin.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Ellipse, FancyBboxPatch, PathPatch
from matplotlib.path import Path
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Affine2D
from words import CHINESE

from d2lrnn.plotting import COLOURS, GREY, packaged_font

BLUE, ORANGE, GREEN, PURPLE, GOLD, SLATE = COLOURS
INK, PAPER = "#1c2126", "#ffffff"

# A colour for each thing, the same in all diagrams.  There are six: things that never meet in a diagram share one.
INPUT, STATE, OUTPUT, MEMORY, GATE, PARAMETER, LOSS, GRADIENT = GREEN, BLUE, ORANGE, PURPLE, GOLD, GOLD, SLATE, ORANGE

TEXT, SMALL = 15, 13  # the two sizes of letters
PALE, STRONG = 0.14, 0.42  # shares of a colour in what it fills: under most texts, and where the colour says something


def tint(colour: str, share: float = PALE) -> str:
    """Return a paler form of a colour, to fill what the colour outlines."""
    return to_hex([1 - share * (1 - part) for part in to_rgb(colour)])


PALETTE = frozenset(
    [INK, PAPER, *(form for c in (*COLOURS, GREY) for form in (c, tint(c, PALE), tint(c, STRONG)))]
)  # every colour that a diagram may have

SETTINGS = {"svg.hashsalt": "d2lrnn", "svg.fonttype": "path", "path.simplify": False}

RUNS = r"(\$[^$]*\$|↵)"  # parts a text into words, formulas, and the sign that the font of words lacks

Point = tuple[float, float]


@dataclass(frozen=True)
class Shape:
    """A box or a circle that has been drawn: where wires may begin and end."""

    x: float  # of the centre
    y: float
    width: float
    height: float

    def top(self, shift: float = 0) -> Point:
        """Return the middle of the upper edge, moved by ``shift`` to the right."""
        return self.x + shift, self.y - self.height / 2

    def bottom(self, shift: float = 0) -> Point:
        """Return the middle of the lower edge, moved by ``shift`` to the right."""
        return self.x + shift, self.y + self.height / 2

    def left(self, shift: float = 0) -> Point:
        """Return the middle of the left edge, moved down by ``shift``."""
        return self.x - self.width / 2, self.y + shift

    def right(self, shift: float = 0) -> Point:
        """Return the middle of the right edge, moved down by ``shift``."""
        return self.x + self.width / 2, self.y + shift


class Diagram:
    """A sheet to draw on.

    Args:
        width: in pixels, at most 700.
        height: in pixels.
        chinese: whether words are written in Chinese.

    Attributes:
        words: the English texts with words that have been written.
        places: of each line that has been written, the left, upper, right and lower end.
    """

    def __init__(self, width: float, height: float, chinese: bool = False) -> None:
        self.width, self.height, self.chinese = width, height, chinese
        self.words: set[str] = set()
        self.places: list[tuple[str, float, float, float, float]] = []
        self.figure = Figure(figsize=(width / 96, height / 96), dpi=96)
        self._level = 1  # what is drawn later lies above
        downwards = Affine2D().scale(1 / 96, -1 / 96).translate(0, height / 96)
        self._transform = downwards + self.figure.dpi_scale_trans

    def box(
        self, x: float, y: float, text: str, colour: str, width: float = 46, height: float = 36, size: float = TEXT
    ) -> Shape:
        """Draw a box around (x, y) with a text of one or more lines."""
        self._add(
            FancyBboxPatch(
                (x - width / 2, y - height / 2), width, height, boxstyle="round,pad=0,rounding_size=5",
                facecolor=tint(colour), edgecolor=colour, linewidth=1.1,
            )
        )  # fmt: skip
        self.text(x, y, text, size=size)
        return Shape(x, y, width, height)

    def cell(
        self, x: float, y: float, width: float, height: float, text: str, colour: str, share: float = PALE
    ) -> None:
        """Draw a field of a table, whose upper left corner is (x, y)."""
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
        fill = tint(colour, share)
        self._add(PathPatch(Path(corners, closed=True), facecolor=fill, edgecolor=colour, linewidth=0.8))
        self.text(x + width / 2, y + height / 2, text, size=SMALL)

    def ring(self, x: float, y: float, radius: float, colour: str) -> None:
        """Draw a pale disc with its rim."""
        self._add(Ellipse((x, y), 2 * radius, 2 * radius, facecolor=tint(colour), edgecolor=colour, linewidth=1.1))

    def circle(self, x: float, y: float, text: str, width: float = 26) -> Shape:
        """Draw the sign of an operation on each element: ⊙, +, 1− or, with a larger width, a function's name."""
        self._add(Ellipse((x, y), width, 26, facecolor=PAPER, edgecolor=INK, linewidth=1.1))
        self.text(x, y, text, size=SMALL + 1)
        return Shape(x, y, width, 26)

    def join(self, x: float, y: float, upper: float = 20, lower: float = 20) -> Shape:
        """Draw the bar that stands for [X, H]: state above, input below; they lie side by side in one row."""
        for begin, end, colour in ((y - upper, y, STATE), (y, y + lower, INPUT)):
            corners = [(x - 6, begin), (x + 6, begin), (x + 6, end), (x - 6, end), (x - 6, begin)]
            self._add(PathPatch(Path(corners, closed=True), facecolor=colour, edgecolor=colour, linewidth=0.8))
        return Shape(x, y + (lower - upper) / 2, 12, upper + lower)

    def frame(self, x: float, y: float, right: float, bottom: float, colour: str = SLATE) -> None:
        """Draw the outline of a layer, with round corners."""
        self._add(
            FancyBboxPatch(
                (x, y), right - x, bottom - y, boxstyle="round,pad=0,rounding_size=14",
                facecolor=PAPER, edgecolor=colour, linewidth=1.1,
            )
        )  # fmt: skip

    def wire(
        self, *points: Point, colour: str = INK, arrow: bool = True, dashed: bool = False, over: bool = False
    ) -> None:
        """Draw a line through points, with round corners and an arrowhead; ``over``: with a gap in what it crosses."""
        line, head = _rounded(points, 9, 8 if arrow else 0)
        if over:
            gap, _ = _rounded((_towards(*points[:2], 2), *points[1:]), 9, 8)  # not in the edge that the wire comes from
            self._add(PathPatch(gap, facecolor="none", edgecolor=PAPER, linewidth=4.5, capstyle="butt"))
        style = {"linestyle": (0, (4, 2.5))} if dashed else {}
        self._add(PathPatch(line, facecolor="none", edgecolor=colour, linewidth=1.1, capstyle="butt", **style))
        if arrow:
            self._add(PathPatch(head, facecolor=colour, edgecolor="none"))

    def fork(self, x: float, y: float, colour: str = INK) -> None:
        """Draw the dot where a wire forks: both branches carry the same values."""
        self._add(Ellipse((x, y), 7, 7, facecolor=colour, edgecolor="none"))

    def text(self, x: float, y: float, text: str, align: str = "center", size: float = TEXT, colour: str = INK) -> None:
        """Write a text whose middle, left or right end (``align``) is at (x, y)."""
        lines = self._translated(text).split("\n") if text else []
        for i, line in enumerate(lines):
            runs = [run for run in re.split(RUNS, line) if run]
            widths = [_width(run, size) for run in runs]
            begin = x - sum(widths) * {"left": 0, "center": 0.5, "right": 1}[align]
            baseline = y + 0.36 * size + (i - (len(lines) - 1) / 2) * 1.35 * size
            self.places.append((line, begin, baseline - 0.72 * size, begin + sum(widths), baseline))
            for run, width in zip(runs, widths):
                self._level += 1
                self.figure.text(
                    begin, baseline, run, va="baseline", color=colour, fontproperties=_font(run, size),
                    zorder=self._level, parse_math=run.startswith("$"), transform=self._transform,
                )  # fmt: skip
                begin += width

    def legend(self, y: float, items: Sequence[tuple[Callable[[Diagram, float, float], float], str]]) -> None:
        """Write a row that explains signs; each item is a function that draws its sign, and what the sign means."""
        texts = [self._translated(text) for _, text in items]
        signs = [sign(Diagram(1, 1), 0, 0) for sign, _ in items]
        lengths = [sign + 7 + _width(text, SMALL) for sign, text in zip(signs, texts)]
        gap = min(34, (self.width - 16 - sum(lengths)) / max(len(items) - 1, 1))
        x = (self.width - sum(lengths) - gap * (len(items) - 1)) / 2
        for (sign, text), width, length in zip(items, signs, lengths):
            sign(self, x, y)
            self.text(x + width + 7, y, text, "left", SMALL)
            x += length + gap

    def svg(self) -> str:
        """Return the diagram as SVG, always the same to the byte."""
        file = io.StringIO()
        with matplotlib.rc_context(SETTINGS):
            nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            self.figure.savefig(file, format="svg", metadata=nothing, facecolor=PAPER)
        return _trimmed(file.getvalue())

    def _add(self, patch) -> None:
        self._level += 1
        patch.set(zorder=self._level, transform=self._transform)
        self.figure.add_artist(patch)

    def _translated(self, text: str) -> str:
        if not re.search(r"[A-Za-z]", re.sub(r"\$[^$]*\$", "", text)):
            return text
        self.words.add(text)
        return CHINESE[text] if self.chinese else text


def _rounded(points: Sequence[Point], radius: float, head: float) -> tuple[Path, Path]:
    """Return the path of a wire, and that of its arrowhead, ``head`` long."""
    begin, end = points[-2:]
    length = _distance(begin, end)
    along = ((end[0] - begin[0]) / length, (end[1] - begin[1]) / length)
    back = (end[0] - head * along[0], end[1] - head * along[1])
    side = (0.42 * head * -along[1], 0.42 * head * along[0])
    corners = [(back[0] + side[0], back[1] + side[1]), end, (back[0] - side[0], back[1] - side[1])]
    points = [*points[:-1], (end[0] - 0.8 * head * along[0], end[1] - 0.8 * head * along[1])]
    vertices, codes = [points[0]], [Path.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:]):
        reach = min(radius, _distance(before, corner) / 2, _distance(corner, after) / 2)
        vertices += [_towards(corner, before, reach), corner, _towards(corner, after, reach)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    return Path([*vertices, points[-1]], [*codes, Path.LINETO]), Path([*corners, corners[0]], closed=True)


def _distance(one: Point, other: Point) -> float:
    return ((one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2) ** 0.5


def _towards(begin: Point, end: Point, length: float) -> Point:
    share = length / _distance(begin, end)
    return begin[0] + share * (end[0] - begin[0]), begin[1] + share * (end[1] - begin[1])


def _font(run: str, size: float) -> FontProperties:
    """Return the font of words, or that of a formula, whose letters look smaller; sizes are in points."""
    if run.startswith("$"):
        return FontProperties(size=0.75 * 1.14 * size, math_fontfamily="cm")
    if run == "↵":  # from Matplotlib's own file: a system's font of this name may have another version
        return FontProperties(fname=f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", size=0.75 * size)
    file = packaged_font()
    if file is None:
        raise SystemExit("the diagrams need the font package pylopdf-fonts-zh-cn (Python 3.10 or later)")
    return FontProperties(fname=str(file), size=0.75 * size)


@functools.cache
def _width(run: str, size: float) -> float:
    """Return how many pixels wide a run of a text is; "a $b$" has two runs."""
    with matplotlib.rc_context(SETTINGS):
        parts = [part for part in re.split(RUNS, run) if part]
        sizes = [text_to_path.get_text_width_height_descent(p, _font(p, size), p.startswith("$")) for p in parts]
    return sum(width for width, _, _ in sizes) / 0.75


def _trimmed(svg: str) -> str:
    """Return an SVG file without what no browser needs, and with at most two decimals in each number."""
    svg = re.sub(r"<!DOCTYPE[^>]*>\s*|<!--.*?-->\s*|<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<g) id="[^"]*"', r"\1", svg)
    svg = re.sub(r'(?<= d=")[^"]*', lambda path: " ".join(path.group().split()), svg)
    svg = re.sub(r"^ +", "", svg, flags=re.MULTILINE)
    return re.sub(r"scale\([^)]*\)|-?\d+\.\d{3,}", _rounded_number, svg)


def _rounded_number(found: re.Match) -> str:
    text = found.group()
    return text if text.startswith("scale") else f"{float(text):.2f}".rstrip("0").rstrip(".")


DIAGRAMS: dict[str, Callable[[bool], Diagram]] = {}  # by name, a function that draws it: in Chinese, or not


def diagram(width: float, height: float) -> Callable:
    """Return a decorator that makes a function the diagram of its name; the function draws on the sheet it is given."""

    def register(draw: Callable[[Diagram], None]) -> Callable[[Diagram], None]:
        def drawn(chinese: bool) -> Diagram:
            sheet = Diagram(width, height, chinese)
            draw(sheet)
            return sheet

        DIAGRAMS[draw.__name__] = drawn
        return draw

    return register
