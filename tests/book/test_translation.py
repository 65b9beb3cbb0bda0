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


def messages(path):
    return {message.id: message for message in catalogue(path) if message.id}


def pieces(pattern, text):
    return Counter(found[0] for found in re.finditer(pattern, text, re.DOTALL))


def words(text):
    """Return a message without what is the same in every language."""
    return re.sub(rf"{CODE}|{FORMULA}|{LINK}", "", text, flags=re.DOTALL)


def fresh(book):
    """Return the messages of the pages as they are now, by the name of the page."""
    assert book.messages.returncode == 0, book.messages.stdout
    folder = book.clone / "docs" / "_build" / "messages"
    return {path.relative_to(folder).with_suffix(""): messages(path) for path in folder.glob("**/*.pot")}


def test_the_catalogues_are_those_of_the_pages(book):
    kept = {path.relative_to(CATALOGUES).with_suffix(""): path for path in CATALOGUES.glob("**/*.po")}
    kept.pop(Path("sphinx"))  # the themes' words
    pages = fresh(book)
    assert set(kept) == set(pages), "make messages"
    for name, expected in pages.items():
        assert set(messages(kept[name])) == set(expected), f"make messages: {name}"
        assert not catalogue(kept[name]).obsolete


def test_every_message_is_translated(book):
    missing = []
    for name, expected in fresh(book).items():
        found = messages(CATALOGUES / name.with_suffix(".po")) if expected else {}
        for text in expected:
            if re.search("[A-Za-z]", words(text)):
                message = found.get(text)
                if message is None or not message.string or message.fuzzy:
                    missing.append((str(name), text))
    assert missing == []


@pytest.mark.parametrize("pattern", [CODE, FORMULA, LINK], ids=["code", "formulas", "links"])
def test_a_translation_keeps(book, pattern):
    changed = []
    for path in CATALOGUES.glob("**/*.po"):
        for text, message in messages(path).items():
            if message.string and pieces(pattern, text) != pieces(pattern, message.string):
                changed.append((path.stem, text, message.string))
    assert changed == []


def test_a_translation_has_the_numbers_of_its_message(book):
    lost = []
    for path in CATALOGUES.glob("**/*.po"):
        for text, message in messages(path).items():
            numbers = pieces(r"\d[\d,.]*\d|\d", words(text)) - pieces(r"\d[\d,.]*\d|\d", words(message.string))
            if message.string and numbers:
                lost.append((path.stem, dict(numbers), message.string))
    assert lost == []
