"""The beginning of a lesson: its options, its corpus, its device."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import d2lrnn
from common import script
from d2lrnn.cli import from_arguments, options
from d2lrnn.generation import encode_prefix
from d2lrnn.training import in_notebook

BOOK_RNN = d2lrnn.TrainConfig(num_epochs=250, pred_period=50)  # d2l-zh v1, section 6.4
BOOK_GATED = d2lrnn.TrainConfig(num_epochs=160, pred_period=40)  # sections 6.7 and 6.8

# The defaults under --quick; options that the reader gives beside it still count.  Adam learns the first 1,000
# characters of the lyrics by heart in 300 steps, so that the models write lines, where the book's SGD takes thousands.
QUICK = {
    "max_tokens": 1000,
    "num_hiddens": 64,
    "num_epochs": 30,
    "batch_size": 10,
    "num_steps": 10,
    "optimizer": "adam",
    "lr": 0.01,
    "theta": 1.0,
    "pred_period": 10,
    "pred_len": 20,
}
EPILOG = "The full run takes minutes. In a notebook the environment variable D2LRNN_LESSON holds the options."
ABOUT_PTB = (
    "The Penn Treebank (--corpus ptb) has 10,000 words and 929,589 tokens: begin with --max-tokens 20000 "
    "--num-epochs 10."
)


@dataclass(frozen=True)
class Lesson:
    """What a lesson works on, made from its options."""

    corpus: d2lrnn.Corpus | None  # None: the lesson reads no text
    model: d2lrnn.ModelConfig
    training: d2lrnn.TrainConfig
    ctx: Any  # an MXNet context
    out: Path  # the folder for pictures
    quick: bool  # whether --quick was given
    data: str = ""  # which of its data a lesson without a text reads; "": there is no choice

    def title(self, text: str) -> str:
        """Return a picture's title."""
        return f"{text} on {self.corpus.name}" if self.corpus else text

    def picture(self, name: str) -> Path:
        """Return the file for a picture."""
        return self.out / f"{name}.png"


def begin(
    *,
    model: d2lrnn.ModelConfig | None = None,
    training: d2lrnn.TrainConfig | None = None,
    fixed: Sequence[str] = (),
    corpus: str | None = "sample",
    data: Sequence[str] = (),
    quick: Mapping[str, Any] | None = None,
    argv: Sequence[str] | None = None,
) -> Lesson:
    """Begin a lesson: read its options, load its corpus, seed the random numbers.

    In a notebook this is all.  In a script the call does not return: it prints the prose above the call, runs the
    cells below it one after the other, printing the prose between them, and ends Python.  So the call is the last
    statement of the lesson's first code cell.

    Args:
        model: the model's defaults; None: the lesson builds no model and has no such options.
        training: the training's defaults; None likewise.
        fixed: options that this lesson has no use for, such as ``"num_layers"``; a value other than the default is
            an error.
        corpus: the default corpus; None: the lesson reads no text, and has no options that are of one.
        data: what a lesson without a text can read, by name, the default first; ``--data`` chooses.
        quick: defaults under ``--quick``, where they differ from :data:`QUICK`.
        argv: the options; None: those of the command line; in a notebook, those of the environment variable
            ``D2LRNN_LESSON``, such as ``--quick --corpus jaychou``.

    Raises:
        D2lrnnError: in a notebook, for options that are unknown or cannot work.  A script ends with a line instead.
    """
    names = sys._getframe(1).f_globals
    options.prepare_stdout()
    parser = _parser(names.get("__file__"), model, training, corpus, data)
    if argv is None and in_notebook():
        argv = shlex.split(os.environ.get("D2LRNN_LESSON", ""))
    args = parser.parse_args(argv)
    if args.quick:
        parser.set_defaults(**{name: value for name, value in {**QUICK, **(quick or {})}.items() if name in args})
        args = parser.parse_args(argv)
    for name in fixed:
        if getattr(args, name) != parser.get_default(name):
            parser.error(f"{options.option_of(name)} has no use in this lesson, which settles that itself")
    try:
        lesson = _lesson(args, model, training) if corpus else _lesson_without_text(args, model, training)
    except d2lrnn.CorpusNotFoundError as error:
        if in_notebook():
            raise
        raise SystemExit(str(error)) from None
    except (ValueError, OSError) as error:
        parser.error(str(error))
    opening = _opening(lesson)
    if names["__name__"] == "__main__" and not in_notebook():
        names["lesson"] = lesson
        script.run(Path(names["__file__"]), names, opening)
        raise SystemExit
    print(opening)
    return lesson


class _NotebookParser(options.Parser):
    """A parser that does not end the kernel."""

    def exit(self, status=0, message=None):
        raise d2lrnn.D2lrnnError((message or "--help is for the command line").strip())


def _parser(path: str | None, model, training, corpus: str | None, data: Sequence[str]) -> options.Parser:
    """Return the parser of a lesson's options; the lesson's first paragraph says in ``--help`` what it is about."""
    about = script.first_paragraph(Path(path)) if path is not None and not in_notebook() else None
    epilog = f"{EPILOG} {ABOUT_PTB}" if corpus else EPILOG
    parser = (_NotebookParser if in_notebook() else options.Parser)(
        description=about, epilog=epilog if training else None
    )
    if corpus:
        options.add_data_arguments(parser, corpus)
    else:
        group = parser.add_argument_group("data and device")
        if data:
            group.add_argument("--data", choices=data, default=data[0], help="what is read (%(default)s)")
        options.add_ctx(group)
    if model is not None:
        options.add_settings(parser, model, options.CHAPTER_MODEL)
    options.add_settings(parser, training or d2lrnn.TrainConfig(), options.CHAPTER_TRAINING if training else ["seed"])
    parser.add_argument("--quick", action="store_true", help="small sizes: the lesson makes its point within a minute")
    parser.add_argument(
        "--out", type=options.PathText, default=Path("figures"), metavar="DIR", help="for pictures (%(default)s)"
    )
    return parser


def _lesson(args: argparse.Namespace, model, training) -> Lesson:
    by_lines = training is not None and training.batches == "lines"
    corpus, ctx = from_arguments.load_corpus_from(args, by_lines), d2lrnn.as_ctx(args.ctx)
    prefixes = from_arguments.prefixes_from(args, corpus)
    for prefix in prefixes:
        encode_prefix(prefix, corpus.vocab)
    model = from_arguments.changed(model or d2lrnn.ModelConfig(), args)
    if training is not None:
        training = replace(from_arguments.changed(training, args), prefixes=prefixes)
    training = training or d2lrnn.TrainConfig()
    if not by_lines:
        d2lrnn.data_iter_consecutive(corpus.train, training.batch_size, training.num_steps)  # raises if it is too short
    d2lrnn.set_seed(args.seed)
    return Lesson(corpus, model, training, ctx, args.out, args.quick)


def _lesson_without_text(args: argparse.Namespace, model, training) -> Lesson:
    model, training = (
        from_arguments.changed(given or default, args)
        for given, default in ((model, d2lrnn.ModelConfig()), (training, d2lrnn.TrainConfig()))
    )
    d2lrnn.set_seed(args.seed)
    return Lesson(None, model, training, d2lrnn.as_ctx(args.ctx), args.out, args.quick, getattr(args, "data", ""))


def _opening(lesson: Lesson) -> str:
    """Return the line that says what a lesson reads, and on which device it computes."""
    corpus = lesson.corpus
    if corpus is None:
        return f"{f'data {lesson.data}; ' if lesson.data else ''}on {lesson.ctx}"
    return f"corpus {corpus.name}: {len(corpus.train):,} tokens, {corpus.vocab_size:,} different ones; on {lesson.ctx}"
