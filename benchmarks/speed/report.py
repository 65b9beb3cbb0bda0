"""From raw times to figures, and from figures to a page of markdown."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from speed.cases import characters

TITLES = {
    "lyrics": "Lyrics: one training step (V 1027, H 256, 35 steps, batch 32)",
    "ptb": "Penn Treebank: one training step (V 10,000, two LSTM layers)",
    "generation": "Generation: greedy, LSTM of 256, V 1027, 200 characters each",
    "startup": "Start-up: wall time of a fresh process",
    "memory": "Peak memory of a fresh process after ten training steps",
    "scaling": "Scaling: one training step of the lyrics LSTM",
}
CAPTION = """\
All implementations are measured in one sitting. They take turns, round by round, and only one process computes at a
time. A turn is a row of steps.

- *Median* and *quartiles* are over all steps of all rounds.
- *Times as fast*: in each round, the other's median divided by ours; then the median over the rounds. What slows the
  machine down for a while slows both.
- *Of the limit*: the shortest time that the step's arithmetic could take, as a share of the step's time. The arithmetic
  is the step's products, once forward and twice backward; a one-hot product is a look-up and counts nothing. Its
  shortest time is that at the speed of one big product of oneDNN, measured in the same round.
"""
NOTES = """\
- *book scratch*: clipping, update, one-hot and loops of d2lzh 1.0.0, and cells written from the book's equations
  (d2l-zh v1, sections 6.4, 6.7, 6.8).
- *book gluon*: RNNModel and loop of d2lzh; its RNN has relu, as in the book.
- *plain gluon*: embedding, fused LSTM and dense, all hybridised with the loss; `clip_global_norm`, Trainer. The dropout
  between its layers does nothing on the CPU.
- *torch*: `nn.RNN`, `nn.GRU`, `nn.LSTM`, `clip_grad_norm_`, SGD.
- The GRU of *ours scratch* and *book scratch* multiplies by the reset gate before the product. The others multiply
  after it.
- The book writes one prefix after another. So two of 64 prefixes are measured, and their time counts 32 times.
- Peak memory is that of the process, with the libraries that it imports (d2lzh imports Matplotlib and IPython).
"""


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


def _order(name: str) -> tuple:
    return (not is_ours(name), name == "torch")


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
    quartiles = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else times * 3
    share = statistics.median(shares) if shares else None
    return Row(name, statistics.median(times), (quartiles[0], quartiles[2]), share, ratios)


def shown(result: dict, value: float) -> float:
    """Turn the milliseconds of a generation into characters a second; return every other figure as it is."""
    return characters(result["params"]) / value * 1e3 if result["group"] == "generation" else value


def unit(result: dict) -> str:
    """Return the unit of what :func:`shown` returns."""
    return "characters/s" if result["group"] == "generation" else result["unit"]


def digits(value: float) -> str:
    """Write a number with three digits or more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def markdown(results: dict) -> str:
    """Return the whole page."""
    parts = ["# Speed beside the peers\n", "Written by `make bench` (benchmarks/speed.py).\n", CAPTION]
    for group, title in TITLES.items():
        cases = [case for case in results["cases"].values() if case["group"] == group and case["rounds"]]
        if cases:
            parts.append(f"## {title}\n")
            parts.append(_table(group, cases))
    parts += [NOTES, _skipped(results), _sitting(results)]
    return "\n".join(part for part in parts if part)


def _table(group: str, cases: list[dict]) -> str:
    compared = {"memory": "times as lean as", "startup": "times as fast as"}.get(group, "times as fast as")
    with_share = any(row.share for case in cases for row in rows(case))
    head = ["case", "who", f"median, {unit(cases[0])}", "quartiles", *(["of the limit"] * with_share), compared]
    lines = [head, ["---", "---", "---:", "---:", *(["---:"] * with_share), "---"]]
    for case in cases:
        for i, row in enumerate(rows(case)):
            low, high = sorted(shown(case, value) for value in row.quartiles)
            share = [f"{row.share:.0%}" if row.share else ""] * with_share
            ratios = ", ".join(f"{peer} **{ratio:.2f}**" for peer, ratio in row.ratios.items())
            spread = f"{digits(low)} to {digits(high)}"
            median = digits(shown(case, row.median))
            lines.append(["" if i else case["name"], row.name, median, spread, *share, ratios])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _skipped(results: dict) -> str:
    reasons: dict[str, list[str]] = {}
    for key, case in results["cases"].items():
        for name, reason in case["skipped"].items():
            reasons.setdefault(f"{name}: {reason}", []).append(key)
    lines = [f"- {reason} ({len(keys)} cases: {', '.join(keys)})" for reason, keys in reasons.items()]
    return "\n".join(["Left out:\n", *lines, ""]) if lines else ""


def _sitting(results: dict) -> str:
    about, workers = results["environment"], results["workers"]
    versions = [
        f"{family}: " + ", ".join(f"{name} {number}" for name, number in said["versions"].items())
        if "versions" in said
        else f"{family}: not there ({said['skipped']})"
        for family, said in workers.items()
    ]
    python = {said["python"] for said in workers.values() if "python" in said}
    limits = [entry["limit"] for case in results["cases"].values() for entry in case["rounds"] if entry.get("limit")]
    dirty = f" with {about['changed_files']} changed files" if about["changed_files"] else ""
    lines = [
        f"`{about['command']}`, {about['date']}, commit {about['commit']}{dirty}{_end(results)}",
        f"{about['cpu']}, {about['cores']} cores, {about['threads']} threads, OMP_WAIT_POLICY {about['wait_policy']}, "
        f"load {about['load_at_start']} at the start; {about['system']}",
        f"Python {', '.join(sorted(python))}; {'; '.join(versions)}",
        f"{results['options']['rounds']} rounds",
    ]
    if limits:
        low, middle, high = (q / 1e9 for q in _spread(limits))
        lines.append(f"the limit: {middle:.0f} GFLOP/s, quartiles {low:.0f} to {high:.0f}")
    others = [entry["others"] for case in results["cases"].values() for entry in case["rounds"] if "others" in entry]
    others = [share for share in others if share is not None]
    if others:
        lines.append(
            f"other programs used {statistics.median(others):.0%} of the machine meanwhile (median of the rounds; "
            f"{max(others):.0%} in the worst)"
        )
    return "\n".join(["The sitting:\n", *(f"- {line}" for line in lines), ""])


def _end(results: dict) -> str:
    return f"; ended early ({results['stopped']})" if results["stopped"] else ""


def _spread(values: list[float]) -> list[float]:
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


def write_json(results: dict, path: Path) -> None:
    """Replace the file in one step, so that it is whole even if the command is killed."""
    part = path.with_suffix(".part")
    part.write_text("\n".join(_lines(results)) + "\n")
    os.replace(part, path)


def _lines(results: dict) -> Iterator[str]:
    """Yield the JSON with one round a line, times to the microsecond."""
    yield "{"
    for key, value in results.items():
        if key != "cases":
            yield f"{json.dumps(key)}: {json.dumps(value, indent=1)},"
    yield '"cases": {'
    for i, (key, case) in enumerate(results["cases"].items()):
        about = json.dumps({**case, "rounds": None})
        before, after = about.split('"rounds": null')
        yield f'{", " * (i > 0)}{json.dumps(key)}: {before}"rounds": ['
        for j, entry in enumerate(case["rounds"]):
            times = {name: [round(time, 3) for time in each] for name, each in entry["times"].items()}
            yield f"{', ' * (j > 0)}{json.dumps({**entry, 'times': times})}"
        yield f"]{after}"
    yield "}}"
