"""Train several models on the same batches and set them side by side: numbers, samples, picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from d2lrnn.config import ModelConfig, TrainConfig
from d2lrnn.history import History
from d2lrnn.loop import set_seed
from d2lrnn.models import LanguageModel, build_model, copy_parameters
from d2lrnn.optimisation import format_perplexity
from d2lrnn.plotting import draw_curves, new_figure, save_figure
from d2lrnn.text import Corpus
from d2lrnn.training import train_and_predict


def make_twins(config: ModelConfig, vocab_size: int, ctx=None) -> dict:
    """Make a model from scratch and its twin on Gluon, with the same parameters.

    Args:
        config: the shape of both; its ``kind`` does not matter, and ``gru`` means ``gru_reset_after``, Gluon's form.
        vocab_size: the size of the vocabulary.
        ctx: the device of both.

    Returns:
        the models, by the names ``scratch`` and ``gluon``.
    """
    cell = "gru_reset_after" if config.cell == "gru" else config.cell
    models = {
        kind: build_model(replace(config, kind=kind, cell=cell), vocab_size, ctx) for kind in ("scratch", "gluon")
    }
    copy_parameters(models["scratch"], models["gluon"])
    return models


def train_side_by_side(models: Mapping[str, LanguageModel], corpus: Corpus, config: TrainConfig) -> dict[str, History]:
    """Train one model after the other on the same batches in the same order, as :func:`train_and_predict` does.

    Returns:
        the histories by the models' names; after Ctrl-C, those of the models that had begun.
    """
    histories: dict[str, History] = {}
    for name, model in models.items():
        if config.verbose:
            print(f"training {name}")
        histories[name] = train_and_predict(model, corpus, config)
        if histories[name].stopped:
            break
    return histories


def comparison_table(histories: Mapping[str, History]) -> str:
    """Return a table with a line for each run: epochs, last perplexities, speed and time."""
    width = max(len(name) for name in histories)
    held_out = any(history.valid_perplexity for history in histories.values())
    lines = [f"{'model':{width}}  epochs  perplexity  {'validation  ' if held_out else ''}tokens/s  seconds"]
    for name, history in histories.items():
        epochs, seconds = len(history.perplexity), sum(history.seconds)
        last = format_perplexity(history.perplexity[-1]) if epochs else "-"
        speed = (
            f"{sum(map(float.__mul__, history.tokens_per_second, history.seconds)) / seconds:,.0f}" if epochs else "-"
        )
        valid = f"{format_perplexity(history.valid_perplexity[-1]) if history.valid_perplexity else '-':>10}  "
        lines.append(f"{name:{width}}  {epochs:6}  {last:>10}  {valid * held_out}{speed:>8}  {seconds:7.1f}")
    return "\n".join(lines)


def largest_difference(first: History, second: History) -> float:
    """Return the largest relative difference of two runs' perplexities in the epochs that both have finished."""
    pairs = list(zip(first.perplexity, second.perplexity))
    if not pairs:
        raise ValueError("there is nothing to compare: one of the runs has finished no epoch")
    return max(abs(a - b) / max(a, b) for a, b in pairs)


def plot_comparison(histories: Mapping[str, History], path: str | Path | None = None, title: str = ""):
    """Draw the runs' perplexity, epoch by epoch, and their speed.

    Args:
        histories: the runs, by the name that the legend gives them.
        path: the file to write; None writes none.
        title: above the picture.

    Returns:
        the Matplotlib figure.

    Raises:
        ValueError: if there is no run with a finished epoch.
    """
    figure, panels = new_figure(title, 2)
    curves = {name: history.perplexity for name, history in histories.items()}
    valid = {name: history.valid_perplexity for name, history in histories.items() if history.valid_perplexity}
    what = "perplexity; dashed: in validation" if valid else "training perplexity"
    draw_curves(panels[0], curves, ("epoch", what), log=True, dashed=valid or None)
    speed = {name: history.tokens_per_second for name, history in histories.items()}
    draw_curves(panels[1], speed, ("epoch", "tokens per second"))
    panels[1].set_ylim(bottom=0)
    return save_figure(figure, path)


def compare(config: ModelConfig, corpus: Corpus, train: TrainConfig, ctx=None) -> dict[str, History]:
    """Train a model from scratch and its Gluon twin from the same parameters on the same batches."""
    set_seed(train.seed)
    return train_side_by_side(make_twins(config, corpus.vocab_size, ctx), corpus, train)
