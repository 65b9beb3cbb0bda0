"""The settings of text generation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from d2lrnn.checks import shown
from d2lrnn.config.fields import MAX_BEAM_WIDTH, check_settings, setting
from d2lrnn.errors import D2lrnnError


@dataclass(frozen=True)
class Sampling:
    """How :func:`d2lrnn.generation.sampling.generate` finds the next token: by chance, or by beam search.

    Each default changes nothing: ``Sampling()`` draws from the model's own distribution, at temperature 1.
    ``Sampling(temperature=0)`` always takes the likeliest token, which is greedy search; so does a beam of width 1.
    The settings act in this order: repetition penalty, temperature, top_k, top_p.

    Sources: top_k of Fan, Lewis and Dauphin (2018, arXiv 1805.04833); top_p, the nucleus, of Holtzman et al. (2020,
    arXiv 1904.09751); the repetition penalty of Keskar et al. (2019, arXiv 1909.05858).
    """

    temperature: float = setting(1.0, "logits are divided by this; 0: always the likeliest token")
    top_k: int = setting(0, "choose among so many likeliest tokens only; 0: all", least=0, most=math.inf)
    top_p: float = setting(
        1.0, "choose among the fewest tokens that have this probability together; 1: all", above=0, most=1
    )
    repetition_penalty: float = setting(
        1.0, "above 1, a token that is there already is less likely; 1: none", least=1e-6, most=1e6
    )
    beam_width: int = setting(
        0, "look for the likeliest text with so many hypotheses; 0: no search", least=0, most=MAX_BEAM_WIDTH
    )
    length_penalty: float = setting(0.0, "beam: texts are ranked by log p / length ** this; 0: by log p", most=10)
    seed: int = setting(0, "of chance; text i of a batch has seed + i", least=0, most=math.inf)
    stop: str | None = setting(None, None, kind=str)  # the token at which a text ends; it is not part of the text
    without: tuple[str, ...] = setting((), None)  # tokens that are never written

    def __post_init__(self) -> None:
        check_settings(self)
        if self.stop == "":
            raise D2lrnnError("stop is '': expected a token of the vocabulary, or None")
        self._check_combination()

    def _check_combination(self) -> None:
        truncated = bool(self.top_k) or self.top_p < 1
        if self.temperature == 0 and truncated:
            raise D2lrnnError("temperature 0 takes the likeliest token whatever top_k and top_p are: leave them out")
        if self.beam_width and (self.temperature != 1 or truncated):
            raise D2lrnnError("beam search leaves nothing to chance: leave temperature, top_k and top_p out")
        if self.length_penalty and not (self.beam_width and self.stop):
            raise D2lrnnError(
                "length_penalty compares texts of different length, which only a beam search with a stop token has: "
                "set beam_width and stop, or leave it out"
            )
        if self.stop in self.without:
            raise D2lrnnError(
                f"stop and without both name {shown(self.stop)}: a token that is never written ends no text, so leave "
                "one of them out"
            )

    @property
    def by_chance(self) -> bool:
        """Whether another seed can give another text."""
        return not self.beam_width and self.temperature > 0 and self.top_k != 1


@dataclass(frozen=True)
class Decoding:
    """How :func:`d2lrnn.generation.translation.translate` finds a translation.

    Raises:
        D2lrnnError: for a value that cannot be.
    """

    beam_width: int = setting(5, "look for the likeliest translation with so many hypotheses; 1: greedy", most=100)
    length_penalty: float = setting(1.0, "translations are ranked by log p / length ** this; 0: by log p", most=10)
    copy_unknown: bool = setting(
        False, "where the model writes <unk>, put the source word that it looks at most (it never writes <unk>)"
    )
    with_weights: bool = setting(False, None)  # whether a translation tells what the attention looked at
    max_ratio: float = setting(
        3.0, "a translation has at most 10 tokens and this many for each token of the source", above=0, most=100
    )

    def __post_init__(self) -> None:
        check_settings(self)

    def limit(self, source_steps: int) -> int:
        """Return how many tokens a translation may have, with its ``<eos>``."""
        return 10 + math.ceil(self.max_ratio * source_steps)
