"""The settings of a model."""

from __future__ import annotations

from dataclasses import dataclass

from d2lrnn.cells.declaration import CELL_NAMES, check_projections
from d2lrnn.checks import check_whole
from d2lrnn.config.fields import FLOAT32_MAX, check_choices, setting
from d2lrnn.errors import D2lrnnError

KINDS = ("scratch", "fast", "gluon")


@dataclass(frozen=True)
class Dropout:
    """Where a model on Gluon drops in training, as shares of what is there (Merity et al. 2017, arXiv 1708.02182)."""

    hidden: float = 0.0  # of a layer's outputs, before the next layer
    inputs: float = 0.0  # of the numbers of the embedded inputs
    outputs: float = 0.0  # of the last layer's outputs
    words: float = 0.0  # of the vocabulary: every occurrence of such a word in the batch
    weights: float = 0.0  # of the weights from the hidden state to itself
    locked: bool = False  # one mask for all time steps of a row (Gal and Ghahramani 2016, arXiv 1512.05287)

    def __post_init__(self) -> None:
        for name in ("hidden", "inputs", "outputs", "words", "weights"):
            rate = getattr(self, name)
            if not 0 <= rate < 1:
                dropout = "dropout" if name == "hidden" else f"dropout of {name}"
                raise D2lrnnError(f"{dropout} is {rate}: expected the share to drop, at least 0 and below 1")

    @classmethod
    def of(cls, dropout: float | Dropout) -> Dropout:
        """Return a single rate as what it means: before each layer and before the output, a new mask each step."""
        return dropout if isinstance(dropout, Dropout) else cls(dropout, dropout, dropout)


@dataclass(frozen=True)
class ModelConfig:
    """Everything that tells one model's shape from another's; it travels in the checkpoint."""

    kind: str = setting("gluon", "the book's equations, the same compiled, or Gluon's fused layers", KINDS)
    cell: str = setting("lstm", "recurrent layer; on Gluon gru is gru_reset_after", CELL_NAMES)
    num_hiddens: int = setting(256, "hidden units of each layer and direction")
    num_layers: int = setting(1, "stacked layers")
    bidirectional: bool = setting(False, "read from both ends; not for language models")
    embed_size: int | None = setting(None, "width of a learnt embedding, none: one-hot vectors; gluon only")
    tie_weights: bool = setting(False, "the embedding is the output layer's weight too; gluon only")
    dropout: float = setting(0.0, "share dropped before each layer and before the output; gluon only")
    input_dropout: float | None = setting(None, "share of the embedded inputs dropped, if other than --dropout")
    output_dropout: float | None = setting(None, "share of the last layer's outputs dropped, if other than --dropout")
    word_dropout: float = setting(0.0, "share of the words left out of a batch; gluon only")
    weight_dropout: float = setting(0.0, "share of the hidden-to-hidden weights dropped; gluon only")
    locked_dropout: bool = setting(False, "one dropout mask for all time steps; gluon only")
    init_scale: float | None = setting(None, "parameters begin uniform within ± this, none: as in the book")
    num_outputs: int | None = setting(None, "size of the output layer, none: the vocabulary's")
    num_projections: int | None = setting(None, "width of a projected cell's hidden state, below num_hiddens")

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("num_hiddens", "num_layers", "embed_size", "num_outputs"):
            value, least = getattr(self, name), 0 if name == "embed_size" else 1
            if value is not None or name not in ("embed_size", "num_outputs"):
                check_whole(name, value, least)
        check_projections(self.cell, self.num_projections, self.num_hiddens)
        dropout = self.dropouts
        if self.kind != "gluon" and (self.embed_size or self.tie_weights or dropout != Dropout()):
            raise D2lrnnError("the models from scratch have no embedding and no dropout: use kind 'gluon' for these")
        if not self.embed_size and (self.input_dropout or self.word_dropout):
            raise D2lrnnError("input_dropout and word_dropout are of the embedding: set embed_size")
        width = self.num_projections or self.num_hiddens
        if self.tie_weights and (self.embed_size != width or self.bidirectional or self.num_outputs):
            name = "num_projections" if self.num_projections else "num_hiddens"
            raise D2lrnnError(
                f"tie_weights needs an output layer of the embedding's shape: expected embed_size = {name} = "
                f"{width}, one direction and num_outputs none; embed_size is {self.embed_size}"
            )
        if self.init_scale is not None and not 0 < self.init_scale < FLOAT32_MAX:
            raise D2lrnnError(f"init_scale is {self.init_scale}: expected a number above 0 that float32 can hold")

    @property
    def dropouts(self) -> Dropout:
        """Where the model drops, and how much."""
        inputs = self.dropout if self.input_dropout is None else self.input_dropout
        outputs = self.dropout if self.output_dropout is None else self.output_dropout
        return Dropout(self.dropout, inputs, outputs, self.word_dropout, self.weight_dropout, self.locked_dropout)
