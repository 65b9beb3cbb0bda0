"""What ``evaluate`` does with the run of a translator."""

from __future__ import annotations

import time

from d2lrnn.data.pairs import PairExamples
from d2lrnn.evaluation.losses import check_finite, format_perplexity
from d2lrnn.evaluation.translation_scores import LengthScores
from d2lrnn.runs.translator import TranslatorRun
from d2lrnn.training.translation import perplexity_of_pairs, scores_of_translations


def evaluate_translations(run: TranslatorRun, name: str, examples: PairExamples) -> int:
    """Measure and print a translator's perplexity, BLEU and chrF on sentence pairs; return the exit status.

    Args:
        run: the translator.
        name: of the pairs.
        examples: the pairs.
    """
    config = run.checkpoint.train_config
    found = check_finite(perplexity_of_pairs(run.model, examples, config, run.plan))
    count = f"{len(examples):,} sentence pair{'' if len(examples) == 1 else 's'}"
    print(f"{name}: perplexity {format_perplexity(found)} over {count}")
    start = time.perf_counter()
    scores = scores_of_translations(run.model, examples, run.target, run.plan)
    seconds = time.perf_counter() - start
    for score, label in ((scores.bleu, "BLEU"), (scores.chrf, "chrF")):
        print(f"{label} {score.value:.2f}  {score.signature}")
    for row in scores.by_length:
        count = f"{row.sentences:,} sentence{'' if row.sentences == 1 else 's'}"
        print(f"{_range(row)}: BLEU {row.bleu:.2f}, chrF {row.chrf:.2f}, {count}")
    print(f"{len(examples.sentences()) / seconds:,.0f} sentences/s")
    return 0


def _range(row: LengthScores) -> str:
    """Return the lengths of a row's sources."""
    return f"{row.least} tokens and more" if row.most is None else f"{row.least} to {row.most} tokens"
