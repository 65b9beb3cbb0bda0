"""Two ways to compute the outputs of a model at all of its steps; their results are the same.

A model of :mod:`d2lrnn.models.gluon.heads` computes them in the second way, one from scratch in the first.
"""

from __future__ import annotations

from collections.abc import Sequence

from d2lrnn._runtime import mx

np = mx.np


def dense_at_each_step(outputs: Sequence, W_hq, b_q):
    """Apply a dense layer to the outputs of each step, as TensorFlow's ``OutputProjectionWrapper`` does.

    Args:
        outputs: of a recurrent layer, num_steps matrices (batch_size, num_hiddens).
        W_hq: the weights (num_hiddens, num_outputs).
        b_q: the bias (num_outputs,).

    Returns:
        the outputs of the dense layer (batch_size, num_steps, num_outputs).
    """
    return np.stack([np.dot(H, W_hq) + b_q for H in outputs], axis=1)


def dense_over_all_steps(outputs, W_hq, b_q):
    """Put all steps of all rows below one another, apply the dense layer once, and put the steps back.

    Args:
        outputs: of a recurrent layer, (batch_size, num_steps, num_hiddens).
        W_hq: the weights (num_hiddens, num_outputs).
        b_q: the bias (num_outputs,).

    Returns:
        the outputs of the dense layer (batch_size, num_steps, num_outputs).
    """
    batch_size, num_steps, num_hiddens = outputs.shape
    stacked = outputs.reshape(batch_size * num_steps, num_hiddens)
    return (np.dot(stacked, W_hq) + b_q).reshape(batch_size, num_steps, -1)
