"""The Chinese catalogues: every message is translated, up to date, and keeps its code, formulas, links and numbers."""

import re
from collections import Counter
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parent.parent.parent
CATALOGUES = ROOT / "docs" / "locale" / "zh_CN" / "LC_MESSAGES"

CODE = r"(`+)(?!`).+?(?<!`)\1(?!`)"
FORMULA = r"\$\$?[^$]+\$\$?"
LINK = r"\]\([^)]*\)"


def catalogue(path):
    with path.open("rb") as file:
        return read_po(file, locale="zh_CN")


def read(path):
    return {message.id: message for message in catalogue(path) if message.id}


def pieces(pattern, text):
    return Counter(found[0] for found in re.finditer(pattern, text, re.DOTALL))


def words(text):
    """Return a message without what is the same in every language."""
    return re.sub(rf"{CODE}|{FORMULA}|{LINK}", "", text, flags=re.DOTALL)


@pytest.fixture
def pages(messages):
    """The messages of the pages as they are now, by the name of the page."""
    return {path.relative_to(messages).with_suffix(""): read(path) for path in messages.glob("**/*.pot")}


def test_the_catalogues_are_those_of_the_pages(pages):
    kept = {path.relative_to(CATALOGUES).with_suffix(""): path for path in CATALOGUES.glob("**/*.po")}
    kept.pop(Path("sphinx"))  # the themes' words
    assert set(kept) == set(pages), "make messages"
    for name, expected in pages.items():
        assert set(read(kept[name])) == set(expected), f"make messages: {name}"
        assert not catalogue(kept[name]).obsolete


def test_every_message_is_translated(pages):
    missing = []
    for name, expected in pages.items():
        path = CATALOGUES / name.with_suffix(".po")
        found = read(path) if path.exists() else {}
        for text in expected:
            message = found.get(text)
            if re.search("[A-Za-z]", words(text)) and (message is None or not message.string or message.fuzzy):
                missing.append((str(name), text))
    assert missing == []


@pytest.mark.parametrize("pattern", [CODE, FORMULA, LINK], ids=["code", "formulas", "links"])
def test_a_translation_keeps(pattern):
    changed = []
    for path in CATALOGUES.glob("**/*.po"):
        for text, message in read(path).items():
            if message.string and pieces(pattern, text) != pieces(pattern, message.string):
                changed.append((path.stem, text, message.string))
    assert changed == []


def in_ten_thousands(text):
    """Return an English text with millions as Chinese counts them: 13.1 million is 1,310 times ten thousand."""
    return re.sub(r"(\d+(?:\.\d+)?) million", lambda found: f"{100 * float(found[1]):,.0f}", text)


def test_a_translation_has_the_numbers_of_its_message():
    lost, number = [], r"\d[\d,.]*\d|\d"
    for path in CATALOGUES.glob("**/*.po"):
        for text, message in read(path).items():
            numbers = pieces(number, in_ten_thousands(words(text))) - pieces(number, words(message.string))
            if message.string and numbers:
                lost.append((path.stem, dict(numbers), message.string))
    assert lost == []
