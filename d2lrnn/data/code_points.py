"""Texts as NumPy arrays of code points: counted and looked up without an object for each character."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy

BLOCK = 2**18  # characters, or numbers, that are worked on at once


def code_points(text: str) -> numpy.ndarray:
    """Return the code points of a text as int32 (len(text),); half a surrogate pair is a code point too."""
    return numpy.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<i4")


class Counts:
    """How often each number came among whole numbers from 0 on, such as code points."""

    def __init__(self) -> None:
        self._counts = numpy.zeros(0, numpy.int64)

    def add(self, numbers: numpy.ndarray) -> None:
        """Count more numbers."""
        most = int(numbers.max(initial=-1))
        if most >= len(self._counts):
            more = max(most + 1, 2 * len(self._counts)) - len(self._counts)
            self._counts = numpy.concatenate([self._counts, numpy.zeros(more, numpy.int64)])
        if most < 4 * len(numbers):
            found = numpy.bincount(numbers)
            self._counts[: len(found)] += found
        else:  # there may be millions of numbers, most of which do not come here
            different, found = numpy.unique(numbers, return_counts=True)
            self._counts[different] += found

    def by_frequency(self, order: numpy.ndarray | None = None) -> numpy.ndarray:
        """Return the numbers that came at all, the most frequent first.

        Args:
            order: all numbers, in the order of those that are equally frequent; None: 0, 1, ...
        """
        order = numpy.arange(len(self._counts)) if order is None else order
        order = order[self._counts[order] > 0]
        return order[numpy.argsort(-self._counts[order], kind="stable")]


def characters_by_frequency(text: str) -> Iterator[str]:
    """Return the different characters of a text: most frequent first, equally frequent ones by code point."""
    counts = Counts()
    for begin in range(0, len(text), BLOCK):
        counts.add(code_points(text[begin : begin + BLOCK]))
    return map(chr, counts.by_frequency().tolist())


def look_up(text: str, numbers: Mapping[str, int]) -> numpy.ndarray:
    """Return the number of each character of a text as int32 (len(text),); -1: the character has none."""
    known = {ord(token): number for token, number in numbers.items() if len(token) == 1}
    table = numpy.full(max(known, default=-1) + 2, -1, numpy.int32)  # its last entry is for all code points beyond
    table[list(known)] = list(known.values())
    found = numpy.empty(len(text), numpy.int32)
    for begin in range(0, len(text), BLOCK):
        points = code_points(text[begin : begin + BLOCK])
        table.take(points, mode="clip", out=found[begin : begin + len(points)])
    return found
