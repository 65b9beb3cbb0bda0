"""What the command line and the chapters share: a parser that suggests options, and an option for each setting."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import io
import os
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from d2lrnn.config.evaluation import Cache, Dynamic
from d2lrnn.config.fields import CORPUS_NAMES, LEVELS, setting
from d2lrnn.config.forecasting import ForecastConfig
from d2lrnn.config.generation import Decoding, Sampling
from d2lrnn.config.model import ModelConfig
from d2lrnn.config.training import TrainConfig
from d2lrnn.config.translation import TranslationConfig
from d2lrnn.paths import user_path
from d2lrnn.visible import in_a_line

CHAPTER_MODEL = ("cell", "num_hiddens", "num_layers", "num_projections")  # what the book sets, and what cells need

CHAPTER_TRAINING = tuple(
    "num_epochs batch_size num_steps optimizer lr theta use_random_iter pred_period pred_len seed".split()
)

# Options that are no fields: TrainConfig.flat has the first three in place of batches and num_lines, ModelConfig.flat
# the others in place of dropout.
FLAT = {
    "use_random_iter": setting(False, "random windows; else consecutive ones with the state carried"),
    "vary_steps": setting(False, "windows of varying length, num_steps on average; consecutive ones only"),
    "num_lines": setting(0, "rows are so many whole lines, at most num_steps long, in random order; 0: windows"),
    "dropout": setting(0.0, "share dropped before each layer and before the output; gluon only"),
    "input_dropout": setting(None, "share of the embedded inputs dropped, if other than --dropout", kind=float),
    "output_dropout": setting(None, "share of the last layer's outputs dropped, if other than --dropout", kind=float),
    "word_dropout": setting(0.0, "share of the words left out of a batch; gluon only"),
    "weight_dropout": setting(0.0, "share of the hidden-to-hidden weights dropped; gluon only"),
    "locked_dropout": setting(False, "one dropout mask for all time steps; gluon only"),
}

# Options of the TensorFlow tutorial and of Keras, and the options that do the same here.
OTHER_NAMES = {
    "--keep-prob": "--dropout, which is 1 - keep_prob",
    "--learning-rate": "--lr",
    "--max-grad-norm": "--theta",
    "--clip": "--theta",
    "--hidden-size": "--num-hiddens",
    "--max-epoch": "--constant-epochs",
    "--max-max-epoch": "--num-epochs",
    "--epochs": "--num-epochs",
}


class Parser(argparse.ArgumentParser):
    """An argument parser that, for an unknown option, names the nearest options."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def parse_args(self, args=None, namespace=None):
        """Read the arguments, or exit with status 2 and a line that says what is wrong.

        Raises:
            D2lrnnError: for a path in the home folder of a user who is not there.
        """
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            parser = self._chosen(found)
            options = [text.split("=")[0] for text in unknown if text.startswith("--")]
            known = parser._option_string_actions
            near = [
                name
                for text in (option.replace("_", "-") for option in options)
                for name in ([OTHER_NAMES[text]] if text in OTHER_NAMES else _nearest(text, known))
            ]
            parser.error(
                f"unrecognized arguments: {' '.join(unknown)}"
                + (f"; the nearest are {', '.join(near)}" if near else "")
            )
        for name, value in vars(found).items():
            setattr(found, name, _as_paths(value))
        return found

    def error(self, message):
        """Exit with status 2 and one line; the usage, which argparse would print, fills a screen."""
        if message.endswith("expected one argument"):
            message += "; a value that begins with - needs =, as in --prefix=-x"
        self.exit(2, f"{self.prog}: error: {in_a_line(message)} (all options: --help)\n")

    def _get_values(self, action, arg_strings):
        """Read the value of an option as it was given: argparse of Python 3.9 to 3.12 takes away the value "--"."""
        if action.option_strings and len(arg_strings) == 1:
            value = self._get_value(action, arg_strings[0])
            self._check_value(action, value)
            return value
        return super()._get_values(action, arg_strings)

    def _match_arguments_partial(self, actions, arg_strings_pattern):
        """Keep an argument that may be left out for what comes after the next option, as Python 3.13 does.

        Before, ``classify RUN --count 1 TEXT`` had no TEXT: none stands before the option.
        """
        counts = super()._match_arguments_partial(actions, arg_strings_pattern)
        if arg_strings_pattern[sum(counts) :].startswith("O"):
            while counts and not counts[-1]:
                del counts[-1]
        return counts

    def _chosen(self, found: argparse.Namespace) -> argparse.ArgumentParser:
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                return action.choices[getattr(found, action.dest)]
        return self


class PathText(str):
    """A path as it was typed, for ``add_argument(type=PathText)``; :meth:`Parser.parse_args` makes a ``Path`` of it.

    An empty one is refused: a ``Path`` of it would be the current folder, which nobody asked for.
    """

    def __new__(cls, text: str) -> PathText:
        """Return the text, or refuse an empty one."""
        if not text:
            raise argparse.ArgumentTypeError("expected a path, found an empty text")
        return super().__new__(cls, text)


def _as_paths(value: Any) -> Any:
    """Return paths for the texts of paths in an argument's value."""
    if isinstance(value, list):
        return [_as_paths(item) for item in value]
    return user_path(value) if isinstance(value, PathText) else value


def option_of(name: str) -> str:
    """Return the option for a setting or an argument, such as ``--num-epochs`` for ``num_epochs``."""
    return f"--{name.replace('_', '-')}"


def _nearest(option: str, known: Collection[str]) -> list[str]:
    """Return the known options that end like an unknown one, as ``--dynamic-lr`` ends like ``--lr``, or are near."""
    same_end = [name for name in known if name.endswith(option[1:])]
    return same_end or difflib.get_close_matches(option, known)


def add_data_arguments(parser: argparse.ArgumentParser, corpus: str | None = "sample") -> None:
    """Add the arguments that every training command and chapter has: corpus, device, prefixes."""
    group = parser.add_argument_group("data and device")
    names, usual = ", ".join(CORPUS_NAMES), corpus or "what the configuration is meant for"
    group.add_argument("--corpus", default=corpus, metavar="NAME", help=f"{names}, or a UTF-8 text file ({usual})")
    add_data_dir(group)
    group.add_argument(
        "--max-tokens", type=int, metavar="N", help="keep so many tokens (all; jaychou: the book's 10000)"
    )
    group.add_argument("--level", choices=LEVELS, help="tokens: char, word, or bigram, pairs of characters (char)")
    group.add_argument(
        "--held-out", type=float, metavar="X", help="keep this share of the text for a test, as much for validation (0)"
    )
    add_ctx(group)
    group.add_argument(
        "--prefix", action="append", type=as_text, metavar="TEXT", help="let samples start from this; may be repeated"
    )


def add_imports(parser: argparse.ArgumentParser) -> None:
    """Add ``--import``, which :mod:`d2lrnn.cli.imports` reads before the parser is made."""
    parser.add_argument(
        "--import",
        action="append",
        default=argparse.SUPPRESS,
        dest="imports",
        metavar="FILE",
        help="import this Python file or module first, such as one that calls d2lrnn.add_cell; may be repeated",
    )


def add_data_dir(parser) -> None:
    """Add ``--data-dir``."""
    parser.add_argument(
        "--data-dir", type=PathText, metavar="DIR", help="look for the corpus here before D2LRNN_DATA and data/"
    )


def add_run(parser) -> None:
    """Add the argument that names a trained model."""
    parser.add_argument("run", type=PathText, metavar="RUN", help="a folder that `train` wrote, or a checkpoint in it")


def add_ctx(parser) -> None:
    """Add ``--ctx``."""
    parser.add_argument("--ctx", default="auto", help="cpu, gpu, gpu:1, or auto: a GPU if there is one (%(default)s)")


def add_settings(
    parser: argparse.ArgumentParser,
    defaults: ModelConfig | TrainConfig | ForecastConfig | TranslationConfig | Cache | Dynamic | Sampling | Decoding,
    names: Collection[str] = (),
    given_only: bool = False,
    prefix: str = "",
) -> None:
    """Add an option for each setting of a configuration.

    Args:
        parser: the parser to add them to.
        defaults: a configuration; its values are the options' defaults.
        names: the settings to add; empty: all of them.
        given_only: leave options that are not given out of the parsed arguments.
        prefix: the beginning of the options' names, such as ``"cache_"``.
    """
    titles = {
        ModelConfig: "model",
        TrainConfig: "training",
        ForecastConfig: "forecaster, such as --config series",
        TranslationConfig: "sentence pairs, such as --config translate-en-zh",
        Cache: "cache",
        Dynamic: "dynamic evaluation",
        Sampling: "how it chooses",
        Decoding: "how it translates",
    }
    group = parser.add_argument_group(titles[type(defaults)])
    about = {field.name: field.metadata for field in dataclasses.fields(defaults)}
    about |= {name: field.metadata for name, field in FLAT.items()}
    values = defaults.flat if isinstance(defaults, (ModelConfig, TrainConfig)) else vars(defaults)
    for name, default in values.items():
        if "help" not in about[name] or names and name not in names:
            continue
        shown = ("no", "yes")[default] if isinstance(default, bool) else "none" if default is None else default
        group.add_argument(
            option_of(prefix + name),
            default=argparse.SUPPRESS if given_only else default,
            help=f"{about[name]['help']} ({shown})",
            **_how_to_read(about[name]),
        )


def _how_to_read(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``add_argument`` that read a setting's value, from what ``setting`` says about it."""
    kind = about["kind"]
    if kind is bool:
        return {"type": _yes_or_no, "nargs": "?", "const": True, "metavar": "yes|no"}
    if kind is str and not about["none"]:
        return {"choices": tuple(about["choices"])}
    if kind is str:
        return {"type": _choice_or_none(about["choices"]), "metavar": "|".join(("none", *about["choices"]))}
    metavar = "N" if kind is int else "X"
    if not about["none"]:
        return {"type": kind, "metavar": metavar}

    def number_or_none(text: str) -> Any:
        return None if text == "none" else kind(text)

    number_or_none.__name__ = f"{kind.__name__} or none"  # argparse shows this name in its errors
    return {"type": number_or_none, "metavar": metavar}


def _choice_or_none(choices: Collection[str]) -> Callable[[str], str | None]:
    """Return a function that reads one of some texts, or none."""

    def choice_or_none(text: str) -> str | None:
        if text not in (*choices, "none"):
            raise argparse.ArgumentTypeError(f"expected none or one of {', '.join(choices)}, found {text!r}")
        return None if text == "none" else text

    return choice_or_none


def as_text(argument: str) -> str:
    """Return an argument that is a text, which is in UTF-8 whatever the locale; as it is if it is not in UTF-8."""
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeError:
        return argument


def _yes_or_no(text: str) -> bool:
    answers = {"yes": True, "true": True, "no": False, "false": False}
    if text.lower() not in answers:
        raise argparse.ArgumentTypeError(f"expected yes or no, found {text!r}")
    return answers[text.lower()]


def prepare_stdout() -> None:
    """Write each line at once, into a file too, and a "?" for a character that the output cannot encode."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="replace")
