"""Arrays that stand for parameters in a step of a training, because the norm and the update of them take less time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any

from d2lrnn._runtime import mx
from d2lrnn.models.gluon.facts import single_parameters
from d2lrnn.models.gluon.used_rows import UsedRows, pays

_asking: ContextVar[StandIns | None] = ContextVar("asking", default=None)


class StandIns:
    """Lets the rows that a batch uses stand for whole embeddings, from the loss to the update.

    Args:
        model: what is trained.
        is_able: whether rows can stand for embeddings: the model is on Gluon and on one device.
    """

    def __init__(self, model: Any, is_able: bool) -> None:
        single = single_parameters(model) if is_able else []
        self._single = set(map(id, single))  # no tied weights, whose gradient comes from the output layer too
        self._rows: list[UsedRows] = []  # that the present batch uses

    def within(self, allowed: bool, call: Callable, *args) -> Any:
        """Return ``call(*args)``, which computes the loss of one batch and its gradient; embeddings give rows there.

        Args:
            allowed: whether they do: the update leaves a parameter whose gradient is 0 as it is, and ``call`` neither
                reads nor changes the gradients that it writes.
            call: as above.
            args: as above.
        """
        self._rows = []
        token = _asking.set(self if allowed else None)
        try:
            return call(*args)
        finally:
            _asking.reset(token)

    def take(self, rows: UsedRows, X) -> bool:
        """Return whether the rows of a batch X are to stand for an embedding.

        In a loss that looks up two batches in one embedding, only the first is looked up in rows.
        """
        param = rows.param
        if id(param) in self._single and param.grad_req == "write" and pays(X, param.shape) and rows not in self._rows:
            self._rows.append(rows)
            return True
        return False

    def instead_of(self, params: Iterable) -> list:
        """Return the parameters that norm and update are to take: rows with gradients in the place of embeddings.

        The embeddings' own gradients are right too.
        """
        self._rows = [rows for rows in self._rows if rows.settle()]
        values = {id(rows.param): rows.values for rows in self._rows}
        return [values.get(id(param), param) for param in params]

    def write(self) -> None:
        """Write what stands for parameters back into them."""
        for rows in self._rows:
            rows.write()


def rows_instead(rows: UsedRows, X, params: list | None) -> tuple:
    """Look ids X up in the rows that they use, if the present training asks for rows.

    Returns:
        the place of each id among the rows, of X's shape, and the arguments ``params`` of a graph after a list of the
        rows; or X and ``params`` as they are.
    """
    recording, asking = mx.autograd.is_recording(), _asking.get()
    if recording and asking is not None and asking.take(rows, X):
        return rows.look_up(X), [[rows.values], *(params or [])]
    if recording:
        rows.forget()
    return X, params


def parted(params) -> tuple:
    """Return the list of rows, or an empty one, and ``params``, of the arguments that :func:`rows_instead` returns."""
    given = params and isinstance(params[0], (list, tuple))
    return (params[0], params[1:] or None) if given else ([], params)
