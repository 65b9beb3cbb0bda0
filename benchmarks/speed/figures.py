"""From raw times to figures."""

from __future__ import annotations

import statistics
from typing import NamedTuple

from speed.cases import characters


class Row(NamedTuple):
    """What one implementation did in one case."""

    name: str
    median: float
    quartiles: tuple[float, float]
    share: float | None  # of the limit
    ratios: dict[str, float]  # for ours: the time of each other implementation, by its name, divided by this time


def is_ours(name: str) -> bool:
    """Return whether an implementation is this module's."""
    return name.startswith("ours")


def rows(result: dict) -> list[Row]:
    """Return the figures of one case: a row for each implementation that finished a round."""
    names = list(dict.fromkeys(name for entry in result["rounds"] for name in entry["times"]))
    return [_row(result, name, [other for other in names if not is_ours(other)]) for name in sorted(names, key=_order)]


def row_of(result: dict | None, name: str) -> Row | None:
    """Return the figures of one implementation in a case, None if it took no part."""
    return next((row for row in rows(result) if row.name == name), None) if result else None


def _order(name: str) -> tuple:
    return (not is_ours(name), ("torch", "jax").index(name) if name in ("torch", "jax") else -1)


def _row(result: dict, name: str, peers: list[str]) -> Row:
    rounds = [entry for entry in result["rounds"] if name in entry["times"]]
    times = [time for entry in rounds for time in entry["times"][name]]
    ratios = {}
    for peer in peers if is_ours(name) else ():
        both = [entry["times"] for entry in rounds if peer in entry["times"]]
        if both:
            ratios[peer] = statistics.median(
                statistics.median(each[peer]) / statistics.median(each[name]) for each in both
            )
    shares = [
        result["flops"] / entry["limit"] / statistics.median(entry["times"][name]) * 1e3
        for entry in rounds
        if entry.get("limit")
    ]
    low, middle, high = quartiles(times)
    return Row(name, middle, (low, high), statistics.median(shares) if shares else None, ratios)


def quartiles(values: list[float]) -> list[float]:
    """Return the lower quartile, the median and the upper quartile."""
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


def shown(result: dict, value: float) -> float:
    """Turn the milliseconds of a generation into characters a second; return every other figure as it is."""
    return characters(result["params"]) / value * 1e3 if result["group"] == "generation" else value


def unit(result: dict) -> str:
    """Return the unit of what :func:`shown` returns."""
    return "characters/s" if result["group"] == "generation" else result["unit"]


def digits(value: float) -> str:
    """Write a number with three digits or more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
