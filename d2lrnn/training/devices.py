"""Data parallelism: each device, and each worker of a job, takes a share of the rows of every batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy

from d2lrnn._runtime import mx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.parameters import data_and_grad, device_of, get_values, replica_of, trainable_parameters
from d2lrnn.training.objective import Objective, Outcome
from d2lrnn.training.workers import Workers


class Devices:
    """The devices of a training: a replica of the model on each, and the sum of their gradients.

    A batch's rows are divided in order among all devices of all workers, and so are those of the carried state.  Each
    replica's mean loss counts as much as the share of the batch that it is over, so the sum of the gradients is the
    gradient of the whole batch's mean loss.  MXNet's KVStore adds the gradients up.  The first replica is the model
    itself: it is updated, and the others take its parameters.

    Dropout draws other random numbers on each device.  Without dropout, several devices compute what one computes, but
    for rounding.

    Args:
        model: the model that is trained.
        contexts: the devices of this process, the model's own one first; none: that one alone, whichever it is.
        workers: the job that this process is a worker of; None: it is alone.

    Attributes:
        models: the replicas, one for each device; the first is the model itself.
        workers: as given.

    Raises:
        D2lrnnError: if the first device is not the model's, or one comes twice; for several devices and a model that
            cannot be copied.
    """

    def __init__(self, model: Any, contexts: Sequence[mx.Context] = (), workers: Workers | None = None) -> None:
        self.workers = workers
        self.contexts = list(contexts) or ([] if workers is None else [_device_of(model)])
        self.models, self._params = [model], [list(trainable_parameters(model).values())]
        self._asked, self._halting = False, False
        self._gathered: tuple[Any, Any] = None, None  # a state of this worker's rows, and that of all rows
        if self.contexts:
            self._check_contexts(_device_of(model))
            self._join()

    def _check_contexts(self, own: mx.Context) -> None:
        if self.contexts[0] != own or len(set(map(str, self.contexts))) < len(self.contexts):
            raise D2lrnnError(
                f"the devices are {', '.join(map(str, self.contexts))}: expected different ones, and first {own}, "
                "which the model is on"
            )

    def _join(self) -> None:
        """Make the replicas, and what adds their gradients up."""
        for ctx in self.contexts[1:]:
            self.models.append(replica_of(self.models[0], ctx))
            self._params.append(list(trainable_parameters(self.models[-1]).values()))
        values = [get_values(param).as_nd_ndarray() for param in self._params[0]]
        if self.workers is not None:
            self._keys = self.workers.begin(values)
            self.share()
        elif len(self.models) > 1:
            on_gpu = any(ctx.device_type == "gpu" for ctx in self.contexts)
            self._store = mx.kv.create("device" if on_gpu else "local")
            for key, value in enumerate(values):
                self._store.init(key, value)

    @property
    def is_first(self) -> bool:
        """Whether this process writes files: it is alone, or the first worker."""
        return self.workers is None or self.workers.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether the model's device computes whole batches, without other devices or workers."""
        return self.workers is None and len(self.models) == 1

    @property
    def may_halt(self) -> bool:
        """Whether this process may stop after the present batch: it is alone, or all workers know of it."""
        return self.workers is None or self._halting

    def backward(self, objective: Objective, batch: tuple, state: tuple | None) -> Outcome:
        """Compute the mean loss of a batch, and write its gradient, or a multiple, into the model's parameters.

        Args:
            objective: what a batch asks of the model.
            batch: as the objective takes it, on any device; the first axis of each of its arrays counts its rows.
            state: before the batch, without gradients; None: the zero state.  The rows are its last axis but one; a
                worker has those of its own rows alone.
        """
        if self.is_alone:
            return objective.backward(self.models[0], batch, state).settled()
        parts, total = list(self._divided(objective, batch, state)), objective.count(batch)
        shares = [part.counted / total for part in parts]
        found = [objective.backward(part.model, part.batch, part.state, share) for part, share in zip(parts, shares)]
        self._add_gradients([part.place for part in parts])
        found = [one.settled() for one in found]
        return self._whole(found, [one.loss * share for one, share in zip(found, shares)])

    def read(self, objective: Objective, batch: tuple) -> None:
        """Draw the random numbers that :meth:`backward` draws, and change nothing."""
        with mx.autograd.record():
            if self.is_alone:
                objective.loss(self.models[0], batch, None)
            else:
                for part in self._divided(objective, batch, None):
                    objective.loss(part.model, part.batch, None)
        # A graph that is called before its last call is done takes memory of its own, and never gives it back.
        mx.npx.waitall()

    def share(self) -> None:
        """Give the model's parameters to all replicas."""
        for params in self._params[1:]:
            for source, target in zip(self._params[0], params):
                get_values(source).copyto(get_values(target))

    def ask_to_halt(self) -> None:
        """Let all workers stop after the next batch, whose numbers tell them."""
        self._asked = True

    def told(self, number: float) -> float:
        """Return the first worker's number."""
        return number if self.workers is None else float(self.workers.gathered(numpy.array(number, "float64"))[0])

    def gather(self, state: tuple | None) -> None:
        """Let each worker know the states of all rows, which :meth:`whole` then returns; all workers call this."""
        if self.workers is not None and state is not None:
            are_there = self.workers.gathered(numpy.array(_has_rows(state))).any()  # a worker may have no rows
            self._gathered = state, tuple(self._of_all_workers(array) for array in state) if are_there else ()

    def whole(self, state: tuple | None) -> tuple | None:
        """Return the state of all rows of a batch, of which ``state`` is the part that this process carries.

        Raises:
            D2lrnnError: for a worker's state that was not gathered.
        """
        if self.workers is None or not state:
            return state
        if self._gathered[0] is not state:
            raise D2lrnnError("the carried state lies with several workers, and was not gathered after this batch")
        return self._gathered[1]

    def own(self, state: tuple | None) -> tuple | None:
        """Return the part of a state that this process carries, of the state of all rows."""
        if self.workers is None or not state:
            return state
        begin, end = (state[0].shape[-2] * (self.workers.rank + i) // self.workers.count for i in (0, 1))
        part = tuple(array[..., begin:end, :] for array in state)
        self._gathered = part, state
        return part

    def _divided(self, objective: Objective, batch: tuple, state: tuple | None) -> Iterator[_Part]:
        """Yield what each device of this process is to compute.

        A device gets nothing if there are fewer rows than devices, or all of its rows are padding.
        """
        here, num_rows = len(self.models), len(batch[0])
        rank, count = (0, 1) if self.workers is None else (self.workers.rank, self.workers.count)
        bounds = [num_rows * i // (count * here) for i in range(rank * here, (rank + 1) * here + 1)]
        for place, (model, ctx, begin, end) in enumerate(zip(self.models, self.contexts, bounds, bounds[1:])):
            if begin == end:
                continue
            rows = tuple(None if array is None else array[begin:end].as_in_ctx(ctx) for array in batch)
            counted = objective.count(rows)
            if counted:
                first, last = begin - bounds[0], end - bounds[0]
                carried = None if state is None else tuple(s[..., first:last, :].as_in_ctx(ctx) for s in state)
                yield _Part(place, model, rows, carried, counted)

    def _add_gradients(self, places: list[int]) -> None:
        """Write the sum of the gradients of some replicas, and of other workers, into the model's.

        A replica that computed nothing adds zeros: MXNet 1.9.1 crashes if a push brings more arrays than those before.
        """
        for key, params in enumerate(zip(*self._params)):
            grads = [data_and_grad(param, None)[1].as_nd_ndarray() for param in params]
            parts = [grad if place in places else mx.nd.zeros_like(grad) for place, grad in enumerate(grads)]
            if self.workers is not None:
                self.workers.add(self._keys[key], parts, grads[0])
            else:
                self._store.push(key, parts, priority=-key)
                self._store.pull(key, grads[0], priority=-key)

    def _whole(self, found: list[Outcome], losses: list) -> Outcome:
        """Return the outcome of the batch whose parts have these outcomes and losses, on the model's device."""
        ctx = self.contexts[0]

        def here(value):
            return value.detach().as_in_ctx(ctx) if isinstance(value, mx.np.ndarray) else value

        states = zip(*(one.state for one in found))
        state = tuple(mx.np.concatenate([here(array) for array in arrays], axis=-2) for arrays in states)
        if not found:  # this worker has no rows; whether a state is to be carried, the others know
            state = tuple(array[..., :0, :] for array in self.models[0].begin_state(1, ctx))
        loss, score = sum(map(here, losses)), sum(here(one.score) for one in found)
        if self.workers is not None:
            numbers = numpy.array([float(loss), float(score), self._asked], numpy.float64)
            loss, score, asking = self.workers.gathered(numbers).sum(axis=0)
            self._halting = asking > 0
            loss, score = mx.np.array(loss, dtype=numpy.float64), float(score)
        return Outcome(loss, state, score)

    def _of_all_workers(self, array):
        """Return the rows of all workers of an array whose rows are its last axis but one."""
        numbers = numpy.moveaxis(array.asnumpy(), -2, 0)
        counts = self.workers.gathered(numpy.array(len(numbers)))
        padded = numpy.zeros((counts.max(), *numbers.shape[1:]), numbers.dtype)
        padded[: len(numbers)] = numbers
        found = numpy.concatenate([rows[:n] for rows, n in zip(self.workers.gathered(padded), counts)])
        return mx.np.array(numpy.moveaxis(found, 0, -2), dtype=numbers.dtype, ctx=array.ctx)


def _device_of(model: Any) -> mx.Context:
    """Return the device of a model."""
    return device_of(next(iter(trainable_parameters(model).values())))


def _has_rows(state: tuple) -> bool:
    """Return whether a state is of any rows."""
    return bool(state) and state[0].shape[-2] > 0


class _Part(NamedTuple):
    """What one device computes of a batch."""

    place: int  # of the device
    model: Any
    batch: tuple
    state: tuple | None
    counted: int  # as Objective.count
