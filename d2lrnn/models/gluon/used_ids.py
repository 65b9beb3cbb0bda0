"""The ids that come in a batch: one-hot vectors need not be wider than there are such ids.

A one-hot vector times a weight is a look-up of one column, but oneDNN's recurrent layers compute the product with all
columns, forward and twice backward.  Of 1,027 characters by Zipf's law, a batch of 35 x 32 has 356.  So the columns of
these are taken from the weight, and the vectors are as wide as there are columns.
"""

from __future__ import annotations

import numpy

from d2lrnn._runtime import mx

LEAST_VOCAB_SIZE = 512  # of a smaller vocabulary a batch has nearly all ids, and taking columns gains nothing
MULTIPLE = 128  # widths are rounded up to a multiple, since each width has a compiled graph of its own


def used_ids(X, vocab_size: int) -> tuple:
    """Number the ids of a batch anew, by those that come in it.

    Args:
        X: ids of a vocabulary of ``vocab_size``, of any shape.
        vocab_size: ids are below this.

    Returns:
        an int32 array of X's shape, the place of each id of X among the ids that come in X; and these ids in rising
        order, filled up with 0 to a multiple of 128, or to ``vocab_size`` if that is less.
    """
    ids = X.asnumpy().astype(numpy.int32)
    comes = numpy.zeros(vocab_size, bool)
    comes[ids] = True
    found = numpy.flatnonzero(comes)
    used = numpy.zeros(min(-(-len(found) // MULTIPLE) * MULTIPLE, vocab_size), numpy.int32)
    used[: len(found)] = found
    places = (numpy.cumsum(comes) - 1)[ids]
    return tuple(mx.np.array(numbers, dtype="int32", ctx=X.ctx) for numbers in (places, used))
