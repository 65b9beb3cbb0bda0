"""The command ``doctor``: what this machine and this environment can do, and what to do about it.

MXNet is imported before the file of every other command.  This one says why that fails.
"""

from __future__ import annotations

import argparse
import textwrap

from d2lrnn.diagnosis.examination import examine
from d2lrnn.diagnosis.finding import BROKEN, NOTE, OK, Finding

WIDTH = 100  # columns of the output
COLUMNS = "{:<8}{:<11}"  # the state of a finding, and what it is about


def doctor(args: argparse.Namespace) -> int:
    """Print what is found, one thing after another; return 1 if something is broken, else 0."""
    counts = {OK: 0, NOTE: 0, BROKEN: 0}
    for finding in examine(args.data_dir):
        counts[finding.state] += 1
        print("\n".join(lines_of(finding)))
    print(f"\n{counts[BROKEN] or 'nothing'} broken, {counts[NOTE]} note{'s' * (counts[NOTE] != 1)}")
    return 1 if counts[BROKEN] else 0


def lines_of(finding: Finding) -> list[str]:
    """Return the lines of a finding: its state, what it is about and what was found; then what to do."""
    indent = COLUMNS.format("", "")
    texts = [finding.found, *[f"-> {finding.remedy}"] * bool(finding.remedy)]
    width = WIDTH - len(indent)
    lines = [
        line for text in texts for line in textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    ]
    return [COLUMNS.format(finding.state, finding.what) + lines[0], *(indent + line for line in lines[1:])]
