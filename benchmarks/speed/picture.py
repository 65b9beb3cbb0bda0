"""Two pictures, the processors side by side: bars by group, and curves of how a step's time grows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from speed.cases import LYRICS, SCALES  # noqa: E402
from speed.figures import digits, row_of, rows, shown, unit  # noqa: E402
from speed.report import TITLES, cases_of, names_in  # noqa: E402
from speed.sittings import day, processor  # noqa: E402

COLOURS = {
    "ours scratch": "#9ecae1",
    "ours fast": "#08519c",
    "ours gluon": "#3182bd",
    "book scratch": "#fdbe85",
    "book gluon": "#fd8d3c",
    "plain gluon": "#e6550d",
    "torch": "#969696",
    "jax": "#74c476",
    "import mxnet": "#fd8d3c",
    "from d2l import mxnet": "#fdbe85",
    "import torch": "#969696",
    "import jax": "#74c476",
}
MARKERS = {"ours scratch": "o", "ours fast": "s", "ours gluon": "^", "torch": "x", "jax": "+"}
AXES = {"num_hiddens": "hidden units", "num_steps": "steps", "batch_size": "batch", "vocab_size": "vocabulary"}
INCH = 0.21  # of a bar


def draw_bars(sittings: Sequence[dict], path: Path) -> bool:
    """Draw every group but the scaling as bars, a column for each processor; return whether there was anything."""
    groups = {group: cases_of(sittings, group) for group in TITLES if group != "scaling"}
    groups = {group: cases for group, cases in groups.items() if cases}
    if not groups:
        return False
    heights = [sum(len(names_in(results)) + 1 for results in cases.values()) for cases in groups.values()]
    figure, grid = plt.subplots(
        len(groups),
        len(sittings),
        figsize=(1 + 6.4 * len(sittings), 1 + INCH * sum(heights) + 0.8 * len(heights)),
        height_ratios=heights,
        sharex="row",
        sharey="row",
        squeeze=False,
    )
    figure.suptitle("Ours beside the peers: medians, with quartiles", fontsize=13)
    for line, (group, cases) in zip(grid, groups.items()):
        for i, axes in enumerate(line):
            _bars(axes, cases, i)
            axes.set_title(f"{TITLES[group]}\n{_label(sittings[i])}", size=10, loc="left")
    figure.set_layout_engine("constrained", w_pad=0.15, h_pad=0.08)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True


def _label(results: dict) -> str:
    return f"{processor(results)}, {day(results)}"


def _bars(axes, cases: dict[str, list[dict | None]], i: int) -> None:
    """Draw a group's bars of one sitting; the axes are those of all sittings."""
    y, ticks, ends = 0, [], []
    for results in cases.values():
        first = next(result for result in results if result)
        if first["group"] != "startup":  # which has one case and a title that says it all
            beside = axes.get_yaxis_transform()
            axes.text(0.0, y, f" {first['name']}", transform=beside, weight="bold", va="center", size=9)
            y += 1
        for name in names_in(results):
            ends += [shown(result, end) for result in results if result for end in _quartiles(result, name)]
            row = row_of(results[i], name)
            if row:
                value = shown(first, row.median)
                low, high = sorted(shown(first, quartile) for quartile in row.quartiles)
                error = [[max(value - low, 0)], [max(high - value, 0)]]
                colour = COLOURS.get(name, COLOURS["ours gluon"])
                axes.barh(y, value, color=colour, xerr=error, error_kw={"lw": 0.8, "capsize": 2})
                axes.text(max(high, value), y, f"  {digits(value)}", va="center", size=8)
            ticks.append((y, name))
            y += 1
    axes.set_yticks([tick for tick, _ in ticks], [name for _, name in ticks], size=8)
    axes.set_ylim(y - 0.3, -0.7)
    better = "more is better" if first["group"] == "generation" else "less is better"
    axes.set_xlabel(f"{unit(first)}, {better}", size=8)
    axes.tick_params(axis="x", labelsize=8, labelbottom=True)
    if max(ends) > 8 * min(ends):
        axes.set_xscale("log")
        axes.set_xlim(min(ends) / 2, max(ends) * 2.5)
        axes.xaxis.set_major_formatter(_plain)
    else:
        axes.set_xlim(0, max(ends) * 1.18)
    axes.spines[["top", "right"]].set_visible(False)


def _quartiles(result: dict, name: str) -> tuple[float, ...]:
    row = row_of(result, name)
    return row.quartiles if row else ()


def draw_scaling(sittings: Sequence[dict], path: Path) -> bool:
    """Draw how a step's time grows with each size, the others staying; return whether there was anything to draw."""
    panels = {name: [_panel(results, name) for results in sittings] for name in SCALES}
    panels = {name: found for name, found in panels.items() if max(map(len, found)) > 1}
    if not panels:
        return False
    size = (4.2 * len(panels), 0.8 + 3.2 * len(sittings))
    figure, grid = plt.subplots(len(sittings), len(panels), figsize=size, squeeze=False, sharex="col", sharey=True)
    lines: dict = {}
    for j, (name, found) in enumerate(panels.items()):
        for i, cases in enumerate(found):
            _curves(grid[i][j], name, cases, lines)
        values = sorted({case["params"][name] for cases in found for case in cases})
        grid[-1][j].set_xticks(values, [f"{value:,}" for value in values])
        grid[-1][j].set_xlabel(AXES[name])
    for line, results in zip(grid, sittings):
        line[0].set_ylabel(f"{_label(results)}\nms a training step")
    rest = ", ".join(f"{AXES[name]} {LYRICS[name]:,}" for name in SCALES)
    figure.suptitle(f"LSTM on one-hot vectors; where nothing else is said: {rest}", fontsize=11)
    figure.legend(lines.values(), lines, loc="outside lower center", ncols=len(lines), frameon=False)
    figure.set_layout_engine("constrained")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True


def _curves(axes, name: str, cases: list[dict], lines: dict) -> None:
    """Draw how the times of one sitting grow with one size; enter each curve into ``lines``."""
    for implementation in MARKERS:
        points = [(case["params"][name], row_of(case, implementation)) for case in cases]
        points = [(value, row) for value, row in points if row]
        if points:
            x, colour = [value for value, _ in points], COLOURS[implementation]
            medians = [row.median for _, row in points]
            (lines[implementation],) = axes.plot(x, medians, color=colour, marker=MARKERS[implementation])
            low, high = ([row.quartiles[i] for _, row in points] for i in (0, 1))
            axes.fill_between(x, low, high, color=colour, alpha=0.25, lw=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(_plain)
    axes.yaxis.set_minor_locator(matplotlib.ticker.LogLocator(subs=(2, 5)))
    axes.yaxis.set_minor_formatter(_plain)
    axes.tick_params(axis="y", which="both", labelsize=8)
    axes.grid(alpha=0.3, which="both")


def _plain(value: float, _: int) -> str:
    """Write the number at a tick of a logarithmic axis in full."""
    return f"{value:,.10g}"


def _panel(results: dict, name: str) -> list[dict]:
    """Return the cases that differ from the lyrics' in this size alone, the smallest first."""
    cases = [
        case
        for case in results["cases"].values()
        if case["group"] == "scaling"
        and rows(case)
        and all(case["params"][other] == LYRICS[other] for other in SCALES if other != name)
    ]
    return sorted(cases, key=lambda case: case["params"][name])
