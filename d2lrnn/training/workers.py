"""A worker of a job of several processes, on one machine or on several: what it adds up with the others."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy

from d2lrnn._runtime import mx
from d2lrnn.checks import check_number
from d2lrnn.errors import D2lrnnError

ROLE = "DMLC_ROLE"  # the variable by which MXNet tells a process its role
NEEDED = ("DMLC_PS_ROOT_URI", "DMLC_PS_ROOT_PORT", "DMLC_NUM_WORKER", "DMLC_NUM_SERVER")


def _waiting(method: Callable) -> Callable:
    """Let ``waits_since`` tell that a worker is in a method, which waits for the other workers."""

    @functools.wraps(method)
    def wait(workers: Workers, *arguments: Any) -> Any:
        before = workers.waits_since
        workers.waits_since = before or time.monotonic()
        try:
            return method(workers, *arguments)
        finally:
            workers.waits_since = before

    return wait


class Workers:
    """This process among the workers of a job, for which MXNet's servers add up (KVStore ``dist_sync``).

    ``python -m d2lrnn launch`` starts the processes with the environment variables that :data:`NEEDED` names.  All
    workers call the same methods in the same order; each call waits for all of them.

    The servers add in float32 alone, and with compression they get each number as 0 or as plus or minus the threshold.
    So what has to be exact goes as a message (:meth:`gathered`): its bytes, each as a whole number, or, with
    compression, its bits, each as 0 or the threshold.

    Args:
        compression: the threshold of 2-bit gradient compression; None: gradients are sent as they are.

    Attributes:
        rank: the number of this worker, from 0; worker 0 alone writes files.
        count: how many workers there are.
        waits_since: the :func:`time.monotonic` since when this worker has waited for the others, or for what it still
            has to compute for them; None: it does something else.

    Raises:
        D2lrnnError: if the environment names no job.
    """

    def __init__(self, compression: float | None = None) -> None:
        missing = [name for name in NEEDED if not os.environ.get(name)]
        if os.environ.get(ROLE) != "worker" or missing:
            raise D2lrnnError(
                f"this process is no worker of a job: its environment lacks {', '.join(missing) or ROLE}; expected the "
                "variables that `python -m d2lrnn launch --print` prints"
            )
        self._unit = 1.0 if compression is None else check_number("compression", compression, above=0)
        self._store = mx.kv.create("dist_sync")
        self.rank, self.count = self._store.rank, self._store.num_workers
        if compression is not None:
            self._store.set_gradient_compression({"type": "2bit", "threshold": self._unit})
        self.waits_since: float | None = None
        self._in_bits = compression is not None
        self._num_keys = 0
        self._messages: dict[int, int] = {}  # keys by the number of units of a worker's message

    @_waiting
    def begin(self, arrays: Sequence[Any]) -> list[int]:
        """Let arrays be those of the first worker, and return a key for each, by which :meth:`add` adds its like."""
        keys = []
        for array in arrays:
            if array.dtype == numpy.float32:
                keys.append(self._new_key(array))  # the servers take the first worker's, and compress nothing here
                self._store.pull(keys[-1], array)
            else:
                keys.append(-1)  # :meth:`add` sends messages
                array[:] = mx.nd.array(self.gathered(array.asnumpy())[0], dtype=array.dtype)
        mx.nd.waitall()
        return keys

    def add(self, key: int, parts: list[Any], total: Any) -> None:
        """Write the sum of the nd arrays of all workers into ``total``."""
        if total.dtype == numpy.float32:
            self._store.push(key, parts, priority=-key)
            self._store.pull(key, total, priority=-key)
        else:
            total[:] = mx.nd.array(self.gathered(sum(part.asnumpy() for part in parts)).sum(axis=0), dtype=total.dtype)

    @_waiting
    def gathered(self, numbers: numpy.ndarray) -> numpy.ndarray:
        """Return the arrays of all workers, which have one shape, bit for bit: (count, ...)."""
        units = numpy.frombuffer(numbers.tobytes(), numpy.uint8)
        units = numpy.unpackbits(units) if self._in_bits else units
        if units.size not in self._messages:
            self._messages[units.size] = self._new_key(mx.nd.zeros((self.count, units.size)))
        slots = numpy.zeros((self.count, units.size), numpy.float32)
        slots[self.rank] = units * self._unit
        whole = mx.nd.array(slots)
        self.add(self._messages[units.size], [whole], whole)
        mx.nd.waitall()  # for the gradients that were added before, too
        units = numpy.rint(whole.asnumpy() / self._unit).astype(numpy.uint8)
        units = numpy.packbits(units, axis=1) if self._in_bits else units
        return numpy.frombuffer(units.tobytes(), numbers.dtype).reshape(self.count, *numbers.shape)

    def _new_key(self, value: Any) -> int:
        """Make a key for float32 numbers of the shape of ``value``, an nd array with which the key begins."""
        key, self._num_keys = self._num_keys, self._num_keys + 1
        self._store.init(key, value)
        mx.nd.waitall()
        self._store._barrier()  # a push that comes before all servers know the key would be lost
        return key
