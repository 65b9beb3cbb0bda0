"""From the outputs of recurrent layers at all steps to one vector for the sequence."""

from __future__ import annotations

from collections.abc import Sequence

from d2lrnn._runtime import mx
from d2lrnn.errors import D2lrnnError

np = mx.np


def step_weights(head: str, counted):
    """Return how much each step of a padded batch counts for a head, so that the head reads a weighted sum.

    For example, of ``counted`` 1 1 1 0 the head ``"output"`` reads 0 0 1 0, and ``"mean"`` reads 1/3 1/3 1/3 0.

    Args:
        head: ``"output"`` or ``"mean"``.
        counted: 1 for a step, 0 for padding, (batch_size, num_steps).

    Returns:
        numbers that add up to 1 in each row, (batch_size, num_steps, 1).

    Raises:
        D2lrnnError: for a row that is all padding.
    """
    lengths = counted.sum(axis=1, keepdims=True)
    if float(lengths.min()) == 0:
        row = int(lengths.reshape(-1).argmin())
        raise D2lrnnError(f"row {row} of the batch is all padding: expected at least one step that counts")
    if head == "mean":
        return np.expand_dims(counted / lengths, 2)
    later = lengths - np.cumsum(counted, axis=1)  # steps that count after each step
    return np.expand_dims(counted * (later == 0), 2)


def summary(head: str, outputs: Sequence, last_hidden, counted=None):
    """Return the vector of a sequence that a head reads.

    Args:
        head: ``"state"``, ``"output"`` or ``"mean"``, as :data:`d2lrnn.config.model.ANSWERS` says.
        outputs: of the last layer, num_steps matrices (batch_size, width).
        last_hidden: the last layer's hidden state after the last step (batch_size, width).
        counted: 1 for a step, 0 for padding, (batch_size, num_steps); None: there is no padding.

    Returns:
        the vectors (batch_size, width).
    """
    if head == "state":
        return last_hidden
    if counted is not None:
        weights = step_weights(head, counted)
        return sum(H * weights[:, t] for t, H in enumerate(outputs))
    return outputs[-1] if head == "output" else sum(outputs) / len(outputs)
