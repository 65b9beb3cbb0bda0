"""Where ``train`` computes: on one device or several, alone or as a worker of a job."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from d2lrnn._runtime import mx
from d2lrnn.cluster.report import report_rank, report_ready, report_waits
from d2lrnn.device import as_contexts
from d2lrnn.errors import D2lrnnError
from d2lrnn.training.devices import Devices
from d2lrnn.training.workers import ROLE, Workers


@dataclass(frozen=True)
class DeviceRequest:
    """The devices of a training.

    Raises:
        D2lrnnError: if both the rows of a batch and the layers are to be divided.
    """

    contexts: tuple[mx.Context, ...]  # each has a replica of the model
    layers_on: tuple[mx.Context, ...] = ()  # devices of the recurrent layers, in turn; (): that of the model
    compression: float | None = None  # the threshold of 2-bit gradient compression between workers; None: none
    workers: Workers | None = None  # of the job that this process is of

    def __post_init__(self) -> None:
        if self.layers_on and (len(self.contexts) > 1 or ROLE in os.environ):
            raise D2lrnnError(
                "--layers-on divides the layers, and several devices in --ctx, or workers, divide the rows of a batch: "
                "expected one of the two"
            )
        if self.compression is not None and ROLE not in os.environ:
            raise D2lrnnError("--compression is for the workers of a job, which `launch` starts: leave it out")

    @classmethod
    def read(cls, args: argparse.Namespace) -> DeviceRequest:
        """Return what the arguments ask for, and let ``args.ctx`` be the first device, where the model is made.

        A worker of a job meets the other workers here, before it loads anything.
        """
        layers_on = () if args.layers_on is None else tuple(as_contexts(args.layers_on))
        ctx = layers_on[0] if layers_on and args.ctx == "auto" else args.ctx
        contexts = tuple(as_contexts(ctx))
        args.ctx = contexts[0]
        return dataclasses.replace(cls(contexts, layers_on, args.compression), workers=_meet(args.compression))

    @contextlib.contextmanager
    def voice(self) -> Iterator[None]:
        """Within the block, let a worker that is not the first print nothing: the first one tells what happens."""
        if self.workers is None or self.workers.rank == 0:
            yield
            return
        with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
            yield

    def devices(self, model: Any) -> Devices:
        """Return the devices of a model's training.

        Raises:
            D2lrnnError: for layers that cannot be placed; as :class:`Devices`.
        """
        if self.layers_on:
            if not hasattr(model, "place"):
                raise D2lrnnError("--layers-on is for models on Gluon that read one sequence: take --kind gluon")
            model.place(self.layers_on)
        return Devices(model, self.contexts, self.workers)


def _meet(compression: float | None) -> Workers | None:
    """Let this process meet the other workers of its job; None: it is of no job."""
    if ROLE not in os.environ:
        return None
    report_ready()
    workers = Workers(compression)
    report_rank(workers.rank)
    report_waits(lambda: workers.waits_since)
    return workers
