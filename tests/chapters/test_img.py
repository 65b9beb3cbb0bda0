"""The chapter's diagrams are what their script draws, in both languages, with nothing cut off or covered.

The comparison is byte for byte: Matplotlib's wheels bring their own FreeType, and numbers are rounded to two decimals.
"""

import importlib
import itertools
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from d2lrnn.plotting import packaged_font

FOLDER = Path(__file__).parents[2] / "chapters" / "img"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def script():
    """The script that draws the diagrams."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(FOLDER), *sys.path])
        yield importlib.import_module("draw")


@pytest.fixture(scope="module")
def drawn(script, tmp_path_factory):
    """A folder with all diagrams, drawn again, and by its name each diagram in English and in Chinese."""
    if packaged_font() is None:
        pytest.skip("the package of the diagrams' font needs Python 3.10")
    folder = tmp_path_factory.mktemp("img")
    return folder, script.draw(folder)


def test_the_committed_diagrams_are_what_the_script_draws(drawn):
    folder, _ = drawn
    new = {path.name: path.read_bytes() for path in folder.iterdir()}
    committed = {path.name: path.read_bytes() for path in FOLDER.glob("*.svg")}
    assert set(committed) == set(new)
    old = [name for name in new if new[name] != committed[name]]
    assert not old, "run python chapters/img/draw.py and look at these"


def test_a_diagram_with_words_has_its_chinese_twin_and_every_translation_is_used(drawn):
    folder, sheets = drawn
    for name, (english, chinese) in sheets.items():
        assert (folder / f"{name}.zh_CN.svg").exists() == bool(english.words), name
        assert chinese.words == english.words
    used = set().union(*(english.words for english, _ in sheets.values()))
    assert used == set(importlib.import_module("words").CHINESE)


def test_no_english_word_is_left_in_a_chinese_diagram(drawn):
    for name, (_, chinese) in drawn[1].items():
        texts = " ".join(re.sub(r"\$[^$]*\$", "", line) for line, *_ in chinese.places)
        assert set(re.findall("[A-Za-z-]+", texts)) <= {"one-hot"}, name


def test_texts_lie_on_the_sheet_and_not_over_one_another(drawn):
    for name, pair in drawn[1].items():
        for sheet in pair:
            for line, left, top, right, bottom in sheet.places:
                assert left >= 4 and top >= 4 and right <= sheet.width - 4 and bottom <= sheet.height - 4, (name, line)
            for one, other in itertools.combinations(sheet.places, 2):
                apart = one[3] <= other[1] or other[3] <= one[1] or one[4] <= other[2] or other[4] <= one[2]
                assert apart, (name, one[0], other[0])


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.svg")), ids=lambda path: path.name)
def test_a_file_is_small_svg_of_the_palette_that_asks_for_nothing_else(path, script):
    text = path.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg"
    width, height = [float(number) for number in root.attrib["viewBox"].split()[2:]]
    assert 0 < width <= 525 and 0 < height <= 450  # in points: 700 x 600 pixels
    assert len(text.encode()) < 60_000
    palette = importlib.import_module("diagram").PALETTE
    assert set(re.findall(r"#[0-9a-f]{3,8}\b(?=[;\"])", text)) <= palette
    assert not re.search(r"rgb|hsl|(fill|stroke): (?!none|#)", text)
    links = [value for element in root.iter() for key, value in element.attrib.items() if key.endswith("href")]
    assert all(link.startswith("#") for link in links)
    assert not re.search(r"<(script|image|text|!DOCTYPE)\b", text)


def test_an_unknown_name_is_refused(script, tmp_path):
    with pytest.raises(KeyError, match="no_such_diagram"):
        script.draw(tmp_path, ["no_such_diagram"])


def test_every_diagram_stands_in_a_lesson():
    lessons = "".join(path.read_text(encoding="utf-8") for path in FOLDER.parent.glob("*.py"))
    drawn = {path.stem for path in FOLDER.glob("*.svg") if "." not in path.stem}
    assert {name for name in drawn if f"](img/{name}.svg)" not in lessons} == set()
