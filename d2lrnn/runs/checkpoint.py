"""One file holds a trained model, its shape and vocabulary, how it was trained, and what the training needs to go on.

The file is a line with the format's version, a line with the SHA-256 of all that follows, and a NumPy ``.npz`` archive
of arrays and one JSON text.  Nothing in it is ever unpickled.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy

from d2lrnn.config.model import ModelConfig
from d2lrnn.config.training import TrainConfig
from d2lrnn.data.corpus import Corpus
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.device import ContextLike
from d2lrnn.errors import D2lrnnError, naming
from d2lrnn.models.build import build_model
from d2lrnn.models.parameters import get_values, named_parameters, set_values
from d2lrnn.runs.whole_file import whole_file

_MAGIC = b"d2lrnn checkpoint 2\n"

_META = "meta.json"

_TRAINING = "training/"  # before the names of the arrays that the training needs to go on


class CheckpointError(D2lrnnError):
    """A file is not a checkpoint, is damaged, or was written by another version; the message names it."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds."""

    model_config: ModelConfig
    vocab: Vocab
    train_config: TrainConfig
    corpus: str  # the name of the corpus
    parameters: dict[str, numpy.ndarray]  # by name, as named_parameters gives them
    origin: dict[str, Any] = field(default_factory=dict)  # what the corpus was loaded by; its digest
    training: tuple[dict, dict] | None = None  # of Training.snapshot; None: a model that only writes
    reached: dict[str, Any] = field(default_factory=dict)  # by the best model: its epoch, its valid_perplexity
    path: Path | None = field(default=None, compare=False)  # where it was read

    def build_model(self, ctx: ContextLike = None):
        """Make the model and give it the checkpoint's parameters.

        Raises:
            CheckpointError: if the parameters do not fit the model that the checkpoint describes.
        """
        model = build_model(self.model_config, len(self.vocab), ctx)
        targets = named_parameters(model)
        expected = {name: (target.shape, numpy.dtype(target.dtype)) for name, target in targets.items()}
        found = {name: (array.shape, array.dtype) for name, array in self.parameters.items()}
        if found != expected:
            names = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
            where = f"{self.path}: " if self.path else ""
            raise CheckpointError(f"{where}the parameters {', '.join(names)} do not fit the model {self.model_config}")
        for name, target in targets.items():
            set_values(target, self.parameters[name])
        return model

    @classmethod
    def of(cls, model, model_config: ModelConfig, train_config: TrainConfig, corpus: Corpus, **more: Any) -> Checkpoint:
        """Return what is to be saved of a model that was trained on a corpus; ``more``: the other fields."""
        parameters = {name: get_values(param).asnumpy() for name, param in named_parameters(model).items()}
        return cls(model_config, corpus.vocab, train_config, corpus.name, parameters, **more)


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint beside its place and move it there, so that there is never half a file.

    Raises:
        FileError: if it cannot be written; it names the file.
    """
    path = Path(path)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    meta = {
        "model_config": dataclasses.asdict(checkpoint.model_config),
        "train_config": dataclasses.asdict(checkpoint.train_config),
        "corpus": checkpoint.corpus,
        "origin": checkpoint.origin,
        "training": None if checkpoint.training is None else checkpoint.training[0],
        "reached": checkpoint.reached,
        "vocab": {"level": checkpoint.vocab.level, "tokens": list(checkpoint.vocab.idx_to_token)},
    }
    payload, memory = io.BytesIO(), {} if checkpoint.training is None else checkpoint.training[1]
    memory = {_TRAINING + name: array for name, array in memory.items()}
    numpy.savez(payload, **{_META: numpy.array(json.dumps(meta))}, **checkpoint.parameters, **memory)
    body = payload.getvalue()
    with whole_file(path) as file:
        file.write(_MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    return path


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        FileError: if it cannot be read.
        CheckpointError: if it is no checkpoint, damaged, or of another format version.
    """
    path = Path(path)
    body = _verified_body(path)
    try:
        with numpy.load(io.BytesIO(body), allow_pickle=False) as archive:
            arrays: dict[str, Any] = {name: archive[name] for name in archive.files}
        meta = json.loads(str(arrays.pop(_META)))
        memory = {name[len(_TRAINING) :]: arrays.pop(name) for name in list(arrays) if name.startswith(_TRAINING)}
        train = {**meta["train_config"], "prefixes": tuple(meta["train_config"]["prefixes"])}
        return Checkpoint(
            ModelConfig(**meta["model_config"]),
            Vocab.from_list(meta["vocab"]["tokens"], meta["vocab"]["level"]),
            TrainConfig(**train),
            meta["corpus"],
            arrays,
            dict(meta["origin"]),
            None if meta["training"] is None else (meta["training"], memory),
            dict(meta.get("reached", {})),
            path,
        )
    except Exception as error:  # the checksum is right, so somebody made the file up: anything may be wrong
        raise CheckpointError(f"{path}: the checkpoint's contents are not what they should be: {error!r}") from error


def _verified_body(path: Path) -> bytes:
    with naming(path):
        content = path.read_bytes()
    kind = _MAGIC[: _MAGIC.rindex(b" ")]
    if not content.startswith(kind):
        raise CheckpointError(f"{path} is not a d2lrnn checkpoint: expected it to begin with {kind.decode()!r}")
    if not content.startswith(_MAGIC):
        version = content[len(kind) :].split(b"\n", 1)[0][:20].decode(errors="replace").strip()
        raise CheckpointError(
            f"{path} has format version {version!r}, this d2lrnn reads {_MAGIC.split()[-1].decode()!r}"
        )
    digest, _, body = content[len(_MAGIC) :].partition(b"\n")
    found = hashlib.sha256(body).hexdigest()
    if found.encode() != digest:
        raise CheckpointError(
            f"{path} is damaged: its SHA-256 is {found}, expected {digest[:64].decode(errors='replace')}; "
            "was it cut off while it was copied? Take another copy, or train again"
        )
    return body


BEST, LAST, PICTURE = "model.d2lrnn", "last.d2lrnn", "loss.png"
