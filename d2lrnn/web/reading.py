"""Reads what a page asks for: a record from JSON, and errors by the labels of the page."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from d2lrnn.config.fields import check_text, settings_in
from d2lrnn.errors import D2lrnnError

Request = TypeVar("Request")


def request_in(body: bytes, kind: type[Request], choices: Collection[str], **settings: type) -> Request:
    """Return what a JSON object asks for.

    Args:
        body: the object, as JSON.  It has fields of ``kind``, and of its settings those that ``choices`` names.
        kind: a record.
        choices: the fields of the settings that a page may set.
        settings: the field of ``kind`` that holds the settings, and their class.

    Raises:
        D2lrnnError: if the body is no JSON object or has another field; also as the two classes.
    """
    values = object_in(body)
    ((field, settings_kind),) = settings.items()
    chosen = {name: value for name, value in values.items() if name in choices}
    rest = {name: value for name, value in values.items() if name not in choices}
    unknown = sorted(rest.keys() - settings_in(kind, rest).keys() | rest.keys() & {field})
    if unknown:
        raise D2lrnnError(f"there is nothing called {unknown[0][:50]!r} to ask for")
    return kind(**rest, **{field: settings_kind(**chosen)})


def object_in(body: bytes) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        D2lrnnError: if the body is none.
    """
    try:
        values = json.loads(body, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise D2lrnnError(f"the request cannot be read as JSON: {error}") from None
    if not isinstance(values, dict):
        raise D2lrnnError("the request cannot be read: expected a JSON object")
    return values


def _whole(digits: str) -> int:
    """Read a whole number, and refuse one that a float may not hold."""
    if len(digits) > 18:
        raise D2lrnnError(f"found a number of {len(digits)} digits: expected at most 18")
    return int(digits)


def check_length(name: str, value: Any, most: int) -> str:
    """Check that a value is a text of at most ``most`` characters."""
    text = check_text(name, value)
    if len(text) > most:
        raise D2lrnnError(f"{name} has {len(text):,} characters: expected at most {most:,}")
    return text


def by_label(message: str, labels: Mapping[str, str], about: str | None) -> tuple[str, str | None]:
    """Return an error about a request by the labels of the page, and the name of the field that it is about.

    Args:
        message: of the error.  It begins with a field's name, or is about the request's text.
        labels: what the page calls the fields.
        about: the field of the request's text; None: the request could not be read.
    """
    begin = re.match(rf"(?:the )?({'|'.join(labels)})\b", message)
    field, rest = (begin[1], message[begin.end() :]) if begin else (None, message)
    if field is None and about is not None:
        field, rest = about, f": {message}"
    names = "|".join(name for name in labels if "_" in name)  # all others are words of English too
    rest = re.sub(rf"(?<!['\"])\b({names})\b", lambda name: f"“{labels[name[1]]}”", rest)
    return (rest if field is None else f"“{labels[field]}”{rest}"), field
