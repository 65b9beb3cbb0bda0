"""The bridge from an encoder that reads from both ends to a decoder, which reads from one."""

from __future__ import annotations

from d2lrnn._mxnet.threads import GRAPH_LOCK
from d2lrnn._runtime import mx
from d2lrnn.models.gluon.graphs import WatchfulGraphs

nn = mx.gluon.nn


class Bridge(WatchfulGraphs):
    """From the last state of an encoder that reads from both ends to the first state of a decoder.

    For each array of a state, both directions side by side go through a dense layer and tanh (Bahdanau, Cho and Bengio
    2015, arXiv 1409.0473, have one for the direction from the end alone).

    Args:
        widths: of each array of the state.
    """

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        with self.name_scope():
            self._layers = [nn.Dense(width, activation="tanh", in_units=2 * width) for width in widths]
        for i, layer in enumerate(self._layers):
            self.register_child(layer, str(i))
        self.hybridize(static_alloc=True, static_shape=True)

    @property
    def unrolls(self) -> bool:
        """A bridge has no steps."""
        return False

    def __call__(self, *state) -> tuple:
        """Turn arrays (2, batch_size, width) into arrays (1, batch_size, width)."""
        with GRAPH_LOCK:
            self.look_for_new_memory()
            return tuple(super().__call__(*state))

    def hybrid_forward(self, F, *state):
        """Compute what :meth:`__call__` documents."""
        sides = [F.npx.reshape(F.np.swapaxes(array, 0, 1), (-2, -5)) for array in state]  # (batch_size, 2 * width)
        return [F.np.expand_dims(dense(side), 0) for dense, side in zip(self._layers, sides)]
