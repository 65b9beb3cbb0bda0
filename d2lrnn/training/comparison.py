"""Train several models on the same batches and set them side by side."""

from __future__ import annotations

from collections.abc import Mapping

from d2lrnn.config.model import ModelConfig
from d2lrnn.config.training import TrainConfig
from d2lrnn.data.corpus import Corpus
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.protocol import LanguageModel
from d2lrnn.models.twins import make_twins
from d2lrnn.training.history import History
from d2lrnn.training.language_model import train_and_predict
from d2lrnn.training.objective import format_measure
from d2lrnn.training.seeds import set_seed
from d2lrnn.visible import visible


def train_side_by_side(models: Mapping[str, LanguageModel], corpus: Corpus, config: TrainConfig) -> dict[str, History]:
    """Train one model after the other on the same batches in the same order, as :func:`train_and_predict` does.

    Returns:
        the histories by the models' names; after Ctrl-C only those of the models whose training had begun.
    """
    histories: dict[str, History] = {}
    for name, model in models.items():
        if config.verbose:
            print(visible(f"training {name}"))
        histories[name] = train_and_predict(model, corpus, config)
        if histories[name].stopped:
            break
    return histories


def comparison_table(histories: Mapping[str, History]) -> str:
    """Return a table with a line for each run: epochs, last measures, tokens per second and seconds."""
    width = max(map(len, ("model", *histories)))
    held_out = any(history.valid for history in histories.values())
    measure = next(iter(histories.values())).measure
    lines = [f"{'model':{width}}  epochs  {measure:>10}  {'validation  ' if held_out else ''}tokens/s  seconds"]
    for name, history in histories.items():
        epochs, seconds = len(history.epochs), sum(history.seconds)
        last, valid = (f"{_last(measure, values):>10}  " for values in (history.trained, history.valid))
        tokens = sum(map(float.__mul__, history.tokens_per_second, history.seconds))
        speed = f"{tokens / seconds:,.0f}" if epochs else "-"
        lines.append(f"{name:{width}}  {epochs:6}  {last}{valid * held_out}{speed:>8}  {seconds:7.1f}")
    return "\n".join(lines)


def _last(measure: str, values: list[float]) -> str:
    return format_measure(measure, values[-1]) if values else "-"


def largest_difference(first: History, second: History) -> float:
    """Return the largest relative difference of two runs' measures in the epochs that both have finished.

    Raises:
        D2lrnnError: if there is no such epoch.
    """
    pairs = list(zip(first.trained, second.trained))
    if not pairs:
        raise D2lrnnError("there is nothing to compare: one of the runs has finished no epoch")
    return max(abs(a - b) / max(abs(a), abs(b)) if a != b else 0.0 for a, b in pairs)


def compare(config: ModelConfig, corpus: Corpus, train: TrainConfig, ctx=None) -> dict[str, History]:
    """Train a model from scratch and its Gluon twin from the same parameters on the same batches."""
    set_seed(train.seed)
    return train_side_by_side(make_twins(config, corpus.vocab_size, ctx), corpus, train)
