"""One file holds a trained model, its shape and vocabulary, how it was trained, and what the training needs to go on.

The file is a line with the format's version, a line with the SHA-256 of all that follows, and a NumPy ``.npz`` archive
of arrays and one JSON text.  Nothing in it is ever unpickled.  NumPy alone reads it, without d2lrnn and MXNet::

    with open("model.d2lrnn", "rb") as file:
        version, digest, body = file.readline(), file.readline(), file.read()
    assert version.strip() == b"d2lrnn checkpoint 3" and digest.decode().strip() == hashlib.sha256(body).hexdigest()
    arrays = dict(numpy.load(io.BytesIO(body)))
    about = json.loads(str(arrays.pop("meta.json")))
    tokens = about["vocabularies"]["text"]["tokens"]  # by id
    parameters = {name[11:]: array for name, array in arrays.items() if name.startswith("parameters/")}

``about`` also has the vocabulary's ``level`` (char, word or bigram), ``model_config`` and ``train_config`` (the fields
of these classes), ``corpus``, ``origin`` (how the corpus is found again), ``reached`` (epoch and measures of the model)
and, in last.d2lrnn, ``training`` (position and history), to which the arrays ``training/...`` belong.

All parameters are float32.  Their names depend on the ``kind`` in ``model_config``:

* scratch, fast: the book's names and shapes, such as ``W_xi`` (num_inputs, num_hiddens), ``b_i`` and ``W_hq``.  Where
  there are several layers, ``l1.W_xi`` is of the second; ``l1.reverse.W_xi`` is of its direction from the right.
* gluon: ``embedding.weight`` (vocab_size, embed_size), ``dense.weight`` (num_outputs, width), which a model with tied
  weights lacks, and ``dense.bias``.  A layer has ``rnn._unfused.0.i2h_weight`` (gates * num_hiddens, num_inputs),
  ``h2h_weight``, and the biases ``i2h_bias`` and ``h2h_bias``, which are added up.  The gates stand below one another:
  r, z, h, or i, f, c, o.  Of several layers, ``rnn.layers.1.`` stands in place of ``rnn.``; of two directions,
  ``l_cell.`` and ``r_cell.`` stand after ``_unfused.0.``.  The layers of cells that Gluon lacks have no ``_unfused.0.``
  but ``l0_i2h_weight``, or ``r0_i2h_weight`` from the right, and so on; beside them ``l0_c2h_weight``, the peepholes of
  i, f and o, and ``l0_h2r_weight``, the projection.
* a translator on Gluon: these names after ``encoder.`` and ``decoder.``, the vocabularies ``source`` and ``target``;
  :func:`d2lrnn.models.shapes.parameter_shapes` has the names of the bridge and of the attention.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy

from d2lrnn.config.model import ModelConfig
from d2lrnn.config.presets import LANGUAGE_MODEL
from d2lrnn.config.run_files import BEST as BEST
from d2lrnn.config.run_files import LAST as LAST
from d2lrnn.config.run_files import PICTURE as PICTURE
from d2lrnn.config.training import TrainConfig
from d2lrnn.data.corpus import Corpus
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.device import ContextLike
from d2lrnn.errors import D2lrnnError, UnknownCellError, naming
from d2lrnn.models.build import build_model
from d2lrnn.models.parameters import get_values, named_parameters, set_values
from d2lrnn.paths import PathLike, make_folder, user_path
from d2lrnn.runs.archive import ArchiveError, Kind, Member, members_of, read_array, read_text, taken
from d2lrnn.runs.contents import TEXT, check_arrays, check_meta, check_parameters, check_same, vocab_size_of
from d2lrnn.runs.format2 import upgraded
from d2lrnn.runs.schema import parse
from d2lrnn.runs.whole_file import open_file, whole_file
from d2lrnn.training.snapshot import Snapshot

_KIND = b"d2lrnn checkpoint "
VERSION = 3  # of the format that is written; format 2 is read too
_META = "meta.json"
_PARAMETERS = "parameters/"  # stands before the names of the parameters
_TRAINING = "training/"  # stands before the names of the arrays that the training needs to go on
_WRONG = "the checkpoint's contents are not what they should be"


class CheckpointError(D2lrnnError):
    """A file is not a checkpoint, is damaged, or was written by another version; the message names it."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds."""

    model_config: ModelConfig | None  # None: a model that no configuration describes; make it and call fill(model)
    # By name: "text" of a model that reads or writes texts, "labels" of a classifier, its classes' names, "source" and
    # "target" of a translator.
    vocabularies: dict[str, Vocab]
    train_config: TrainConfig
    corpus: str  # the name of the corpus; "": not known, as of a model that was imported
    parameters: dict[str, numpy.ndarray] = field(default_factory=dict)  # by name, as named_parameters gives them
    origin: dict[str, Any] = field(default_factory=dict)  # how the corpus was loaded, and its SHA-256
    training: Snapshot | None = None  # where the training stands; None: the file holds no position to go on from
    reached: dict[str, Any] = field(default_factory=dict)  # of the best model: its epoch, its measure in validation
    path: Path | None = field(default=None, compare=False)  # the file that the checkpoint was read from
    task: str = LANGUAGE_MODEL  # what the run is about, one of config.presets.TASKS
    data: dict[str, Any] = field(default_factory=dict)  # what the task knows of its data, such as the scale of a series

    @property
    def vocab(self) -> Vocab:
        """The vocabulary of a language model.

        Raises:
            CheckpointError: if there is no vocabulary "text".
        """
        if TEXT not in self.vocabularies:
            raise CheckpointError(
                f"{self._where}there is no vocabulary {TEXT!r}, found {', '.join(self.vocabularies) or 'none'}: "
                "expected a language model"
            )
        return self.vocabularies[TEXT]

    @property
    def shape(self) -> ModelConfig:
        """The model's configuration.

        Raises:
            CheckpointError: if no configuration describes the model.
        """
        if self.model_config is None:
            raise CheckpointError(f"{self._where}no configuration describes the model: make it and call fill(model)")
        return self.model_config

    @property
    def _where(self) -> str:
        return f"{self.path}: " if self.path else ""

    def build_model(self, ctx: ContextLike = None):
        """Make the model that the checkpoint describes, and give it the checkpoint's parameters.

        Raises:
            CheckpointError: if the parameters do not fit this model, or the checkpoint describes no model.
        """
        size = None if self.shape.input_size else vocab_size_of(self.vocabularies) or len(self.vocab)
        return self.fill(build_model(self.shape, size, ctx))

    def fill(self, model):
        """Give a model the checkpoint's parameters, and return it.

        Raises:
            CheckpointError: if the parameters do not fit the model; then the model is unchanged.
        """
        targets = named_parameters(model)
        expected = {name: Kind(target.shape, numpy.dtype(target.dtype)) for name, target in targets.items()}
        found = {name: Kind(array.shape, array.dtype) for name, array in self.parameters.items()}
        try:
            check_same(found, expected, self.model_config or type(model).__name__)
        except D2lrnnError as error:
            raise CheckpointError(f"{self._where}{error}") from error
        for name, target in targets.items():
            set_values(target, self.parameters[name])
        return model

    def with_parameters(self, model, **more: Any) -> Checkpoint:
        """Return this checkpoint with copies of a model's present parameters; ``more``: other fields to replace."""
        parameters = {name: get_values(param).asnumpy() for name, param in named_parameters(model).items()}
        return dataclasses.replace(self, parameters=parameters, **more)

    @classmethod
    def about(
        cls, model_config: ModelConfig | None, train_config: TrainConfig, corpus: Corpus, origin: dict[str, Any]
    ) -> Checkpoint:
        """Return the checkpoint of a language model without its parameters, as it is before the training."""
        return cls(model_config, {TEXT: corpus.vocab}, train_config, corpus.name, origin=origin)

    @classmethod
    def of(cls, model, model_config: ModelConfig, train_config: TrainConfig, corpus: Corpus, **more: Any) -> Checkpoint:
        """Return the checkpoint of a language model that was trained on a corpus; ``more``: further fields."""
        return cls.about(model_config, train_config, corpus, {}).with_parameters(model, **more)


def save_checkpoint(path: PathLike, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint beside its place and move it there, so that there is never half a file; return the path.

    Raises:
        FileError: if the file cannot be written; the message names it.
    """
    path = user_path(path)
    make_folder(path.parent)
    training = checkpoint.training
    meta = {
        "model_config": None if checkpoint.model_config is None else dataclasses.asdict(checkpoint.model_config),
        "train_config": dataclasses.asdict(checkpoint.train_config),
        "corpus": checkpoint.corpus,
        "origin": checkpoint.origin,
        "training": None if training is None else training.facts(),
        "reached": checkpoint.reached,
        "task": checkpoint.task,
        "data": checkpoint.data,
        "vocabularies": {
            name: {"level": vocab.level, "tokens": list(vocab.idx_to_token)}
            for name, vocab in checkpoint.vocabularies.items()
        },
    }
    arrays = {_META: numpy.array(json.dumps(meta))}
    arrays |= {_PARAMETERS + name: array for name, array in checkpoint.parameters.items()}
    arrays |= {} if training is None else {_TRAINING + name: array for name, array in training.arrays.items()}
    payload = io.BytesIO()
    numpy.savez(payload, **arrays)
    body = payload.getbuffer()  # no copy of it
    with whole_file(path) as file:
        file.write(_KIND + b"%d\n" % VERSION + hashlib.sha256(body).hexdigest().encode() + b"\n")
        file.write(body)
    return path


def load_checkpoint(path: PathLike) -> Checkpoint:
    """Read a checkpoint.

    Nothing that the file says is believed before it is checked: its description by the table in
    :mod:`d2lrnn.runs.contents`, its arrays by the names and shapes that follow from the description.

    Raises:
        FileError: if the file cannot be read, or is no regular file but a pipe or a device.
        CheckpointError: if the file is no checkpoint, damaged, made up, or of another format version.
    """
    path = user_path(path)
    with open_file(path) as file, naming(path):
        version, digest = _head(file, path)
        begin = file.tell()
        try:
            members = members_of(file)
        except ArchiveError as error:
            raise _damaged(path, str(error)) from error
        found = _digest(file, begin)
        if found != digest:
            raise _damaged(path, f"its SHA-256 is {found}, expected {digest}")
        try:
            return _read(file, version, members, path)
        except UnknownCellError as error:
            raise CheckpointError(f"{path}: {_short(error)}") from error
        except D2lrnnError as error:  # the checksum fits, so somebody made or edited the file
            raise CheckpointError(f"{path}: {_WRONG}: {_short(error)}") from error


def _head(file: IO[bytes], path: Path) -> tuple[int, str]:
    """Return the format version and the SHA-256 that a file's first two lines tell; no more than these are read."""
    if file.read(len(_KIND)) != _KIND:
        raise CheckpointError(
            f"{path} is not a d2lrnn checkpoint: expected it to begin with {_KIND.strip().decode()!r}"
        )
    version = file.readline(20)
    if version not in (b"2\n", b"%d\n" % VERSION):
        shown = version.decode(errors="replace").strip()
        raise CheckpointError(f"{path} has format version {shown!r}, this d2lrnn reads '2' and '{VERSION}'")
    digest = file.readline(65)
    if len(digest) < 65 or not digest.endswith(b"\n"):
        raise _damaged(path, "its second line is no SHA-256")
    return int(version), digest[:-1].decode(errors="replace")


def _digest(file: IO[bytes], begin: int) -> str:
    """Return the SHA-256 of what a file holds from ``begin`` on; little of it is in memory at a time."""
    file.seek(begin)
    digest = hashlib.sha256()
    while piece := file.read(2**20):
        digest.update(piece)
    return digest.hexdigest()


def _read(file: IO[bytes], version: int, members: dict[str, Member], path: Path) -> Checkpoint:
    """Return the checkpoint of a file that has these members.

    Raises:
        D2lrnnError: if the members are not those of a checkpoint.
    """
    if _META not in members:
        raise ArchiveError(f"there is no {_META} among {len(members)} arrays")
    meta = parse(read_text(file, members.pop(_META)))
    meta = upgraded(meta) if version == 2 else meta
    check_meta(meta)
    model_config = None if meta["model_config"] is None else ModelConfig.from_dict(meta["model_config"])
    train_config = TrainConfig.from_dict(meta["train_config"])
    vocabularies = {name: Vocab.from_list(v["tokens"], v["level"]) for name, v in meta["vocabularies"].items()}
    memory = taken(members, _TRAINING)
    parameters = taken(members, _PARAMETERS if version > 2 else "")  # in format 2 they have their own names
    if members:
        raise ArchiveError(f"there are {len(members)} arrays that no checkpoint has, such as {next(iter(members))!r}")
    kinds = {name: member.kind for name, member in parameters.items()}
    check_parameters(kinds, model_config, vocab_size_of(vocabularies))
    check_arrays(
        {name: member.kind for name, member in memory.items()}, meta["training"], kinds, (model_config, train_config)
    )
    arrays, memory_arrays = (
        {name: read_array(file, member) for name, member in named.items()} for named in (parameters, memory)
    )
    training = None if meta["training"] is None else Snapshot.from_facts(meta["training"], memory_arrays)
    reached, origin = meta.get("reached", {}), meta["origin"]
    task, data = meta.get("task", LANGUAGE_MODEL), meta.get("data", {})
    return Checkpoint(
        model_config, vocabularies, train_config, meta["corpus"], arrays, origin, training, reached, path, task, data
    )


def _damaged(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged: {reason}; was it cut off while it was copied? Take another copy, or train again"
    )


def _short(error: D2lrnnError, most: int = 500) -> str:
    """Return an error's message as one line; a value of a made-up file may be long."""
    message = " ".join(str(error).split())
    return message if len(message) <= most else f"{message[:most]}..."
