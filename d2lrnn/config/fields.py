"""How a setting tells its default, its meaning and its choices; the names that settings choose from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from d2lrnn.errors import D2lrnnError

CORPUS_NAMES = ("sample", "jaychou", "ptb", "timemachine", "couplets")

LEVELS = ("char", "word", "bigram")  # of tokens

FORM_NAMES = ("couplet", "quatrain", "couplet7", "quatrain7")  # what they are: forms.FORMS

FLOAT32_MAX = (2 - 2**-23) * 2.0**127


def setting(default: Any, help: str, choices: Sequence[str] = ()) -> Any:
    """Return a field with a default, what it means, and what it may be; the command line shows all three."""
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices})


def settings_in(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of some values that are fields of a dataclass."""
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in values.items() if name in names}


def check_choices(config: Any) -> None:
    """Refuse a configuration with a value that is not among its field's choices, with a ValueError."""
    for field in dataclasses.fields(config):
        value, choices = getattr(config, field.name), field.metadata.get("choices")
        if choices and value not in choices:
            raise D2lrnnError(f"unknown {field.name} {value!r}: expected one of {', '.join(choices)}")
