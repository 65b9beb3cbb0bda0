"""A model as a safetensors file: tensors under PyTorch's names, and metadata that says what they are.

The metadata are texts.  ``cell``, ``task``, ``head`` and ``level``, how a text is split into tokens, are words.
``vocabulary``, the list of tokens by id, ``classes``, the names of a classifier's classes, ``data``, the columns and
the scale of a forecaster's series, ``module``, what torch.nn needs to make the recurrent layers, and ``settings`` are
JSON.  A translator has ``target_level`` and ``target_vocabulary`` too, and ``data`` with its plan.  A language model
that was written elsewhere needs the vocabulary alone, since the tensors tell the rest.  Nothing that a file says is
believed before it is checked, and nothing in it is executed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy

from d2lrnn.cells.declaration import OWN_CELLS
from d2lrnn.checks import shown
from d2lrnn.config.presets import LANGUAGE_MODEL, TRANSLATION
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.errors import D2lrnnError, FileError, naming
from d2lrnn.exchange.answers import Answers, ExchangeError, answers_from
from d2lrnn.exchange.contents import Contents, TranslatorContents
from d2lrnn.exchange.pytorch import (
    DECODER,
    ENCODER,
    Shape,
    module_of,
    shape_from,
    shape_of,
    tensors_of,
    values_of,
)
from d2lrnn.exchange.translators import translator_config, translator_from, translator_tensors
from d2lrnn.exchange.vocabularies import vocabulary_from
from d2lrnn.paths import PathLike, make_folder, user_path
from d2lrnn.runs.schema import anything, or_none, parse, record, whole
from d2lrnn.runs.whole_file import open_file, whole_file

# What is read here of the settings; :mod:`d2lrnn.exchange.run_folder` checks the rest.
_FIELDS = record({}, others=anything)
_MODEL_CONFIG = record({}, dict.fromkeys(("num_outputs", "input_size"), or_none(whole(1))), others=anything)
_SETTINGS = record({}, {"model_config": _MODEL_CONFIG, "train_config": _FIELDS, "reached": _FIELDS}, others=anything)


def write_safetensors(contents: Contents, path: PathLike) -> Path:
    """Write a model beside its place and move it there; then read the file back and compare all of its numbers.

    Returns:
        the path.

    Raises:
        ExchangeError: if the package safetensors is not installed, or the file does not hold what was written.
        FileError: if the file cannot be written.
    """
    path, tensors, metadata = user_path(path), _tensors_of(contents), _metadata_of(contents)
    body = _package().numpy.save(tensors, metadata)
    make_folder(path.parent)
    with whole_file(path) as file:
        file.write(body)
    found = read_safetensors(path)
    again = _tensors_of(found)
    same = again.keys() == tensors.keys() and all(numpy.array_equal(again[name], tensors[name]) for name in tensors)
    if not same or _metadata_of(found) != metadata:
        raise ExchangeError(f"{path} does not hold what was written to it: write it again, or to another disk")
    return path


def read_safetensors(
    path: PathLike, cell: str | None = None, vocab: Vocab | None = None, level: str | None = None
) -> Contents:
    """Read a model.

    Args:
        path: a file of :func:`write_safetensors`, or one that was written in PyTorch with the same names.
        cell: the model's; None: as the file says, or else the one that torch.nn computes for tensors of such shapes.
        vocab: the model's vocabulary; None: it is in the file, or the model reads numbers.
        level: how a text is split into tokens; None: as the vocabulary says.

    Raises:
        ExchangeError: if the package safetensors is not installed, or the file holds no such model.
        FileError: if the file cannot be read.
    """
    if cell is not None and cell not in OWN_CELLS:
        raise ExchangeError(f"there is no cell {shown(cell)}: expected one of {', '.join(OWN_CELLS)}")
    path = user_path(path)
    with _opened(path) as file:
        return _read(file, cell, vocab, level)


def _tensors_of(contents: Contents) -> dict[str, numpy.ndarray]:
    return translator_tensors(contents) if isinstance(contents, TranslatorContents) else tensors_of(contents)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a safetensors file, and name it in errors within the block."""
    package = _package()
    open_file(path).close()  # which refuses what is no regular file
    try:
        with naming(path), package.safe_open(str(path), "numpy") as file:
            yield file
    except package.SafetensorError as error:
        raise ExchangeError(f"{path} is no whole safetensors file: {' '.join(str(error).split())}") from error
    except FileError:
        raise
    except D2lrnnError as error:
        raise ExchangeError(f"{path}: {error}") from error


def _read(file: Any, cell: str | None, vocab: Vocab | None, level: str | None) -> Contents:
    metadata = file.metadata() or {}
    places = {name: name for name in file.keys()}
    if metadata.get("task") == TRANSLATION:
        if cell or vocab or level:
            raise ExchangeError(
                "the file tells the cell and the vocabularies of its translator: leave out --cell, --vocabulary and "
                "--level"
            )
        return _read_translator(file, places, metadata)
    for name, other in ((ENCODER, DECODER), (DECODER, ENCODER)):
        # Where two names of a state_dict are one tensor, safetensors.torch.save_model keeps one and tells which.
        if name not in places and other in places and metadata.get(name) == other:
            places[name] = other
    shape, answers = shape_from(_shapes(file, places), cell or _cell_of(metadata)), answers_from(metadata)
    if answers.task == LANGUAGE_MODEL or ENCODER in places or "vocabulary" in metadata:
        vocab = vocab or _vocabulary_of(metadata, level)
    settings = _settings_of(metadata)
    _check_sizes(shape, vocab, settings, answers)
    tensors = {name: _array(file, name, place) for name, place in places.items()}
    embedding = tensors.get(ENCODER)
    can_tie = answers.task == LANGUAGE_MODEL and not shape.stack.bidirectional
    tied = can_tie and embedding is not None and numpy.array_equal(embedding, tensors[DECODER])
    values = values_of(tensors, shape.stack)
    return Contents(shape.stack, shape.num_hiddens, embedding, tied, values, vocab, settings, answers)


def _read_translator(file: Any, places: Mapping[str, str], metadata: Mapping[str, str]) -> TranslatorContents:
    source, target = _vocabulary_of(metadata, None), _vocabulary_of(metadata, None, "target_")
    answers, settings = replace(answers_from(metadata), target=target), _settings_of(metadata)
    config = translator_config(settings, _shapes(file, places), len(source))
    answers.check_translator(source, config.num_outputs or 0)
    tensors = {name: _array(file, name, place) for name, place in places.items()}
    return translator_from(tensors, config, source, settings, answers)


def _shapes(file: Any, places: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a file's tensors, none of which is read yet."""
    shapes = {}
    for name, place in places.items():
        tensor = file.get_slice(place)
        if tensor.get_dtype() != "F32":
            raise ExchangeError(
                f"the tensor {shown(name)} is of type {tensor.get_dtype()}: expected F32; in PyTorch, save "
                "model.float().state_dict()"
            )
        shapes[name] = tuple(tensor.get_shape())
    return shapes


def _array(file: Any, name: str, place: str) -> numpy.ndarray:
    array = file.get_tensor(place)
    if not numpy.isfinite(array).all():
        raise ExchangeError(f"{name} has numbers that are not finite, so the model cannot compute")
    return array


def _check_sizes(shape: Shape, vocab: Vocab | None, settings: dict[str, Any], answers: Answers) -> None:
    given = settings.get("model_config", {})
    if vocab is not None and len(vocab) != shape.inputs:
        raise ExchangeError(
            f"the vocabulary has {len(vocab):,} tokens, and the model reads {shape.inputs:,} different ones: "
            "expected the vocabulary of its training"
        )
    expected = shape.inputs if vocab is None else None
    if given.get("input_size", expected) != expected:
        raise ExchangeError(
            f"its settings have input_size {given['input_size']}, and there is {'no' if vocab is None else 'a'} "
            f"vocabulary: expected a vocabulary for a model that reads ids, or input_size {shape.inputs} for one that "
            "reads numbers"
        )
    answers.check(expected, shape.num_outputs)
    if answers.task == LANGUAGE_MODEL and vocab and shape.num_outputs not in (len(vocab), given.get("num_outputs")):
        raise ExchangeError(f"{DECODER} has {shape.num_outputs:,} rows: expected {len(vocab):,}, one for each token")


def _metadata_of(contents: Contents) -> dict[str, str]:
    module = module_of(shape_of(contents))
    return {
        "format": "pt",  # as PyTorch's own writers of safetensors say
        **contents.metadata,
        **({} if module is None else {"module": json.dumps(module)}),
    }


def _cell_of(metadata: Mapping[str, str]) -> str | None:
    cell = metadata.get("cell")
    if cell is not None and cell not in OWN_CELLS:
        raise ExchangeError(f"its metadata has the cell {shown(cell)}: expected one of {', '.join(OWN_CELLS)}")
    return cell


def _vocabulary_of(metadata: Mapping[str, str], level: str | None, side: str = "") -> Vocab:
    name = f"{side}vocabulary"
    if name not in metadata and metadata.get("task") == TRANSLATION:
        raise ExchangeError(f"its metadata has no {name}: expected a JSON list of tokens by id")
    if name not in metadata:
        raise ExchangeError(
            "its metadata has no vocabulary: name a JSON file with the list of tokens by id, or a run with the same "
            "vocabulary, --vocabulary FILE (in Python: vocab=)"
        )
    try:
        return vocabulary_from(parse(metadata[name]), level or metadata.get(f"{side}level"))
    except D2lrnnError as error:
        raise ExchangeError(f"the {name} in its metadata: {error}") from error


def _settings_of(metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        settings = parse(metadata.get("settings", "{}"))
        _SETTINGS(settings)
    except D2lrnnError as error:
        raise ExchangeError(f"the settings in its metadata: {error}") from error
    return settings


def _package() -> ModuleType:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ExchangeError(
            "the package safetensors is not installed, which these files need: run `pip install safetensors`"
        ) from error
    return safetensors
