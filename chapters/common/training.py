"""Training models side by side, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import d2lrnn
from common.pictures import show_picture
from common.settings import Lesson
from d2lrnn.training import comparison_table, in_notebook, largest_difference


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


def describe(config: d2lrnn.TrainConfig) -> str:
    """Return one line that says how a model is trained."""
    rows = "1 line" if config.lines_per_row == 1 else f"{config.num_steps} tokens"
    return (
        f"{config.num_epochs} epochs, batches of {config.batch_size} x {rows}, "
        f"{config.optimizer} with lr {config.lr:g}, theta {config.theta:g}"
    )


def train_each(models: Mapping[str, Any], lesson: Lesson) -> dict[str, d2lrnn.History]:
    """Train models by name, one after the other, on the same batches; each writes every ``pred_period`` epochs."""
    print(describe(lesson.training))
    histories = d2lrnn.train_side_by_side(models, lesson.corpus, lesson.training)
    for history in histories.values():
        checked(history)
    return histories


def checked(history: d2lrnn.History) -> d2lrnn.History:
    """Return the history of a training, or end the lesson if Ctrl-C has stopped the training.

    Raises:
        SystemExit: in a script, with the exit status of an interrupted program.
        KeyboardInterrupt: in a notebook, whose other cells are then not run.
    """
    if history.stopped:
        raise KeyboardInterrupt if in_notebook() else SystemExit(130)
    return history


def compare(histories: Mapping[str, d2lrnn.History], lesson: Lesson, name: str, title: str) -> None:
    """Print the table of trained models and draw their perplexity and their speed.

    Args:
        histories: the histories of their training, by the models' names.
        lesson: what the lesson works on.
        name: the picture's file name, without its ending.
        title: above the picture.
    """
    print(comparison_table(histories))
    if len(histories) == 2:
        print(f"largest relative difference in perplexity: {largest_difference(*histories.values()):.1e}")
    path = lesson.picture(name)
    d2lrnn.plot_comparison(histories, path, lesson.title(title))
    show_picture(path)


def write_from(models: Mapping[str, Any], lesson: Lesson, names: Iterable[str] | None = None) -> None:
    """Print what each of the models writes after the lesson's prefixes."""
    names = list(models if names is None else names)
    width = max(map(len, names))
    for prefix in dict.fromkeys(lesson.training.prefixes):
        print(f"after {prefix!r}")
        for name in names:
            text = d2lrnn.predict(prefix, lesson.training.pred_len, models[name], lesson.corpus.vocab)
            print(f"  {name:{width}}  {text!r}")
