"""The sentence pairs that a lesson reads."""

from __future__ import annotations

import math

from common.settings import Lesson
from d2lrnn.data import PairsCorpus, corpus_of_pairs, load_pairs


def lesson_pairs(lesson: Lesson, quick: int) -> PairsCorpus:
    """Return the sentence pairs of a lesson; under ``--quick`` some of them, from all over the file.

    Args:
        lesson: names the data.
        quick: how many pairs are read under ``--quick``, at most.
    """
    corpus = load_pairs(lesson.data)
    if not lesson.quick:
        return corpus
    splits = (corpus.train, corpus.valid, corpus.test)
    pairs = sorted((pair for split in splits for pair in split.pairs), key=lambda pair: pair.row)
    levels = (corpus.source.level, corpus.target.level)
    return corpus_of_pairs(corpus.name, pairs[:: math.ceil(len(pairs) / quick)], levels=levels)
