"""The command ``plot``: draw the perplexity of runs, epoch by epoch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from d2lrnn.plotting.pictures import plot_history
from d2lrnn.runs.log import read_epochs
from d2lrnn.runs.trained import name_of


def plot(args: argparse.Namespace) -> int:
    """Draw the perplexity of runs, name what their logs lack, and return the exit status."""
    names = [name_of(run) for run in args.runs]
    logs = {name if names.count(name) == 1 else str(run): read_epochs(run) for name, run in zip(names, args.runs)}
    plot_history({name: log.history for name, log in logs.items()}, args.out, ", ".join(logs))
    for name, log in logs.items():
        for measure, numbers in log.missing.items():
            if numbers:
                print(f"gap      {name}: its log has no finite {measure} of {_epochs(numbers)}")
        if log.doubled:
            print(f"doubled  {name}: its log has several lines of {_epochs(log.doubled)}, the last one is drawn")
    print(f"picture  {args.out}")
    return 0


def _epochs(numbers: Sequence[int]) -> str:
    """Return epochs as text: "epoch 2", or "epochs 2 to 4, 7" for 2, 3, 4 and 7."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][-1] == number - 1:
            spans[-1] = [spans[-1][0], number]
        else:
            spans.append([number])
    shown = ", ".join(" to ".join(map(str, span)) for span in spans[:20]) + (" and more" if len(spans) > 20 else "")
    return f"epoch{'s' if len(numbers) > 1 else ''} {shown}"
