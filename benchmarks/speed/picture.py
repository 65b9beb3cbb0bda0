"""Two pictures: bars by group, and curves of how a step's time grows."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from speed.cases import LYRICS, SCALES  # noqa: E402
from speed.report import TITLES, digits, rows, shown, unit  # noqa: E402

COLOURS = {
    "ours scratch": "#9ecae1",
    "ours fast": "#08519c",
    "ours gluon": "#3182bd",
    "book scratch": "#fdbe85",
    "book gluon": "#fd8d3c",
    "plain gluon": "#e6550d",
    "torch": "#969696",
    "import mxnet": "#fd8d3c",
    "from d2l import mxnet": "#fdbe85",
    "import torch": "#969696",
}
MARKERS = {"ours scratch": "o", "ours fast": "s", "ours gluon": "^", "torch": "x"}
AXES = {"num_hiddens": "hidden units", "num_steps": "steps", "batch_size": "batch", "vocab_size": "vocabulary"}
INCH = 0.21  # of a bar


def draw_bars(results: dict, path: Path) -> bool:
    """Draw every group but the scaling as horizontal bars; return whether there was anything to draw."""
    groups = {}
    for group in TITLES:
        cases = [case for case in results["cases"].values() if case["group"] == group and rows(case)]
        if cases and group != "scaling":
            groups[group] = cases
    if not groups:
        return False
    columns = _columns(groups)
    heights = [[_num_lines(groups[group]) for group in column] for column in columns]
    figure = plt.figure(figsize=(7.2 * len(columns), 1 + max(INCH * sum(h) + 0.8 * len(h) for h in heights)))
    figure.suptitle("Ours beside the peers: medians, with quartiles", fontsize=13)
    outer = figure.add_gridspec(1, len(columns))
    for i, column in enumerate(columns):
        inner = outer[i].subgridspec(len(column), 1, height_ratios=heights[i])
        for j, group in enumerate(column):
            _bars(figure.add_subplot(inner[j]), group, groups[group])
    figure.set_layout_engine("constrained", w_pad=0.15, h_pad=0.08)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True


def _num_lines(cases: list[dict]) -> int:
    return sum(len(rows(case)) + 1 for case in cases)


def _columns(groups: dict) -> list[list[str]]:
    """Share the groups out between two columns, about equally high."""
    columns: list[list[str]] = [[], []]
    for group in groups:
        heights = [sum(_num_lines(groups[g]) + 4 for g in column) for column in columns]
        columns[heights[1] < heights[0]].append(group)
    return [column for column in columns if column]


def _bars(axes, group: str, cases: list[dict]) -> None:
    y, ticks, largest, smallest = 0, [], 0.0, float("inf")
    for case in cases:
        if group != "startup":  # which has one case and a title that says it all
            beside = axes.get_yaxis_transform()
            axes.text(0.0, y, f" {case['name']}", transform=beside, weight="bold", va="center", size=9)
            y += 1
        for row in rows(case):
            value = shown(case, row.median)
            low, high = sorted(shown(case, quartile) for quartile in row.quartiles)
            colour = COLOURS.get(row.name, COLOURS["ours gluon"])
            error = [[max(value - low, 0)], [max(high - value, 0)]]
            axes.barh(y, value, color=colour, xerr=error, error_kw={"lw": 0.8, "capsize": 2})
            axes.text(max(high, value), y, f"  {digits(value)}", va="center", size=8)
            ticks.append((y, row.name))
            largest, smallest = max(largest, high), min(smallest, low)
            y += 1
    axes.set_yticks([tick for tick, _ in ticks], [name for _, name in ticks], size=8)
    axes.set_ylim(y - 0.3, -0.7)
    better = "more is better" if group == "generation" else "less is better"
    axes.set_xlabel(f"{unit(cases[0])}, {better}", size=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_title(TITLES[group], size=10, loc="left")
    if largest > 8 * smallest:
        axes.set_xscale("log")
        axes.set_xlim(smallest / 2, largest * 2.5)
        axes.xaxis.set_major_formatter(_plain)
    else:
        axes.set_xlim(0, largest * 1.18)
    axes.spines[["top", "right"]].set_visible(False)


def draw_scaling(results: dict, path: Path) -> bool:
    """Draw how a step's time grows with each size, the others staying; return whether there was anything to draw."""
    panels = {name: _panel(results, name) for name in SCALES}
    panels = {name: cases for name, cases in panels.items() if len(cases) > 1}
    if not panels:
        return False
    figure, grid = plt.subplots(1, len(panels), figsize=(4.2 * len(panels), 4), squeeze=False, sharey=True)
    lines = {}
    for axes, (name, cases) in zip(grid[0], panels.items()):
        for implementation in MARKERS:
            points = [(case["params"][name], row) for case in cases for row in rows(case) if row.name == implementation]
            if points:
                x = [value for value, _ in points]
                medians = [row.median for _, row in points]
                colour = COLOURS[implementation]
                (lines[implementation],) = axes.plot(x, medians, color=colour, marker=MARKERS[implementation])
                low, high = ([row.quartiles[i] for _, row in points] for i in (0, 1))
                axes.fill_between(x, low, high, color=colour, alpha=0.25, lw=0)
        values = [case["params"][name] for case in cases]
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(values, [f"{value:,}" for value in values])
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(_plain)
        axes.yaxis.set_minor_locator(matplotlib.ticker.LogLocator(subs=(2, 5)))
        axes.yaxis.set_minor_formatter(_plain)
        axes.tick_params(axis="y", which="both", labelsize=8)
        axes.grid(alpha=0.3, which="both")
        axes.set_xlabel(AXES[name])
    grid[0][0].set_ylabel("ms a training step")
    rest = ", ".join(f"{AXES[name]} {LYRICS[name]:,}" for name in SCALES)
    figure.suptitle(f"LSTM on one-hot vectors; where nothing else is said: {rest}", fontsize=11)
    figure.legend(lines.values(), lines, loc="outside lower center", ncols=len(lines), frameon=False)
    figure.set_layout_engine("constrained")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True


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
