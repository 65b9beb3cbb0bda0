"""How a setting tells its default, its meaning and its choices; the names that settings choose from."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

from d2lrnn.errors import D2lrnnError

Row = TypeVar("Row")

# What a named corpus or a form of verse is, is a row of a table in a file that needs NumPy.  The names alone stand
# here, for --help, which does not import NumPy; table_of refuses a table that has not a row for each of them.
CORPUS_NAMES = ("sample", "jaychou", "ptb", "timemachine", "couplets")  # the table: CORPORA in data/corpora.py

FORM_NAMES = ("couplet", "quatrain", "couplet7", "quatrain7")  # the table: FORMS in generation/forms.py

LEVELS = ("char", "word", "bigram")  # of tokens

FLOAT32_MAX = (2 - 2**-23) * 2.0**127


def table_of(names: Sequence[str], rows: Mapping[str, Row]) -> dict[str, Row]:
    """Return the rows of a table in the order of their names.

    Raises:
        KeyError: if a name has no row, or a row no name.
    """
    strange = set(names) ^ set(rows)
    if strange:
        raise KeyError(
            f"{', '.join(sorted(strange))}: expected a row for each of the names {', '.join(names)}, no other"
        )
    return {name: rows[name] for name in names}


def setting(default: Any, help: str, choices: Collection[str] = (), kind: type | None = None) -> Any:
    """Return a field of a configuration, with what the command line needs for the field's option.

    Args:
        default: of the field; None: the option takes "none" too.
        help: what the field means.
        choices: the texts that the field may be; (): any value of its kind.
        kind: ``bool``, ``int``, ``float`` or ``str``, which the option reads; None: the default's.
    """
    if kind is None and default is None:
        raise TypeError(f"the setting {help!r} has the default None: expected a kind, such as kind=int")
    return dataclasses.field(
        default=default,
        metadata={"help": help, "choices": choices, "kind": kind or type(default), "none": default is None},
    )


def settings_in(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of some values that are fields of a dataclass."""
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in values.items() if name in names}


def check_names(what: str, values: Any, known: Collection[str]) -> None:
    """Check what a file holds in place of a configuration: a dictionary, all of whose names are known.

    Raises:
        ValueError: with the names that are not.
    """
    if not isinstance(values, Mapping):
        raise D2lrnnError(f"{what} are a {type(values).__name__}: expected a dictionary of settings")
    strange = sorted(str(name) for name in values if name not in known)
    if strange:
        raise D2lrnnError(f"{what} have no setting {', '.join(strange)}: expected {', '.join(known)}")


def check_choices(config: Any) -> None:
    """Refuse a configuration with a value that is not among its field's choices.

    Raises:
        ValueError: with the choices.
    """
    for field in dataclasses.fields(config):
        value, choices = getattr(config, field.name), field.metadata.get("choices")
        if choices and value not in choices:
            raise D2lrnnError(f"unknown {field.name} {value!r}: expected one of {', '.join(choices)}")
