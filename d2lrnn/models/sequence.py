"""A model from scratch that answers a whole sequence, or each of its steps, by numbers: classes, or next values."""

from __future__ import annotations

import copy
from typing import Any

from d2lrnn._runtime import mx
from d2lrnn.cells.registry import CELLS
from d2lrnn.checks import check_whole
from d2lrnn.config.model import ANSWERS
from d2lrnn.data.batches import check_inputs, check_inputs_of
from d2lrnn.data.lines import check_counted
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.inputs import Ids
from d2lrnn.models.stack import Stack, output_layer
from d2lrnn.models.summaries import summary
from d2lrnn.nd_arrays import takes_nd

np = mx.np


class SequenceModelScratch:
    """The twin from scratch of :class:`d2lrnn.models.gluon.heads.SequenceModel`: one equation a line.

    Args:
        stack: the layers, with ``num_outputs``, how many numbers an answer has.
        num_hiddens: hidden units of each layer and direction.
        head: what the output layer reads: ``"state"``, ``"output"``, ``"mean"`` or ``"steps"``, as
            :data:`d2lrnn.config.model.ANSWERS` says.
        vocab_size: the size of the vocabulary; None: the inputs are numbers.
        input_size: how many numbers each step has; None: the inputs are ids, read as one-hot vectors.
        ctx: the device of the parameters.

    Raises:
        D2lrnnError: for an unknown head, a stack without ``num_outputs``, or sizes that are none.
    """

    def __init__(
        self,
        stack: Stack,
        num_hiddens: int,
        head: str,
        vocab_size: int | None = None,
        input_size: int | None = None,
        ctx: ContextLike = None,
    ) -> None:
        if head not in ANSWERS:
            raise D2lrnnError(f"head is {head!r}: expected one of {', '.join(ANSWERS)}")
        self.stack, self.head, self.vocab_size, self.input_size = stack, head, vocab_size, input_size
        self.num_hiddens, self.ctx = check_whole("num_hiddens", num_hiddens), as_ctx(ctx)
        self.num_outputs = check_whole("num_outputs", stack.num_outputs)
        self.params = stack.get_params(check_inputs(vocab_size, input_size), num_hiddens, self.ctx)

    def __copy__(self):
        """Return an independent model: one that shared its parameters would be trained with the original."""
        return copy.deepcopy(self)

    @property
    def bidirectional(self) -> bool:
        """Whether outputs depend on later inputs."""
        return self.stack.bidirectional

    def begin_state(self, batch_size: int, ctx: ContextLike = None) -> tuple:
        """Return the zero state for a batch, on ``ctx`` or else where the parameters are."""
        return self.stack.init_state(batch_size, self.num_hiddens, ctx or self.ctx)

    def parameters(self) -> dict[str, Any]:
        """Return the parameters by the names of :attr:`Stack.param_names`, arrays with gradients."""
        return dict(zip(self.stack.param_names, self.params))

    @takes_nd
    def __call__(self, X, state: tuple, counted=None) -> tuple:
        """Compute the answers; arguments, results and errors are those of :class:`SequenceModel`."""
        check_inputs_of(X, self.vocab_size, self.input_size, state)
        counted = check_counted(counted, X.shape[:2], state[0].dtype)
        inputs = Ids(X.T, self.vocab_size) if self.vocab_size else [X[:, t] for t in range(X.shape[1])]
        *params, W_hq, b_q = self.params
        outputs, state = self.stack.layers(inputs, state, params, counted)
        if self.head == "steps":
            return np.stack(output_layer(outputs, W_hq, b_q), axis=1), state
        (answer,) = output_layer([summary(self.head, outputs, self._last_hidden(state), counted)], W_hq, b_q)
        return answer, state

    def _last_hidden(self, state: tuple):
        """Return the last layer's hidden state (batch_size, num_directions * width of H)."""
        num_states, directions = CELLS[self.stack.cell].num_states, self.stack.num_directions
        hidden = state[-num_states * directions :: num_states]  # H of each direction
        return hidden[0] if directions == 1 else np.concatenate(hidden, axis=1)
