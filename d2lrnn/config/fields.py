"""Fields that hold a setting's default, meaning and choices; the names that some settings choose from."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

from d2lrnn.checks import check_number, check_whole, shortened, shown
from d2lrnn.errors import D2lrnnError

Row = TypeVar("Row")

# Each named corpus and each form of verse is a row of a table, in a file that needs NumPy.  Here are the names alone,
# for --help, which does not import NumPy.  table_of refuses a table without a row for each name.
# The table of corpora is CORPORA in data/corpora.py.
CORPUS_NAMES = ("sample", "sample_couplets", "jaychou", "ptb", "timemachine", "couplets")

# The two ways to divide the images of digits (data/digits.py).  "digits" takes the 10,000 of the t10k files alone,
# "mnist" the 60,000 of the train files too and tests on the 10,000.
DIGIT_SETS = ("digits", "mnist")

PAIR_NAMES = ("sample_pairs", "cmn", "fra-eng")  # of sentence pairs; the table: PAIR_SETS in data/pairs.py

# How pairs of sentences of different lengths become batches.
PAIR_BATCHES = (
    "lengths",  # the sources of a batch are equally long
    "buckets",  # a batch holds pairs of about the same lengths, its sources padded in front
)

FORM_NAMES = ("couplet", "quatrain", "couplet7", "quatrain7")  # the table: FORMS in generation/forms.py

LEVELS = ("char", "word", "bigram")  # of tokens

SENTENCE_LEVELS = ("word", "char")  # of the tokens of a side of sentence pairs

# The largest values of settings, where memory alone does not say what is too much.
MAX_LAYERS = 100  # an epoch of a hundred layers takes a hundred times that of one; published models have ten
MAX_STEPS = 10_000  # tokens through which a gradient goes back; a graph that is unrolled grows with each
MAX_EPOCHS = 1_000_000  # eleven days of epochs of a second
MAX_PRED_LEN = 1_000_000  # tokens of a text: a novel
MAX_BEAM_WIDTH = 1_000  # wider beams find worse texts (Koehn and Knowles 2017, arXiv 1706.03872)
MAX_SEED = 2**32 - 1  # of a training: what NumPy's global generator takes


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


def setting(
    default: Any, help: str | None, choices: Collection[str] = (), kind: type | None = None, **limits: float
) -> Any:
    """Return a field of a configuration, with its range and what the command line needs for the field's option.

    Args:
        default: the field's default; None: the option accepts "none" too.
        help: what the field means; None: the field has no option.
        choices: the texts that the field may be; (): any value of its kind.
        kind: what the field holds, ``bool``, ``int``, ``float``, ``str``, or ``tuple`` for several texts; None: the
            kind of the default.
        limits: the range of a number, as :func:`d2lrnn.checks.check_whole` or :func:`d2lrnn.checks.check_number` takes
            it; without any, the range that these have by default.

    Raises:
        TypeError: if neither ``kind`` nor the default tells the kind.
    """
    if kind is None and default is None:
        raise TypeError(f"the setting {help!r} has the default None: expected a kind, such as kind=int")
    about = {"choices": choices, "kind": kind or type(default), "none": default is None, "limits": limits}
    return dataclasses.field(default=default, metadata=about if help is None else {"help": help, **about})


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
    unknown = sorted(name if isinstance(name, str) else repr(name) for name in values if name not in known)
    if unknown:
        raise D2lrnnError(f"{what} have no setting {shortened(', '.join(unknown))}: expected {', '.join(known)}")


def check_settings(config: Any, names: Mapping[str, str] | None = None) -> None:
    """Check each field that :func:`setting` has made: its type, and its range or its choices.

    A number becomes a plain ``int`` or ``float``, whatever it was given as, so that a checkpoint can hold it.

    Args:
        config: a configuration, changed in place.
        names: what to call fields in an error, where that is not their names.

    Raises:
        D2lrnnError: with the name, the value and what was expected.
    """
    for field in dataclasses.fields(config):
        if field.metadata:
            name = (names or {}).get(field.name, field.name)
            value = _checked(name, getattr(config, field.name), field.metadata)
            object.__setattr__(config, field.name, value)


def _checked(name: str, value: Any, about: Mapping[str, Any]) -> Any:
    kind, choices = about["kind"], about["choices"]
    if value is None and about["none"]:
        return None
    if kind in (int, float):
        return (check_whole if kind is int else check_number)(name, value, **about["limits"])
    if kind is bool and not isinstance(value, bool):
        raise D2lrnnError(f"{name} is {shown(value)}: expected true or false")
    if choices and not (isinstance(value, str) and value in choices):
        raise D2lrnnError(f"unknown {name} {shown(value)}: expected one of {', '.join(choices)}")
    if kind is str:
        return check_text(name, value)
    if kind is tuple:
        if not isinstance(value, (tuple, list)):
            text = f", such as ({shown(value)},)" if isinstance(value, str) else ""
            raise D2lrnnError(f"{name} is {shown(value)}, of type {type(value).__name__}: expected several texts{text}")
        return tuple(check_text(f"{name}[{i}]", text) for i, text in enumerate(value))
    return value


def check_text(name: str, value: Any) -> str:
    """Check that a value is a text that a file can hold.

    Raises:
        D2lrnnError: for anything but a text, and for one with half of a character (a lone surrogate).
    """
    if not isinstance(value, str):
        raise D2lrnnError(f"{name} is {shown(value)}, of type {type(value).__name__}: expected a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise D2lrnnError(f"{name} is {shown(value)}: {value[error.start]!r} is half of a character") from None
    return value
