"""What a trained model is, apart from any framework: its layers, its numbers in NumPy, its vocabulary or classes.

The formats of other frameworks are written from a :class:`Contents`, and read into one.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy

from d2lrnn.cells.declaration import CELLS, OWN_CELLS, Cell
from d2lrnn.checks import shortened
from d2lrnn.config.model import ModelConfig
from d2lrnn.config.presets import FORECASTING, LANGUAGE_MODEL, TRANSLATION
from d2lrnn.data.corpora import CORPORA
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.exchange.answers import Answers, ExchangeError
from d2lrnn.models.shapes import stack_from
from d2lrnn.models.stack import Stack
from d2lrnn.models.twins import embedding_of, has_tied_weights, known_stack, read_parameters
from d2lrnn.runs.checkpoint import TEXT, Checkpoint
from d2lrnn.runs.classifier import LABELS
from d2lrnn.runs.contents import SOURCE, TARGET
from d2lrnn.runs.trained import Run
from d2lrnn.version import VERSION


@dataclass(frozen=True)
class Contents:
    """A trained model in NumPy: a language model, a classifier or a forecaster; a :class:`TranslatorContents` has more.

    ``values`` has the names of :func:`d2lrnn.models.twins.read_parameters`: those of ``stack.param_names``, such as
    ``l0.W_xi``, ``l0.reverse.b_f``, ``W_hq`` and ``b_q``.  The shapes are the book's, ``W_xi`` (num_inputs,
    num_hiddens).  The gates of a cell are ``cell.gates``.  A model on Gluon has a second bias for each gate, such as
    ``l0.c_i``, which counts beside the state; it is added to the first wherever the gate's products are added.  For the
    cell ``gru_reset_after`` both biases are the cell's own.

    The first layer of a model without embedding reads one-hot vectors: row i of its ``W_xi`` belongs to the id i.  The
    book's own ``gru`` (reset gate before the product) and ``gru_reset_after`` (Gluon's, PyTorch's) are two cells.
    """

    stack: Stack  # cell, num_layers, bidirectional, num_projections; num_outputs is None
    num_hiddens: int  # of each layer and direction
    embedding: numpy.ndarray | None  # (vocab_size, embed_size); None: the model reads one-hot vectors
    tied: bool  # whether the output layer's weight is the embedding: W_hq = embedding.T
    values: dict[str, numpy.ndarray]  # float32, all finite
    vocab: Vocab | None  # tokens by id, vocab.idx_to_token, and vocab.level; None: the model reads numbers, not ids
    settings: dict[str, Any]  # JSON: version, model_config, train_config, corpus, origin, reached
    answers: Answers = Answers()  # what the output layer reads, and what its outputs mean

    @property
    def cell(self) -> Cell:
        """What the cell declares; its name is ``stack.cell``."""
        return CELLS[self.stack.cell]

    @property
    def num_inputs(self) -> int:
        """The width of what the first layer reads: embed_size, vocab_size or input_size."""
        return len(self.values[f"{self.stack.prefixes[0]}W_x{self.cell.gates[0]}"])

    @property
    def num_outputs(self) -> int:
        """The size of the output layer."""
        return len(self.values["b_q"])

    @property
    def inputs_and_outputs(self) -> str:
        """What the model reads and says, in a few words."""
        if self.answers.task == FORECASTING:
            columns = self.answers.data["columns"]
            return f"{len(columns)} column{'s' * (len(columns) > 1)}, {self.answers.horizon} ahead"
        read = f"{self.num_inputs} numbers a step" if self.vocab is None else f"{len(self.vocab):,} tokens"
        return read if self.answers.classes is None else f"{read}, {len(self.answers.classes)} classes"

    @property
    def num_params(self) -> int:
        """How many numbers training learns; tied weights count once."""
        embedded = 0 if self.embedding is None or self.tied else self.embedding.size
        return embedded + sum(array.size for array in self.values.values())

    @property
    def metadata(self) -> dict[str, str]:
        """What files of any format say beside the numbers, as texts; the lists and objects are JSON."""
        about = {"cell": self.stack.cell, **self.answers.metadata, "settings": json.dumps(self.settings)}
        if self.vocab is not None:
            tokens = json.dumps(self.vocab.idx_to_token, ensure_ascii=False)
            about |= {"level": self.vocab.level, "vocabulary": tokens}
        return about

    @property
    def has_second_biases(self) -> bool:
        """Whether each gate has a second bias ``c_``."""
        return f"{self.stack.prefixes[0]}c_{self.cell.gates[0]}" in self.values


@dataclass(frozen=True)
class TranslatorContents(Contents):
    """A trained translator in NumPy.

    ``stack``, ``embedding`` and ``vocab`` are of the encoder, ``answers.target`` is the vocabulary of the translations,
    and ``tied`` says whether the output layer's weight is the decoder's embedding.  ``values`` has the names of
    :func:`d2lrnn.models.translator.translator_shapes`, such as ``encoder.W_xi``, ``bridge.W_0`` and ``decoder.W_hq``,
    and those of second biases, such as ``encoder.c_i``.
    """

    target_embedding: numpy.ndarray | None = None  # None: one-hot vectors, or the encoder's embedding (share)

    @property
    def config(self) -> ModelConfig:
        """The settings of the model."""
        return ModelConfig.from_dict(self.settings["model_config"])

    @property
    def num_inputs(self) -> int:
        """The width of what the encoder's first layer reads."""
        return len(self.values[f"encoder.{self.stack.prefixes[0]}W_x{self.cell.gates[0]}"])

    @property
    def num_outputs(self) -> int:
        """The size of the output layer."""
        return len(self.values["decoder.b_q"])

    @property
    def inputs_and_outputs(self) -> str:
        """What the model reads and says, in a few words."""
        source, target = self.vocab, self.answers.target
        sides = [f"{len(vocab):,} tokens of level {vocab.level}" for vocab in (source, target) if vocab is not None]
        return " into ".join(sides)

    @property
    def num_params(self) -> int:
        """How many numbers training learns; tied weights count once."""
        embeddings = [] if self.config.share and self.tied else [self.embedding]
        embeddings += [] if self.tied else [self.target_embedding]
        embedded = sum(array.size for array in embeddings if array is not None)
        return embedded + sum(array.size for array in self.values.values())

    @property
    def has_second_biases(self) -> bool:
        """Whether each gate has a second bias ``c_``."""
        return f"encoder.{self.stack.prefixes[0]}c_{self.cell.gates[0]}" in self.values


def contents_of(run: Run | Checkpoint) -> Contents:
    """Return the contents of a trained run of any task, or of a checkpoint.

    Raises:
        ExchangeError: for a model with numbers that are not finite, for a cell that :func:`d2lrnn.add_cell` has added,
            and for a model whose equations are not known.
        CheckpointError: for a checkpoint that describes no model, or a language model without a vocabulary.
    """
    checkpoint = run.checkpoint if isinstance(run, Run) else run
    config, vocabularies = checkpoint.shape, checkpoint.vocabularies
    if config.cell not in OWN_CELLS:
        raise _unknown_cell(config.cell)
    vocab = checkpoint.vocab if checkpoint.task == LANGUAGE_MODEL else vocabularies.get(TEXT, vocabularies.get(SOURCE))
    names = vocabularies.get(LABELS), checkpoint.data, vocabularies.get(TARGET)
    answers = Answers(checkpoint.task, config.head, *names)
    model = run.model if isinstance(run, Run) else run.build_model()
    settings = settings_of(checkpoint, config)
    if checkpoint.task == TRANSLATION:
        return _contents_of_translator(model, vocab, settings, answers)
    return contents_of_model(model, vocab, settings, answers)


def _contents_of_translator(
    model: Any, vocab: Vocab | None, settings: dict[str, Any], answers: Answers
) -> TranslatorContents:
    config = ModelConfig.from_dict(settings["model_config"])
    values = {name: numpy.ascontiguousarray(array, "float32") for name, array in read_parameters(model).items()}
    embeddings = [embedding_of(part) for part in (model.encoder, model.decoder)]
    named = zip(("the encoder's embedding", "the decoder's embedding"), embeddings)
    _check_finite({**values, **{name: array for name, array in named if array is not None}})
    stack = dataclasses.replace(stack_from(config), num_outputs=None)
    given = (stack, config.num_hiddens, embeddings[0], config.tie_weights, values, vocab, settings, answers)
    contents = TranslatorContents(*given, None if config.share else embeddings[1])
    answers.check_translator(vocab, contents.num_outputs)
    return contents


def contents_of_model(
    model: Any, vocab: Vocab | None, settings: dict[str, Any] | None = None, answers: Answers | None = None
) -> Contents:
    """Return the contents of a model.

    Args:
        model: of the classes that :func:`d2lrnn.build_model` returns.
        vocab: its vocabulary; None: it reads numbers.
        settings: what else is known of it, for JSON.
        answers: what its outputs mean; None: they are those of a language model.

    Raises:
        ExchangeError: as for :func:`contents_of`.
    """
    stack, answers = known_stack(model), Answers() if answers is None else answers
    if stack is None:
        raise ExchangeError(
            f"the equations of this {type(model).__name__} are not known here: expected a model as d2lrnn.build_model "
            "makes it, with one of its cells"
        )
    if stack.cell not in OWN_CELLS:
        raise _unknown_cell(stack.cell)
    values = {name: numpy.ascontiguousarray(array, "float32") for name, array in read_parameters(model).items()}
    embedding = embedding_of(model)
    _check_finite(values if embedding is None else {**values, "the embedding": embedding})
    if settings is None:
        num_outputs = None if vocab is not None and model.num_outputs == len(vocab) else model.num_outputs
        settings = {"version": VERSION, "model_config": {"num_outputs": num_outputs}}
    tied = has_tied_weights(model)
    contents = Contents(stack, model.num_hiddens, embedding, tied, values, vocab, settings, answers)
    answers.check(contents.num_inputs if vocab is None else None, contents.num_outputs)
    return contents


def settings_of(checkpoint: Checkpoint, config: ModelConfig) -> dict[str, Any]:
    """Return what a checkpoint tells beside its model and vocabulary, as JSON has it; no path of this machine is in it.

    Of a file with examples or a series, the name is told without its folder.  JSON has no infinity, which the
    training's ``theta`` may be: the text "Infinity" takes its place.
    """
    origin = {name: value for name, value in checkpoint.origin.items() if name != "data_dir"}
    if checkpoint.task != LANGUAGE_MODEL and "given" in origin:
        origin["given"] = PurePath(origin["given"]).name
    elif origin.get("given") not in CORPORA:
        origin = {}
    settings = {
        "version": VERSION,
        "model_config": dataclasses.asdict(config),
        "train_config": dataclasses.asdict(checkpoint.train_config),
        "corpus": checkpoint.corpus,
        "origin": origin,
        "reached": checkpoint.reached,
    }
    return json.loads(json.dumps(settings), parse_constant=str)


def _check_finite(values: Mapping[str, numpy.ndarray]) -> None:
    broken = [name for name, array in values.items() if not numpy.isfinite(array).all()]
    if broken:
        raise ExchangeError(f"{broken[0]} has numbers that are not finite, so the model cannot compute: train it again")


def _unknown_cell(name: str) -> ExchangeError:
    return ExchangeError(
        f"the cell {shortened(name)!r} is one that add_cell has added, and no other framework knows its equations: "
        f"expected one of {', '.join(OWN_CELLS)}"
    )
