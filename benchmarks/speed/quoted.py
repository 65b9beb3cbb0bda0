"""The tables of docs/results.md: each case on that processor where ours are ahead of PyTorch the least."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from speed.cases import all_cases
from speed.figures import Row, digits, is_ours, rows, shown
from speed.sittings import processor

COLUMNS = {
    "ours scratch": "from scratch",
    "ours fast": "compiled (`fast`)",
    "ours gluon": "on Gluon",
    "book scratch": "book, scratch",
    "book gluon": "book, Gluon",
    "plain gluon": "plain Gluon",
    "torch": "PyTorch",
    "jax": "JAX",
    "ours: import d2lrnn": "`import d2lrnn`",
    "ours: d2lrnn --help": "`d2lrnn --help`",
    "import mxnet": "`import mxnet`",
    "from d2l import mxnet": "`from d2l import mxnet`",
    "import torch": "`import torch`",
    "import jax": "`import jax`",
}
TABLES = {  # what the first column is headed by, and the cases
    "a training step, ms": {
        "lyrics/rnn one-hot": "lyrics, rnn, one-hot",
        "lyrics/gru one-hot": "lyrics, gru, one-hot",
        "lyrics/lstm one-hot": "lyrics, lstm, one-hot",
        "lyrics/rnn embedding": "lyrics, rnn, embedding of 256",
        "lyrics/gru embedding": "lyrics, gru, embedding of 256",
        "lyrics/lstm embedding": "lyrics, lstm, embedding of 256",
        "ptb/small": "Penn Treebank, small",
        "ptb/medium": "Penn Treebank, medium",
        "ptb/large": "Penn Treebank, large",
    },
    "characters written a second": {
        "generation/1 prefix": "one prefix",
        "generation/64 prefixes": "64 prefixes at once",
    },
    "start of a process, ms": {"startup/fresh process": "a fresh process"},
}


class Quoted(NamedTuple):
    """A case on the processor where ours are ahead the least."""

    processor: str
    result: dict
    rows: list[Row]
    ratios: dict[str, float]  # how many times as fast as each peer the fastest of ours is

    @property
    def ahead(self) -> float:
        """How many times as fast as PyTorch it is."""
        return next((ratio for peer, ratio in self.ratios.items() if "torch" in peer), math.inf)


def worse(sittings: Sequence[dict], key: str) -> Quoted | None:
    """Return a case on that processor where the fastest of ours is ahead of PyTorch the least; None if unmeasured."""
    found = []
    for each in sittings:
        result = each["cases"].get(key)
        figures = rows(result) if result else []
        ours = [row for row in figures if is_ours(row.name) and row.name != "ours: d2lrnn --help"]
        if ours:
            found.append(Quoted(processor(each), result, figures, min(ours, key=lambda row: row.median).ratios))
    return min(found, key=lambda quoted: quoted.ahead, default=None)


def tables(sittings: Sequence[dict]) -> dict[str, list[str]]:
    """Return the lines of every table, by what its first column is headed by."""
    return {title: _table(title, sittings, names) for title, names in TABLES.items()}


def _table(title: str, sittings: Sequence[dict], names: dict[str, str]) -> list[str]:
    quoted = {name: found for key, name in names.items() if (found := worse(sittings, key))}
    present = {name for case in all_cases() if case.key in names for name in case.implementations}
    columns = [name for name in COLUMNS if name in present]
    peers = [name for name in columns if "torch" in name or "jax" in name]
    compared = [f"times as fast as {COLUMNS[name]}" for name in peers]
    lines = [[title, "on", *(COLUMNS[name] for name in columns), *compared]]
    lines.append(["---"] * len(lines[0]))
    for name, each in quoted.items():
        medians = {row.name: digits(shown(each.result, row.median)) for row in each.rows}
        ratios = [digits(each.ratios[peer]) if peer in each.ratios else "" for peer in peers]
        lines.append([name, each.processor, *(medians.get(column, "") for column in columns), *ratios])
    return [f"| {' | '.join(line)} |" for line in lines]


def put_into(page: Path, sittings: Sequence[dict]) -> None:
    """Replace the tables of a page by those of the sittings."""
    text = page.read_text()
    for title, lines in tables(sittings).items():
        table = "\n".join(lines) + "\n"  # has no backslash, which the replacement would read as a reference
        text = re.sub(rf"^\| {re.escape(title)} \|.*\n(\|.*\n)+", table, text, flags=re.MULTILINE)
    page.write_text(text)
