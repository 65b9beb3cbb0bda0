"""Which text a run was trained on, and how to find it again; where the data of any run are now."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from d2lrnn.data.corpora import CORPORA
from d2lrnn.data.corpus import Corpus
from d2lrnn.data.datasets import load_corpus
from d2lrnn.data.texts import CorpusNotFoundError
from d2lrnn.errors import D2lrnnError, naming
from d2lrnn.paths import PathLike, is_there, user_path
from d2lrnn.runs.checkpoint import BEST, LAST, Checkpoint, load_checkpoint, save_checkpoint
from d2lrnn.runs.lock import FolderLock
from d2lrnn.runs.log import RunError

CORPUS_OPTIONS = ("max_tokens", "level", "lines", "held_out")  # arguments of load_corpus that a checkpoint keeps

# The end of the error where a run is asked to take another text.
_WHAT_IS_POSSIBLE = (
    "a run keeps to the text that it began with. To learn from more text, train a new run on all of it together; to "
    "measure the model on another text, evaluate it with --text FILE"
)


def place_of(path: PathLike) -> str:
    """Return the place of a file or folder as a checkpoint keeps it."""
    return os.path.realpath(user_path(path))


def origin_of(corpus: Corpus, given: str, options: dict[str, Any], data_dir: PathLike | None = None) -> dict[str, Any]:
    """Return what a checkpoint keeps of its corpus: how to find it again, and a SHA-256 to tell it from another.

    Args:
        corpus: as it was loaded.
        given: the corpus's name or file.
        options: the other arguments of :func:`load_corpus`, named in ``CORPUS_OPTIONS``.
        data_dir: the folder to look in first, if one was named.
    """
    given = given if given in CORPORA else place_of(given)
    origin = {"given": given, **options, "sha256": _digest(corpus)}
    return {**origin, "data_dir": place_of(data_dir)} if data_dir else origin


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
    if given is None and not checkpoint.corpus:
        raise RunError(
            "the model was imported, and its file does not say on which text it was trained: name a corpus of its "
            "vocabulary, --corpus"
        )
    if given is None and not origin:
        raise RunError(f"the checkpoint does not say where its corpus {checkpoint.corpus} was found: name it, --corpus")
    options = {name: origin[name] for name in CORPUS_OPTIONS if name in origin}
    if data_dir is None and "data_dir" in origin:
        with naming(origin["data_dir"]):
            data_dir = origin["data_dir"] if user_path(origin["data_dir"]).is_dir() else None
    corpus = load_corpus(_place_in(origin) if given is None else given, data_dir, **options)
    if corpus.vocab != checkpoint.vocab:
        raise RunError(
            f"the vocabulary of {corpus.name} ({len(corpus.vocab):,} tokens) is not the one that the model was trained "
            f"with ({checkpoint.corpus}, {len(checkpoint.vocab):,} tokens): expected the same tokens in the same "
            f"order; {_WHAT_IS_POSSIBLE}"
        )
    return corpus


def _place_in(origin: dict[str, Any]) -> str:
    """Return the name or the file of a run's corpus."""
    given = origin["given"]
    if given not in CORPORA and not is_there(user_path(given)):
        raise CorpusNotFoundError(f"the run's corpus is not at {given} any more: name its new place, --corpus FILE")
    return given


def check_origin(checkpoint: Checkpoint, corpus: Corpus) -> None:
    """Refuse to go on with another text than the run began with.

    Raises:
        RunError: with both SHA-256 digests.
    """
    expected, found = checkpoint.origin.get("sha256"), _digest(corpus)
    if expected != found:
        raise RunError(
            f"the text of {corpus.name} is not the one that the run began with: its ids have the SHA-256 {found}, "
            f"expected {expected}; {_WHAT_IS_POSSIBLE}"
        )


def remember_place(
    checkpoint: Checkpoint, corpus: Corpus, data_dir: PathLike | None = None, given: str | None = None
) -> Checkpoint:
    """Keep the new place of a run's corpus in the run's files, if the text there has the digest of the old one.

    Args:
        checkpoint: of the run.
        corpus: as it was loaded.
        data_dir: the folder that the user named.
        given: the corpus's name or file that the user named.

    Returns:
        the checkpoint with the new place.  Files that cannot be written, or that a training is writing, stay as they
        are.
    """
    old = checkpoint.origin
    if (given is None and data_dir is None) or "given" not in old or old.get("sha256") != _digest(corpus):
        return checkpoint
    options = {name: old[name] for name in CORPUS_OPTIONS if name in old}
    new = origin_of(corpus, old["given"] if given is None else given, options, data_dir or old.get("data_dir"))
    return keep_origin(checkpoint, new)


def keep_origin(checkpoint: Checkpoint, new: dict[str, Any]) -> Checkpoint:
    """Keep in the run's files where the same data are now; return the checkpoint with the new place.

    Files that cannot be written, or that a training is writing, stay as they are.
    """
    if new == checkpoint.origin:
        return checkpoint
    if checkpoint.path is not None:
        _write_place(checkpoint.path, checkpoint.origin, new)
    return dataclasses.replace(checkpoint, origin=new)


def _write_place(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Write the new place of a run's data into the checkpoints of a run that name the old one."""
    with suppress(D2lrnnError):
        lock = FolderLock(path.parent)
        try:
            for file in {path, path.parent / BEST, path.parent / LAST}:
                if file.is_file():
                    checkpoint = load_checkpoint(file)
                    if checkpoint.origin == old:
                        save_checkpoint(file, dataclasses.replace(checkpoint, origin=new))
        finally:
            lock.release()


def _digest(corpus: Corpus) -> str:
    return hashlib.sha256(corpus.train.data).hexdigest()  # without a copy of the ids
