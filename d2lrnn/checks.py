"""Check that a value is a number, and that what it asks for fits in memory; errors say what was expected."""

from __future__ import annotations

import contextlib
import functools
import math
import numbers
import os
import resource
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from d2lrnn.errors import D2lrnnError

MAX_SIZE = 2**31 - 1  # numbers of an array: MXNet counts in 32 bits; larger sizes crash it or give wrong results

MAX_COMPUTED = 2**29 - 1  # numbers of what an operator computes: one_hot crashes from 2**31 bytes on

LEAST_NORMAL = 2.0**-126  # the least number above 0 that float32 holds with all its digits; MXNet refuses smaller ones

LARGEST = 1e38  # of a number that is set: float32 holds this and its double


def shown(value: Any) -> str:
    """Return a value of the user's as text for an error: its repr, if that is short."""
    if isinstance(value, int) and value.bit_length() > 128:  # Python refuses to write a number of 5,000 digits
        return f"a number of about {int(value.bit_length() * math.log10(2)) + 1:,} digits"
    try:
        text = repr(value)
    except Exception:  # repr is the user's own code
        text = f"a {type(value).__name__}"
    return shortened(text)


def shortened(text: str) -> str:
    """Return a text of the user's for an error, cut off after 80 characters."""
    return text if len(text) <= 80 else f"{text[:80]}..."


def listed(words: Sequence[str], most: int = 10) -> str:
    """Return words of the user's for a message: the first ten, each shortened, and how many more there are."""
    more = len(words) - most
    return ", ".join(map(shortened, words[:most])) + (f" and {more} more" if more > 0 else "")


def check_whole(name: str, value: Any, least: int = 1, most: float = MAX_SIZE) -> int:
    """Check that the value of the setting ``name`` is a whole number, at least ``least`` and at most ``most``.

    Give ``most=math.inf`` for a number that only limits, such as the most tokens to keep.

    Returns:
        the number as an int; NumPy's whole numbers are accepted, True, texts, arrays and 1.0 are not.

    Raises:
        D2lrnnError: if it is not.
    """
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not (is_whole and least <= int(value) <= most):
        high = "" if most == math.inf else f" and at most {most:,}"
        raise D2lrnnError(f"{name} is {shown(value)}: expected a whole number, at least {least:,}{high}")
    return int(value)


def as_float32(value: float) -> float:
    """Return a factor as an operator of MXNet takes it: 0 in place of what is too small for a normal float32.

    MXNet refuses such a number with "Out of range value".  A learning rate that halves in each epoch comes there
    after some 126 epochs; a step with it would change nothing.
    """
    return 0.0 if abs(value) < LEAST_NORMAL else value


def check_number(
    name: str,
    value: Any,
    least: float = 0.0,
    most: float = LARGEST,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """Check that the value of the setting ``name`` is a number in a range.

    For ``above`` and ``below``, the number counts as float32 holds it: 1e-40 is not above 0, nor 0.99999999 below 1.

    Args:
        name: the setting, for the error.
        value: what was found.
        least: the smallest number.
        most: the largest number; infinite only where infinity has a meaning.
        above: the number must be above this; takes the place of ``least``.
        below: the number must be below this; takes the place of ``most``.

    Returns:
        the number as a float, 0.0 if it is too small for float32; NumPy's numbers are accepted, True, texts and arrays
        are not.

    Raises:
        D2lrnnError: if it is no such number, such as NaN.
    """

    def fits(held: Any) -> bool:
        high_enough = value >= least if above is None else held > above
        return high_enough and (value <= most if below is None else held < below)

    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not fits(_held_by_float32(value)):
        found = shown(value)
        if isinstance(value, float) and fits(value):
            found += f", which float32 holds as {_held_by_float32(value):g}"
        low = f"at least {least:g}" if above is None else f"above {above:g}"
        high = f"at most {most:g}" if below is None else f"below {below:g}"
        raise D2lrnnError(f"{name} is {found}: expected a number, {low} and {high}")
    try:
        return as_float32(float(value))
    except OverflowError:  # a whole number of hundreds of digits, where infinity is allowed
        return math.inf


def _held_by_float32(value: Any) -> float:
    try:
        return as_float32(struct.unpack("f", struct.pack("f", float(value)))[0])
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def memory() -> int:
    """Return how many bytes this process can have: the machine's memory, or less in a container or by ``ulimit -v``."""
    address_space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if address_space == resource.RLIM_INFINITY:
        return _physical_memory()
    with contextlib.suppress(OSError):  # what is mapped already, which only Linux tells
        address_space -= int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    return min(_physical_memory(), max(address_space, 0))


@functools.cache
def _physical_memory() -> int:
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *container_limits()])


def container_limits(
    processes: Path = Path("/proc/self/cgroup"), groups: Path = Path("/sys/fs/cgroup")
) -> Iterator[int]:
    """Yield the limits of memory, in bytes, that Linux sets the control groups of this process (versions 1 and 2)."""
    lines = []
    with contextlib.suppress(OSError):
        lines = processes.read_text().splitlines()
    for line in lines:
        controllers, path = line.split(":", 2)[1:]
        if controllers in ("", "memory"):
            place, file = (groups / "memory", "memory.limit_in_bytes") if controllers else (groups, "memory.max")
            for group in (PurePosixPath(path), *PurePosixPath(path).parents):
                with contextlib.suppress(OSError, ValueError):  # no such group from here; "max": no limit
                    yield int((place / group.relative_to("/") / file).read_text())


def check_memory(what: str, size: int, remedy: str) -> None:
    """Check that this process can have ``size`` bytes, before they are asked for.

    Args:
        what: what takes them, for the error.
        size: how many.
        remedy: what to do, for the error.

    Raises:
        D2lrnnError: if it cannot.
    """
    if size > memory():
        need, there = (f"{amount / 2**30:,.1f} GiB" for amount in (size, memory()))
        raise D2lrnnError(f"{what} would take {need} of memory, and there are {there}: {remedy}")


def check_numbers(what: str, count: int, remedy: str, size: int = 4, most: int = MAX_SIZE) -> None:
    """Check that an array of MXNet can have ``count`` numbers, at most ``most``, and that memory can hold them.

    The other arguments and the errors are those of :func:`check_memory`, but ``size`` is the bytes of each number; more
    than 4 where it comes with others, such as its gradient.
    """
    if count > most:
        raise D2lrnnError(f"{what} cannot be made: MXNet counts to {most:,} here; {remedy}")
    check_memory(what, count * size, remedy)


def check_parameters(shapes: Iterable[tuple[int, ...]]) -> None:
    """Check that parameters of these shapes can be made, each with its gradient.

    All of them are counted together, since a fused layer's array holds all parameters of the layer.  A length of -1 is
    one that Gluon has still to find out.

    Raises:
        D2lrnnError: with the number of parameters, if they are too many.
    """
    count = sum(max(math.prod(shape), 0) for shape in shapes)
    remedy = "make num_hiddens, num_layers, embed_size or the vocabulary smaller"
    check_numbers(f"a model of {count:,} parameters", count, remedy, size=8)


def check_state(batch_size: int, widths: Iterable[int]) -> None:
    """Check that a state can be made, for each row of a batch arrays of these widths.

    Raises:
        D2lrnnError: if ``batch_size`` is no size, or memory cannot hold the state.
    """
    check_whole("batch_size", batch_size)
    check_numbers(f"the state of {batch_size:,} rows", batch_size * sum(widths), "make batch_size smaller")
