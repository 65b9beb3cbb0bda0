"""Data parallelism: a model on several devices, each of which takes its share of the rows of every batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from d2lrnn._runtime import mx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.parameters import data_and_grad, device_of, get_values, replica_of, trainable_parameters
from d2lrnn.training.objective import Objective, Outcome


class Devices:
    """The devices of a training: a replica of the model on each, and the sum of their gradients.

    A batch's rows are divided among the devices in order, and so are those of the carried state.  Each replica's mean
    loss counts as much as the share of the batch that it is over, so the sum of the gradients is the gradient of the
    whole batch's mean loss.  MXNet's KVStore adds the gradients up.  The first replica is the model itself: it is
    updated, and the others take its parameters.

    Dropout draws other random numbers on each device.  Without dropout, several devices compute what one computes, but
    for rounding.

    Args:
        model: the model that is trained.
        contexts: the devices, the model's own one first; none: that one alone.

    Attributes:
        models: the replicas, one for each device; the first is the model itself.

    Raises:
        D2lrnnError: if the first device is not the model's, or one comes twice; for several devices and a model that
            cannot be copied.
    """

    def __init__(self, model: Any, contexts: Sequence[mx.Context] = ()) -> None:
        params = trainable_parameters(model)
        own = device_of(next(iter(params.values()))) if params else None
        self.contexts = list(contexts) or [own]
        if self.contexts[0] != own or len(set(map(str, self.contexts))) < len(self.contexts):
            raise D2lrnnError(
                f"the devices are {', '.join(map(str, self.contexts))}: expected different ones, and first {own}, "
                "which the model is on"
            )
        self.models = [model, *(replica_of(model, ctx) for ctx in self.contexts[1:])]
        self._params = [list(trainable_parameters(replica).values()) for replica in self.models]
        self._store: Any = None

    def backward(self, objective: Objective, batch: tuple, state: tuple | None) -> Outcome:
        """Compute the mean loss of a batch, and write its gradient into the model's parameters.

        Args:
            objective: what a batch asks of the model.
            batch: as the objective takes it, on any device; the first axis of each of its arrays counts its rows.
            state: before the batch, without gradients; None: the zero state.  The rows are its last axis but one.
        """
        if len(self.models) == 1:
            with mx.autograd.record():
                outcome = objective.loss(self.models[0], batch, state)
            outcome.loss.backward()
            return outcome
        parts = self._divided(objective, batch, state)
        total, weighted = sum(part.count for part in parts), []
        with mx.autograd.record():
            found = [objective.loss(part.model, part.batch, part.state) for part in parts]
            weighted = [one.loss * (part.count / total) for one, part in zip(found, parts)]
        mx.autograd.backward(weighted)
        self._add_gradients([part.place for part in parts])
        return self._whole(found, weighted)

    def share(self) -> None:
        """Give the model's parameters to all replicas."""
        for params in self._params[1:]:
            for source, target in zip(self._params[0], params):
                get_values(source).copyto(get_values(target))

    def _divided(self, objective: Objective, batch: tuple, state: tuple | None) -> list[_Part]:
        """Return what each device is to compute; a device gets nothing if there are fewer rows than devices."""
        num_rows, parts = len(batch[0]), []
        for place, (model, ctx) in enumerate(zip(self.models, self.contexts)):
            begin, end = (num_rows * i // len(self.models) for i in (place, place + 1))
            if begin == end:
                continue
            rows = tuple(None if array is None else array[begin:end].as_in_ctx(ctx) for array in batch)
            count = objective.count(rows)
            if count:  # else all of it is padding
                carried = None if state is None else tuple(array[..., begin:end, :].as_in_ctx(ctx) for array in state)
                parts.append(_Part(place, model, rows, carried, count))
        return parts

    def _add_gradients(self, places: list[int]) -> None:
        """Write the sum of the gradients of some replicas into the model's."""
        if self._store is None:
            self._store = self._new_store()
        for key, params in enumerate(zip(*self._params)):
            grads = [data_and_grad(param, None)[1].as_nd_ndarray() for param in params]
            self._store.push(key, [grads[place] for place in places], priority=-key)
            self._store.pull(key, grads[0], priority=-key)

    def _new_store(self) -> mx.kv.KVStore:
        on_gpu = any(ctx.device_type == "gpu" for ctx in self.contexts)
        store = mx.kv.create("device" if on_gpu else "local")
        for key, param in enumerate(self._params[0]):
            store.init(key, get_values(param).as_nd_ndarray())
        return store

    def _whole(self, found: list[Outcome], weighted: list) -> Outcome:
        """Return the outcome of the batch whose parts have these outcomes and losses, on the model's device."""
        ctx = self.contexts[0]

        def here(value):
            return value.detach().as_in_ctx(ctx) if isinstance(value, mx.np.ndarray) else value

        states = zip(*(one.state for one in found))
        state = tuple(mx.np.concatenate([here(array) for array in arrays], axis=-2) for arrays in states)
        return Outcome(sum(map(here, weighted)), state, sum(here(one.score) for one in found))


class _Part(NamedTuple):
    """What one device computes of a batch."""

    place: int  # of the device
    model: Any
    batch: tuple
    state: tuple | None
    count: int  # as Objective.count
