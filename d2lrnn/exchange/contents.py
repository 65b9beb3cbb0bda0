"""What a trained language model is, apart from any framework: its layers, its numbers in NumPy, its vocabulary.

The formats of other frameworks are written from a :class:`Contents`, and read into one.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

import numpy

from d2lrnn.cells.declaration import CELLS, OWN_CELLS, Cell
from d2lrnn.checks import shortened
from d2lrnn.config.model import ModelConfig
from d2lrnn.data.corpora import CORPORA
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.stack import Stack
from d2lrnn.models.twins import embedding_of, equations_stack, has_tied_weights, read_parameters
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.trained import TrainedRun
from d2lrnn.version import VERSION


class ExchangeError(D2lrnnError):
    """A model cannot be written in a format, or a file of this format holds no model that d2lrnn can read."""


@dataclass(frozen=True)
class Contents:
    """A trained language model in NumPy.

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
    vocab: Vocab  # its tokens by id, vocab.idx_to_token; and vocab.level: char, word or bigram
    settings: dict[str, Any]  # JSON: version, model_config, train_config, corpus, origin, reached

    @property
    def cell(self) -> Cell:
        """What the cell declares; its name is ``stack.cell``."""
        return CELLS[self.stack.cell]

    @property
    def num_inputs(self) -> int:
        """The width of what the first layer reads: the embedding's, or the size of the vocabulary."""
        return len(self.vocab) if self.embedding is None else self.embedding.shape[1]

    @property
    def num_outputs(self) -> int:
        """The size of the output layer."""
        return len(self.values["b_q"])

    @property
    def has_second_biases(self) -> bool:
        """Whether each gate has a second bias ``c_``."""
        return f"{self.stack.prefixes[0]}c_{self.cell.gates[0]}" in self.values


def contents_of(run: TrainedRun | Checkpoint) -> Contents:
    """Return the contents of a trained run, or of a checkpoint.

    Raises:
        ExchangeError: for a model with numbers that are not finite, for a cell that :func:`d2lrnn.add_cell` has added,
            and for a model whose equations are not known.
        CheckpointError: for a checkpoint that describes no language model.
    """
    checkpoint = run.checkpoint if isinstance(run, TrainedRun) else run
    config, vocab = checkpoint.shape, checkpoint.vocab
    if config.cell not in OWN_CELLS:
        raise _unknown_cell(config.cell)
    model = run.model if isinstance(run, TrainedRun) else run.build_model()
    return contents_of_model(model, vocab, settings_of(checkpoint, config))


def contents_of_model(model: Any, vocab: Vocab, settings: dict[str, Any] | None = None) -> Contents:
    """Return the contents of a model.

    Args:
        model: of the classes that :func:`d2lrnn.build_model` returns.
        vocab: its vocabulary.
        settings: what else is known of it, for JSON.

    Raises:
        ExchangeError: as for :func:`contents_of`.
    """
    stack = equations_stack(model)
    if stack is None:
        raise ExchangeError(
            f"the equations of this {type(model).__name__} are not known here: expected a model as d2lrnn.build_model "
            "makes it, with one of its cells"
        )
    if stack.cell not in OWN_CELLS:
        raise _unknown_cell(stack.cell)
    values = {name: numpy.ascontiguousarray(array, "float32") for name, array in read_parameters(model).items()}
    embedding = embedding_of(model)
    broken = [name for name, array in values.items() if not numpy.isfinite(array).all()]
    if broken or (embedding is not None and not numpy.isfinite(embedding).all()):
        name = broken[0] if broken else "the embedding"
        raise ExchangeError(f"{name} has numbers that are not finite, so the model cannot compute: train it again")
    if settings is None:
        num_outputs = None if model.num_outputs == len(vocab) else model.num_outputs
        settings = {"version": VERSION, "model_config": {"num_outputs": num_outputs}}
    return Contents(stack, model.num_hiddens, embedding, has_tied_weights(model), values, vocab, settings)


def settings_of(checkpoint: Checkpoint, config: ModelConfig) -> dict[str, Any]:
    """Return what a checkpoint tells beside its model and vocabulary, as JSON has it; no path of this machine is in it.

    JSON has no infinity, which the training's ``theta`` may be: the text "Infinity" takes its place.
    """
    origin = {name: value for name, value in checkpoint.origin.items() if name != "data_dir"}
    settings = {
        "version": VERSION,
        "model_config": dataclasses.asdict(config),
        "train_config": dataclasses.asdict(checkpoint.train_config),
        "corpus": checkpoint.corpus,
        "origin": origin if origin.get("given") in CORPORA else {},
        "reached": checkpoint.reached,
    }
    return json.loads(json.dumps(settings), parse_constant=str)


def _unknown_cell(name: str) -> ExchangeError:
    return ExchangeError(
        f"the cell {shortened(name)!r} is one that add_cell has added, and no other framework knows its equations: "
        f"expected one of {', '.join(OWN_CELLS)}"
    )
