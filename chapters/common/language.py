"""A lesson's prose in the reader's language, from the catalogues of the book."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

CHAPTERS = Path(__file__).resolve().parent.parent
CATALOGUES = CHAPTERS.parent / "docs" / "locale"
SOLUTION = {"zh_CN": "解答"}  # the one word that stands in raw HTML, which has no message


def wanted() -> str | None:
    """Return the language that the environment asks for, as gettext reads it: ``LANGUAGE``, then the locale.

    Returns:
        the name of a folder of catalogues, such as ``"zh_CN"``; None: English.
    """
    variables = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
    asked = next((os.environ[name] for name in variables if os.environ.get(name)), "")
    for name in asked.split(":"):
        language = re.split(r"[.@]", name)[0]
        if language and (CATALOGUES / language).is_dir():
            return language
        if language.startswith(("en", "C", "POSIX")):
            return None
    return None


def messages_of(lesson: str, language: str | None) -> dict[str, str]:
    """Return the translations of a lesson's messages; none for English, and none where there is no catalogue."""
    path = CATALOGUES / str(language) / "LC_MESSAGES" / "lessons" / f"{lesson}.po"
    if language is None or not path.is_file():
        return {}
    from babel.messages.pofile import read_po

    with path.open("rb") as file:
        return {message.id: message.string for message in read_po(file) if message.id and message.string}


def translate(markdown: str, messages: Mapping[str, str], language: str | None) -> str:
    """Return Markdown with each heading, paragraph, list item and picture's description translated.

    What the catalogue lacks stays in English.

    Args:
        markdown: a cell of a lesson.
        messages: the translations, as :func:`messages_of` returns them.
        language: as :func:`wanted` returns it; it names the translated drawings.
    """
    if not messages:
        return markdown
    # Every other piece is a displayed formula, or the empty lines between two blocks.
    pieces = re.split(r"(\$\$.+?\$\$|\n{2,})", markdown, flags=re.DOTALL)
    return "".join(_block(piece, messages, language) if i % 2 == 0 else piece for i, piece in enumerate(pieces))


def _block(block: str, messages: Mapping[str, str], language: str | None) -> str:
    """Return a block of Markdown, such as a paragraph, in another language."""
    heading, _, below = block.partition("\n")
    found = re.match(r"(#+ +)(.*)", heading)
    if found:
        title = found[1] + messages.get(found[2], found[2])
        return f"{title}\n{_block(below, messages, language)}" if below else title
    found = re.fullmatch(r"!\[(.*)\]\((.*)\.svg\)", block, flags=re.DOTALL)
    if found:
        drawing = f"{found[2]}.{language}" if (CHAPTERS / f"{found[2]}.{language}.svg").is_file() else found[2]
        return f"![{_say(found[1], messages)}]({drawing}.svg)"
    if block.startswith("<details>"):
        return block.replace("Solution", SOLUTION.get(str(language), "Solution"))
    items = re.split(r"(^(?:[*-]|\d+\.) +)", block, flags=re.MULTILINE)
    return "".join(_say(item, messages) if i % 2 == 0 else item for i, item in enumerate(items))


def _say(text: str, messages: Mapping[str, str]) -> str:
    """Return the translation of a text, which may run over several lines, or the text itself."""
    end = text[len(text.rstrip()) :]
    return messages[message] + end if (message := " ".join(text.split())) in messages else text
