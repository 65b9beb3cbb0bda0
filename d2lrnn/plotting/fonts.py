"""Fonts that can write a text: Matplotlib's own has no Chinese, and draws a box for a character that it lacks.

An installed font with Chinese is taken where there is one; else Noto Sans SC, which comes with the environment.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import itertools
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

# Beginnings of the names of fonts with Chinese characters, the best one for labels first.  (One file holds the Noto
# Sans CJK fonts of all countries.  Matplotlib sees only the first of them, called JP, which has all characters.)
PREFERRED = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Noto Sans CJK",
    "Source Han Sans",
    "WenQuanYi",
    "Droid Sans Fallback",
    "PingFang",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
)

# A package of requirements.txt that holds nothing but fonts (SIL Open Font License 1.1), and the file that is used.
FONT_PACKAGE, FONT_FILE = "pylopdf_fonts_zh_cn", "NotoSansSC-Regular.otf"


def legible(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return texts that the fonts can write, and the font families to write them in.

    A character that no font has becomes its code point, such as U+6708, with a warning once a process.  A character
    that cannot be seen, such as a line end, becomes its code point too.

    Args:
        texts: the texts to write.

    Returns:
        the texts, and the value for Matplotlib's ``fontfamily``.
    """
    families, missing = _families_for({c for text in texts for c in text if not c.isascii() and c.isprintable()})
    if missing:
        _warn()
    return [_spelled(text, missing) for text in texts], families


@functools.cache  # once a process: at every catch_warnings Python forgets which warnings it has shown
def _warn() -> None:
    warnings.warn(
        "no installed font has some of the characters: they are written as their code points, such as U+6708; for "
        "Chinese ones install a font (Debian, Ubuntu: apt-get install fonts-noto-cjk, or fonts-wqy-microhei; or, from "
        f"Python 3.10 on, pip install {FONT_PACKAGE.replace('_', '-')})",
        stacklevel=3,
    )


def _spelled(text: str, missing: set[str]) -> str:
    """Write characters that are missing or cannot be seen as code points, with a space between neighbours."""
    runs = itertools.groupby(text, lambda c: c in missing or not c.isprintable())
    return "".join(" ".join(f"U+{ord(c):04X}" for c in run) if hidden else "".join(run) for hidden, run in runs)


def _families_for(characters: set[str]) -> tuple[list[str], set[str]]:
    """Return Matplotlib's own font families and as few others as are needed, and the characters that none has."""
    import matplotlib

    families = list(matplotlib.rcParams["font.family"])
    if characters:
        characters = characters.difference(*map(_characters_of, families))
    while characters:
        name = _best_font(characters)
        if name is None:
            break
        families.append(name)
        characters = characters - _characters_of(name)
    return families, characters


def _best_font(characters: set[str]) -> str | None:
    """Return the first font that has all of the characters, else the one that has most of them, else None."""
    best, most = None, 0
    for name in itertools.chain(_known_fonts(), _new_fonts(), _packaged_fonts()):
        count = len(characters & _characters_of(name))
        if count > most:
            best, most = name, count
        if count == len(characters):
            break
    return best


def _known_fonts() -> list[str]:
    """Return the families of Matplotlib's list of fonts, those for Chinese first."""
    from matplotlib import font_manager

    names = {font.name for font in font_manager.fontManager.ttflist}
    names = {name for name in names if not name.startswith("Last Resort")}  # draws a box for every character
    rank = {name: [name.startswith(start) for start in (*PREFERRED, "")].index(True) for name in names}
    return sorted(names, key=lambda name: (rank[name], name))


def _new_fonts() -> Iterator[str]:
    """Yield the families of all fonts, with those that were installed after Matplotlib wrote its list to disk."""
    _add_new_fonts()
    yield from _known_fonts()


@functools.cache
def _add_new_fonts() -> None:
    from matplotlib import font_manager

    known = {font.fname for font in font_manager.fontManager.ttflist}
    for path in sorted({*font_manager.findSystemFonts()} - known):
        with contextlib.suppress(Exception):  # as Matplotlib does: a broken font may raise anything
            font_manager.fontManager.addfont(path)


def _packaged_fonts() -> Iterator[str]:
    """Yield the families of all fonts, with the one that comes with the environment."""
    _add_packaged_font()
    yield from _known_fonts()


@functools.cache
def _add_packaged_font() -> None:
    from matplotlib import font_manager

    file = packaged_font()
    if file is not None:
        with contextlib.suppress(Exception):  # as for fonts that were installed
            font_manager.fontManager.addfont(str(file))


def packaged_font() -> Path | None:
    """Return the file of the font with Chinese that comes with the environment; None where it is not installed."""
    spec = importlib.util.find_spec(FONT_PACKAGE)
    folders = (spec.submodule_search_locations or ()) if spec is not None else ()
    return next((Path(folder, FONT_FILE) for folder in folders), None)


def _characters_of(family: str) -> frozenset[str]:
    """Return the characters of the font that Matplotlib finds for a family; none if it is not there any more."""
    from matplotlib.font_manager import FontProperties, findfont

    try:
        # In a list, since a name alone is read as a pattern, in which "-" begins a size: sans-serif would be none.
        return _characters_in(findfont(FontProperties(family=[family]), fallback_to_default=False))
    except (ValueError, OSError, RuntimeError):
        return frozenset()


@functools.cache
def _characters_in(path: str) -> frozenset[str]:
    from matplotlib.ft2font import FT2Font

    return frozenset(map(chr, FT2Font(path).get_charmap()))
