"""Fonts for tests: none but Matplotlib's own, and fonts made of the characters that a test names."""

from fontTools.fontBuilder import FontBuilder
from fontTools.ttLib.tables._g_l_y_f import Glyph
from matplotlib import font_manager

from d2lrnn.plotting import fonts


def only_usual_fonts(monkeypatch, packaged=False):
    """Let Matplotlib know no font but its usual one, while the test lasts; to be followed by :func:`forget_fonts`.

    ``packaged``: whether the font that comes with the environment is there too.
    """
    usual = [font for font in font_manager.fontManager.ttflist if font.name == "DejaVu Sans"]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", usual)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [])
    if not packaged:
        monkeypatch.setattr(fonts, "FONT_PACKAGE", "no_such_package")
    forget_fonts()


def forget_fonts():
    """Let new fonts be looked for again, and each family's file be found anew."""
    fonts._add_new_fonts.cache_clear()
    fonts._add_packaged_font.cache_clear()
    font_manager.fontManager._findfont_cached.cache_clear()


def font_file(path, family, characters):
    """Write a font that has these characters, each an empty glyph; return its path."""
    glyphs = {ord(character): f"u{ord(character):04X}" for character in characters}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *glyphs.values()])
    builder.setupCharacterMap(glyphs)
    builder.setupGlyf({name: Glyph() for name in (".notdef", *glyphs.values())})
    builder.setupHorizontalMetrics({name: (500, 0) for name in (".notdef", *glyphs.values())})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path
