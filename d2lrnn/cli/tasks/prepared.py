"""What a kind of task hands over to ``train``."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from d2lrnn.cli.options import option_of
from d2lrnn.config.forecasting import ForecastConfig
from d2lrnn.config.model import ModelConfig
from d2lrnn.config.training import TrainConfig
from d2lrnn.config.translation import TRANSLATION_SETTINGS
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.parameters import named_parameters
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.log import RunError
from d2lrnn.training.task import Task

# Arguments of one task or of one kind of data, which the other tasks refuse.
OF_LABELLED_TEXTS = ("text_column", "label_column")
OF_CLASSIFIERS = ("head", "shift", *OF_LABELLED_TEXTS)
OF_SERIES = ("column", "time_column", *vars(ForecastConfig()))
OF_TRANSLATORS = ("attention", "share", *TRANSLATION_SETTINGS)
OF_VECTORS = ("vectors", "freeze_vectors", "unknown_vectors")

# The arguments hold these settings only where they are given, and some can be given as none.  All other arguments are
# always there, and None where they are not given.
_SETTINGS = {*ModelConfig().flat, *TrainConfig().flat, *vars(ForecastConfig()), *TRANSLATION_SETTINGS}


@dataclass(frozen=True)
class Prepared:
    """A task that is ready to be trained, and what its run's folder and its user are to know."""

    task: Task
    about: Checkpoint  # the run's, without parameters; or, where a run goes on, the loaded one
    lines: list[str]  # what is printed before the training begins
    next_command: Callable[[Path], str]  # from the run's folder to the line that says what to do with the model; or ""


def described(about: Checkpoint, model) -> str:
    """Return the line about a model: its settings, its size, its device."""
    size = sum(math.prod(param.shape) for param in named_parameters(model).values())
    return f"{about.shape}, {size:,} parameters, on {model.begin_state(1)[0].ctx}"


def given_of(args: argparse.Namespace, names: Iterable[str]) -> list[str]:
    """Return the options of those arguments that are given, each once."""
    held = vars(args)
    given = [name for name in names if name in held and (name in _SETTINGS or held[name] is not None)]
    return list(dict.fromkeys(map(option_of, given)))


def refuse_changes(args: argparse.Namespace, names: Iterable[str], what: str = "a run") -> None:
    """Refuse arguments that cannot be changed where a run goes on.

    Args:
        args: the arguments.
        names: of those that must not be given.
        what: the name of what goes on, such as "a translator".

    Raises:
        RunError: with the first option that is given.
    """
    for option in given_of(args, names):
        raise RunError(f"{option} cannot be changed where {what} goes on")


def refuse(args: argparse.Namespace, names: Iterable[str], who: str, otherwise: str = "") -> None:
    """Refuse arguments that are of no use.

    Args:
        args: the arguments.
        names: of those that must not be given.
        who: what has no use for them, such as "a forecaster".
        otherwise: what the user can do but leave them out.

    Raises:
        D2lrnnError: with the options that are given.
    """
    given = given_of(args, names)
    if given:
        them = "it" if len(given) == 1 else "them"
        raise D2lrnnError(f"{', '.join(given)} given, but {who} has no use for {them}: leave {them} out{otherwise}")
