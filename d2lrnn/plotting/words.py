"""Which tokens are alike by the vectors that a model has for them, and which one completes an analogy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy

from d2lrnn.checks import check_whole
from d2lrnn.data.vocabulary import UnknownTokenError, Vocab
from d2lrnn.plotting.inspection import check_finite, token_vectors


def nearest_words(token: str, model, vocab: Vocab, count: int = 10) -> list[tuple[str, float]]:
    """Return the tokens whose vectors point most nearly the same way as that of a token.

    Args:
        token: of the vocabulary, such as a word.
        model: a model that reads ids; its tokens' vectors are those of
            :func:`d2lrnn.plotting.inspection.token_vectors`.
        vocab: the vocabulary it was trained with.
        count: how many tokens, at most.

    Returns:
        other tokens and the cosines between their vectors and the token's, -1 to 1, the largest first; of equal ones
        the smaller id first.  A vector of zeros has the cosine 0 with every other.

    Raises:
        UnknownTokenError: if the vocabulary lacks the token.
        D2lrnnError: as :func:`d2lrnn.plotting.inspection.token_vectors`; if ``count`` is no whole number of at least 1,
            or the vectors are not numbers.
    """
    (idx,) = _ids([token], vocab)
    directions = _directions(model, vocab)
    return _nearest(directions[idx], directions, [idx], vocab, count)


def analogy(a: str, b: str, c: str, model, vocab: Vocab, count: int = 10) -> list[tuple[str, float]]:
    """Return the tokens that are to ``c`` what ``b`` is to ``a``: the nearest to b - a + c.

    For example, ``analogy("man", "king", "woman", model, vocab)`` asks for a queen.  The three vectors have the length
    1 before they are added (3CosAdd: Mikolov, Yih and Zweig 2013; Levy and Goldberg 2014).

    Args:
        a: of the vocabulary.
        b: what ``a`` leads to.
        c: what the answer comes from.
        model: as for :func:`nearest_words`.
        vocab: the vocabulary it was trained with.
        count: how many tokens, at most.

    Returns:
        tokens other than the three, and the cosines between their vectors and b - a + c, as :func:`nearest_words`.

    Raises:
        UnknownTokenError, D2lrnnError: as for :func:`nearest_words`.
    """
    ids = _ids([a, b, c], vocab)
    directions = _directions(model, vocab)
    from_a, to_b, from_c = directions[ids]
    return _nearest(_unit(to_b - from_a + from_c), directions, ids, vocab, count)


def _ids(tokens: Sequence[str], vocab: Vocab) -> list[int]:
    """Return the ids of tokens.

    Raises:
        UnknownTokenError: with all tokens that the vocabulary lacks.
    """
    unknown = list(dict.fromkeys(token for token in tokens if token not in vocab))
    if len(unknown) == 1:
        raise UnknownTokenError(vocab.explain_unknown(unknown, "to look up"))
    if unknown:
        raise UnknownTokenError(
            f"{', '.join(map(repr, unknown))} are unknown: expected what is among the {len(vocab):,} tokens of the "
            "vocabulary"
        )
    return [vocab.token_to_idx[token] for token in tokens]


def _directions(model, vocab: Vocab) -> numpy.ndarray:
    """Return the tokens' vectors with the length 1, float64 (vocab_size, size)."""
    vectors = token_vectors(model, vocab)
    check_finite("the tokens' vectors", vectors)
    return _unit(vectors)


def _unit(vectors: numpy.ndarray) -> numpy.ndarray:
    """Return vectors with the length 1; those of zeros as they are."""
    lengths = numpy.sqrt((vectors**2).sum(axis=-1, keepdims=True))
    return vectors / numpy.where(lengths > 0, lengths, 1)


def _nearest(
    direction: numpy.ndarray, directions: numpy.ndarray, without: Sequence[int], vocab: Vocab, count: int
) -> list[tuple[str, float]]:
    """Return the tokens nearest to a direction, except those whose ids are ``without``."""
    check_whole("count", count, most=math.inf)
    # Not a matrix product, whose sums are added up in another order at the matrix's end: equal vectors are to have
    # equal cosines.
    cosines = (directions * direction).sum(axis=1)
    order = [i for i in numpy.argsort(-cosines, kind="stable").tolist() if i not in without]
    return [(vocab.idx_to_token[i], float(cosines[i])) for i in order[:count]]
