"""What a translator is to learn of a batch of sentence pairs: the next token of the target."""

from __future__ import annotations

from typing import Any

import numpy

from d2lrnn._runtime import mx
from d2lrnn.checks import check_whole
from d2lrnn.data.buckets import EOS_ID
from d2lrnn.errors import D2lrnnError
from d2lrnn.evaluation.losses import cross_entropy, mean_loss, perplexity, spread_losses
from d2lrnn.evaluation.sampled_softmax import Candidates, needed_ids, sampled_losses
from d2lrnn.training.objective import Objective, Outcome

np = mx.np


class NextTargetToken(Objective):
    """A translator's objective: the cross-entropy of each next token of the target; the measure is the perplexity.

    A batch is ``(X, counted, Y_in, Y_out, weights)``, as :func:`d2lrnn.data.buckets.data_iter_pairs` yields it.  The
    model reads the right tokens before each token that it is to predict (teacher forcing).

    With scheduled sampling (Bengio et al. 2015, arXiv 1506.03099), it reads some of its own in their place, as
    :func:`with_own_tokens` says.  Their share grows in a straight line over the epochs, from 0 in the first to
    ``scheduled_sampling`` in the last.

    Args:
        vocab_size: the number of the target's tokens, which is the perplexity of guessing at random.
        label_smoothing: the share epsilon of the probability that is asked to be spread over all tokens alike (Szegedy
            et al. 2016, arXiv 1512.00567).  The loss is then (1 - epsilon) times the cross-entropy plus epsilon times
            the mean of -log p over all tokens.  The perplexity is that of the cross-entropy alone.
        scheduled_sampling: the share of the model's own tokens in the last epoch; 0: it never reads its own.
        num_epochs: of the training.

    Attributes:
        own_share: the share of the model's own tokens in the present epoch.
    """

    measure, unit = "perplexity", "tokens"

    def __init__(
        self, vocab_size: int, label_smoothing: float = 0.0, scheduled_sampling: float = 0.0, num_epochs: int = 1
    ) -> None:
        self.limit, self.segment_limit = vocab_size, vocab_size**2  # as for NextToken
        self.label_smoothing = label_smoothing
        self.scheduled_sampling, self.num_epochs, self.own_share = scheduled_sampling, num_epochs, 0.0

    def begin_epoch(self, epoch: int) -> None:
        """Set the share of the model's own tokens."""
        self.own_share = self.scheduled_sampling * (epoch - 1) / max(self.num_epochs - 1, 1)

    def loss(self, model: Any, batch: tuple, state: tuple | None) -> Outcome:
        """Compute the mean loss in nats over the tokens whose weight is 1, and the sum of their cross-entropies.

        Raises:
            D2lrnnError: if Y_in, Y_out and ``weights`` have different shapes.
        """
        X, counted, Y_in, Y_out, weights = batch
        if not Y_in.shape == Y_out.shape == weights.shape:
            raise D2lrnnError(
                f"Y_in has shape {Y_in.shape}, Y_out {Y_out.shape}, weights {weights.shape}: expected the same"
            )
        if self.own_share:
            Y_in = with_own_tokens(model, X, counted, Y_in, self.own_share)
        loss, more = self.parts(model, (X, self.begin(model, batch), counted, Y_in), Y_out, weights)
        return Outcome(loss if more is None else loss + more, (), loss.detach() * weights.sum())

    def parts(self, model: Any, inputs: tuple, Y_out: Any, weights: Any) -> tuple:
        """Return the mean cross-entropy, and what label smoothing adds to it; None: nothing.

        Args:
            model: what is trained.
            inputs: the model's: ``X, state, counted, Y_in``.
            Y_out: the tokens to predict.
            weights: 1 for a token, 0 for padding.
        """
        logits, _ = model(*inputs)
        more = self.label_smoothing * spread_losses(logits, Y_out, weights) if self.label_smoothing else None
        return cross_entropy(logits, Y_out, weights), more

    def count(self, batch: tuple) -> int:
        """Return how many tokens of the batch's targets are no padding."""
        return int(batch[-1].sum())

    def value(self, loss_sum: float, score_sum: float, count: int) -> float:
        """Return the perplexity."""
        return perplexity(score_sum, count)


class SampledTargetToken(NextTargetToken):
    """The same objective by a sampled softmax: the right tokens of a batch are compared with a few drawn ones.

    All rows of a batch are compared with the same candidates, and each batch has new ones
    (:mod:`d2lrnn.evaluation.sampled_softmax`).  The perplexity is an estimate, on average a little too low.

    Args:
        vocab_size: as for :class:`NextTargetToken`, and so are ``scheduled_sampling`` and ``num_epochs``.
        num_candidates: how many tokens are drawn, fewer than there are.

    Raises:
        D2lrnnError: if ``num_candidates`` is not below ``vocab_size``.
    """

    def __init__(
        self, vocab_size: int, num_candidates: int, scheduled_sampling: float = 0.0, num_epochs: int = 1
    ) -> None:
        super().__init__(vocab_size, 0.0, scheduled_sampling, num_epochs)
        if check_whole("sampled_softmax", num_candidates) >= vocab_size:
            raise D2lrnnError(
                f"sampled_softmax is {num_candidates:,}, and the target has {vocab_size:,} different tokens: expected "
                "fewer than these, or 0, where all are compared"
            )
        self.candidates = Candidates(vocab_size, num_candidates, EOS_ID)

    def parts(self, model: Any, inputs: tuple, Y_out: Any, weights: Any) -> tuple:
        """Return the mean of the estimated cross-entropies, and None; arguments as for :class:`NextTargetToken`.

        Raises:
            D2lrnnError: for a model that is not on Gluon.
        """
        check_gives_rows(model)
        drawn = self.candidates.draw()
        outputs, weight, bias = model.outputs_and_rows(*inputs, needed_ids(drawn, Y_out))
        return mean_loss(sampled_losses(outputs, weight, bias, Y_out, drawn), weights), None


def check_gives_rows(model: Any) -> None:
    """Refuse a model of whose logits a sampled softmax could not compute a few alone.

    Raises:
        D2lrnnError: for a model that is not on Gluon.
    """
    if not hasattr(model, "outputs_and_rows"):
        raise D2lrnnError(
            f"sampled_softmax needs single rows of the output layer, and {type(model).__name__} has no "
            "outputs_and_rows(): expected a Translator (kind 'gluon'), or sampled_softmax 0"
        )


def with_own_tokens(model: Any, X: Any, counted: Any, Y_in: Any, share: float) -> Any:
    """Return Y_in, where each token but the first may be replaced by the one that the model itself would write there.

    This is scheduled sampling as Bengio et al. (2015, arXiv 1506.03099) define it, step by step: before each step a
    coin is thrown for each row, and what the model writes depends on all that it has read so far, its own tokens too.
    The model writes the likeliest token, as in TensorFlow's seq2seq (``_extract_argmax_and_embed``), and drops nothing
    meanwhile.  No gradient flows into the choice.

    Args:
        model: a translator, with ``encode`` and ``decode``.
        X: ids of the source, (batch_size, source steps).
        counted: 1 for an id of the source, 0 for padding; None: there is no padding.
        Y_in: ids of the target, (batch_size, target steps).
        share: the probability that a token is replaced; NumPy's global generator throws the coins.

    Returns:
        int32, of the shape of Y_in.
    """
    own = numpy.random.random(Y_in.shape) < share
    own[:, 0] = False  # <bos>
    last = int(own.any(axis=0).nonzero()[0].max(initial=0))  # the last step at which a token is replaced
    columns, coins = [Y_in[:, :1]], np.array(own, dtype="int32", ctx=Y_in.ctx)
    with mx.autograd.pause():
        memory = model.encode(X, counted)
        for t in range(1, last + 1):
            logits, _, memory = model.decode(columns[-1], memory)
            written = logits.argmax(axis=1).astype("int32").reshape(-1, 1)
            columns.append(np.where(coins[:, t : t + 1], written, Y_in[:, t : t + 1]))
        return np.concatenate([*columns, Y_in[:, last + 1 :]], axis=1)
