"""A model from elsewhere as a run: a folder with a checkpoint that every command can read, but no training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy

from d2lrnn.config.model import Dropout, ModelConfig
from d2lrnn.config.presets import LANGUAGE_MODEL
from d2lrnn.config.training import TrainConfig
from d2lrnn.errors import D2lrnnError, naming
from d2lrnn.exchange.answers import ExchangeError
from d2lrnn.exchange.contents import Contents, TranslatorContents
from d2lrnn.models.build import build_model
from d2lrnn.models.gluon.facts import FUSED_CELLS, gluon_cell
from d2lrnn.models.parameters import set_values
from d2lrnn.models.shapes import stack_from
from d2lrnn.models.twins import write_parameters
from d2lrnn.paths import PathLike, make_folder, user_path
from d2lrnn.runs.checkpoint import BEST, LAST, PICTURE, TEXT, Checkpoint, save_checkpoint
from d2lrnn.runs.classifier import LABELS
from d2lrnn.runs.contents import SOURCE, TARGET, check_meta
from d2lrnn.runs.lock import FolderLock
from d2lrnn.runs.log import LOG, RunError


def save_run(contents: Contents, folder: PathLike, kind: str | None = None, overwrite: bool = False) -> Path:
    """Write a model as a run, and return its checkpoint's path.

    Args:
        contents: of the model.
        folder: for the run; made if it is not there.
        kind: as for :func:`checkpoint_of`.
        overwrite: whether to give up a run that is there.

    Raises:
        RunError: if the folder holds a run, or a training is going on there.
        ExchangeError: as for :func:`checkpoint_of`.
        FileError: if the files cannot be written.
    """
    folder = user_path(folder)
    with naming(folder):
        present = [name for name in (LAST, BEST) if (folder / name).exists()]
    if present and not overwrite:
        raise RunError(f"{folder} holds a run already: name another folder (--out), or give it up (--overwrite)")
    checkpoint = checkpoint_of(contents, kind)
    make_folder(folder)
    lock = FolderLock(folder)
    try:
        for name in (LAST, LOG, PICTURE):  # first: after a kill the folder holds the old model, or the new one alone
            with naming(folder / name):
                (folder / name).unlink(missing_ok=True)
        return save_checkpoint(folder / BEST, checkpoint)
    finally:
        lock.release()


def checkpoint_of(contents: Contents, kind: str | None = None) -> Checkpoint:
    """Return the checkpoint of a model; it holds no position from which a training could go on.

    A model from scratch, kind ``scratch`` or ``fast``, has one bias a gate and no embedding.  So second biases are
    added to the first, and an embedding becomes part of the first layer's ``W_x``: E[id] W is row id of E W.

    Args:
        contents: of the model.
        kind: of the model here; None: as its settings say, or else ``gluon``, but ``scratch`` for the book's GRU, which
            Gluon does not have.

    Raises:
        ExchangeError: if there is no such model of that kind, or the settings cannot be.
    """
    try:
        config, about = _model_config(contents, kind), _about(contents)
    except D2lrnnError as error:
        raise ExchangeError(f"the model's settings: {error}") from error
    _check_kind(contents, config)
    vocab, classes = contents.vocab, contents.answers.classes
    model = build_model(config, None if vocab is None else len(vocab), "cpu")
    if isinstance(contents, TranslatorContents):
        write_parameters(model, contents.values)
        for part, embedding in ((model.encoder, contents.embedding), (model.decoder, contents.target_embedding)):
            if embedding is not None:
                set_values(part.embedding.weight, embedding)
    elif config.kind == "gluon":
        write_parameters(model, contents.values)
        if contents.embedding is not None:
            set_values(model.embedding.weight, contents.embedding)
    else:
        write_parameters(model, _without_embedding(contents))
    named = {TEXT: vocab, LABELS: classes}
    if isinstance(contents, TranslatorContents):
        named = {SOURCE: vocab, TARGET: contents.answers.target}
    vocabularies = {name: each for name, each in named.items() if each is not None}
    return Checkpoint(config, vocabularies, **about).with_parameters(model)


def changes_for(contents: Contents, config: ModelConfig) -> list[str]:
    """Return what of a model is not kept as it is in a model of a configuration; each change rounds numbers."""
    changes = []
    if contents.embedding is not None and not config.embed_size:
        changes.append("the embedding has become part of the first layer's W_x")
    two_biases = contents.cell.num_biases == 1 and contents.has_second_biases
    if two_biases and not (config.kind == "gluon" and contents.stack.cell in FUSED_CELLS):
        changes.append("the two biases of each gate have been added up")
    return changes


def _model_config(contents: Contents, kind: str | None) -> ModelConfig:
    """Return the configuration of a model: its sizes, and what its settings say beside them."""
    if isinstance(contents, TranslatorContents):
        if kind not in (None, contents.config.kind):
            raise ExchangeError(f"a translator keeps its kind, which is {contents.config.kind}: leave --kind out")
        return contents.config
    stack, given = contents.stack, ModelConfig.from_dict(contents.settings.get("model_config", {}))
    if kind is None:
        has_settings = "kind" in contents.settings.get("model_config", {})
        kind = given.kind if has_settings else "scratch" if stack.cell == "gru" else "gluon"
    on_gluon = kind == "gluon"
    same_cell = on_gluon and gluon_cell(given.cell) == stack.cell  # Gluon's gru is gru_reset_after
    has_embedding = on_gluon and contents.embedding is not None
    size = None if contents.vocab is None else len(contents.vocab)
    is_usual = contents.answers.task == LANGUAGE_MODEL and contents.num_outputs == size
    return dataclasses.replace(
        given,
        kind=kind,
        cell=given.cell if same_cell else stack.cell,
        num_hiddens=contents.num_hiddens,
        num_layers=stack.num_layers,
        bidirectional=stack.bidirectional,
        embed_size=contents.num_inputs if has_embedding else None,
        tie_weights=on_gluon and contents.tied,
        dropout=given.dropout if on_gluon else Dropout(),
        num_outputs=None if is_usual else contents.num_outputs,
        num_projections=stack.num_projections,
        head=contents.answers.head,
        input_size=contents.num_inputs if contents.vocab is None else None,
        freeze_embedding=has_embedding and given.freeze_embedding and not contents.tied,
    )


def _check_kind(contents: Contents, config: ModelConfig) -> None:
    """Refuse the kind of a model that computes another cell."""
    if stack_from(config).cell != contents.stack.cell:
        raise ExchangeError(
            f"there is no layer on Gluon for the cell {contents.stack.cell}, the book's, whose reset gate comes before "
            "the product: expected kind scratch or fast"
        )


def _about(contents: Contents) -> dict[str, Any]:
    """Return the fields of a checkpoint that the settings and the answers tell."""
    settings = contents.settings
    given = {"batches": TrainConfig.batches, **_with_infinity(settings.get("train_config", {}))}
    about = {
        "corpus": settings.get("corpus", ""),
        "origin": settings.get("origin", {}),
        "reached": _with_infinity(settings.get("reached", {})),
        "task": contents.answers.task,
        "data": contents.answers.data,
    }
    none: dict[str, Any] = {"model_config": None, "vocabularies": {}, "training": None}
    check_meta({**none, **about, "train_config": given})
    return {**about, "train_config": TrainConfig.from_dict(given)}


def _with_infinity(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the number for the text "Infinity", which takes its place in JSON."""
    return {name: math.inf if value == "Infinity" else value for name, value in values.items()}


def _without_embedding(contents: Contents) -> dict[str, numpy.ndarray]:
    """Return a model's numbers with the embedding as part of the first layer's ``W_x``."""
    values = dict(contents.values)
    if contents.embedding is not None:
        first = contents.stack.prefixes[: contents.stack.num_directions]
        for name in (f"{prefix}W_x{gate}" for prefix in first for gate in contents.cell.gates):
            values[name] = (contents.embedding.astype("float64") @ values[name]).astype("float32")
    return values
