"""``train --vectors``: the embedding begins with the vectors of a file, for every task that reads texts."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from typing import Any

from d2lrnn.config.model import ModelConfig
from d2lrnn.data.vectors import UNKNOWN, WordVectors, read_vectors
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.parameters import set_values


@dataclass(frozen=True)
class FirstVectors:
    """What a model's embedding begins with.

    A task asks for it in this order::

        first = FirstVectors.read(args, vocab)
        config = first.fit(config)
        model = build_model(config, len(vocab), ctx)
        first.put_into(model)
        lines += first.lines
    """

    vectors: WordVectors | None  # None: no file is given, and the model stays as it is
    freeze: bool = False  # whether training leaves them as they are
    unknown: str = UNKNOWN[0]  # what the words get that the file lacks

    @classmethod
    def read(cls, args: argparse.Namespace, vocab: Vocab) -> FirstVectors:
        """Read the vectors of a vocabulary's words from the file that the arguments name.

        Raises:
            FileError, VectorsError: as :func:`d2lrnn.data.vectors.read_vectors`.
            D2lrnnError: for ``--freeze-vectors`` or ``--unknown-vectors`` without a file; for an ``--embed-size`` that
                is not the file's.
        """
        if args.vectors is None:
            for name in ("freeze_vectors", "unknown_vectors"):
                if getattr(args, name) is not None:
                    raise D2lrnnError(f"--{name.replace('_', '-')} is for vectors from a file: name it, --vectors FILE")
            return cls(None)
        vectors = read_vectors(args.vectors, vocab)
        given = getattr(args, "embed_size", vectors.size)
        if given != vectors.size:
            raise D2lrnnError(
                f"embed_size is {given}, and the vectors of {vectors.name} have {vectors.size} numbers: leave "
                "--embed-size out"
            )
        return cls(vectors, bool(args.freeze_vectors), args.unknown_vectors or UNKNOWN[0])

    def fit(self, config: ModelConfig) -> ModelConfig:
        """Return a model's settings with an embedding for the vectors.

        Raises:
            D2lrnnError: if the model can have no such embedding.
        """
        if self.vectors is None:
            return config
        return dataclasses.replace(config, embed_size=self.vectors.size, freeze_embedding=self.freeze)

    def put_into(self, model: Any) -> None:
        """Let a model's embedding begin with the vectors."""
        if self.vectors is not None:
            set_values(model.embedding.weight, self.vectors.table(self.unknown))

    @property
    def lines(self) -> list[str]:
        """What to print: how many words were found, what the others get, and what is wrong with the file."""
        if self.vectors is None:
            return []
        others = "their mean, shared" if self.unknown == "shared" else "random ones"
        how = f"the other words get {others}; {'frozen' if self.freeze else 'trained further'}"
        return [
            *(f"caution  {remark}" for remark in self.vectors.remarks),
            f"vectors  {self.vectors}",
            f"         {how}",
        ]
