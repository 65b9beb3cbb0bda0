"""The settings of a model and of its training, and the names they choose from.

Knows neither MXNet nor NumPy, so that the command line can show its help and refuse a wrong option at once.
"""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("scratch", "fast", "gluon")
CELL_NAMES = ("rnn", "gru", "gru_reset_after", "lstm")  # what they compute: scratch.CELLS
OPTIMIZERS = ("sgd", "adam")
CORPUS_NAMES = ("sample", "jaychou", "ptb", "timemachine")
FLOAT32_MAX = (2 - 2**-23) * 2.0**127


@dataclass(frozen=True)
class ModelConfig:
    """Everything that tells one model's shape from another's; it travels in the checkpoint."""

    kind: str = "gluon"  # "scratch": the book's equations; "fast": the same, compiled; "gluon": the fused layers
    cell: str = "lstm"  # rnn, gru, gru_reset_after or lstm; on Gluon gru is gru_reset_after
    num_hiddens: int = 256  # hidden units of each layer and direction
    num_layers: int = 1
    bidirectional: bool = False  # not for language models: see train_and_predict
    embed_size: int | None = None  # width of a learnt embedding; None: one-hot vectors. Gluon only
    dropout: float = 0.0  # share dropped between layers and before the output. Gluon only
    num_outputs: int | None = None  # size of the output layer; None: the vocabulary's

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}: expected one of {', '.join(KINDS)}")
        if self.cell not in CELL_NAMES:
            raise ValueError(f"unknown cell {self.cell!r}: expected one of {', '.join(CELL_NAMES)}")
        for name in ("num_hiddens", "num_layers", "embed_size", "num_outputs"):
            value, least = getattr(self, name), 0 if name == "embed_size" else 1
            if value is None and name in ("embed_size", "num_outputs"):
                continue
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name} is {value!r}: expected a whole number, at least {least}")
        if self.kind != "gluon" and (self.embed_size or self.dropout):
            raise ValueError("the models from scratch have no embedding and no dropout: use kind 'gluon' for these")


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained; the defaults are the book's for the GRU and the LSTM."""

    num_epochs: int = 160
    batch_size: int = 32
    num_steps: int = 35  # length of truncated backpropagation through time
    optimizer: str = "sgd"  # the book's, or adam
    lr: float = 1e2  # learning rate, on the loss averaged over tokens; for adam take 0.005 or so
    theta: float = 1e-2  # gradients are scaled down to this L2 norm; math.inf: never
    use_random_iter: bool = False  # random windows and a fresh state each; else consecutive ones and a carried state
    pred_period: int = 40  # epochs between reports and samples
    pred_len: int = 50  # tokens of a sample, after its prefix
    prefixes: tuple[str, ...] = ()  # what the samples start from
    seed: int = 0  # of the order of batches and of dropout
    verbose: bool = True  # progress bar, reports and samples

    def __post_init__(self) -> None:
        for name in ("num_epochs", "batch_size", "num_steps", "pred_period", "pred_len"):
            value, least = getattr(self, name), 0 if name == "pred_len" else 1
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name} is {value!r}: expected a whole number, at least {least}")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"unknown optimizer {self.optimizer!r}: expected one of {', '.join(OPTIMIZERS)}")
        if not 0 < self.lr < FLOAT32_MAX:
            raise ValueError(f"lr is {self.lr}: expected a number above 0 that float32 can hold")
        if not self.theta > 0:
            raise ValueError(f"theta is {self.theta}: expected a number above 0")
        if isinstance(self.prefixes, str):
            raise ValueError(
                f"prefixes is the text {self.prefixes!r}: expected several texts, such as ({self.prefixes!r},)"
            )


# What `train` does unless told otherwise: the lyrics by heart in about a minute on two cores.
QUICK_MODEL = ModelConfig(embed_size=128)
QUICK_TRAINING = TrainConfig(num_epochs=100, optimizer="adam", lr=5e-3, theta=1.0, pred_period=20)
