"""Fields that hold a setting's default, meaning and choices; the names that some settings choose from."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

from d2lrnn.errors import D2lrnnError

Row = TypeVar("Row")

# Each named corpus and each form of verse is a row of a table, in a file that needs NumPy.  Here are the names alone,
# for --help, which does not import NumPy.  table_of refuses a table without a row for each name.
CORPUS_NAMES = ("sample", "jaychou", "ptb", "timemachine", "couplets")  # the table: CORPORA in data/corpora.py

FORM_NAMES = ("couplet", "quatrain", "couplet7", "quatrain7")  # the table: FORMS in generation/forms.py

LEVELS = ("char", "word", "bigram")  # of tokens

FLOAT32_MAX = (2 - 2**-23) * 2.0**127


def table_of(names: Sequence[str], rows: Mapping[str, Row]) -> dict[str, Row]:
    """Return the rows of a table in the order of ``names``.

    Raises:
        KeyError: if a name has no row, or a row no name.
    """
    unmatched = set(names) ^ set(rows)
    if unmatched:
        raise KeyError(
            f"{', '.join(sorted(unmatched))}: expected a row for each of the names {', '.join(names)}, no other"
        )
    return {name: rows[name] for name in names}


def setting(default: Any, help: str, choices: Collection[str] = (), kind: type | None = None) -> Any:
    """Return a field of a configuration, with what the command line needs for the field's option.

    Args:
        default: the field's default; None: the option accepts "none" too.
        help: what the field means.
        choices: the texts that the field may be; (): any value of its kind.
        kind: what the option reads, ``bool``, ``int``, ``float`` or ``str``; None: the kind of the default.

    Raises:
        TypeError: if neither ``kind`` nor the default tells the kind.
    """
    if kind is None and default is None:
        raise TypeError(f"the setting {help!r} has the default None: expected a kind, such as kind=int")
    return dataclasses.field(
        default=default,
        metadata={"help": help, "choices": choices, "kind": kind or type(default), "none": default is None},
    )


def settings_in(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of ``values`` whose names are fields of the dataclass ``kind``."""
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in values.items() if name in names}


def check_names(what: str, values: Any, known: Collection[str]) -> None:
    """Check that the ``values`` read from a file are a dictionary of settings whose names are all known.

    Args:
        what: what to call the values in an error.
        values: what the file holds.
        known: the names of all settings.

    Raises:
        D2lrnnError: for anything but a dictionary; for unknown names, with these names.
    """
    if not isinstance(values, Mapping):
        raise D2lrnnError(f"{what} are a {type(values).__name__}: expected a dictionary of settings")
    unknown = sorted(str(name) for name in values if name not in known)
    if unknown:
        raise D2lrnnError(f"{what} have no setting {', '.join(unknown)}: expected {', '.join(known)}")


def check_choices(config: Any) -> None:
    """Check that each value of a configuration is among the choices of its field, where the field has choices.

    Raises:
        D2lrnnError: if a value is not, with the choices.
    """
    for field in dataclasses.fields(config):
        value, choices = getattr(config, field.name), field.metadata.get("choices")
        if choices and value not in choices:
            raise D2lrnnError(f"unknown {field.name} {value!r}: expected one of {', '.join(choices)}")
