"""What a training run has shown, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field

from d2lrnn.evaluation.losses import format_perplexity


@dataclass
class History:
    """What a training run showed: one entry an epoch in each list, and the samples."""

    perplexity: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)  # mean over the epoch's batches, before clipping
    tokens_per_second: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # of each epoch, without validation and samples
    samples: list[tuple[int, str, str]] = field(default_factory=list)  # (epoch, prefix, text)
    stopped: str = ""  # why training ended before num_epochs; empty if it did not
    lr: list[float] = field(default_factory=list)  # of the epoch's last batch
    valid_perplexity: list[float] = field(default_factory=list)  # empty where the corpus has no such split

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, with the lowest perplexity in validation; the last one where there is no validation."""
        if not self.valid_perplexity:
            return len(self.perplexity)
        return 1 + self.valid_perplexity.index(min(self.valid_perplexity))


@dataclass
class Position:
    """Where a training run stands in its epoch, and what the epoch has shown so far."""

    epoch: int = 1  # of the next batch
    batch: int = 0  # batches of that epoch already taken
    loss_sum: float = 0.0  # of all tokens so far, in nats
    num_tokens: int = 0
    norm_sum: float = 0.0  # of the gradients, before clipping
    seconds: float = 0.0
    lr: float = 0.0  # of the last batch


def report_line(epoch: int, history: History) -> str:
    """Return what an epoch has shown, in a line; the learning rate too, once it has changed."""
    numbers = [f"perplexity {format_perplexity(history.perplexity[-1])}"]
    if history.valid_perplexity:
        numbers.append(f"in validation {format_perplexity(history.valid_perplexity[-1])}")
    if len(set(history.lr)) > 1:
        numbers.append(f"lr {history.lr[-1]:.3g}")
    numbers += [f"gradient norm {history.grad_norm[-1]:.3f}", f"{history.tokens_per_second[-1]:,.0f} tokens/s"]
    return f"epoch {epoch}, {', '.join(numbers)}, {sum(history.seconds):.1f} s"
