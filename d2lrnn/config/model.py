"""The settings of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from d2lrnn.cells.declaration import CELLS, cell_named
from d2lrnn.checks import shown
from d2lrnn.config.fields import MAX_LAYERS, check_names, check_settings, setting
from d2lrnn.errors import D2lrnnError, UnknownCellError

KINDS = ("scratch", "fast", "gluon")

# What the output layer reads, where numbers answer a sequence; the first three give one answer to a whole sequence.
ANSWERS = (
    "state",  # the last layer's hidden state after the last step
    "output",  # the last layer's output at the last step that is no padding
    "mean",  # the mean of the last layer's outputs over the steps that are no padding
    "steps",  # the outputs at each step: numbers, such as the next values of a series
)
# "tokens" is for language models: the outputs at each step give logits of the next token.  "translation" is for an
# encoder of a source and a decoder, which is such a language model of the target.
HEADS = ("tokens", *ANSWERS, "translation")

# How the decoder of a translator, whose output is h, scores an output s of the encoder.
ATTENTIONS = (
    "additive",  # v . tanh(W_q h + W_k s) (Bahdanau, Cho and Bengio 2015, arXiv 1409.0473)
    "dot",  # h . s (Luong, Pham and Manning 2015, arXiv 1508.04025)
    "general",  # h . W s (the same)
)


def _share() -> Any:
    return setting(0.0, None, below=1)


@dataclass(frozen=True)
class Dropout:
    """Where a model on Gluon applies dropout in training, and to what share (Merity et al. 2017, arXiv 1708.02182)."""

    hidden: float = _share()  # of a layer's outputs, before the next layer
    inputs: float = _share()  # of the numbers of the embedded inputs
    outputs: float = _share()  # of the last layer's outputs
    words: float = _share()  # of the vocabulary; a dropped word is dropped everywhere in the batch
    weights: float = _share()  # of the weights from the hidden state to itself
    # One mask for all time steps of a row (Gal and Ghahramani 2016, arXiv 1512.05287).
    locked: bool = setting(False, None)

    def __post_init__(self) -> None:
        parts = {name: f"dropout of {name}" for name in ("inputs", "outputs", "words", "weights")}
        check_settings(self, {"hidden": "dropout", **parts})

    @classmethod
    def of(cls, dropout: float | Dropout) -> Dropout:
        """Return the record of a single rate: dropout before each layer and the output, with a new mask each step."""
        return dropout if isinstance(dropout, Dropout) else cls(dropout, dropout, dropout)

    @property
    def flat(self) -> dict[str, Any]:
        """The record as six settings side by side, under the names of the command line's options.

        ``dropout`` stands for inputs and outputs too, unless ``input_dropout`` or ``output_dropout`` is not None.
        """
        return {
            "dropout": self.hidden,
            "input_dropout": None if self.inputs == self.hidden else self.inputs,
            "output_dropout": None if self.outputs == self.hidden else self.outputs,
            "word_dropout": self.words,
            "weight_dropout": self.weights,
            "locked_dropout": self.locked,
        }

    @classmethod
    def of_flat(cls, settings: Mapping[str, Any]) -> Dropout:
        """Return the record that settings as in :attr:`flat` describe; a missing one is as in ``Dropout().flat``."""
        values = {**cls().flat, **settings}
        rate, inputs, outputs = (values[name] for name in ("dropout", "input_dropout", "output_dropout"))
        return cls(
            rate,
            rate if inputs is None else inputs,
            rate if outputs is None else outputs,
            *(values[name] for name in ("word_dropout", "weight_dropout", "locked_dropout")),
        )


@dataclass(frozen=True)
class ModelConfig:
    """All settings that define a model; a checkpoint holds them.

    ``dropout`` may be given as a number, which means ``Dropout.of(number)``.

    Raises:
        D2lrnnError: for a value that cannot be, or values that contradict one another.
    """

    kind: str = setting("gluon", "the book's equations, the same compiled, or Gluon's fused layers", KINDS)
    cell: str = setting("lstm", "recurrent layer; on Gluon gru is gru_reset_after", CELLS)
    num_hiddens: int = setting(256, "hidden units of each layer and direction")
    num_layers: int = setting(1, "stacked layers", most=MAX_LAYERS)
    bidirectional: bool = setting(False, "read from both ends; not for language models")
    embed_size: int | None = setting(
        None, "width of a learnt embedding, none: one-hot vectors; gluon only", kind=int, least=0
    )
    tie_weights: bool = setting(False, "the embedding is the output layer's weight too; gluon only")
    dropout: Dropout = Dropout()  # where dropout acts in training, and how much; gluon only
    init_scale: float | None = setting(
        None, "parameters begin uniform within ± this, none: as in the book", kind=float, above=0
    )
    num_outputs: int | None = setting(None, "size of the output layer, none: the vocabulary's", kind=int)
    num_projections: int | None = setting(None, "width of a projected cell's hidden state, below num_hiddens", kind=int)
    input_size: int | None = setting(None, None, kind=int)  # numbers of a step; None: ids of a vocabulary
    head: str = setting("tokens", None, HEADS)  # what the output layer reads
    freeze_embedding: bool = setting(False, None)  # whether training leaves the embedding as it is
    attention: str | None = setting(None, None, ATTENTIONS, kind=str)  # of a translator; None: it has none
    share: bool = setting(False, None)  # whether a translator's decoder reads by the encoder's embedding and layers

    def __post_init__(self) -> None:
        object.__setattr__(self, "dropout", Dropout.of(self.dropout))
        check_settings(self)
        cell_named(self.cell).check_projections(self.cell, self.num_projections, self.num_hiddens)
        dropout = self.dropout
        if self.kind != "gluon" and (self.embed_size or self.tie_weights or dropout != Dropout()):
            raise D2lrnnError("the models from scratch have no embedding and no dropout: use kind 'gluon' for these")
        self._check_embedding(0.0 if dropout.inputs == dropout.hidden else dropout.inputs, dropout.words)
        self._check_head()
        self._check_translator()
        self._check_frozen()
        self._check_tied()

    def __str__(self) -> str:
        """Return what the model is in a few words, without its other settings."""
        return f"{self.kind} {self.cell}, {self.num_layers} x {self.num_hiddens} hidden units"

    def _check_head(self) -> None:
        """Refuse settings that contradict what the model reads or answers."""
        if self.head == "tokens" and self.input_size:
            raise D2lrnnError("input_size is for numbers, and a language model reads ids: use another head")
        if self.head == "tokens":
            return
        if not self.num_outputs:
            raise D2lrnnError(f"num_outputs is none: a model with the head {self.head!r} needs the number of outputs")
        if self.kind == "fast":
            raise D2lrnnError("kind 'fast' has language models alone: use kind 'scratch' or 'gluon'")
        if self.input_size and (self.embed_size or self.dropout.words):
            raise D2lrnnError("an embedding is of ids, and input_size says that the model reads numbers: leave one out")

    def _check_translator(self) -> None:
        """Refuse settings of a translator that contradict one another, and those of translators in another model."""
        if self.head != "translation":
            if self.attention or self.share:
                raise D2lrnnError("attention and share are settings of a translator: set head to 'translation'")
            return
        if self.input_size:
            raise D2lrnnError("input_size is for numbers, and a translator reads ids: use another head")
        if self.share and self.bidirectional:
            raise D2lrnnError(
                "share lets the decoder read by the encoder's layers, and a decoder cannot read from the end: leave "
                "share or bidirectional out"
            )
        if self.attention == "dot" and self.bidirectional:
            raise D2lrnnError(
                "attention 'dot' multiplies outputs of one width, and a bidirectional encoder's are twice as wide as "
                "the decoder's: use attention 'general' or 'additive'"
            )
        if self.freeze_embedding:
            raise D2lrnnError("a translator has two embeddings, and both are trained: leave freeze_embedding out")

    def _check_tied(self) -> None:
        """Refuse to tie weights of different shapes."""
        width, translates = self.num_projections or self.num_hiddens, self.head == "translation"
        others = not translates and (self.bidirectional or self.num_outputs)
        if self.tie_weights and (self.embed_size != width or others):
            name = "num_projections" if self.num_projections else "num_hiddens"
            raise D2lrnnError(
                f"tie_weights needs an output layer of the embedding's shape: expected embed_size = {name} = {width}"
                f"{'' if translates else ', one direction and num_outputs none'}; embed_size is {self.embed_size}"
            )

    def _check_embedding(self, inputs: float | None, words: float) -> None:
        """Refuse dropout of an embedding that is missing; ``inputs`` is 0 or None if ``dropout`` sets its rate."""
        if not self.embed_size and not self.input_size and (inputs or words):
            raise D2lrnnError("input_dropout and word_dropout are of the embedding: set embed_size")

    def _check_frozen(self) -> None:
        """Refuse to freeze an embedding that is missing, or the output layer with it."""
        if self.freeze_embedding and not self.embed_size:
            raise D2lrnnError("freeze_embedding is for a model with an embedding: set embed_size")
        if self.freeze_embedding and self.tie_weights:
            raise D2lrnnError("with tie_weights a frozen embedding would freeze the output layer too: leave one out")

    @property
    def flat(self) -> dict[str, Any]:
        """All settings side by side; those of :attr:`Dropout.flat` take the place of ``dropout``."""
        values: dict[str, Any] = {}
        for name, value in vars(self).items():
            values |= self.dropout.flat if name == "dropout" else {name: value}
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Return the configuration that a checkpoint holds or that options of the command line give.

        Args:
            values: what ``dataclasses.asdict`` returns, or settings as in :attr:`flat`, which old checkpoints have.

        Raises:
            UnknownCellError: for an unknown cell.
            D2lrnnError: for an unknown setting, or a value that cannot be.
        """
        plain, flat = vars(cls()), Dropout().flat
        nested = isinstance(values, Mapping) and isinstance(values.get("dropout"), Mapping)
        check_names("the settings of a model", values, plain if nested else {**plain, **flat})
        cell = values.get("cell", cls.cell)
        if isinstance(cell, str) and cell not in CELLS:
            raise UnknownCellError(
                f"the cell {shown(cell)} is not known here: name the file that adds it, --import FILE (in Python: call "
                "d2lrnn.add_cell first)"
            )
        fields = {name: value for name, value in values.items() if name in plain}
        if nested:
            check_names("the settings of dropout", values["dropout"], [*asdict(Dropout())])
            return cls(**{**fields, "dropout": Dropout(**values["dropout"])})
        given = {name: value for name, value in values.items() if name in flat}
        config = cls(**{**fields, "dropout": Dropout.of_flat(given)})
        config._check_embedding(given.get("input_dropout"), 0.0)
        return config
