"""The book is made without a warning, in both languages; its links lead somewhere; nothing public is left out."""

import html
import re
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

import d2lrnn
from d2lrnn.cli.main import COMMANDS
from d2lrnn.config import Sampling

ROOT = Path(__file__).resolve().parent.parent.parent
LANGUAGES = ("en", "zh_CN")


def read(path):
    return path.read_text(encoding="utf-8")


def test_make_says_where_the_book_is_and_nothing_else(book):
    expected = [f"Making the book in {language}: lessons that are new or changed are run ..." for language in LANGUAGES]
    expected.append(f"The book: {' '.join(f'docs/_build/html/{language}/index.html' for language in LANGUAGES)}")
    assert book.made.said.splitlines() == expected
    assert book.made.succeeded


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_lesson_has_a_page(book, language):
    lessons = {path.stem for path in (ROOT / "chapters").glob("*.py")}
    assert {path.stem for path in (book.html / language / "lessons").glob("*.html")} == lessons
    contents = read(book.html / language / "index.html")
    assert all(f'href="lessons/{name}.html"' in contents for name in lessons)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_link_inside_is_dead(book, language, pages):
    anchors, dead = {}, []
    for page, path in pages.items():
        for link in re.findall(r'\b(?:href|src)="([^"]*)"', read(path)):
            address, anchor = urldefrag(html.unescape(link))
            if urlsplit(address).scheme:
                continue
            target = (path.parent / unquote(urlsplit(address).path)).resolve() if address else path.resolve()
            if not target.is_file():
                dead.append((page, link))
            elif anchor:
                if target not in anchors:
                    anchors[target] = {html.unescape(name) for name in re.findall(r'\bid="([^"]*)"', read(target))}
                if unquote(anchor) not in anchors[target]:
                    dead.append((page, link))
    assert dead == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_reference_describes_every_public_name(book, language):
    described = "".join(read(path) for path in (book.html / language / "api").glob("*.html"))
    missing = [name for name in d2lrnn.__all__ if f'id="d2lrnn.{name}"' not in described]
    assert missing == []
    config = read(book.html / language / "api" / "config.html")
    assert Sampling.__dataclass_fields__["temperature"].metadata["help"] in config  # the meaning of a setting
    assert "of the numbers of the embedded inputs" in config  # the comment of a field of Dropout
    assert "stands for rare words of the Penn Treebank" in read(book.html / language / "api" / "data.html")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_help_of_every_command_is_there(book, language):
    page = read(book.html / language / "command_line.html")
    for command in COMMANDS:
        assert f"usage: python -m d2lrnn {command} [-h]" in page and f'id="{command}"' in page


@pytest.mark.parametrize("language", ["zh_CN"])
def test_the_chinese_book_speaks_chinese(book, language, pages):
    for path in pages.values():
        text = read(path)
        assert 'lang="zh-CN"' in text and not re.search(r"<summary>Solution|title=\"Search\"|>Previous<", text)
    assert ">解答 1<" in read(book.html / "zh_CN" / "lessons" / "lstm.html")
