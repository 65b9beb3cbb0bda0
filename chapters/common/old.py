"""What the lessons that still have a main() share; it goes when the last of them is a linear script."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import d2lrnn
from d2lrnn.cli import compare, from_arguments, options
from d2lrnn.generation import encode_prefix
from d2lrnn.training import in_notebook

BOOK_RNN = d2lrnn.TrainConfig(num_epochs=250, pred_period=50)  # d2l-zh v1, section 6.4
BOOK_GATED = d2lrnn.TrainConfig(num_epochs=160, pred_period=40)  # sections 6.7 and 6.8

# The defaults under --quick; options that the reader gives beside it still count.
QUICK = {
    "max_tokens": 2000,
    "num_hiddens": 16,
    "num_epochs": 2,
    "batch_size": 8,
    "num_steps": 10,
    "pred_period": 1,
    "pred_len": 10,
}
EPILOG = (
    "The full run takes minutes. The Penn Treebank (--corpus ptb) has 10,000 words and 929,589 tokens: begin with "
    "--max-tokens 20000 --num-epochs 10."
)


@dataclass(frozen=True)
class Lesson:
    """What a chapter works on, made from its arguments."""

    corpus: d2lrnn.Corpus
    model: d2lrnn.ModelConfig
    training: d2lrnn.TrainConfig
    ctx: Any  # an MXNet context
    out: Path  # the folder for pictures

    def title(self, text: str) -> str:
        """Return a picture's title."""
        return f"{text} on {self.corpus.name}"


def parse_args(
    description: str | None,
    argv: Sequence[str] | None,
    *,
    model: d2lrnn.ModelConfig | None = None,
    training: d2lrnn.TrainConfig | None = None,
    fixed: Sequence[str] = (),
    corpus: str = "sample",
) -> Lesson:
    """Read a chapter's arguments, load its corpus, and exit with an error for what cannot work.

    Args:
        description: what the chapter is about, for ``--help``.
        argv: the arguments; None: those of the command line; in a notebook, whose command line is Jupyter's, none.
        model: the model's defaults; None: the chapter builds no model and has no such arguments.
        training: the training's defaults; None likewise.
        fixed: arguments that this chapter has no use for, such as ``"num_layers"``; a value other than the default
            is an error.
        corpus: the default corpus.
    """
    options.prepare_stdout()
    parser = options.Parser(description=description, epilog=EPILOG if training else None)
    options.add_data_arguments(parser, corpus)
    if model is not None:
        options.add_settings(parser, model, options.CHAPTER_MODEL)
    options.add_settings(parser, training or d2lrnn.TrainConfig(), options.CHAPTER_TRAINING if training else ["seed"])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: see the chapter run in seconds")
    parser.add_argument(
        "--out", type=options.PathText, default=Path("figures"), metavar="DIR", help="for pictures (%(default)s)"
    )
    argv = [] if argv is None and in_notebook() else argv
    args = parser.parse_args(argv)
    if args.quick:
        parser.set_defaults(**{name: value for name, value in QUICK.items() if name in args})
        args = parser.parse_args(argv)
    for name in fixed:
        if getattr(args, name) != parser.get_default(name):
            parser.error(f"{options.option_of(name)} has no use in this chapter, which settles that itself")
    try:
        return _lesson(args, model, training)
    except (ValueError, OSError) as error:
        parser.error(str(error))


def _lesson(args: argparse.Namespace, model: d2lrnn.ModelConfig | None, training: d2lrnn.TrainConfig | None) -> Lesson:
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
    return Lesson(corpus, model, training, ctx, args.out)


def opening(title: str, lesson: Lesson) -> None:
    """Print the chapter's title, its corpus and its device."""
    corpus = lesson.corpus
    print(f"{title}\n{'=' * len(title)}")
    print(f"corpus {corpus.name}: {len(corpus.train):,} tokens, {corpus.vocab_size:,} different ones; on {lesson.ctx}")


def section(title: str) -> None:
    """Print a heading."""
    print(f"\n{title}\n{'-' * len(title)}")


def first_batch(lesson: Lesson):
    """Return the first consecutive batch ``X, Y`` of the corpus, each (batch_size, num_steps)."""
    config = lesson.training
    return next(d2lrnn.data_iter_consecutive(lesson.corpus.train, config.batch_size, config.num_steps, lesson.ctx))


def new_twins(lesson: Lesson) -> dict:
    """Return the lesson's model from scratch and on Gluon, with the same new parameters for the same seed."""
    d2lrnn.set_seed(lesson.training.seed)
    return d2lrnn.make_twins(lesson.model, lesson.corpus.vocab_size, lesson.ctx)


def difference(a, b) -> float:
    """Return the largest absolute difference of two arrays of the same size, whatever their shapes."""
    return float(abs(a.reshape(-1) - b.reshape(-1)).max())


def train_and_show(models: Mapping[str, Any], lesson: Lesson, name: str, title: str) -> dict[str, d2lrnn.History]:
    """Train models on the same batches and show them side by side: see :func:`train` and :func:`show`."""
    histories = train(models, lesson)
    show(models, histories, lesson, name, title)
    return histories


def train(models: Mapping[str, Any], lesson: Lesson) -> dict[str, d2lrnn.History]:
    """Train models by name, one after the other, on the same batches; reports come without samples."""
    print(describe(lesson.training))
    return carry_out(d2lrnn.train_side_by_side, models, lesson.corpus, replace(lesson.training, prefixes=()))


def carry_out(train: Callable, *args: Any) -> Any:
    """Call one of d2lrnn's training functions; end the lesson if the training diverged or was stopped."""
    try:
        result = train(*args)
    except d2lrnn.TrainingDivergedError as error:
        raise SystemExit(str(error)) from None
    if isinstance(result, d2lrnn.History) and result.stopped:
        raise SystemExit(130)
    return result


def describe(config: d2lrnn.TrainConfig) -> str:
    """Return one line that says how a model is trained."""
    rows = "1 line" if config.lines_per_row == 1 else f"{config.num_steps} tokens"
    return (
        f"{config.num_epochs} epochs, batches of {config.batch_size} x {rows}, "
        f"{config.optimizer} with lr {config.lr:g}, theta {config.theta:g}"
    )


def show(models: Mapping[str, Any], histories: Mapping, lesson: Lesson, name: str, title: str) -> None:
    """Print the table of trained models and what each of them writes; save the picture of their training.

    Args:
        models: models by name; those without a history are left out.
        histories: the histories of their training, by the same names.
        lesson: what the chapter works on.
        name: the picture's file name, without its ending.
        title: above the picture.

    Raises:
        SystemExit: if the reader stopped the training (Ctrl-C).
    """
    picture = lesson.out / f"{name}.png"
    status = compare.report_comparison(dict(histories), picture, lesson.title(title))
    width = max(map(len, histories))
    for prefix in dict.fromkeys(lesson.training.prefixes):
        print(f"\nwhat each writes after {prefix!r}")
        for model in histories:
            text = d2lrnn.predict(prefix, lesson.training.pred_len, models[model], lesson.corpus.vocab)
            print(f"  {model:{width}}  {text!r}")
    if status:
        raise SystemExit(status)


def saved(picture: Path) -> None:
    """Print where a picture was written; a notebook shows the picture too."""
    print(f"picture  {picture}")
    display_in_notebook(picture)


def display_in_notebook(picture: Path) -> None:
    """Show a picture below the cell if this is a notebook."""
    if in_notebook() and picture.exists():
        from IPython.display import Image, display

        display(Image(filename=str(picture)))
