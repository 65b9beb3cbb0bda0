"""What the outputs of a model mean: scores of the next token, of classes, or the next values of a series."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from d2lrnn.checks import shown
from d2lrnn.config.forecasting import ForecastConfig
from d2lrnn.config.model import HEADS
from d2lrnn.config.presets import CLASSIFICATION, FORECASTING, LANGUAGE_MODEL, TRANSLATION
from d2lrnn.config.translation import TranslationConfig
from d2lrnn.data.sentences import SPECIAL
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.errors import D2lrnnError
from d2lrnn.runs.classifier import ONE_ANSWER, label_vocab
from d2lrnn.runs.contents import DATA
from d2lrnn.runs.schema import list_of, parse, text

# Of each task, what the output layer may read.
HEADS_OF = {
    LANGUAGE_MODEL: ("tokens",),
    CLASSIFICATION: ONE_ANSWER,
    FORECASTING: ("steps",),
    TRANSLATION: ("translation",),
}

_CLASSES = list_of(text, 1)


class ExchangeError(D2lrnnError):
    """A model cannot be written in a format, or a file of this format holds no model that d2lrnn can read."""


@dataclass(frozen=True)
class Answers:
    """What a model's output layer reads, and what the outputs mean."""

    task: str = LANGUAGE_MODEL  # one of d2lrnn.config.presets.TASKS
    head: str = HEADS[0]  # what the output layer reads, as d2lrnn.config.model.HEADS says
    classes: Vocab | None = None  # the names of a classifier's classes, by the number of the output
    data: dict[str, Any] = field(default_factory=dict)  # of a forecaster: columns, plan, mean, std; JSON
    target: Vocab | None = None  # of a translator: the vocabulary of the translations

    @property
    def horizon(self) -> int:
        """How many values of each column a forecaster says at each step."""
        return self.data["plan"]["horizon"]

    @property
    def metadata(self) -> dict[str, str]:
        """What a file says of the answers; ``classes``, ``target_vocabulary`` and ``data`` are JSON."""
        about = {"task": self.task, "head": self.head}
        if self.classes is not None:
            about["classes"] = json.dumps(self.classes.idx_to_token, ensure_ascii=False)
        if self.target is not None:
            tokens = json.dumps(self.target.idx_to_token, ensure_ascii=False)
            about |= {"target_level": self.target.level, "target_vocabulary": tokens}
        return {**about, "data": json.dumps(self.data)} if self.data else about

    def check(self, input_size: int | None, num_outputs: int) -> None:
        """Refuse a model that has other inputs and outputs than these answers need.

        Args:
            input_size: how many numbers a step has; None: the model reads ids.
            num_outputs: of the output layer.

        Raises:
            ExchangeError: with the numbers that do not fit, or what is wrong with the data.
        """
        if self.head not in HEADS_OF[self.task]:
            raise ExchangeError(
                f"the task is {self.task}, and the head {shown(self.head)}: expected {' or '.join(HEADS_OF[self.task])}"
            )
        if self.task == CLASSIFICATION and (self.classes is None or len(self.classes) != num_outputs):
            count = 0 if self.classes is None else len(self.classes)
            raise ExchangeError(f"there are {count} classes and {num_outputs} outputs: expected an output for each")
        if self.task == FORECASTING:
            _check_data(self.task, self.data, "the data")
            self._check_forecaster(input_size, num_outputs)

    def check_translator(self, source: Vocab | None, num_outputs: int) -> None:
        """Refuse a translator that has other outputs or vocabularies than these answers need.

        Args:
            source: the vocabulary of the sentences that are read.
            num_outputs: of the output layer.

        Raises:
            ExchangeError: with what does not fit.
        """
        for vocab, name in ((source, "source"), (self.target, "target")):
            if vocab is None or vocab.idx_to_token[: len(SPECIAL)] != SPECIAL:
                raise ExchangeError(f"the vocabulary of the {name} does not begin with {', '.join(SPECIAL)}")
        if self.target is not None and len(self.target) != num_outputs:
            raise ExchangeError(
                f"the vocabulary of the target has {len(self.target):,} tokens, and there are {num_outputs:,} outputs: "
                "expected an output for each"
            )
        _check_data(self.task, self.data, "the data")

    def _check_forecaster(self, input_size: int | None, num_outputs: int) -> None:
        columns, mean, std = (len(self.data[name]) for name in ("columns", "mean", "std"))
        if not input_size == columns == mean == std or num_outputs != columns * self.horizon:
            raise ExchangeError(
                f"a series of {columns} columns, {mean} means and {std} deviations is forecast {self.horizon} ahead by "
                f"a model with {input_size or 'no'} inputs and {num_outputs} outputs: expected an input, a mean and a "
                f"deviation for each column, and {columns * self.horizon} outputs"
            )
        if min(self.data["std"]) <= 0:
            raise ExchangeError(f"a deviation of the series is {min(self.data['std'])}: expected numbers above 0")


def answers_from(metadata: Mapping[str, str]) -> Answers:
    """Return the answers that a file's metadata describe; a file that says nothing of them holds a language model.

    Of a translator, the vocabulary of the translations is left out.

    Raises:
        ExchangeError: if the metadata do not describe such answers.
    """
    task = metadata.get("task", LANGUAGE_MODEL)
    if task not in HEADS_OF:
        raise ExchangeError(f"its metadata has the task {shown(task)}: expected one of {', '.join(HEADS_OF)}")
    expected = HEADS_OF[task]
    head = metadata.get("head", expected[0] if task == LANGUAGE_MODEL else None)
    if head not in expected:
        found = "no head" if head is None else f"the head {shown(head)}"
        raise ExchangeError(f"its metadata has the task {task} and {found}: expected {' or '.join(expected)}")
    return Answers(task, head, _classes_of(metadata, task), _data_of(metadata, task))


def _classes_of(metadata: Mapping[str, str], task: str) -> Vocab | None:
    if task != CLASSIFICATION:
        return None
    if "classes" not in metadata:
        raise ExchangeError("its metadata has no classes: expected a JSON list with the name of each output's class")
    try:
        names = parse(metadata["classes"])
        _CLASSES(names)
        return label_vocab(tuple(names))
    except D2lrnnError as error:
        raise ExchangeError(f"the classes in its metadata: {error}") from error


def _data_of(metadata: Mapping[str, str], task: str) -> dict[str, Any]:
    try:
        data = parse(metadata.get("data", "{}"))
    except D2lrnnError as error:
        raise ExchangeError(f"the data in its metadata: {error}") from error
    _check_data(task, data, "the data in its metadata")
    return data


def _check_data(task: str, data: Any, what: str) -> None:
    """Refuse what a task cannot know of its data; ``what``: how the error calls it."""
    try:
        DATA[task](data)
        if task == FORECASTING:
            ForecastConfig(**data["plan"])
        elif task == TRANSLATION:
            TranslationConfig(**data["plan"])
    except D2lrnnError as error:
        raise ExchangeError(f"{what}: {error}") from error
