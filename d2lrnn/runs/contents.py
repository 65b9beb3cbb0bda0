"""What a checkpoint's description may say, as one table, and which arrays must stand beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy

from d2lrnn.checks import shortened
from d2lrnn.config.fields import LEVELS
from d2lrnn.config.forecasting import ForecastConfig
from d2lrnn.config.model import ModelConfig
from d2lrnn.config.training import TrainConfig
from d2lrnn.config.translation import NEWER_SETTINGS, TranslationConfig
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.shapes import parameter_shapes, state_shapes
from d2lrnn.runs.archive import Kind
from d2lrnn.runs.schema import (
    MismatchError,
    any_number,
    anything,
    flag,
    list_of,
    measure,
    number,
    one_of,
    or_none,
    path,
    record,
    row,
    text,
    whole,
)

_FLOAT32 = numpy.dtype("float32")

TEXT = "text"  # what the vocabulary of a model that reads texts is called
SOURCE, TARGET = "source", "target"  # what the vocabularies of a translator are called

VOCABULARY = record({"level": one_of(LEVELS), "tokens": list_of(text, 1)})

# The corpus and the SHA-256 of its ids; the other arguments of load_corpus.  A run of no such corpus has none of them.
_ORIGIN = record(
    {"given": path, "sha256": text},
    {
        "max_tokens": or_none(whole(1)),
        "level": or_none(one_of(LEVELS)),
        "lines": flag,
        "held_out": number(0, 0.5),
        "data_dir": path,
    },
)


def origin(value: Any) -> None:
    """Check where a corpus was found."""
    if value != {}:
        _ORIGIN(value)


def corpus(value: Any) -> None:
    """Check the name of a corpus or of its file; "" is that of a model that was trained elsewhere."""
    if value != "":
        path(value)


SAMPLES = list_of(row(whole(1), text, text))  # the epoch, the prefix, the text

EPOCH = record({"lr": number(0), "grad_norm": number(0), "seconds": number(0)}, others=any_number)

HISTORY = record(
    {"epochs": list_of(EPOCH), "samples": SAMPLES, "stopped": text, "measure": text, "less_is_better": flag}
)

POSITION_FIELDS = {
    "epoch": whole(1),
    "batch": whole(),
    "loss_sum": number(),
    "count": whole(),
    "norm_sum": number(0),
    "seconds": number(0),
    "lr": number(0),
}
POSITION = record({**POSITION_FIELDS, "score_sum": number()})

STEPS = {"steps": record({"update": whole(), "average": whole()})}

COMMON = {  # to both formats
    "model_config": anything,  # ModelConfig checks it
    "train_config": record({}, {"prefixes": list_of(text)}, others=anything),  # TrainConfig checks the rest
    "corpus": corpus,
    "origin": origin,
}
REACHED = {"reached": record({}, {"epoch": whole()}, others=measure)}

# Of a forecaster's series: its columns in the file, what is forecast, and their scale.
FORECASTING = record(
    {
        "columns": list_of(text, 1),
        "time_column": or_none(text),
        "plan": record(dict.fromkeys(vars(ForecastConfig()), anything)),  # ForecastConfig checks it
        "mean": list_of(number(), 1),
        "std": list_of(number(0), 1),
    }
)

# How sentence pairs become ids and batches; TranslationConfig checks it.
_PLAN = dict.fromkeys(vars(TranslationConfig()), anything)
_NEWER = {name: _PLAN.pop(name) for name in NEWER_SETTINGS}

# What a task knows of its data.  A task whose runs hold such data adds its table here.
DATA = {
    "language_model": record({}),
    # Pixels by which images are moved at random in training; or the columns of a file of texts.
    "classification": record({}, {"shift": whole(0), "text_column": text, "label_column": text}),
    "forecasting": FORECASTING,
    "translation": record({"plan": record(_PLAN, _NEWER)}),
}
TASK = {"task": one_of(DATA), "data": anything}

META = record(
    {
        **COMMON,
        "vocabularies": record({}, others=VOCABULARY),
        "training": or_none(record({"history": HISTORY, "position": POSITION, **STEPS})),
    },
    {**REACHED, **TASK},
)


def check_meta(meta: Any) -> None:
    """Check a description by the table.

    Raises:
        MismatchError: for the first value that is not what it should be, with the way to it.
    """
    META(meta)
    try:
        DATA[meta.get("task", "language_model")](meta.get("data", {}))
    except MismatchError as error:
        raise error.inside("data") from None
    if meta["training"] is not None:
        _check_training(meta["training"])


def _check_training(facts: Mapping[str, Any]) -> None:
    """Check that a run's history and position, which the table accepts one by one, fit together.

    Raises:
        MismatchError: if they do not.
    """
    history, position = facts["history"], facts["position"]
    name, epochs, done = history["measure"], history["epochs"], position["epoch"] - 1
    for i, epoch in enumerate(epochs):
        if name not in epoch:
            raise MismatchError("is missing", f"training.history.epochs[{i}].{name}")
        for judged in {name, f"valid_{name}"} & epoch.keys():
            try:
                measure(epoch[judged])
            except MismatchError as error:
                raise error.inside(judged).inside(f"training.history.epochs[{i}]") from None
    # Between an epoch's last step and its validation, the history holds the epoch that the position is in.
    if len(epochs) != done and not (len(epochs) == done + 1 and position["batch"]):
        raise MismatchError(
            f"is {done + 1} with {position['batch']} batches: expected {len(epochs) + 1}, after a history of "
            f"{len(epochs)} epochs",
            "training.position.epoch",
        )


def vocab_size_of(vocabularies: Mapping[str, Vocab]) -> int | None:
    """Return the size of the vocabulary whose ids a model reads, by the vocabularies' names; None: there is none."""
    return next((len(vocabularies[name]) for name in (TEXT, SOURCE) if name in vocabularies), None)


def check_parameters(found: Mapping[str, Kind], config: ModelConfig | None, vocab_size: int | None) -> None:
    """Check that a file has the parameters of the model that it describes; no model is made.

    Args:
        found: what the file has.
        config: the model's settings; None: no settings describe it, and it may have any parameters.
        vocab_size: the size of its vocabulary; None: it has none, and reads numbers or is described by no settings.

    Raises:
        D2lrnnError: with the names of the parameters that do not fit.
    """
    if config is None or (vocab_size is None and config.input_size is None):
        return
    if config.input_size is not None:
        vocab_size = None
    if config.num_layers > len(found):  # before so many names are made up
        raise D2lrnnError(f"there are {len(found)} parameters: expected those of {config.num_layers:,} layers")
    expected = {name: Kind(shape, _FLOAT32) for name, shape in parameter_shapes(config, vocab_size).items()}
    check_same(found, expected, config)


def check_same(found: Mapping[str, tuple], expected: Mapping[str, tuple], model: Any) -> None:
    """Check that parameters have the names, shapes and types that are expected.

    Raises:
        D2lrnnError: with the names of those that do not.
    """
    names = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    if names:
        raise D2lrnnError(f"the parameters {_listed(names)} do not fit the model {model}")


def check_arrays(
    found: Mapping[str, Kind],
    facts: Mapping[str, Any] | None,
    parameters: Mapping[str, Kind],
    settings: tuple[ModelConfig | None, TrainConfig],
) -> None:
    """Check that the arrays with which a run goes on are those of its model, optimiser and settings.

    Args:
        found: the arrays by kind and name, as :class:`d2lrnn.training.snapshot.Snapshot` names them.
        facts: of the training; None: there is none, and no such array.
        parameters: the model's.
        settings: of the model and of the training.

    Raises:
        D2lrnnError: with the names of those that are not.
    """
    model_config, config = settings
    kinds = {"mean", "variance"} if facts and config.optimizer == "adam" else set()
    kinds |= {"average"} if facts and facts["steps"]["average"] else set()
    named = {kind: {n[len(kind) + 1 :]: a for n, a in found.items() if n.startswith(f"{kind}.")} for kind in kinds}
    state = [found[f"state.{i}"] for i in range(len(found)) if f"state.{i}" in found] if facts else []
    fitting = {f"{kind}.{name}" for kind in kinds for name, a in named[kind].items() if parameters.get(name) == a}
    fitting |= {f"state.{i}" for i in range(len(state))} if _is_state(state, model_config, config) else set()
    strange = sorted(found.keys() - fitting)
    if strange:
        raise D2lrnnError(f"the training's arrays {_listed(strange)} do not fit the model and its settings")
    trained = {tuple(arrays) for arrays in named.values()}
    if len(trained) > 1 or () in trained:
        raise D2lrnnError(f"the training's arrays {' and '.join(sorted(kinds))} are not of the same parameters")


def _is_state(state: Sequence[Kind], model_config: ModelConfig | None, config: TrainConfig) -> bool:
    """Return whether arrays can be the state that batches carry on."""
    if not config.carries_state or not state or any(0 in array.shape for array in state):
        return False
    if model_config is None:
        return True
    rows = state[0].shape[-2] if len(state[0].shape) > 1 else 1
    return list(state) == [Kind(shape, _FLOAT32) for shape in state_shapes(model_config, rows)]


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(shortened, names[:most])) + more
