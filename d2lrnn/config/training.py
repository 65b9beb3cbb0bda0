"""The settings of a training."""

from __future__ import annotations

from dataclasses import dataclass

from d2lrnn.checks import check_number, check_whole
from d2lrnn.config.fields import FLOAT32_MAX, check_choices, setting
from d2lrnn.errors import D2lrnnError

OPTIMIZERS = ("sgd", "adam")

LR_SCHEDULES = ("constant", "decay", "one-cycle")


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
            raise D2lrnnError(f"lr is {self.lr}: expected a number above 0 that float32 can hold")
        if not 0 < self.lr_decay <= 1:
            raise D2lrnnError(f"lr_decay is {self.lr_decay}: expected a number above 0, at most 1")
        if not 0 <= self.warm_up < 1:
            raise D2lrnnError(f"warm_up is {self.warm_up}: expected a share, at least 0 and below 1")
        if not 0 <= self.weight_decay < 1 / self.lr:
            raise D2lrnnError(f"weight_decay is {self.weight_decay}: expected at least 0 and below 1 / lr")
        if not self.theta > 0:
            raise D2lrnnError(f"theta is {self.theta}: expected a number above 0")
        if self.vary_steps + self.use_random_iter + bool(self.num_lines) > 1:
            raise D2lrnnError("vary_steps, use_random_iter and num_lines are three ways to make batches: choose one")
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise D2lrnnError(f"seed is {self.seed!r}: expected a whole number, 0 to {2**32 - 1}")
        if isinstance(self.prefixes, str):
            raise D2lrnnError(
                f"prefixes is the text {self.prefixes!r}: expected several texts, such as ({self.prefixes!r},)"
            )

    @property
    def carries_state(self) -> bool:
        """Whether each batch goes on where the last one ended."""
        return not (self.use_random_iter or self.num_lines)
