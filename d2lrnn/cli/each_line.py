"""What ``evaluate --each-line`` does: a row for each line of a text."""

from __future__ import annotations

from itertools import islice

from d2lrnn.data.ids import Line, load_lines
from d2lrnn.data.texts import Readable
from d2lrnn.evaluation.lines import frame_of_lines, log_probs_of_lines
from d2lrnn.evaluation.losses import check_finite, perplexity
from d2lrnn.runs.trained import TrainedRun
from d2lrnn.visible import in_a_line

LINES_AT_ONCE = 512  # measured together: lines of like lengths take less time in one batch


def evaluate_each_line(run: TrainedRun, source: Readable) -> int:
    """Print a table of a text's lines, with a tab between columns, and return the exit status."""
    begin, end = frame_of_lines(run.vocab)
    lines = load_lines(source, run.vocab, run.checkpoint.origin.get("given", ""))
    print("line", "tokens", "unknown", "log_probability", "perplexity", "text", sep="\t")
    while True:
        several = list(islice(lines, LINES_AT_ONCE))
        if not several:
            return 0
        scores = log_probs_of_lines(run.model, [line.ids for line in several], begin, end)
        for line, (log_prob, count) in zip(several, scores):
            print(_row_of(line, log_prob, count))


def _row_of(line: Line, log_prob: float, count: int) -> str:
    shown = f"{check_finite(perplexity(-log_prob, count)):.6g}" if count else "-"
    return f"{line.number}\t{count}\t{line.unknown}\t{log_prob:.4f}\t{shown}\t{in_a_line(line.text)}"
