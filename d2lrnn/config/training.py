"""The settings of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from d2lrnn.checks import check_number, check_whole
from d2lrnn.config.fields import FLOAT32_MAX, check_choices, check_names, setting
from d2lrnn.errors import D2lrnnError

# What the rows of a batch are.
BATCHES = (
    "consecutive",  # windows that go on where those of the last batch ended
    "random",  # windows from all over the text, in random order
    "varied",  # consecutive windows of varying length
    "lines",  # whole lines, in random order
)

OPTIMIZERS = ("sgd", "adam")

LR_SCHEDULES = ("constant", "decay", "one-cycle")


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained; the defaults are the book's for the GRU and the LSTM.

    With ``sum_over_steps`` the loss is that of the TensorFlow tutorial and of Zaremba et al. (arXiv 1409.2329): summed
    over the time steps, averaged over the batch.  This loss is num_steps times the mean over tokens, and its gradients
    are num_steps times as large: for SGD, ``lr`` and ``theta`` on the sum are ``lr * num_steps`` and
    ``theta / num_steps`` on the mean.  For padded lines, num_steps is the mean number of tokens, without padding, in a
    row of the batch.  For ``"varied"`` batches, num_steps is the window's own length, so longer windows take larger
    steps of SGD, as in AWD-LSTM (Merity et al. 2017, arXiv 1708.02182).  There is one difference: a clipped step here
    always has the length ``lr * theta``; in AWD-LSTM a clipped step still grows with the window.

    Raises:
        D2lrnnError: for a value that cannot be.
    """

    num_epochs: int = setting(160, "passes over the text")
    batch_size: int = setting(32, "rows of a batch")
    num_steps: int = setting(35, "length of truncated backpropagation through time")
    optimizer: str = setting("sgd", "sgd is the book's", OPTIMIZERS)
    lr: float = setting(1e2, "learning rate; for adam take 0.005 or so")
    theta: float = setting(1e-2, "gradients are scaled down to this L2 norm; inf: never")
    batches: str = setting("consecutive", "what the rows of a batch are", BATCHES)
    pred_period: int = setting(40, "epochs between reports and samples")
    pred_len: int = setting(50, "tokens in a sample, after its prefix")
    prefixes: tuple[str, ...] = ()  # what the samples start from
    seed: int = setting(0, "of parameters, order of batches and dropout")
    verbose: bool = True  # progress bar, reports and samples
    num_lines: int = 1  # lines of a row where batches are "lines"; such a row has at most num_steps tokens
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
            "num_lines",
        ):
            check_whole(name, getattr(self, name), 0 if name == "pred_len" else 1)
        for name in ("averaging", "patience"):
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
        if self.batches != "lines" and self.num_lines != 1:
            raise D2lrnnError(
                f"num_lines is {self.num_lines} where batches are {self.batches!r}: expected batches 'lines', or 1"
            )
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise D2lrnnError(f"seed is {self.seed!r}: expected a whole number, 0 to {2**32 - 1}")
        if isinstance(self.prefixes, str):
            raise D2lrnnError(
                f"prefixes is the text {self.prefixes!r}: expected several texts, such as ({self.prefixes!r},)"
            )

    @property
    def carries_state(self) -> bool:
        """Whether each batch goes on where the batch before ended, so that the state is carried on."""
        return self.batches in ("consecutive", "varied")

    @property
    def lines_per_row(self) -> int:
        """The number of whole lines in a row of a batch; 0: rows are windows."""
        return self.num_lines if self.batches == "lines" else 0

    @property
    def flat(self) -> dict[str, Any]:
        """All settings under the names of the command line's options.

        Three settings that exclude one another take the place of ``batches`` and ``num_lines``: ``use_random_iter``,
        ``vary_steps``, and a ``num_lines`` that is 0 where rows are windows.
        """
        values: dict[str, Any] = {}
        for name, value in vars(self).items():
            if name == "batches":
                values["use_random_iter"] = value == "random"
            elif name == "num_lines":
                values |= {"vary_steps": self.batches == "varied", "num_lines": self.lines_per_row}
            else:
                values[name] = value
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """Return the configuration that a checkpoint holds or that options of the command line give.

        Args:
            values: what ``dataclasses.asdict`` returns, or settings as in :attr:`flat`, which old checkpoints have;
                ``prefixes`` may be a list.

        Raises:
            D2lrnnError: for an unknown setting, or a value that cannot be.
        """
        flat = not (isinstance(values, Mapping) and "batches" in values)
        check_names("the settings of a training", values, [*(cls().flat if flat else vars(cls()))])
        given = dict(values)
        prefixes = given.pop("prefixes", ())
        if not isinstance(prefixes, (list, tuple)):
            raise D2lrnnError(f"prefixes is {prefixes!r}, of type {type(prefixes).__name__}: expected a list of texts")
        try:
            if flat:
                ways = {
                    name: given.pop(name) for name in ("use_random_iter", "vary_steps", "num_lines") if name in given
                }
                given |= _batches_of(**ways)
            return cls(**given, prefixes=tuple(prefixes))
        except TypeError as error:
            raise D2lrnnError(
                f"the settings of a training have a value of another type than expected: {error}"
            ) from error


def _batches_of(use_random_iter: bool = False, vary_steps: bool = False, num_lines: int = 0) -> dict[str, Any]:
    """Return the fields that the three exclusive settings of :attr:`TrainConfig.flat` stand for."""
    check_whole("num_lines", num_lines, 0)
    if vary_steps + use_random_iter + bool(num_lines) > 1:
        raise D2lrnnError("vary_steps, use_random_iter and num_lines are three ways to make batches: choose one")
    if num_lines:
        return {"batches": "lines", "num_lines": num_lines}
    return {"batches": "random" if use_random_iter else "varied" if vary_steps else "consecutive"}
