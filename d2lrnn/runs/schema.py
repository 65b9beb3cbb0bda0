"""What a file of JSON may hold, declared as a table, and the check of a file's values by it.

A table is made of the functions below.  For example, ``record({"epoch": whole(1), "lr": number(0)})`` accepts
``{"epoch": 3, "lr": 0.1}`` and refuses ``{"epoch": true, "lr": 0.1}`` with "epoch is True: expected a whole number, at
least 1".  A value is never converted.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from d2lrnn.errors import D2lrnnError

Check = Callable[[Any], None]  # raises a MismatchError for a value that is not what it should be

LARGEST = 2**53  # of whole numbers: up to here a float holds every one
_DIGITS = 20  # of the longest whole number that is read at all


class MismatchError(D2lrnnError):
    """A value is not what it should be.

    Args:
        problem: what was found, and what was expected.
        where: the way to the value, such as ``history.epochs[2].lr``; "": the value itself.
    """

    def __init__(self, problem: str, where: str = "") -> None:
        super().__init__(f"{where or 'it'} {problem}")
        self.problem, self.where = problem, where

    def inside(self, step: str) -> MismatchError:
        """Return the same error, seen from one step further out: ``history`` or ``[2]``."""
        joint = "." if self.where and not self.where.startswith("[") else ""
        return MismatchError(self.problem, step + joint + self.where)


def parse(text: str) -> Any:
    """Return what a JSON text holds.

    Raises:
        MismatchError: if the text is no JSON, is nested too deeply, or has a whole number that is too long.
    """
    try:
        return json.loads(text, parse_int=_short_whole)
    except RecursionError:
        raise MismatchError("is nested too deeply: expected JSON as d2lrnn writes it") from None
    except json.JSONDecodeError as error:
        raise MismatchError(f"is no JSON ({error})") from None


def _short_whole(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise MismatchError(f"has a whole number of {len(digits):,} digits: expected at most {_DIGITS}")
    return int(digits)


def anything(value: Any) -> None:
    """Accept every value: something else checks it."""


def whole(least: int = 0, most: int = LARGEST) -> Check:
    """Return the check for a whole number."""

    def check(value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            upper = "" if most == LARGEST else f" and at most {most:,}"
            raise _unlike(value, f"a whole number, at least {least}{upper}")

    return check


def number(least: float = -math.inf, below: float = math.inf) -> Check:
    """Return the check for a finite number."""

    def check(value: Any) -> None:
        if not _is_number(value) or not math.isfinite(value) or not least <= value < below:
            limits = [f"at least {least:g}"] * (least > -math.inf) + [f"below {below:g}"] * (below < math.inf)
            raise _unlike(value, ", ".join(["a finite number", *limits]))

    return check


def any_number(value: Any) -> None:
    """Check a number, which may be infinite or NaN."""
    if not _is_number(value):
        raise _unlike(value, "a number")


def measure(value: Any) -> None:
    """Check a number, which may be infinite, as the perplexity of a model that is sure of the wrong token."""
    if not _is_number(value) or math.isnan(value):
        raise _unlike(value, "a number")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def flag(value: Any) -> None:
    """Check a value that is true or false."""
    if not isinstance(value, bool):
        raise _unlike(value, "true or false")


def text(value: Any) -> None:
    """Check a text: every one that UTF-8 can hold, which half a surrogate pair is not."""
    if not isinstance(value, str):
        raise _unlike(value, "a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _unlike(value, "a text without halves of surrogate pairs") from None


def path(value: Any) -> None:
    """Check a path; bytes of a file's name that are not UTF-8 stand in it as Python has them."""
    try:
        if not isinstance(value, str) or not value or b"\0" in value.encode("utf-8", "surrogateescape"):
            raise _unlike(value, "a path")
    except UnicodeEncodeError:
        raise _unlike(value, "a path") from None


def one_of(choices: Collection[str]) -> Check:
    """Return the check for one of several texts."""

    def check(value: Any) -> None:
        if not isinstance(value, str) or value not in choices:
            raise _unlike(value, f"one of {', '.join(choices)}")

    return check


def or_none(other: Check) -> Check:
    """Return the check for null, or what another check accepts."""

    def check(value: Any) -> None:
        if value is not None:
            other(value)

    return check


def list_of(item: Check, least: int = 0) -> Check:
    """Return the check for a list of at least so many items."""

    def check(value: Any) -> None:
        if not isinstance(value, list) or len(value) < least:
            raise _unlike(value, f"a list of at least {least}" if least else "a list")
        for i, found in enumerate(value):
            try:
                item(found)
            except MismatchError as error:
                raise error.inside(f"[{i}]") from None

    return check


def row(*items: Check) -> Check:
    """Return the check for a list with one item for each of the checks."""

    def check(value: Any) -> None:
        if not isinstance(value, list) or len(value) != len(items):
            raise _unlike(value, f"a list of {len(items)}")
        record(dict(enumerate(items)))(dict(enumerate(value)))  # type: ignore[arg-type]

    return check


def record(fields: Mapping[str, Check], optional: Mapping[str, Check] | None = None, others: Check | None = None):
    """Return the check for an object with named fields.

    Args:
        fields: of each field that must be there, its check.
        optional: of each field that may be missing, its check.
        others: the check of fields with any other names; None: there are no others.
    """
    known = {**fields, **(optional or {})}

    def check(value: Any) -> None:
        if not isinstance(value, dict):
            raise _unlike(value, "named fields")
        for name in fields:
            if name not in value:
                raise MismatchError("is missing", str(name))
        for name, found in value.items():
            field = known.get(name, others)
            if field is None:
                raise MismatchError(f"is unknown: expected {', '.join(map(str, known)) or 'nothing'}", _name(name))
            try:
                field(found)
            except MismatchError as error:
                raise error.inside(_name(name)) from None

    return check


def _name(name: Any) -> str:
    """Return a field's name as a step of the way to it; what is no plain name is quoted."""
    if isinstance(name, int):
        return f"[{name}]"
    return name if name.isidentifier() and len(name) <= 40 else reprlib.repr(name)


def _unlike(value: Any, expected: str) -> MismatchError:
    return MismatchError(f"is {reprlib.repr(value)}: expected {expected}")
