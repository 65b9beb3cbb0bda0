"""Minibatches of sentence pairs, whose lengths differ: batches of equally long sources, or buckets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Union

import numpy

from d2lrnn._runtime import mx
from d2lrnn.checks import check_memory, check_whole, shown
from d2lrnn.config.fields import PAIR_BATCHES
from d2lrnn.data.batches import Batches, to_device
from d2lrnn.data.lines import counted_steps
from d2lrnn.data.pairs import PairExamples
from d2lrnn.data.sentences import SPECIAL
from d2lrnn.data.vocabulary import BOS, EOS, PAD
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.errors import D2lrnnError

PAD_ID, BOS_ID, EOS_ID = (SPECIAL.index(token) for token in (PAD, BOS, EOS))  # in any translator's vocabulary

# So many batches of equally long sources are sorted by the length of their targets and cut.  More would make batches
# less random, fewer would pad more: the targets of the training of "cmn", in batches of 64, are padded by 52 % without
# sorting (POOL = 1), by 10 % with 8 and by 4 % with all.
POOL = 8

Sizes = tuple[int, int]  # of a bucket: tokens of a source, and of a target with <bos> or <eos>

Group = tuple[numpy.ndarray, Union[Sizes, None]]  # pairs whose batches have the same sizes; None: see _by_length


@dataclass(frozen=True)
class PairBatching:
    """How sentence pairs become batches.

    Raises:
        D2lrnnError: for a value that cannot be.
    """

    batch_size: int = 64  # the most pairs of a batch
    how: str = "lengths"  # one of PAIR_BATCHES
    buckets: tuple[Sizes, ...] = ()  # source and target sizes, growing; (): as the pairs ask for (buckets_for)
    reverse_source: bool = False  # whether a source is read from its end to its beginning

    def __post_init__(self) -> None:
        check_whole("batch_size", self.batch_size)
        if self.how not in PAIR_BATCHES:
            raise D2lrnnError(f"unknown batches {shown(self.how)}: expected one of {', '.join(PAIR_BATCHES)}")
        last = (1, 2)
        for bucket in self.buckets:
            if not (isinstance(bucket, (tuple, list)) and len(bucket) == 2):
                raise D2lrnnError(f"a bucket is {shown(bucket)}: expected two sizes, of source and target")
            for name, size, least in zip(("source", "target"), bucket, last):
                check_whole(f"the {name} size of a bucket", size, least)
            last = (bucket[0], bucket[1])


def buckets_for(examples: PairExamples, count: int = 5) -> tuple[Sizes, ...]:
    """Return sizes of buckets: those below which half of the sources and of the targets are, three quarters, and so on.

    The last bucket holds all pairs.

    Args:
        examples: the pairs, at least one.
        count: how many buckets there are; fewer where sizes would come twice.
    """
    lengths = numpy.sort(_lengths(examples), axis=0)
    shares = [1 - 0.5**i for i in range(1, count)] + [1.0]
    ends = [lengths[math.ceil(share * len(lengths)) - 1].tolist() for share in shares]
    return tuple(dict.fromkeys((source, target) for source, target in ends))


def data_iter_pairs(
    examples: PairExamples, batching: PairBatching, ctx: ContextLike = None, training: bool = False
) -> Batches:
    """Yield batches ``X, counted, Y_in, Y_out, weights`` of sentence pairs; each pair is in one of them.

    ``X`` has the ids of the sources.  A row of ``Y_in`` is ``<bos>`` and a target, of ``Y_out`` the target and
    ``<eos>``; both are padded behind with ``<pad>``.  For example, in a batch of the targets 5 6 7 and 8::

        Y_in  1 5 6 7    Y_out 5 6 7 2    weights 1 1 1 1
              1 8 0 0          8 2 0 0            1 1 0 0

    With "lengths" the sources of a batch are equally long, and ``counted`` is None.  The pairs of a length that do not
    fill a batch are no batch of their own: the pairs are divided among the batches, as equally as they can be.

    With "buckets" a pair is in the first bucket that is large enough for both sides; the pairs that are too long for
    every bucket have one of their own.  Each source is padded in front to the size of its bucket, each target behind.

    Args:
        examples: the pairs.
        batching: how they become batches.
        ctx: the device of the batches.
        training: whether pairs and batches come in random order, from NumPy's global generator; else always alike.

    Yields:
        ``X`` (batch_size, source steps) int32; ``counted`` float32 of the same shape, 1 for a token and 0 for padding,
        or None where no source is padded; ``Y_in`` and ``Y_out`` (batch_size, target steps) int32; ``weights`` float32
        of the same shape, 1 for tokens of ``Y_out`` and 0 for ``<pad>``.

    Raises:
        D2lrnnError: if there are no pairs, or a batch would not fit into memory.
    """
    lengths = _lengths(examples)
    by_length = batching.how == "lengths"
    groups = _by_length(lengths) if by_length else _by_bucket(lengths, batching.buckets or buckets_for(examples))
    num_batches = sum(_num_parts(len(rows), batching.batch_size) for rows, _ in groups)
    largest = max(min(len(rows), batching.batch_size) * sum(size or lengths.max(axis=0)) for rows, size in groups)
    check_memory(f"a batch of {largest:,} tokens", 16 * int(largest), "make batch_size smaller")

    def batches() -> Iterator:
        parts = []
        for rows, size in groups:
            rows = numpy.random.permutation(rows) if training else rows
            parts += [(part, size) for part in _parts(rows, lengths[rows, 1] if by_length else None, batching)]
        for i in numpy.random.permutation(len(parts)) if training else range(len(parts)):
            yield _batch(examples, lengths, *parts[i], batching.reverse_source, ctx)

    ctx = as_ctx(ctx)
    return Batches(batches(), num_batches)


def data_iter_sources(
    sources: Sequence[numpy.ndarray], batch_size: int, reverse_source: bool = False, ctx: ContextLike = None
) -> Batches:
    """Yield batches ``rows, X`` of sentences to be translated; those of a batch are equally long.

    Args:
        sources: the ids of each sentence, at least one token each.
        batch_size: the most sentences of a batch.
        reverse_source: whether a sentence is read from its end to its beginning.
        ctx: the device of the batches.

    Yields:
        ``rows``, the places of the sentences in ``sources``, NumPy; ``X`` (batch_size, source steps), int32.

    Raises:
        D2lrnnError: for a sentence without tokens, and for a batch_size that is none.
    """
    check_whole("batch_size", batch_size)
    lengths = numpy.array([len(ids) for ids in sources], dtype=int)
    if not lengths.all():
        raise D2lrnnError(f"sentence {int(lengths.argmin()) + 1} has no tokens: expected at least one")
    groups = [numpy.flatnonzero(lengths == length) for length in numpy.unique(lengths)]
    parts = [part for rows in groups for part in numpy.array_split(rows, _num_parts(len(rows), batch_size))]

    def batches() -> Iterator:
        for rows in parts:
            X = numpy.stack([sources[i] for i in rows])
            yield rows, to_device(X[:, ::-1] if reverse_source else X, ctx)

    ctx = as_ctx(ctx)
    return Batches(batches(), len(parts))


def _lengths(examples: PairExamples) -> numpy.ndarray:
    """Return the tokens of each source, and of each target with ``<bos>`` or ``<eos>``: (number of pairs, 2)."""
    if not len(examples):
        raise D2lrnnError("there are no sentence pairs: expected at least one")
    lengths = numpy.array([(len(ids), len(target) + 1) for ids, target in zip(examples.sources, examples.targets)])
    if not lengths[:, 0].all():
        raise D2lrnnError(f"pair {int(lengths[:, 0].argmin()) + 1} has a source without tokens: expected at least one")
    return lengths


def _by_length(lengths: numpy.ndarray) -> list[Group]:
    """Return the pairs by the length of their source; the size of the target is that of the longest of a batch."""
    return [(numpy.flatnonzero(lengths[:, 0] == length), None) for length in numpy.unique(lengths[:, 0])]


def _by_bucket(lengths: numpy.ndarray, buckets: Sequence[Sizes]) -> list[Group]:
    """Return the pairs of each bucket that has any, and those that fit into none in a bucket of their own."""
    groups: list[Group] = []
    left = numpy.ones(len(lengths), dtype=bool)
    for size in buckets:
        fits = left & (lengths <= size).all(axis=1)
        groups.append((numpy.flatnonzero(fits), size))
        left &= ~fits
    if left.any():
        source, target = lengths[left].max(axis=0).tolist()
        groups.append((numpy.flatnonzero(left), (source, target)))
    return [(rows, size) for rows, size in groups if len(rows)]


def _num_parts(count: int, batch_size: int) -> int:
    return -(-count // batch_size)


def _parts(rows: numpy.ndarray, by: numpy.ndarray | None, batching: PairBatching) -> list[numpy.ndarray]:
    """Divide rows into batches as equally large as they can be, of which neighbours are alike in ``by``."""
    num_parts = _num_parts(len(rows), batching.batch_size)
    ends = numpy.cumsum([len(part) for part in numpy.array_split(rows, num_parts)])
    if by is not None:
        pools = numpy.split(numpy.arange(len(rows)), ends[POOL - 1 : -1 : POOL])
        rows = rows[numpy.concatenate([pool[numpy.argsort(by[pool], kind="stable")] for pool in pools])]
    return numpy.split(rows, ends[:-1])


def _batch(
    examples: PairExamples, lengths: numpy.ndarray, rows: numpy.ndarray, size: Sizes | None, reverse: bool, ctx
) -> tuple:
    """Return the batch of some pairs, padded to a size; None: to the longest of them."""
    source_size, target_size = size or lengths[rows].max(axis=0).tolist()
    X = numpy.full((len(rows), source_size), PAD_ID, dtype=numpy.int32)
    Y_in = numpy.full((len(rows), target_size), PAD_ID, dtype=numpy.int32)
    Y_out = Y_in.copy()
    Y_in[:, 0] = BOS_ID
    for x, y_in, y_out, i in zip(X, Y_in, Y_out, rows):
        source, target = examples.sources[i], examples.targets[i]
        x[source_size - len(source) :] = source[::-1] if reverse else source
        y_in[1 : len(target) + 1] = target
        y_out[: len(target)], y_out[len(target)] = target, EOS_ID
    counted = counted_steps(lengths[rows, 0], source_size, front=True)
    weights = counted_steps(lengths[rows, 1], target_size)
    masks = (None if counted.all() else _to_mask(counted, ctx)), _to_mask(weights, ctx)
    return to_device(X, ctx), masks[0], to_device(Y_in, ctx), to_device(Y_out, ctx), masks[1]


def _to_mask(counted: numpy.ndarray, ctx: mx.Context) -> mx.np.ndarray:
    """Return a mask as a float32 array on a device."""
    return mx.np.array(counted, dtype=numpy.float32, ctx=ctx)
