"""A trained translator: its checkpoint, its model, its two vocabularies, its sentence pairs, how it reads a text."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, NamedTuple

import numpy

from d2lrnn.config.presets import TRANSLATION
from d2lrnn.config.translation import TranslationConfig
from d2lrnn.data.pair_files import read_pairs
from d2lrnn.data.pair_sets import PAIR_SETS, load_pairs
from d2lrnn.data.pairs import PairExamples, PairForm, PairsCorpus, encode_sentence, swapped, unknown_tokens
from d2lrnn.data.sentences import SPECIAL
from d2lrnn.data.texts import Readable
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.device import ContextLike
from d2lrnn.errors import D2lrnnError
from d2lrnn.paths import PathLike, is_there, user_path
from d2lrnn.runs.checkpoint import Checkpoint, CheckpointError
from d2lrnn.runs.contents import SOURCE, TARGET
from d2lrnn.runs.log import RunError
from d2lrnn.runs.origin import keep_origin, place_of
from d2lrnn.runs.trained import Run


class Read(NamedTuple):
    """A text as a translator reads it."""

    ids: numpy.ndarray  # int32, without <bos> and <eos>
    unknown: list[str]  # the tokens that the vocabulary lacks, each once; the model reads each as <unk>


def form_of(plan: TranslationConfig, max_tokens: int, one_vocab: bool) -> PairForm:
    """Return how sentence pairs become ids.

    Args:
        plan: what is learnt of them.
        max_tokens: a pair with a longer side is left out of the training.
        one_vocab: whether both sides have the same vocabulary.
    """
    levels = (plan.source_level, plan.target_level)  # the form has those of the columns
    levels = levels[::-1] if plan.swap else levels
    return PairForm(levels, plan.swap, plan.min_count, max_tokens, plan.held_out, one_vocab)


def origin_of_pairs(data: PairsCorpus, given: str, data_dir: PathLike | None = None) -> dict[str, Any]:
    """Return what a checkpoint keeps of its pairs: how to find them again, and a SHA-256 to tell them from others.

    Args:
        data: as they were loaded.
        given: their name or their file.
        data_dir: the folder to look in first, if one was named.
    """
    origin = {"given": given if given in PAIR_SETS else place_of(given), "sha256": data.digest()}
    return {**origin, "data_dir": place_of(data_dir)} if data_dir else origin


class TranslatorRun(Run):
    """A translator that a training left.

    Args:
        path: the run's folder, or a checkpoint file.
        checkpoint: of the run.
        ctx: the device for the model, as for :func:`d2lrnn.device.as_ctx`.

    Attributes:
        path, checkpoint: as given.
        name: the run's, which is its folder's.
        source, target: the vocabularies of the sentences that are read and written.
        plan: how sentence pairs became ids and batches in the training.

    Raises:
        RunError: if the run is of another task.
        CheckpointError: if what the checkpoint says of its sentences does not fit its model.
    """

    TASK = TRANSLATION
    EXPECTED = "a translator, such as `train --config translate-en-zh` makes"

    def __init__(self, path: PathLike, checkpoint: Checkpoint, ctx: ContextLike = None) -> None:
        super().__init__(path, checkpoint, ctx)
        named = checkpoint.vocabularies if len(checkpoint.vocabularies) == 2 else {}
        found = [named.get(name) for name in (SOURCE, TARGET)]
        source, target = (vocab if vocab is not None and _translates(vocab) else None for vocab in found)
        shape = checkpoint.shape
        if source is None or target is None or (shape.head, shape.num_outputs) != ("translation", len(target)):
            raise CheckpointError(
                f"{checkpoint.path or self.path}: expected the vocabularies {SOURCE!r} and {TARGET!r}, each with "
                f"{', '.join(SPECIAL)} first, and a translator with an output for each token of the second"
            )
        self.source: Vocab = source
        self.target: Vocab = target
        try:
            self.plan = TranslationConfig(**checkpoint.data["plan"])
        except D2lrnnError as error:
            raise CheckpointError(f"{checkpoint.path}: data.plan: {error}") from error

    def read(self, text: str) -> Read:
        """Return a text as the model reads it.

        Raises:
            RunError: for a text without tokens.
        """
        ids = encode_sentence(text, self.source)
        if not len(ids):
            raise RunError("the text is empty: expected a sentence to translate")
        return Read(ids, unknown_tokens(text, self.source))

    def examples(self, source: Readable) -> PairExamples:
        """Return the pairs of a file as the model reads them, the columns as in the training.

        Args:
            source: the file, or a stream of bytes.

        Raises:
            PairsError, CorpusError: as for :func:`d2lrnn.data.pair_files.read_pairs`.
        """
        pairs = read_pairs(source)
        return PairExamples.of(swapped(pairs) if self.plan.swap else pairs, self.source, self.target)

    def pairs(self, data_dir: PathLike | None = None, corpus: PathLike | None = None) -> PairsCorpus:
        """Load the sentence pairs that the run was trained, validated and tested on; keep where they are now.

        Args:
            data_dir: the folder to look in first; None: as in training, if that folder is still there.
            corpus: the new place of a file of pairs; None: as in training.

        Raises:
            CorpusError: if they are missing or damaged.
            RunError: if they are not those that the run began with.
        """
        origin = self.checkpoint.origin
        if "given" not in origin:
            raise RunError(f"{self.path} does not say which sentence pairs it was trained on: train again")
        place = origin["given"] if corpus is None else str(corpus)
        if place not in PAIR_SETS:
            if corpus is None and not is_there(user_path(place)):
                raise RunError(f"the run's sentence pairs are not at {place} any more: name their new place, --corpus")
            place = place_of(place)
        if data_dir is None and os.path.isdir(origin.get("data_dir", "")):
            data_dir = origin["data_dir"]
        data = load_pairs(place, data_dir, self._form)
        found = data.digest()
        if found != origin["sha256"]:
            raise RunError(
                f"the sentence pairs of {data.name} are not those that the run began with: they have the SHA-256 "
                f"{found}, expected {origin['sha256']}; put the old ones back, or train a new run"
            )
        new = {**origin, "given": place} | ({"data_dir": place_of(data_dir)} if data_dir else {})
        self.checkpoint = keep_origin(self.checkpoint, new)
        return data

    @property
    def _form(self) -> PairForm:
        """How sentence pairs became ids."""
        plan = dataclasses.replace(self.plan, source_level=self.source.level, target_level=self.target.level)
        return form_of(plan, self.checkpoint.train_config.num_steps, self.checkpoint.shape.share)


def _translates(vocab: Vocab) -> bool:
    """Return whether a vocabulary is one of a translator."""
    return vocab.idx_to_token[: len(SPECIAL)] == SPECIAL
