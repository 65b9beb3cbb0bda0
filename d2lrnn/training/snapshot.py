"""All that a training run needs to go on, beside the parameters."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy

from d2lrnn._runtime import mx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.parameters import device_of
from d2lrnn.training.history import History, Position
from d2lrnn.training.optimisers import Average


@dataclass(frozen=True)
class Snapshot:
    """Where a run stands: facts that JSON can hold, and arrays by name.

    The name of an array tells its kind before the first point, and which one of the kind it is after the point.
    ``state.0``, ``state.1`` and so on are the carried state.  ``mean.dense.weight`` is Adam's mean of the gradients of
    the parameter ``dense.weight``.  ``average.dense.weight`` is that parameter's mean over the steps.
    """

    history: History
    position: Position
    update_steps: int  # steps that the optimiser has taken
    average_steps: int  # steps that the mean of the parameters is over; 0: averaging has not begun
    arrays: dict[str, numpy.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, training: Any) -> Snapshot:
        """Return where a :class:`d2lrnn.training.loop.Training` stands.

        An epoch that still lacks its validation or its samples is not in the history: its sums are in the position.
        """
        carried = training.devices.whole(training.carried) or ()
        memory = {**_memory(training, training.average), "state": {str(i): array for i, array in enumerate(carried)}}
        arrays = {f"{kind}.{name}": array.asnumpy() for kind, named in memory.items() for name, array in named.items()}
        position = dataclasses.replace(training.position)
        return cls(training.finished, position, training.update.steps, training.average.steps, arrays)

    def facts(self) -> dict[str, Any]:
        """Return all but the arrays, for JSON."""
        return {
            "history": dataclasses.asdict(self.history),
            "position": dataclasses.asdict(self.position),
            "steps": {"update": self.update_steps, "average": self.average_steps},
        }

    @classmethod
    def from_facts(cls, facts: dict[str, Any], arrays: dict[str, numpy.ndarray]) -> Snapshot:
        """Return the snapshot of which these are :meth:`facts`, read from JSON and checked there, and arrays."""
        history = dict(facts["history"])
        history["samples"] = [(epoch, prefix, text) for epoch, prefix, text in history["samples"]]
        steps = facts["steps"]
        return cls(History(**history), Position(**facts["position"]), steps["update"], steps["average"], arrays)

    def restore(self, training: Any) -> None:
        """Put a training where the snapshot was taken, as :meth:`d2lrnn.training.loop.Training.restore` says."""
        ctx = device_of(next(iter(training.params.values())))
        kinds: dict[str, dict[str, numpy.ndarray]] = {}
        for name, array in self.arrays.items():
            kind, _, of = name.partition(".")
            kinds.setdefault(kind, {})[of] = array
        carried = list(kinds.pop("state", {}).values())
        if carried:
            rows = carried[0].shape[-2] if carried[0].ndim > 1 else 1
            fitting = [(array.shape, array.dtype) for array in training.model.begin_state(rows)]
            if [(array.shape, array.dtype) for array in carried] != fitting:
                raise D2lrnnError("the run's carried state is of another model")
        if self.history.measure != training.objective.measure:
            raise D2lrnnError(
                f"the run is judged by its {self.history.measure}, expected {training.objective.measure}: it is of "
                "another task"
            )
        average = Average(training.params.values())
        if self.average_steps:
            average.start()
        memory = _memory(training, average)
        if _shapes(kinds) != _shapes(memory):
            raise D2lrnnError(f"the run's memory is of another model or optimizer than {training.config.optimizer}")
        for kind, targets in memory.items():
            for name, target in targets.items():
                target[:] = mx.nd.array(kinds[kind][name], dtype=target.dtype)
        training.history = self.history.until(len(self.history.epochs))
        training.position = dataclasses.replace(self.position)
        state = tuple(mx.np.array(array, dtype=array.dtype, ctx=ctx) for array in carried) or None
        training.carried = training.devices.own(state)
        training.average, training.average.steps = average, self.average_steps
        training.update.steps = self.update_steps


def _memory(training: Any, average: Average) -> dict[str, dict[str, Any]]:
    """Return the optimiser's and an average's arrays, as ``{"mean": {"dense.weight": array, ...}, ...}``."""
    kinds = {**training.update.memory, "average": average.arrays}
    return {kind: dict(zip(training.params, arrays)) for kind, arrays in kinds.items() if arrays}


def _shapes(kinds: dict[str, dict]) -> dict:
    return {kind: {name: tuple(array.shape) for name, array in named.items()} for kind, named in kinds.items()}
