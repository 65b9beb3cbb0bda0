"""A lesson as a script: its cells in order, its prose printed plainly."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from wcwidth import width

import d2lrnn
from common import language

WIDTH = 100  # of a printed paragraph

# What no line is broken within: a space, a Chinese character, a word; marks stay with what they close or open.
PIECES = re.compile("""\\s+|[“（]*(?:[\u3400-\u9fff]|[^\\s\u3400-\u9fff，。；：、！？）”“（]+)?[，。；：、！？）”]*""")

IN_BRACES = r"\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}"  # of LaTeX, with up to two levels of braces within
LEFT = "\ue000"  # stands for the arrow of a backward state while a formula is converted; that of g ← h has spaces


class Cell(NamedTuple):
    """A cell of a percent script."""

    is_prose: bool
    first_line: int  # in the file, from 0
    text: str  # without the comment signs, if it is prose


def read_cells(path: Path) -> list[Cell]:
    """Return the cells of a percent script, those that ``# %%`` begins; prose in the language of the environment."""
    wanted = language.wanted()
    messages = language.messages_of(path.stem, wanted)
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("# %%")]
    cells = []
    for start, end in zip(starts, [*starts[1:], len(lines)]):
        is_prose = "[markdown]" in lines[start]
        body = [line[2:] if is_prose else line for line in lines[start + 1 : end]]
        text = "\n".join(body)
        if is_prose:
            text = language.translate(text.strip("\n"), messages, wanted)
        cells.append(Cell(is_prose, start + 1, text))
    return cells


def run(path: Path, names: dict[str, Any], opening: str) -> None:
    """Run a lesson below its first code cell, which has run, and print all of its prose.

    Args:
        path: the lesson.
        names: the lesson's global names.
        opening: a line to print after the prose above the first code cell.

    Raises:
        SystemExit: with one line, for an error that the reader can mend.
    """
    cells = read_cells(path)
    first = next(i for i, cell in enumerate(cells) if not cell.is_prose)
    try:
        for cell in cells[:first]:
            print(plain(cell.text), end="\n\n")
        print(opening)
        for cell in cells[first + 1 :]:
            if cell.is_prose:
                print(f"\n{plain(cell.text)}\n")
            else:
                # The empty lines above make the line numbers in a traceback those of the file.
                exec(compile("\n" * cell.first_line + cell.text, str(path), "exec"), names)
    except d2lrnn.D2lrnnError as error:
        raise SystemExit(str(error)) from None
    except BrokenPipeError:  # the reader has closed the output, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None


def first_paragraph(path: Path) -> str | None:
    """Return the title and the first paragraph of a lesson, or None if this is no lesson."""
    prose = next((cell.text for cell in read_cells(path) if cell.is_prose), "")
    paragraphs = [block for block in prose.split("\n\n") if not block.startswith(("#", "("))]
    return " ".join(plain(paragraphs[0]).split()).replace("%", "%%") if paragraphs else None


def plain(markdown: str) -> str:
    """Return Markdown as a text for a terminal: headings underlined, formulas in letters, no solutions."""
    markdown = re.sub(r"<details>.*?</details>\n*", "", markdown, flags=re.DOTALL)
    markdown = re.sub(r"\$\$(.+?)\$\$", lambda found: f"\n\n{_displayed(found[1])}\n\n", markdown, flags=re.DOTALL)
    markdown = re.sub(r"\$([^$]+)\$", lambda found: " ".join(formula(found[1]).split()), markdown)
    return "\n\n".join(_block(block) for block in re.split(r"\n{2,}", markdown.strip("\n")) if block.strip())


def formula(latex: str) -> str:
    """Return a formula in letters, such as ``H_t = tanh(X_t W_xh + H_(t-1) W_hh + b_h)``."""
    from pylatexenc.latex2text import LatexNodes2Text

    latex = re.sub(r"\\(mathbf|boldsymbol|mathit)\b", "", latex)
    latex = latex.replace(r"\overrightarrow", "→").replace(r"\overleftarrow", LEFT)
    latex = re.sub(r"\\[lr]?[vV]ert|\\\|", lambda found: "‖" if found[0] != r"\vert" else "|", latex)
    latex = re.sub(r"([_^])\{(\w*[-+ /,=].*?)\}", r"\1{(\2)}", latex)
    # The converter would drop the spaces after a brace or these commands, and between an exponent and a function.
    latex = re.sub(r"(\}|\\top|\\mid)\s+", r"\1\\ ", _with_brackets(latex))
    latex = re.sub(r"(\^(?:\w|\{[^{}]*\}))\s*(?=\\(?:exp|log|max|min|tanh)\b)", r"\1\\ ", latex)
    text = LatexNodes2Text(math_mode="text", strict_latex_spaces="based-on-source").latex_to_text(latex).strip()
    text = re.sub(r"([_^]\([^()]*\))(?=\w)", r"\1 ", text.replace("∂ ", "∂"))
    text = re.sub("(?<=[α-ωϵ])(?=[A-Za-z])| *(?=[∑∏])|(?<=\\w)(?=∂)", " ", text).strip()
    return re.sub(" */ *", "/", re.sub(" *([⊙×·←∈≈∝]) *", r" \1 ", text)).replace(LEFT, "←")


def _with_brackets(latex: str) -> str:
    """Return a formula whose fractions have brackets around sums, since on a terminal they stand in one line."""

    def fraction(found: re.Match) -> str:
        parts = (f"({part})" if re.search(" [-+] ", part) else part for part in found.groups())
        return r"\frac{{{}}}{{{}}}".format(*parts)

    return re.sub(rf"\\frac{IN_BRACES}\s*{IN_BRACES}", fraction, latex)


def _displayed(latex: str) -> str:
    """Return a displayed formula, each of its lines indented by four spaces, which :func:`_block` leaves as it is."""
    rows = [" ".join(row.split()) for row in re.sub(r"&", "", latex).split(r"\\")]
    rows = [re.sub(r"\\(begin|end)\{(aligned|split|align\*?)\}", "", row) for row in rows]
    return "\n".join(f"    {' '.join(formula(row).split())}" for row in rows if row.strip())


def _block(block: str) -> str:
    """Return one block of Markdown as plain text."""
    heading = re.match(r"(#+) +(.*)", block)
    if heading:
        title, rest = _words(heading[2]), block[heading.end() :].strip("\n")
        line = "=" if len(heading[1]) == 1 else "-"
        return f"{title}\n{line * width(title)}" + (f"\n{_block(rest)}" if rest else "")
    if re.match(r" {4}|\||```", block):
        return block
    items = re.split(r"\n(?=(?:[*-]|\d+\.) )", block)
    return "\n".join(_filled(item) for item in items)


def _filled(text: str) -> str:
    """Return a text in lines of at most WIDTH; a line breaks at a space or beside a Chinese character."""
    mark = re.match(r"(?:[*-]|\d+\.) +", text)
    lines, indent = [""], " " * len(mark[0]) if mark else ""
    for piece in PIECES.findall(_words(" ".join(text.split()))):
        if width((lines[-1] + piece).rstrip()) > WIDTH:
            lines[-1:] = [lines[-1].rstrip(), indent]
            piece = piece.lstrip()
        lines[-1] += piece
    return "\n".join(lines)


def _words(text: str) -> str:
    """Return words without Markdown's marks; a picture becomes its file's name and what it shows."""
    text = re.sub(r"!\[(.*?)\]\((.*?)\)", r"[picture chapters/\2: \1]", text)
    text = re.sub(r"\[([^]]+)\]\(([^)]+)\)", r"\1 (\2)", text)
    text = re.sub(r"\*\*(.+?)\*\*", r"\1", text)
    return re.sub(r"(?<![\w*`])\*(?=\S)([^*]+?)(?<=\S)\*(?![\w*])", r"\1", text).replace("`", "")
