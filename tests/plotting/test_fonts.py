"""Texts that fonts can write and texts that they cannot, with the fonts of this machine and with others."""

import shutil
import sys
import warnings

import matplotlib
import pytest
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from typefaces import font_file, forget_fonts, only_usual_fonts

import d2lrnn
from d2lrnn.plotting import fonts
from d2lrnn.plotting.figures import new_figure, save_figure
from d2lrnn.plotting.fonts import legible

OWN = ["sans-serif"]  # Matplotlib's, which is DejaVu Sans
MOON, STAR = "月", "星"


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Let there be only fonts of certain families, and Matplotlib's own."""

    def install(**families):
        """Take what characters each family has, by names with _ in place of a space."""
        only_usual_fonts(monkeypatch)
        for name, characters in families.items():
            family = name.replace("_", " ")
            font_manager.fontManager.addfont(font_file(tmp_path / f"{name}.ttf", family, characters))

    yield install
    monkeypatch.undo()
    forget_fonts()
    fonts._warn.cache_clear()


@pytest.fixture
def no_font(installed):
    """Let there be no font but Matplotlib's own."""
    fonts._warn.cache_clear()
    installed()


def test_what_everyone_has_needs_no_font(no_font):
    assert legible(["plain text", "$_^", "äé", "␣"]) == (["plain text", "$_^", "äé", "␣"], OWN)
    assert legible([]) == ([], OWN)


def test_without_a_font_code_points_are_written_and_a_font_is_named(no_font):
    with pytest.warns(UserWarning, match="U[+]6708; for Chinese ones install .*fonts-noto-cjk, or fonts-wqy-microhei"):
        found, families = legible([MOON, f"ä{MOON}{STAR} {MOON}.txt", "𠀀"])
    assert found == ["U+6708", "äU+6708 U+661F U+6708.txt", "U+20000"]
    assert families == OWN


def test_that_is_said_once(no_font):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for text in (MOON, STAR, MOON):
            legible([text])
    assert len(caught) == 1


def test_a_picture_without_a_font_has_neither_boxes_nor_errors(no_font, tmp_path):
    """Matplotlib would warn of a glyph that is missing, and warnings are errors here."""
    with pytest.warns(UserWarning, match="no installed font"):
        figure, panels = new_figure(MOON)
    save_figure(figure, tmp_path / "moon.png")
    assert figure.get_suptitle() == "U+6708"


def test_what_cannot_be_seen_is_a_code_point_and_no_matter_of_fonts(installed):
    installed(WenQuanYi_Micro_Hei=MOON)
    expected = [f"{MOON}U+000A U+0009", "U+3000", "aU+200B"]
    assert legible([f"{MOON}\n\t", "\u3000", "a\u200b"]) == (expected, [*OWN, "WenQuanYi Micro Hei"])


@pytest.mark.parametrize(
    ("families", "expected"),
    [
        ({"Alpha": "月星", "WenQuanYi_Zen_Hei": "月星"}, ["WenQuanYi Zen Hei"]),
        ({"WenQuanYi_Zen_Hei": "月星", "Noto_Sans_CJK_JP": "月星", "Noto_Sans_SC": "月星"}, ["Noto Sans SC"]),
        ({"Noto_Sans_CJK_JP": "月星", "Noto_Sans_CJK_SC": "月星"}, ["Noto Sans CJK SC"]),
        ({"Noto_Sans_CJK_SC": "月", "Zeta": "月星", "Alpha": "x"}, ["Zeta"]),  # rather one that has all
        ({"Zeta": "月星x", "Alpha": "月星"}, ["Alpha"]),
        ({"Alpha": "月", "Beta": "星"}, ["Alpha", "Beta"]),
        ({"Last_Resort_High-Efficiency": "月星", "Zeta": "月星"}, ["Zeta"]),  # the former has boxes for everything
    ],
)
def test_which_font_is_taken(installed, families, expected):
    installed(**families)
    assert legible(["月", "ä星"]) == (["月", "ä星"], [*OWN, *expected])


def test_what_the_best_font_lacks_is_a_code_point(installed):
    installed(Alpha="月", Beta="x")
    fonts._warn.cache_clear()
    with pytest.warns(UserWarning, match="no installed font has some"):
        assert legible([MOON + STAR]) == (["月U+661F"], [*OWN, "Alpha"])


# The font that comes with the environment


@pytest.fixture
def packaged(installed, monkeypatch, tmp_path):
    """Let there be a package of that name with a font of these characters, and no Chinese font beside it."""

    def package(characters):
        installed()
        monkeypatch.setattr(fonts, "FONT_PACKAGE", "fonts_of_a_test")
        (tmp_path / "fonts_of_a_test").mkdir()
        (tmp_path / "fonts_of_a_test" / "__init__.py").write_text("raise AssertionError('the package is not run')")
        if characters:
            font_file(tmp_path / "fonts_of_a_test" / fonts.FONT_FILE, "Noto Sans SC", characters)
        monkeypatch.syspath_prepend(tmp_path)

    return package


def test_the_packaged_font_is_taken_where_no_other_has_a_character(packaged):
    packaged("月星")
    assert legible([MOON, STAR]) == ([MOON, STAR], [*OWN, "Noto Sans SC"])


def test_an_installed_font_is_taken_before_the_packaged_one(packaged, tmp_path):
    packaged("月星")
    font_manager.fontManager.addfont(font_file(tmp_path / "Alpha.ttf", "Alpha", MOON))
    assert legible([MOON]) == ([MOON], [*OWN, "Alpha"])


def test_a_packaged_font_that_is_gone_is_no_error(packaged):
    packaged("")
    fonts._warn.cache_clear()
    with pytest.warns(UserWarning, match="no installed font has some"):
        assert legible([MOON]) == (["U+6708"], OWN)


@pytest.mark.skipif(sys.version_info < (3, 10), reason="the package with the font needs Python 3.10")
def test_the_environment_brings_a_font_for_the_corpora(monkeypatch, tmp_path):
    text = "分开 我们，的了。雨 銀河漢字"
    only_usual_fonts(monkeypatch, packaged=True)
    try:
        assert legible([text]) == ([text], [*OWN, "Noto Sans SC"])
        characters = {c for c in d2lrnn.load_corpus("sample").vocab.idx_to_token if not c.isspace()}
        assert characters <= fonts._characters_of("Noto Sans SC") | fonts._characters_of(OWN[0])
        drawn(text, [*OWN, "Noto Sans SC"], tmp_path)
    finally:
        monkeypatch.undo()
        forget_fonts()


# With real fonts


def glyph(character, families):
    """Return the number of a character's glyph in the first of the families that has one; 0 is the box."""
    paths = [font_manager.findfont(font_manager.FontProperties(family=[name])) for name in families]
    return next((found for found in (FT2Font(path).get_char_index(ord(character)) for path in paths) if found), 0)


def drawn(text, families, tmp_path):
    """Draw a text; Matplotlib warns of a glyph that is missing, and warnings are errors here."""
    figure, (panel,) = new_figure("")
    panel.text(0.5, 0.5, text, fontfamily=families)
    for ending in ("png", "svg", "pdf"):
        save_figure(figure, tmp_path / f"text.{ending}")


def shipped(name):
    """Return the file of a font that comes with Matplotlib."""
    return matplotlib.get_data_path() + f"/fonts/ttf/{name}"


def special_character():
    """Return a character that Matplotlib brings in another font than its usual one."""
    usual, other = (FT2Font(shipped(name)).get_charmap() for name in ("DejaVuSans.ttf", "STIXGeneral.ttf"))
    return next(chr(code) for code in sorted(other) if code not in usual and chr(code).isalpha())


def test_a_character_that_only_another_font_has_is_drawn(tmp_path):
    character = special_character()
    (text,), families = legible([f"a {character}"])
    assert text == f"a {character}"
    assert families[0] == "sans-serif" and len(families) == 2
    assert not glyph(character, families[:1]) and glyph(character, families)
    drawn(text, families, tmp_path)


def test_a_font_that_was_installed_after_matplotlib_made_its_list(monkeypatch, tmp_path):
    character = special_character()
    usual = [font for font in font_manager.fontManager.ttflist if font.fname == shipped("DejaVuSans.ttf")]
    new = shutil.copy(shipped("STIXGeneral.ttf"), tmp_path)
    (tmp_path / "broken.ttf").write_text("no font")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", usual)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(tmp_path / "broken.ttf"), str(new)])
    fonts._add_new_fonts.cache_clear()
    try:
        assert legible([character]) == ([character], [*OWN, "STIXGeneral"])
    finally:
        fonts._add_new_fonts.cache_clear()
        font_manager.fontManager._findfont_cached.cache_clear()


def test_a_font_that_is_gone_has_nothing(monkeypatch):
    def findfont(*arguments, **options):
        raise ValueError("Failed to find font")

    monkeypatch.setattr(font_manager, "findfont", findfont)
    assert fonts._characters_of("Alpha") == frozenset()


def test_chinese_is_drawn_where_a_font_for_it_is_installed(tmp_path):
    text = "月亮，的了我们。"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (found,), families = legible([text])
    if found != text:
        pytest.skip("no installed font has Chinese characters")
    assert families[0] == "sans-serif" and len(families) == 2
    assert not glyph(MOON, families[:1]) and all(glyph(character, families) for character in text)
    drawn(text, families, tmp_path)
