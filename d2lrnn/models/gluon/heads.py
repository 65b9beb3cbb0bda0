"""What stands on an encoder: the base of models with a head, and the model that answers a whole sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from d2lrnn._mxnet.threads import GRAPH_LOCK
from d2lrnn._runtime import mx
from d2lrnn.cells.registry import CELLS
from d2lrnn.checks import check_parameters, check_whole
from d2lrnn.config.model import ANSWERS, Dropout
from d2lrnn.device import ContextLike
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.gluon.encoder import Encoder
from d2lrnn.models.gluon.facts import facts_of
from d2lrnn.models.gluon.graphs import WatchfulGraphs
from d2lrnn.models.gluon.layers import drop
from d2lrnn.models.summaries import step_weights
from d2lrnn.nd_arrays import takes_nd

nn = mx.gluon.nn


class WithHead(WatchfulGraphs):
    """Base of models that are an :class:`Encoder` and a head, compiled together as one graph.

    A derived class makes its head in ``__init__``.  Its ``hybrid_forward(F, X, state, params, counted)`` computes the
    head from ``self.encoder.encode(F, X, state, params, counted)``.  Its ``__call__`` calls :meth:`run`.

    Args:
        encoder: from ids to outputs.

    Attributes:
        encoder: as above.
    """

    TIME_AXIS = Encoder.TIME_AXIS
    COUNTED = Encoder.COUNTED

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    @property
    def vocab_size(self) -> int | None:
        """The size of the vocabulary; None: the inputs are no ids but numbers."""
        return self.encoder.vocab_size

    @property
    def embedding(self):
        """The embedding of the ids, or None."""
        return self.encoder.embedding

    @property
    def rnn(self):
        """The layer or the :class:`RecurrentStack` that the encoder was made of."""
        return self.encoder.rnn

    @property
    def layers(self) -> list:
        """The layers, the first one first."""
        return self.encoder.layers

    @property
    def dropout(self) -> Dropout:
        """What the encoder drops in training; ``hidden``, between layers, does not count here."""
        return self.encoder.dropout

    @property
    def num_hiddens(self) -> int:
        """Hidden units of each direction of the first layer."""
        return self.encoder.num_hiddens

    @property
    def bidirectional(self) -> bool:
        """Whether outputs depend on later inputs."""
        return self.encoder.bidirectional

    @property
    def unrolls(self) -> bool:
        """Whether some layer is unrolled, so that a graph serves only one number of steps."""
        return self.encoder.unrolls

    def begin_state(self, batch_size: int, ctx: ContextLike = None) -> tuple:
        """Return the zero state for a batch, on ``ctx`` or else where the parameters are."""
        return self.encoder.begin_state(batch_size, ctx)

    def place(self, contexts: Sequence[mx.Context]) -> None:
        """Put the recurrent layers on devices, as :meth:`Encoder.place` does; the head stays on the first one."""
        self.hybridize(False)
        self.encoder.place(contexts)

    @takes_nd
    def run(self, X, state: tuple, counted=None, *more):
        """Call the compiled ``hybrid_forward``.

        Arguments and errors are those of :meth:`Encoder.__call__`; ``more`` and then :meth:`graph_inputs` are further
        arguments for ``hybrid_forward``.
        """
        counted = self.encoder.check(X, state, counted)
        more = (*more, *self.graph_inputs(counted))
        with GRAPH_LOCK:
            self.look_for_new_memory()
            graph = super().__call__
            return self.encoder.call_graph(lambda *args: graph(*args, *more), X, state, counted)

    def graph_inputs(self, counted) -> tuple:
        """Return further arguments for ``hybrid_forward``, the last ones."""
        return ()

    def repack(self) -> None:
        """Put the parameters of each fused layer together."""
        self.encoder.look_for_new_memory()

    def _collect_params_with_prefix(self, prefix: str = "") -> dict[str, Any]:
        """Return the parameters by Gluon's names without ``encoder.``; files of parameters rely on these names."""
        begin = f"{prefix}." if prefix else ""
        found = super()._collect_params_with_prefix(prefix).items()
        return {begin + name[len(begin) :].removeprefix("encoder."): param for name, param in found}


class SequenceModel(WithHead):
    """A model on Gluon that answers a whole sequence, or each of its steps, by numbers: classes, or next values.

    Args:
        rnn_layer: as for :class:`Encoder`, and so are ``vocab_size``, ``embed_size``, ``dropout`` and ``input_size``.
        num_outputs: how many numbers an answer has, such as one for each class.
        head: what the output layer reads: ``"state"``, ``"output"``, ``"mean"`` or ``"steps"``, as
            :data:`d2lrnn.config.model.ANSWERS` says.
        vocab_size: the size of the vocabulary; None: the inputs are numbers.
        embed_size: the width of a learnt embedding; None: one-hot vectors.
        dropout: what is dropped in training; its ``outputs`` are of what the output layer reads.
        input_size: how many numbers each step has; None: the inputs are ids.

    Raises:
        FusedLayerError: if the layer has an option that MXNet ignores on the CPU.
        D2lrnnError: if the layer was made for inputs of another size, or for an unknown head.
    """

    def __init__(
        self,
        rnn_layer,
        num_outputs: int,
        head: str,
        vocab_size: int | None = None,
        embed_size: int | None = None,
        dropout: float | Dropout = 0.0,
        input_size: int | None = None,
    ) -> None:
        super().__init__(Encoder(rnn_layer, vocab_size, embed_size, dropout, input_size))
        if head not in ANSWERS:
            raise D2lrnnError(f"head is {head!r}: expected one of {', '.join(ANSWERS)}")
        self.num_outputs, self.head = check_whole("num_outputs", num_outputs), head
        with self.name_scope():
            self.dense = nn.Dense(num_outputs, flatten=False, in_units=self.encoder.width)
        check_parameters(param.shape for param in self.collect_params().values())
        self.hybridize(static_alloc=True, static_shape=True)

    @property
    def input_size(self) -> int | None:
        """How many numbers each step has; None: the inputs are ids."""
        return self.encoder.input_size

    @takes_nd
    def __call__(self, X, state: tuple, counted=None) -> tuple:
        """Compute the answers.

        Args:
            X: ids (batch_size, num_steps), or numbers (batch_size, num_steps, input_size).
            state: of :meth:`begin_state`, or as the last call returned it.
            counted: 1 for a step, 0 for padding, (batch_size, num_steps); None: there is no padding.  Padding changes
                no answer, no state and no gradient, whatever stands there.

        Returns:
            answers of shape (batch_size, num_outputs), or (batch_size, num_steps, num_outputs) for the head
            ``"steps"``, where those at padding are the output layer's bias; and the new state.

        Raises:
            D2lrnnError: as for :meth:`Encoder.__call__`; for a row that is all padding, which has no last output and no
                mean.
        """
        answers, state = self.run(X, state, counted)
        return answers, tuple(state)

    def graph_inputs(self, counted) -> tuple:
        """Return how much each step of a padded batch counts for the head, (batch_size, num_steps, 1)."""
        needed = counted is not None and self.head in ("output", "mean")
        return (step_weights(self.head, counted),) if needed else ()

    def hybrid_forward(self, F, X, state, params=None, counted=None, weights=None):
        """Compute what :meth:`__call__` documents; ``weights`` are those of :meth:`graph_inputs`."""
        outputs, state = self.encoder.encode(F, X, state, params, counted)  # (num_steps, batch_size, width)
        if self.head == "steps":
            return F.np.swapaxes(self.dense(outputs), 0, 1), state
        return self.dense(self._summary(F, outputs, state, weights)), state

    def _summary(self, F, outputs, state, weights):
        """Return what the head reads of the outputs (num_steps, batch_size, width): (batch_size, width)."""
        if self.head == "state":
            return drop(F, self._last_hidden(F, state), self.dropout.outputs)
        if weights is not None:
            return (outputs * F.np.transpose(weights, axes=(1, 0, 2))).sum(axis=0)
        if self.head == "mean":
            return outputs.mean(axis=0)
        return F.np.squeeze(F.npx.slice(outputs, begin=(-1,), end=(None,)), axis=0)

    def _last_hidden(self, F, state):
        """Return the last layer's hidden state H (batch_size, num_directions * width of H)."""
        H = state[-self._states_a_layer]  # (num_directions, batch_size, width), the last of them the last layer's
        directions = 2 if self.bidirectional else 1
        parts = [F.npx.slice(H, begin=(i - directions,), end=(i - directions + 1 or None,)) for i in range(directions)]
        parts = [F.np.squeeze(part, axis=0) for part in parts]
        return parts[0] if directions == 1 else F.np.concatenate(parts, axis=1)

    @property
    def _states_a_layer(self) -> int:
        """How many arrays the state of the last layer has, of which the first is H."""
        return CELLS[facts_of(self.layers[-1]).cell].num_states
