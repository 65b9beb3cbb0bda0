"""The settings of an evaluation in which the model adapts to the text that it reads."""

from __future__ import annotations

from dataclasses import dataclass

from d2lrnn.checks import check_whole
from d2lrnn.config.fields import MAX_STEPS, check_settings, setting


@dataclass(frozen=True)
class Cache:
    """The neural cache of Grave, Joulin and Usunier (2017, arXiv 1612.04426).

    A word gets more probability if the model's last output h_t is now like an output h_i that this word followed::

        p(w) = (1 - share) p_model(w) + share p_cache(w)
        p_cache(w) proportional to the sum, over the last positions i, of [x_(i+1) = w] exp(theta h_t . h_i)

    As long as the cache is empty, p is p_model.  The defaults are the best found for the configuration ``d2lrnn`` on
    Penn Treebank (benchmarks/adaptation.py); for another text, tune them on its validation split.
    """

    window: int = setting(1000, "positions that it remembers")
    theta: float = setting(0.9, "how much the likeness of outputs counts; at 0 all positions count the same", most=1e6)
    share: float = setting(0.1, "lambda, the cache's part in the mixture; at 0 nothing changes", below=1)

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class Dynamic:
    """Dynamic evaluation by the RMS rule of Krause, Kahembwe, Murray and Renals (2018, arXiv 1709.07432).

    After a window has been scored, all parameters take a step down the window's gradient g, and a step back to
    theta_0, their values at the beginning::

        theta <- theta - lr g / (sqrt(MS) + eps) + min(decay RMSnorm, 1) (theta_0 - theta)
        RMSnorm = sqrt(MS) / mean(sqrt(MS))

    g is the gradient of the mean loss over the window's tokens, truncated where the window begins, with dropout off.
    MS is the mean of g * g over windows of the training text, each of one row and of the same length.  The mean in
    RMSnorm is over the numbers of all parameters together.  The paper's code estimates MS on batches of 100 rows.
    Averaging makes their gradients about ten times smaller, so the paper's lr and eps are about a tenth of those here.
    For windows of another length, change lr and decay in proportion.  The defaults are the best found for the
    configuration ``d2lrnn`` on Penn Treebank (benchmarks/adaptation.py); with a cache beside it, half the lr is best.
    For another text, tune them on its validation split.
    """

    lr: float = setting(2e-3, "learning rate; at 0 nothing changes")
    decay: float = setting(5e-3, "lambda, how fast the parameters go back", most=1e6)
    num_steps: int = setting(10, "tokens of a window", most=MAX_STEPS)
    eps: float = setting(5e-4, "keeps steps small where the training text has hardly a gradient", above=0, most=1e6)
    gradient_tokens: int = setting(
        20_000, "first tokens of the training text, over which squared gradients are averaged"
    )

    def __post_init__(self) -> None:
        check_settings(self)
        check_whole("gradient_tokens", self.gradient_tokens, self.num_steps)
