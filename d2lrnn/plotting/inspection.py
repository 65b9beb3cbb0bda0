"""What a model does with a text: what it expects next, how far its gates open, and how it sees the tokens."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy

from d2lrnn._runtime import mx
from d2lrnn.cells.registry import CELLS
from d2lrnn.cells.steps import dot
from d2lrnn.checks import check_whole, shown
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.errors import D2lrnnError
from d2lrnn.generation.distributions import log_softmax
from d2lrnn.generation.prefixes import encode_prefix, encode_prefixes
from d2lrnn.models.inputs import Inputs, OneHot
from d2lrnn.models.protocol import LanguageModel, check_vocab, check_vocab_size
from d2lrnn.models.stack import Stack
from d2lrnn.models.twins import embedding_of, equations_of

np, npx = mx.np, mx.npx


class EmbeddingMap(NamedTuple):
    """Where tokens lie on the plane in which their vectors differ most."""

    tokens: tuple[str, ...]
    points: numpy.ndarray  # (num_tokens, 2)
    shares: tuple[float, float]  # the share of the vectors' variance along each of the two axes, 0 to 1


def check_finite(what: str, values: numpy.ndarray) -> None:
    """Check that all values are numbers, such as those of a picture.

    Raises:
        D2lrnnError: if they are not.
    """
    if not numpy.isfinite(values).all():
        raise D2lrnnError(f"{what} hold NaN or infinity: did the model diverge in training?")


def next_token_probabilities(
    prefix: str, model: LanguageModel, vocab: Vocab, count: int = 10
) -> list[tuple[str, float]]:
    """Return the most likely next tokens after a prefix, and their probabilities.

    Args:
        prefix: the text so far.
        model: a language model, from scratch or on Gluon.
        vocab: the vocabulary it was trained with.
        count: how many tokens, at most.

    Returns:
        tokens and their probabilities, the most likely first; of equally likely ones the smaller id first.

    Raises:
        D2lrnnError, UnknownTokenError, LooksAheadError: as :func:`d2lrnn.generation.greedy.predict_batch`.
        D2lrnnError: if ``count`` is no whole number of at least 1, or the logits are not numbers.
    """
    check_whole("count", count, most=math.inf)
    (ids,) = encode_prefixes([prefix], model, vocab)
    state = model.begin_state(1)
    logits, _ = model(np.array([ids], dtype="int32", ctx=state[0].ctx), state)
    (probabilities,) = numpy.exp(log_softmax(logits[-1:].asnumpy().astype("float64")))
    likeliest = numpy.argsort(-probabilities, kind="stable")[:count]
    return [(vocab.idx_to_token[i], float(probabilities[i])) for i in likeliest]


def gate_activations(text: str, model, vocab: Vocab, layer: int = 0) -> dict[str, numpy.ndarray]:
    """Return how far the gates of a layer open at each token of a text; the model begins with the zero state.

    Every gate is sigmoid(X W_x + H W_h + b).  X is the layer's input, H its hidden state before the token (for the LSTM
    equations 6.8.1, for the GRU 6.7.1).  ``gru_reset_after`` adds its second bias.  A peephole adds C w_c, where C is
    the memory before the token, for the output gate the memory after it.

    Args:
        text: the text that the model reads.
        model: a model from scratch or on Gluon.
        vocab: the vocabulary it was trained with.
        layer: which layer of the model, from 0.

    Returns:
        arrays (num_tokens, num_hiddens) between 0 and 1 by the gates' letters in the book: z (update) and r (reset)
        for a GRU; i (input), f (forget) and o (output) for an LSTM.

    Raises:
        D2lrnnError: for an empty text, a vocabulary of another size, or a layer that is not there; for a cell without
            gates, or with gates of another form; for a bidirectional model, or a model whose equations are not known;
            for gates that are not numbers.
        UnknownTokenError: for a character or word of the text that the vocabulary does not have.
    """
    check_vocab(model, vocab)
    ids = encode_prefix(text, vocab)
    stack, params = _equations_of(model)
    gates = _plain_gates(stack.cell)
    if stack.bidirectional:
        raise D2lrnnError("the model is bidirectional: expected one that reads from left to right alone")
    check_whole("layer", layer, 0, math.inf)
    if layer >= stack.num_layers:
        raise D2lrnnError(f"layer is {shown(layer)}: expected 0 to {stack.num_layers - 1}, the layers of this model")
    ctx, cell, by_name = params[0].ctx, CELLS[stack.cell], dict(zip(stack.param_names, params))
    outputs: Any = OneHot(np.array(ids[:, None], dtype="int32", ctx=ctx), model.vocab_size)
    for prefix in stack.prefixes[: layer + 1]:
        own = {name: by_name[prefix + name] for name in cell.param_names}
        X = Inputs(outputs)
        width, num_hiddens = own[f"W_h{gates[0]}"].shape
        empty = Stack(stack.cell, num_projections=width if cell.projected else None)
        states = [empty.init_state(1, num_hiddens, ctx)]  # before each token, and after the last
        for x in X:
            states.append(cell.step(x, states[-1], list(own.values()))[1])
        outputs = [state[0] for state in states[1:]]
    after = cell.peepholes_after or ""
    found = {gate: _activations(gate, X, states, own, gate in after).asnumpy() for gate in gates}
    for activations in found.values():
        check_finite("the gates", activations)
    return found


def _equations_of(model) -> tuple[Stack, list]:
    found = equations_of(model)
    if found is None:
        raise D2lrnnError(
            f"the equations of this {type(model).__name__} are not known: expected an RNNModelScratch, FastRNNModel or "
            f"RNNModel of one of the cells {', '.join(CELLS)}"
        )
    return found


def _plain_gates(name: str) -> str:
    """Return the letters of a cell's gates, after checking that they have the form of :func:`gate_activations`.

    Raises:
        D2lrnnError: if the cell has no gates, or has parameters that do not belong to this form.
    """
    cell = CELLS[name]
    gates = cell.gates.replace(cell.candidate, "")
    if not gates:
        raise D2lrnnError(f"the cell {name} has no gates to look at")
    kinds = ["W_x", "W_h", "b_", "c_"] + ["w_c"] * (cell.peepholes_after is not None)
    known = {"W_mr"} | {kind + letter for letter in cell.gates for kind in kinds}
    others = [param for param in cell.param_names if param not in known]
    if others:
        raise D2lrnnError(
            f"the cell {name} has the parameters {', '.join(others)}, which have no place in sigmoid(X W_x + H W_h + "
            "b): its gates are not computed here"
        )
    return gates


def _activations(gate: str, X: Inputs, states: list[tuple], params: dict[str, Any], sees_after: bool):
    """Return a gate at all tokens, (num_tokens, num_hiddens).

    Args:
        gate: its letter.
        X: the layer's input at each token.
        states: before the first token, and after each one.
        params: of the layer, by name.
        sees_after: whether the gate's peephole sees the memory after the token; else it sees the memory before it.
    """
    X_W = np.concatenate([dot(x, params[f"W_x{gate}"]) for x in X])
    H = np.concatenate([state[0] for state in states[:-1]])
    total = (
        X_W + dot(H, params[f"W_h{gate}"]) + sum(params[kind + gate] for kind in ("b_", "c_") if kind + gate in params)
    )
    if f"w_c{gate}" in params:
        seen = states[1:] if sees_after else states[:-1]
        total = total + np.concatenate([state[1] for state in seen]) * params[f"w_c{gate}"]
    return npx.sigmoid(total)


def embedding_map(model, vocab: Vocab, count: int = 100) -> EmbeddingMap:
    """Lay out the most frequent tokens by the first two principal components of their vectors.

    A token's vector is that of :func:`token_vectors`.

    Args:
        model: a model from scratch or on Gluon.
        vocab: the vocabulary it was trained with, in which the most frequent tokens come first.
        count: how many tokens, at most; the components are computed from the vectors of these tokens alone.

    Returns:
        the tokens, their coordinates, and the share of the variance along each axis.  The mean is at the origin.  On
        each axis the token farthest from the origin is on the positive side.  Distances are those between the vectors,
        projected onto the plane.

    Raises:
        D2lrnnError: for a vocabulary of another size, ``count`` below 3, or vectors that are not numbers; for a model
            without an embedding whose equations are not known.
    """
    check_whole("count", count, 3, math.inf)
    vectors = token_vectors(model, vocab)[:count]
    check_finite("the tokens' vectors", vectors)
    U, sizes, _ = numpy.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    points = numpy.pad(U * sizes, [(0, 0), (0, 2)])[:, :2]  # a vector of one number has no second component
    points *= numpy.where(points.max(axis=0) < -points.min(axis=0), -1, 1)  # SVD leaves the sign open
    variance = numpy.pad(sizes**2, (0, 2))
    shares = variance[:2] / (variance.sum() or 1)
    return EmbeddingMap(vocab.idx_to_token[: len(points)], points, (float(shares[0]), float(shares[1])))


def token_vectors(model, vocab: Vocab) -> numpy.ndarray:
    """Return a vector for each token, float64 (vocab_size, size).

    A token's vector is its row of the embedding.  A model without an embedding reads one-hot vectors, and a one-hot
    vector times ``W_x`` is a row of ``W_x``.  There a token's vector is its row of the first layer's ``W_x``, with the
    rows of all gates side by side.

    Args:
        model: a model that reads ids, from scratch or on Gluon.
        vocab: the vocabulary it was trained with.

    Raises:
        D2lrnnError: for a vocabulary of another size; for a model without an embedding whose equations are not known.
    """
    check_vocab_size(model, vocab)
    table = embedding_of(model)
    if table is not None:
        return table.astype("float64")
    stack, params = _equations_of(model)
    first = tuple(prefix + "W_x" for prefix in stack.prefixes[: stack.num_directions])
    weights = [param.asnumpy() for name, param in zip(stack.param_names, params) if name.startswith(first)]
    return numpy.concatenate(weights, axis=1).astype("float64")  # num_directions * gates * num_hiddens numbers each
