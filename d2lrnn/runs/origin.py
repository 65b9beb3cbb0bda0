"""Which text a run was trained on, and how to find it again."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from d2lrnn.data.corpora import CORPORA
from d2lrnn.data.corpus import Corpus
from d2lrnn.data.datasets import load_corpus
from d2lrnn.errors import naming
from d2lrnn.paths import PathLike, user_path
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.log import RunError

CORPUS_OPTIONS = ("max_tokens", "level", "lines", "held_out")  # arguments of load_corpus that a checkpoint keeps


def origin_of(corpus: Corpus, given: str, options: dict[str, Any], data_dir: PathLike | None = None) -> dict[str, Any]:
    """Return what a checkpoint keeps of its corpus: how to find it again, and a SHA-256 to tell it from another.

    Args:
        corpus: as it was loaded.
        given: the corpus's name or file.
        options: the other arguments of :func:`load_corpus`, named in ``CORPUS_OPTIONS``.
        data_dir: the folder to look in first, if one was named.
    """
    given = given if given in CORPORA else os.path.realpath(user_path(given))
    origin = {"given": given, **options, "sha256": hashlib.sha256(corpus.train.tobytes()).hexdigest()}
    return {**origin, "data_dir": os.path.realpath(user_path(data_dir))} if data_dir else origin


def reload_corpus(checkpoint: Checkpoint, data_dir: PathLike | None = None, given: str | None = None) -> Corpus:
    """Load the corpus that a run was trained on, or another with the same vocabulary.

    Args:
        checkpoint: of the run.
        data_dir: the folder to look in first; None: as in training, if that folder is still there.
        given: another corpus's name or file, or the same file in a new place; None: as in training.

    Raises:
        CorpusError: if the corpus is missing or damaged.
        RunError: if the corpus's vocabulary is not the model's, or if the checkpoint does not name a corpus.
    """
    origin = checkpoint.origin
    if given is None and not origin:
        raise RunError(f"the checkpoint does not say where its corpus {checkpoint.corpus} was found: name it, --corpus")
    options = {name: origin[name] for name in CORPUS_OPTIONS if name in origin}
    if data_dir is None and "data_dir" in origin:
        with naming(origin["data_dir"]):
            data_dir = origin["data_dir"] if Path(origin["data_dir"]).is_dir() else None
    corpus = load_corpus(origin["given"] if given is None else given, data_dir, **options)
    if corpus.vocab != checkpoint.vocab:
        raise RunError(
            f"the vocabulary of {corpus.name} ({len(corpus.vocab):,} tokens) is not the one that the model was trained "
            f"with ({checkpoint.corpus}, {len(checkpoint.vocab):,} tokens): expected the same tokens in the same order"
        )
    return corpus


def check_origin(checkpoint: Checkpoint, corpus: Corpus) -> None:
    """Refuse to go on with another text than the run began with.

    Raises:
        RunError: with both SHA-256 digests.
    """
    expected, found = checkpoint.origin.get("sha256"), hashlib.sha256(corpus.train.tobytes()).hexdigest()
    if expected != found:
        raise RunError(
            f"the text of {corpus.name} is not the one that the run began with: its ids have the SHA-256 {found}, "
            f"expected {expected}"
        )
