"""Lessons run as scripts, and what they print."""

import re
from pathlib import Path
from typing import NamedTuple

import matplotlib.image
import numpy

CHAPTERS = Path(__file__).parent.parent / "chapters"
NAMES = sorted(path.stem for path in CHAPTERS.glob("*.py"))


class Ran(NamedTuple):
    """A lesson that has run."""

    text: str  # what it printed
    names: dict  # its global names, as a reader has them at hand afterwards


def run_cells(name):
    """Run a lesson as the script that it is, and return its global names; ``sys.argv`` holds its options."""
    path = CHAPTERS / f"{name}.py"
    names = {"__name__": "__main__", "__file__": str(path)}
    try:
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)
    except SystemExit as stop:
        if stop.code:
            raise
    return names


def check_picture(path, grey=False):
    """Check that a file is a picture with ink, letters and curves; or, if it is grey, with ink and letters alone."""
    assert Path(path).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    pixels = matplotlib.image.imread(path)[:, :, :3]
    assert min(pixels.shape[:2]) > 200
    inked = (pixels.min(axis=2) < 0.9).mean()
    coloured = (numpy.ptp(pixels, axis=2) > 0.2).mean()  # a curve, where the axes and letters are grey
    assert 0.01 < inked < 0.6
    assert coloured == 0 if grey else coloured > 0.0005


def table(text, header):
    """Return the rows of a printed table that begins with a header: lists of numbers by the rows' names."""
    lines = text[text.index(header) :].splitlines()[1:]
    rows = {}
    for line in lines:
        match = re.match(r"(\S.*?)\s{2,}([-+\d][-+\d.,e\s]*|inf[\s\d.e+inf]*)$", line)
        if not match:
            break
        rows[match[1]] = [float(number.replace(",", "")) for number in match[2].split()]
    return rows


def number_after(text, words):
    """Return the first number after some words."""
    return float(re.search(re.escape(words) + r"\s*(-?\d[\d,.]*(e[-+]\d+)?)", text)[1].rstrip(".,").replace(",", ""))


def section(text, title):
    """Return what a lesson printed below one of its headings, up to the next heading."""
    found = re.search(rf"^{re.escape(title)}\n-+\n(.*?)(?=^[^\n]+\n-{{3,}}$|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title!r}"
    return found[1]


def samples(text, prefix):
    """Return what models wrote after a prefix while they were trained."""
    return re.findall(rf"^ - ({re.escape(prefix)}.*)$", text, re.MULTILINE)
