"""The settings of a model, of its training and of its writing, and the names they choose from.

Knows neither MXNet nor NumPy, so that the command line can show its help and refuse a wrong option at once.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KINDS = ("scratch", "fast", "gluon")
# What they compute: cells.CELLS.  cells.add_cell makes both lists longer.
CELL_NAMES = ["rnn", "rnn_relu", "gru", "gru_reset_after", "lstm"]
CELL_NAMES += ["lstm_peephole", "lstm_projected", "lstm_peephole_projected"]
PROJECTED_CELLS = ["lstm_projected", "lstm_peephole_projected"]  # their hidden state is a projection
OPTIMIZERS = ("sgd", "adam")
LR_SCHEDULES = ("constant", "decay", "one-cycle")
CORPUS_NAMES = ("sample", "jaychou", "ptb", "timemachine", "couplets")
LEVELS = ("char", "word", "bigram")  # of tokens
FORM_NAMES = ("couplet", "quatrain", "couplet7", "quatrain7")  # what they are: forms.FORMS
FLOAT32_MAX = (2 - 2**-23) * 2.0**127


def setting(default: Any, help: str, choices: Sequence[str] = ()) -> Any:
    """Return a field with a default, what it means, and what it may be; the command line shows all three."""
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices})


def settings_in(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of some values that are fields of a dataclass."""
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in values.items() if name in names}


def check_whole(name: str, value: Any, least: int = 1) -> None:
    """Refuse what is no whole number of at least ``least``, with a ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} is {value!r}: expected a whole number, at least {least}")


def check_number(name: str, value: Any, below: float = math.inf) -> None:
    """Refuse what is no number from 0 to below ``below``, with a ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < below:
        raise ValueError(f"{name} is {value!r}: expected a number, at least 0 and below {below}")


def check_projections(cell: str, num_projections: int | None, num_hiddens: int | None = None) -> None:
    """Refuse a ``num_projections`` that a projected cell lacks, another has no use for, or that is too large."""
    if (num_projections is not None) != (cell in PROJECTED_CELLS):
        expected = "a whole number below num_hiddens" if cell in PROJECTED_CELLS else "None, since it projects nothing"
        raise ValueError(f"num_projections is {num_projections!r} for cell {cell!r}: expected {expected}")
    if num_projections is not None:
        check_whole("num_projections", num_projections)
        if num_hiddens is not None and num_projections >= num_hiddens:
            raise ValueError(f"num_projections is {num_projections}: expected less than num_hiddens = {num_hiddens}")


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
                raise ValueError(f"{dropout} is {rate}: expected the share to drop, at least 0 and below 1")

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
            raise ValueError("the models from scratch have no embedding and no dropout: use kind 'gluon' for these")
        if not self.embed_size and (self.input_dropout or self.word_dropout):
            raise ValueError("input_dropout and word_dropout are of the embedding: set embed_size")
        width = self.num_projections or self.num_hiddens
        if self.tie_weights and (self.embed_size != width or self.bidirectional or self.num_outputs):
            name = "num_projections" if self.num_projections else "num_hiddens"
            raise ValueError(
                f"tie_weights needs an output layer of the embedding's shape: expected embed_size = {name} = "
                f"{width}, one direction and num_outputs none; embed_size is {self.embed_size}"
            )
        if self.init_scale is not None and not 0 < self.init_scale < FLOAT32_MAX:
            raise ValueError(f"init_scale is {self.init_scale}: expected a number above 0 that float32 can hold")

    @property
    def dropouts(self) -> Dropout:
        """Where the model drops, and how much."""
        inputs = self.dropout if self.input_dropout is None else self.input_dropout
        outputs = self.dropout if self.output_dropout is None else self.output_dropout
        return Dropout(self.dropout, inputs, outputs, self.word_dropout, self.weight_dropout, self.locked_dropout)


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained; the defaults are the book's for the GRU and the LSTM.

    With ``sum_over_steps`` the loss is that of the TensorFlow tutorial and of Zaremba et al. (arXiv 1409.2329): summed
    over the time steps, averaged over the batch.  It is num_steps times the mean over tokens, and so are its
    gradients: for SGD, ``lr`` and ``theta`` on the sum are ``lr * num_steps`` and ``theta / num_steps`` on the mean.
    Where rows are padded lines, num_steps is the mean number of tokens that count in a row of the batch.  With
    ``vary_steps`` it is the window's own length, so that a step of SGD grows with it, as in AWD-LSTM (Merity et al.
    2017, arXiv 1708.02182), unless it is clipped: then it is ``lr * theta`` long, where AWD-LSTM's grows all the same.
    """

    num_epochs: int = setting(160, "passes over the text")
    batch_size: int = setting(32, "rows of a batch")
    num_steps: int = setting(35, "length of truncated backpropagation through time")
    optimizer: str = setting("sgd", "sgd is the book's", OPTIMIZERS)
    lr: float = setting(1e2, "learning rate; for adam take 0.005 or so")
    theta: float = setting(1e-2, "gradients are scaled down to this L2 norm; inf: never")
    use_random_iter: bool = setting(False, "random windows; else consecutive ones with the state carried")
    pred_period: int = setting(40, "epochs between reports and samples")
    pred_len: int = setting(50, "tokens in a sample, after its prefix")
    prefixes: tuple[str, ...] = ()  # what the samples start from
    seed: int = setting(0, "of parameters, order of batches and dropout")
    verbose: bool = True  # progress bar, reports and samples
    vary_steps: bool = setting(False, "windows of varying length, num_steps on average; consecutive ones only")
    num_lines: int = setting(0, "rows are so many whole lines, at most num_steps long, in random order; 0: windows")
    lr_schedule: str = setting("constant", "how lr changes: see --constant-epochs and --warm-up", LR_SCHEDULES)
    constant_epochs: int = setting(1, "decay: after so many epochs, lr is multiplied by lr_decay before each epoch")
    lr_decay: float = setting(1.0, "decay: the factor")
    warm_up: float = setting(0.1, "one-cycle: share of the training in which lr rises; then it falls to 0")
    weight_decay: float = setting(0.0, "each step takes lr times this off the parameters (decoupled, as in AdamW)")
    sum_over_steps: bool = setting(False, "lr and theta are for a loss summed over time steps, else for the mean")
    averaging: int = setting(0, "average parameters once validation is worse than so many epochs ago; 0: never")
    patience: int = setting(0, "end once validation has not improved for so many epochs; 0: never")
    pred_temperature: float = setting(0.0, "of the samples; 0: always the likeliest token")

    def __post_init__(self) -> None:
        check_choices(self)
        for name in (
            "num_epochs",
            "batch_size",
            "num_steps",
            "pred_period",
            "pred_len",
            "constant_epochs",
        ):
            check_whole(name, getattr(self, name), 0 if name == "pred_len" else 1)
        for name in ("num_lines", "averaging", "patience"):
            check_whole(name, getattr(self, name), 0)
        check_number("pred_temperature", self.pred_temperature)
        if not 0 < self.lr < FLOAT32_MAX:
            raise ValueError(f"lr is {self.lr}: expected a number above 0 that float32 can hold")
        if not 0 < self.lr_decay <= 1:
            raise ValueError(f"lr_decay is {self.lr_decay}: expected a number above 0, at most 1")
        if not 0 <= self.warm_up < 1:
            raise ValueError(f"warm_up is {self.warm_up}: expected a share, at least 0 and below 1")
        if not 0 <= self.weight_decay < 1 / self.lr:
            raise ValueError(f"weight_decay is {self.weight_decay}: expected at least 0 and below 1 / lr")
        if not self.theta > 0:
            raise ValueError(f"theta is {self.theta}: expected a number above 0")
        if self.vary_steps + self.use_random_iter + bool(self.num_lines) > 1:
            raise ValueError("vary_steps, use_random_iter and num_lines are three ways to make batches: choose one")
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise ValueError(f"seed is {self.seed!r}: expected a whole number, 0 to {2**32 - 1}")
        if isinstance(self.prefixes, str):
            raise ValueError(
                f"prefixes is the text {self.prefixes!r}: expected several texts, such as ({self.prefixes!r},)"
            )

    @property
    def carries_state(self) -> bool:
        """Whether each batch goes on where the last one ended."""
        return not (self.use_random_iter or self.num_lines)


@dataclass(frozen=True)
class Cache:
    """The neural cache of Grave, Joulin and Usunier (2017, arXiv 1612.04426).

    A word is the likelier, the more the model's last outputs h now are like those after which it came before::

        p(w) = (1 - share) p_model(w) + share p_cache(w)
        p_cache(w) proportional to the sum, over the last positions i, of [x_(i+1) = w] exp(theta h_t . h_i)

    As long as it is empty, p is p_model.  The defaults are the best found for the configuration ``d2lrnn`` on Penn
    Treebank (benchmarks/adaptation.py); tune them on the validation text of yours.
    """

    window: int = setting(1000, "positions that it remembers")
    theta: float = setting(0.9, "how much likeness counts; at 0 all positions count the same")
    share: float = setting(0.1, "lambda, the cache's part in the mixture; at 0 nothing changes")

    def __post_init__(self) -> None:
        check_whole("window", self.window)
        check_number("theta", self.theta)
        check_number("share", self.share, below=1)


@dataclass(frozen=True)
class Dynamic:
    """Dynamic evaluation by the RMS rule of Krause, Kahembwe, Murray and Renals (2018, arXiv 1709.07432).

    After each window has been scored, all parameters take a step down its gradient g and back to theta_0, where they
    began::

        theta <- theta - lr g / (sqrt(MS) + eps) + min(decay RMSnorm, 1) (theta_0 - theta)
        RMSnorm = sqrt(MS) / mean(sqrt(MS))

    g is the gradient of the mean loss over the window's tokens, truncated where the window begins, with dropout off.
    MS is the mean of g * g over windows of the training text of the same length, in one row; the mean in RMSnorm is
    over the numbers of all parameters together.  The paper's code takes for MS batches of 100 rows, whose gradients
    are about a tenth: its lr and eps are a tenth of what they are here.  For windows of another length, change lr
    and decay in proportion.  The defaults are the best found for the configuration ``d2lrnn`` on Penn Treebank
    (benchmarks/adaptation.py), where a cache beside it asks for half the lr; tune them on the validation text of yours.
    """

    lr: float = setting(2e-3, "learning rate; at 0 nothing changes")
    decay: float = setting(5e-3, "lambda, how fast the parameters go back")
    num_steps: int = setting(10, "tokens of a window")
    eps: float = setting(5e-4, "keeps steps small where the training text has hardly a gradient")
    gradient_tokens: int = setting(20_000, "of the training text, its first, for MS")

    def __post_init__(self) -> None:
        check_number("lr", self.lr)
        check_number("decay", self.decay)
        check_whole("num_steps", self.num_steps)
        check_number("eps", self.eps)
        if not self.eps:
            raise ValueError("eps is 0: expected above 0, or parameters without a gradient would be divided by 0")
        check_whole("gradient_tokens", self.gradient_tokens, self.num_steps)


@dataclass(frozen=True)
class Sampling:
    """How :func:`d2lrnn.sampling.generate` finds the next token: by chance, or by beam search.

    Each default is the one that does nothing: ``Sampling()`` draws from the model's own distribution, at temperature
    1.  ``Sampling(temperature=0)`` always takes the likeliest token, which is greedy search, and so does a beam of 1.
    Settings act in this order: repetition penalty, temperature, top_k, top_p.

    Sources: top_k of Fan, Lewis and Dauphin (2018, arXiv 1805.04833); top_p, the nucleus, of Holtzman et al. (2020,
    arXiv 1904.09751); the repetition penalty of Keskar et al. (2019, arXiv 1909.05858).
    """

    temperature: float = setting(1.0, "logits are divided by this; 0: always the likeliest token")
    top_k: int = setting(0, "choose among so many likeliest tokens only; 0: all")
    top_p: float = setting(1.0, "choose among the fewest tokens that have this probability together; 1: all")
    repetition_penalty: float = setting(1.0, "above 1, a token that is there already is less likely; 1: none")
    beam_width: int = setting(0, "look for the likeliest text with so many hypotheses; 0: no search")
    length_penalty: float = setting(0.0, "beam: texts are ranked by log p / length ** this; 0: by log p")
    seed: int = setting(0, "of chance; text i of a batch has seed + i")
    stop: str | None = None  # the token at which a text ends; it is not part of the text
    without: tuple[str, ...] = ()  # tokens that are never written

    def __post_init__(self) -> None:
        for name in ("temperature", "length_penalty"):
            check_number(name, getattr(self, name))
        for name in ("top_k", "beam_width", "seed"):
            check_whole(name, getattr(self, name), 0)
        check_number("top_p", self.top_p)
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}: expected a probability, above 0 and at most 1")
        check_number("repetition_penalty", self.repetition_penalty)
        if not self.repetition_penalty:
            raise ValueError("repetition_penalty is 0: expected above 0, since logits are divided by it")
        if self.stop is not None and not (isinstance(self.stop, str) and self.stop):
            raise ValueError(f"stop is {self.stop!r}: expected a token of the vocabulary, or None")
        if isinstance(self.without, str):
            raise ValueError(
                f"without is the text {self.without!r}: expected several tokens, such as ({self.without!r},)"
            )
        self._check_combination()

    def _check_combination(self) -> None:
        truncated = bool(self.top_k) or self.top_p < 1
        if self.temperature == 0 and truncated:
            raise ValueError("temperature 0 takes the likeliest token whatever top_k and top_p are: leave them out")
        if self.beam_width and (self.temperature != 1 or truncated):
            raise ValueError("beam search leaves nothing to chance: leave temperature, top_k and top_p out")
        if self.length_penalty and not (self.beam_width and self.stop):
            raise ValueError(
                "length_penalty compares texts of different length, which only a beam search with a stop token has: "
                "set beam_width and stop, or leave it out"
            )

    @property
    def by_chance(self) -> bool:
        """Whether another seed can give another text."""
        return not self.beam_width and self.temperature > 0 and self.top_k != 1


def check_choices(config: Any) -> None:
    """Refuse a configuration with a value that is not among its field's choices, with a ValueError."""
    for field in dataclasses.fields(config):
        value, choices = getattr(config, field.name), field.metadata.get("choices")
        if choices and value not in choices:
            raise ValueError(f"unknown {field.name} {value!r}: expected one of {', '.join(choices)}")
