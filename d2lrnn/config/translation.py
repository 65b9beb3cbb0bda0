"""What a translator is to learn of sentence pairs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from d2lrnn.config.fields import PAIR_BATCHES, SENTENCE_LEVELS, check_settings, setting
from d2lrnn.errors import D2lrnnError


@dataclass(frozen=True)
class TranslationConfig:
    """How sentence pairs become ids and batches, and what is asked of the model; a checkpoint holds it.

    Raises:
        D2lrnnError: for a value that cannot be.
    """

    source_level: str | None = setting(
        None, "tokens of the sentences that are read, none: as their script asks for", SENTENCE_LEVELS, kind=str
    )
    target_level: str | None = setting(
        None, "tokens of the translations, none: as their script asks for", SENTENCE_LEVELS, kind=str
    )
    min_count: int = setting(2, "a token that comes less often in the training becomes <unk>")
    batching: str = setting(
        "lengths", "a batch has equally long sources, or pairs of a bucket, padded in front", PAIR_BATCHES
    )
    reverse_source: bool = setting(False, "read each source from its end to its beginning")
    label_smoothing: float = setting(
        0.0, "share of the probability that is asked to be spread over all tokens alike", below=1
    )
    sampled_softmax: int = setting(
        0, "compare the right tokens of a batch with so many drawn ones; 0: with all tokens", least=0
    )
    scheduled_sampling: float = setting(
        0.0, "share of the decoder's own tokens that it reads in the last epoch; 0 in the first", most=1
    )
    swap: bool = setting(False, None)  # whether the second column is translated into the first
    held_out: int | None = setting(None, None, kind=int, least=0)  # see PairForm

    def __post_init__(self) -> None:
        check_settings(self)
        if self.sampled_softmax and self.label_smoothing:
            raise D2lrnnError(
                f"label_smoothing is {self.label_smoothing:g}, which is of all tokens, and sampled_softmax "
                f"{self.sampled_softmax}, which compares few: expected one of them to be 0"
            )


# Those that a checkpoint may lack, since it was written before there were such settings.
NEWER_SETTINGS = ("sampled_softmax", "scheduled_sampling")

# Those that have an option.
TRANSLATION_SETTINGS = tuple(field.name for field in dataclasses.fields(TranslationConfig) if "help" in field.metadata)
