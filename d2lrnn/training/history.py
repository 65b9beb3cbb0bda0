"""What a training run has shown, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from d2lrnn.training.objective import format_measure


@dataclass
class History:
    """What a training run has shown: the measures of each finished epoch by name, and the samples.

    For example, an epoch of a language model is ``{"perplexity": 3.2, "lr": 1.0, "grad_norm": 0.4,
    "tokens_per_second": 9000.0, "seconds": 12.5, "valid_perplexity": 4.1}``.  ``history["perplexity"]``, or
    ``history.perplexity``, is the list over the epochs.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    samples: list[tuple[int, str, str]] = field(default_factory=list)  # (epoch, prefix, text)
    stopped: str = ""  # why training ended before num_epochs; empty if it did not
    measure: str = "perplexity"  # the name of the number that the run is judged by
    less_is_better: bool = True  # whether a smaller such number is better

    @classmethod
    def from_columns(cls, columns: Mapping[str, Sequence[float]], **more: Any) -> History:
        """Return the history whose measures have these values over the epochs.

        Args:
            columns: lists of values by the measures' names; a measure with three values is in the first three epochs.
            more: other fields of the history.
        """
        count = max(map(len, columns.values()), default=0)
        epochs = [{name: values[i] for name, values in columns.items() if i < len(values)} for i in range(count)]
        return cls(epochs, **more)

    def until(self, epoch: int) -> History:
        """Return a copy of the history as it was after an epoch, from 1; after epoch 0 it was empty."""
        samples = [sample for sample in self.samples if sample[0] <= epoch]
        return replace(self, epochs=[dict(measures) for measures in self.epochs[:epoch]], samples=samples)

    def __getitem__(self, name: str) -> list[float]:
        """Return a measure's values, one for each epoch that has it."""
        return list(self.numbered(name).values())

    def numbered(self, name: str) -> dict[int, float]:
        """Return a measure's values by the number of the epoch, from 1, of the epochs that have it."""
        return {number: epoch[name] for number, epoch in enumerate(self.epochs, 1) if name in epoch}

    @property
    def trained(self) -> list[float]:
        """The measure that the run is judged by, in training."""
        return self[self.measure]

    @property
    def valid_measure(self) -> str:
        """The name of the measure in validation, such as ``valid_perplexity``."""
        return f"valid_{self.measure}"

    @property
    def valid(self) -> list[float]:
        """The measure in validation, of the epochs that have it; empty without a validation split."""
        return self[self.valid_measure]

    @property
    def validated(self) -> list[int]:
        """The epochs, from 1, that have the measure in validation."""
        return list(self.numbered(self.valid_measure))

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, that is best in validation, the first of equal ones; without validation the last epoch."""
        if not self.valid:
            return len(self.epochs)
        best = (min if self.less_is_better else max)(self.valid)
        return self.validated[self.valid.index(best)]

    @property
    def perplexity(self) -> list[float]:
        """The perplexity in training."""
        return self["perplexity"]

    @property
    def valid_perplexity(self) -> list[float]:
        """The perplexity in validation; empty without a validation split."""
        return self["valid_perplexity"]

    @property
    def grad_norm(self) -> list[float]:
        """The gradient's norm before clipping, the mean over an epoch's batches."""
        return self["grad_norm"]

    @property
    def lr(self) -> list[float]:
        """The learning rate of each epoch's last batch."""
        return self["lr"]

    @property
    def tokens_per_second(self) -> list[float]:
        """The speed of a language model's training."""
        return self["tokens_per_second"]

    @property
    def seconds(self) -> list[float]:
        """The time of each epoch, without validation and samples."""
        return self["seconds"]


@dataclass
class Position:
    """Where a training run stands in its epoch, and the epoch's sums so far."""

    epoch: int = 1  # of the next batch
    batch: int = 0  # batches of that epoch already taken
    loss_sum: float = 0.0  # of the losses of all tokens, or whatever the objective counts
    count: int = 0  # how many tokens, or whatever the objective counts
    norm_sum: float = 0.0  # of the gradients' norms before clipping
    seconds: float = 0.0
    lr: float = 0.0  # of the last batch
    score_sum: float = 0.0  # of the batches' scores, if the objective has any

    def add(self, loss: float, score: float, count: int, norm: float) -> None:
        """Add what a batch has shown: its mean loss, its score, over how many its loss is, its gradient's norm."""
        self.loss_sum += loss * count
        self.score_sum += score
        self.count += count
        self.norm_sum += norm

    def as_epoch(self, measure: str, found: float, unit: str) -> dict[str, float]:
        """Return what a history holds of the epoch: the measure's value, and what these sums tell."""
        return {
            measure: found,
            "lr": self.lr,
            "grad_norm": self.norm_sum / self.batch,
            f"{unit}_per_second": self.count / self.seconds,
            "seconds": self.seconds,
        }


class Step(NamedTuple):
    """What one step has shown."""

    loss: Any  # the mean loss, an array of shape ()
    # The gradient's norm before clipping, of the summed loss with ``sum_over_steps``, else of the mean loss.  If the
    # norm is NaN or infinite, the step changed no parameter.
    norm: float
    state: tuple  # after the batch
    score: Any  # of the batch, as the objective returned it


def report_line(epoch: int, history: History) -> str:
    """Return a line about the last epoch, of this number; the learning rate is in it once it has changed."""
    last, name = history.epochs[-1], history.measure
    numbers = [f"{name} {format_measure(name, last[name])}"]
    if history.valid_measure in last:
        numbers.append(f"in validation {format_measure(name, last[history.valid_measure])}")
    if len(set(history.lr)) > 1:
        numbers.append(f"lr {last['lr']:.3g}")
    numbers.append(f"gradient norm {last['grad_norm']:.3f}")
    numbers += [f"{last[key]:,.0f} {key.replace('_per_second', '/s')}" for key in last if key.endswith("_per_second")]
    return f"epoch {epoch}, {', '.join(numbers)}, {sum(history.seconds):.1f} s"
