"""The page of markdown: a column for each processor, and what its sitting ran on."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from speed.figures import Row, digits, is_ours, quartiles, row_of, rows, shown, unit
from speed.sittings import day, processor

TITLES = {
    "lyrics": "Lyrics: one training step (V 1027, H 256, 35 steps, batch 32)",
    "ptb": "Penn Treebank: one training step (V 10,000, two LSTM layers)",
    "generation": "Generation: greedy, LSTM of 256, V 1027, 200 characters each",
    "startup": "Start-up: wall time of a fresh process",
    "memory": "Peak memory of a fresh process after ten training steps",
    "scaling": "Scaling: one training step of the lyrics LSTM",
}
CAPTION = """\
Each processor has a sitting of its own, with its own date. In a sitting, all implementations take turns, round by
round, and only one process computes at a time. A turn is a row of steps. The next sitting on a processor replaces its
columns.

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
- *jax*: pure functions under `jax.jit`, the time steps by `lax.scan`, the buffers donated. A look-up replaces the
  one-hot product. A whole generation is one compiled scan. JAX compiles anew for each shape, which takes seconds; that
  is not timed.
- Keras 3 on JAX is not measured apart: its `LSTM` is a `lax.scan` too, which the same XLA compiles.
- The GRU of *ours scratch* and *book scratch* multiplies by the reset gate before the product. The others multiply
  after it.
- The book writes one prefix after another. So two of 64 prefixes are measured, and their time counts 32 times.
- Peak memory is that of the process, with the libraries that it imports (d2lzh imports Matplotlib and IPython).
"""


def markdown(sittings: Sequence[dict]) -> str:
    """Return the whole page."""
    parts = ["# Speed beside the peers\n", "Written by `make bench` (benchmarks/speed.py).\n", CAPTION]
    for group, title in TITLES.items():
        cases = cases_of(sittings, group)
        if cases:
            parts += [f"## {title}\n", *tables(sittings, cases)]
    parts.append(NOTES)
    for results in sittings:
        parts += [_sitting(results), _skipped(results)]
    return "\n".join(part for part in parts if part)


def cases_of(sittings: Sequence[dict], group: str) -> dict[str, list[dict | None]]:
    """Return a group's cases that were measured anywhere, each with its results: one a sitting, or None."""
    keys = dict.fromkeys(key for each in sittings for key, case in each["cases"].items() if case["group"] == group)
    found = {key: [_measured(each["cases"].get(key)) for each in sittings] for key in keys}
    return {key: results for key, results in found.items() if any(results)}


def _measured(result: dict | None) -> dict | None:
    return result if result and rows(result) else None


def names_in(results: Sequence[dict | None]) -> list[str]:
    """Return who took part in a case in any of the sittings, in the order of a table."""
    names = dict.fromkeys(row.name for result in results if result for row in rows(result))
    return sorted(names, key=lambda name: not is_ours(name))


def tables(sittings: Sequence[dict], cases: dict[str, list[dict | None]]) -> tuple[str, str]:
    """Return the two tables of a group: the times, and how many times as fast as the peers ours are."""
    return _times(sittings, cases), _ratios(sittings, cases)


def _times(sittings: Sequence[dict], cases: dict[str, list[dict | None]]) -> str:
    """Return the table of medians, quartiles and shares of the limit."""
    first = next(result for results in cases.values() for result in results if result)
    with_share = any(row.share for results in cases.values() for result in results if result for row in rows(result))
    head, line = ["case", "who"], ["---", "---"]
    for each in sittings:
        columns = [
            f"{processor(each)}, {day(each)}: median, {unit(first)}",
            "quartiles",
            *["of the limit"] * with_share,
        ]
        head, line = head + columns, line + ["---:"] * len(columns)
    lines = [head, line]
    for results in cases.values():
        name_of = next(result["name"] for result in results if result)
        for i, name in enumerate(names_in(results)):
            cells = [cell for result in results for cell in _cells(result, row_of(result, name), with_share)]
            lines.append(["" if i else name_of, name, *cells])
    return _table(lines)


def _cells(result: dict | None, row: Row | None, with_share: bool) -> list[str]:
    if result is None or row is None:
        return [""] * (2 + with_share)
    low, high = sorted(shown(result, value) for value in row.quartiles)
    share = [f"{row.share:.0%}" if row.share else ""] * with_share
    return [digits(shown(result, row.median)), f"{digits(low)} to {digits(high)}", *share]


def _ratios(sittings: Sequence[dict], cases: dict[str, list[dict | None]]) -> str:
    """Return the table that says how many times as fast as each peer ours are."""
    peers = dict.fromkeys(name for results in cases.values() for name in names_in(results) if not is_ours(name))
    measured = [(peer, i) for peer in peers for i in range(len(sittings)) if _compared(cases, peer, i)]
    first = next(result for results in cases.values() for result in results if result)
    compared = "times as lean as" if first["group"] == "memory" else "times as fast as"
    head = ["case", compared, *(f"{peer}, {processor(sittings[i])}" for peer, i in measured)]
    lines = [head, ["---", "---", *["---:"] * len(measured)]]
    for results in cases.values():
        name_of = next(result["name"] for result in results if result)
        for j, name in enumerate(filter(is_ours, names_in(results))):
            found = [row_of(result, name) for result in results]
            cells = [
                digits(found[i].ratios[peer]) if found[i] and peer in found[i].ratios else "" for peer, i in measured
            ]
            lines.append(["" if j else name_of, name, *cells])
    return _table(lines)


def _compared(cases: dict[str, list[dict | None]], peer: str, i: int) -> bool:
    return any(row_of(results[i], peer) for results in cases.values())


def _table(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _skipped(results: dict) -> str:
    reasons: dict[str, list[str]] = {}
    for key, case in results["cases"].items():
        for name, reason in case["skipped"].items():
            reasons.setdefault(f"{name}: {reason}", []).append(key)
    lines = [f"- {reason} ({len(keys)} cases: {', '.join(keys)})" for reason, keys in reasons.items()]
    return "\n".join(["Left out there:\n", *lines, ""]) if lines else ""


def _sitting(results: dict) -> str:
    about, limits = results["environment"], []
    for case in results["cases"].values():
        limits += [entry["limit"] for entry in case["rounds"] if entry.get("limit")]
    workers = {family: said for family, said in results["workers"].items() if "versions" in said}
    python = {said["python"] for said in workers.values()}
    versions = [
        f"{family}: {', '.join(f'{name} {version}' for name, version in said['versions'].items())}"
        for family, said in workers.items()
    ]
    dirty = f" with {about['changed_files']} changed files" if about["changed_files"] else ""
    lines = [
        f"`{about['command']}`, {about['date']}, commit {about['commit']}{dirty}{_end(results)}",
        *(
            f"measured again, because others used the machine: {', '.join(each['cases'])}; {each['date']}, commit "
            f"{each['commit']}"
            for each in results.get("again", [])
        ),
        f"{about['cpu']}, {about['cores']} cores, {about['threads']} threads, OMP_WAIT_POLICY {about['wait_policy']}, "
        f"load {about['load_at_start']} at the start; {about['system']}",
        f"Python {', '.join(sorted(python))}; {'; '.join(versions)}",
        f"{results['options']['rounds']} rounds",
    ]
    if limits:
        low, middle, high = (q / 1e9 for q in quartiles(limits))
        lines.append(f"the limit: {middle:.0f} GFLOP/s, quartiles {low:.0f} to {high:.0f}")
    lines += _losses(results)
    others = [entry["others"] for case in results["cases"].values() for entry in case["rounds"] if "others" in entry]
    others = [share for share in others if share is not None]
    if others:
        lines.append(
            f"other programs used {statistics.median(others):.0%} of the machine meanwhile (median of the rounds; "
            f"{max(others):.0%} in the worst)"
        )
    return "\n".join([f"The sitting on {processor(results)}, {day(results)}:\n", *(f"- {line}" for line in lines), ""])


def _end(results: dict) -> str:
    return f"; ended early ({results['stopped']})" if results["stopped"] else ""


def _losses(results: dict) -> list[str]:
    """Return how far the first losses of those that start alike differ at most, if that was compared."""
    found = [case["differences"] for case in results["cases"].values() if case.get("differences")]
    largest = max((difference for each in found for difference in each.values()), default=0.0)
    peers = sorted({name for each in found for name in each})
    return [
        f"from equal parameters and without dropout, the losses of the first {results['options']['warm_up']} steps of "
        f"{' and '.join(peers)} differ from those of ours gluon by {largest:.0e} at most, relative ({len(found)} cases)"
    ] * bool(found)
