"""The settings of a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from d2lrnn.checks import check_whole, shown
from d2lrnn.config.fields import (
    MAX_EPOCHS,
    MAX_PRED_LEN,
    MAX_SEED,
    MAX_STEPS,
    check_names,
    check_settings,
    setting,
)
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

    num_epochs: int = setting(160, "passes over the text", most=MAX_EPOCHS)
    batch_size: int = setting(32, "rows of a batch")
    num_steps: int = setting(35, "length of truncated backpropagation through time", most=MAX_STEPS)
    optimizer: str = setting("sgd", "sgd is the book's", OPTIMIZERS)
    lr: float = setting(1e2, "learning rate; for adam take 0.005 or so", above=0)
    theta: float = setting(1e-2, "gradients are scaled down to this L2 norm; inf: never", above=0, most=math.inf)
    batches: str = setting("consecutive", "what the rows of a batch are", BATCHES)
    pred_period: int = setting(40, "epochs between reports and samples")
    pred_len: int = setting(50, "tokens in a sample, after its prefix", least=0, most=MAX_PRED_LEN)
    prefixes: tuple[str, ...] = setting((), None)  # what the samples start from
    seed: int = setting(0, "of parameters, order of batches and dropout", least=0, most=MAX_SEED)
    verbose: bool = setting(True, None)  # progress bar, reports and samples
    # Lines of a row where batches are "lines"; such a row has at most num_steps tokens.
    num_lines: int = setting(1, None, most=MAX_STEPS)
    lr_schedule: str = setting("constant", "how lr changes: see --constant-epochs and --warm-up", LR_SCHEDULES)
    constant_epochs: int = setting(1, "decay: after so many epochs, lr is multiplied by lr_decay before each epoch")
    lr_decay: float = setting(1.0, "decay: the factor", above=0, most=1)
    warm_up: float = setting(0.1, "one-cycle: share of the training in which lr rises; then it falls to 0", below=1)
    weight_decay: float = setting(0.0, "each step takes lr times this off the parameters (decoupled, as in AdamW)")
    sum_over_steps: bool = setting(False, "lr and theta are for a loss summed over time steps, else for the mean")
    averaging: int = setting(
        0, "average parameters once validation is worse than so many epochs ago; 0: never", least=0
    )
    patience: int = setting(0, "end once validation has not improved for so many epochs; 0: never", least=0)
    pred_temperature: float = setting(0.0, "of the samples; 0: always the likeliest token")

    def __post_init__(self) -> None:
        check_settings(self)
        if not self.weight_decay < 1 / self.lr:
            raise D2lrnnError(f"weight_decay is {self.weight_decay:g}: expected below 1 / lr, which is {1 / self.lr:g}")
        if self.batches != "lines" and self.num_lines != 1:
            raise D2lrnnError(
                f"num_lines is {self.num_lines} where batches are {self.batches!r}: expected batches 'lines', or 1"
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
        if flat:
            ways = {name: given.pop(name) for name in ("use_random_iter", "vary_steps", "num_lines") if name in given}
            given |= _batches_of(**ways)
        return cls(**given)


def _batches_of(use_random_iter: bool = False, vary_steps: bool = False, num_lines: int = 0) -> dict[str, Any]:
    """Return the fields that the three exclusive settings of :attr:`TrainConfig.flat` stand for."""
    num_lines = check_whole("num_lines", num_lines, 0, MAX_STEPS)
    for name, value in (("use_random_iter", use_random_iter), ("vary_steps", vary_steps)):
        if not isinstance(value, bool):
            raise D2lrnnError(f"{name} is {shown(value)}: expected true or false")
    if vary_steps + use_random_iter + bool(num_lines) > 1:
        raise D2lrnnError("vary_steps, use_random_iter and num_lines are three ways to make batches: choose one")
    if num_lines:
        return {"batches": "lines", "num_lines": num_lines}
    return {"batches": "random" if use_random_iter else "varied" if vary_steps else "consecutive"}
