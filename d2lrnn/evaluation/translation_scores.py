"""How good translations are: BLEU and chrF, as the package sacrebleu computes them, so that others can compare."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

from d2lrnn.checks import shown
from d2lrnn.errors import D2lrnnError

# How sacrebleu splits a text into words: "13a" for languages with spaces between words, "zh" for Chinese, in which
# each Chinese character is a word, "char" for any other text without spaces.
BLEU_TOKENIZERS = ("13a", "zh", "char")

LENGTH_ENDS = (5, 10, 15, 20)  # tokens of a source: the ends of the ranges of scores_by_length


class TranslationScore(NamedTuple):
    """A score from 0 to 100, and what it was computed with."""

    value: float
    signature: str  # such as "BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"


class LengthScores(NamedTuple):
    """The scores of the sentences whose sources have ``least`` to ``most`` tokens."""

    least: int
    most: int | None  # None: any number
    sentences: int  # how many there are
    bleu: float
    chrf: float


def bleu(
    translations: Sequence[str],
    references: Sequence[Sequence[str]],
    tokenizer: str = "13a",
    lowercase: bool = False,
) -> TranslationScore:
    """Return the BLEU of a whole test (Papineni et al. 2002, https://aclanthology.org/P02-1040).

    Args:
        translations: one for each sentence; an empty text where there is none.
        references: for each sentence its right translations, one at least; sentences may have different numbers.
        tokenizer: one of BLEU_TOKENIZERS.
        lowercase: whether capital letters count as small ones: for translations that have no capital letters.

    Raises:
        D2lrnnError: if sacrebleu is not installed, or the texts are not as described.
    """
    if tokenizer not in BLEU_TOKENIZERS:
        raise D2lrnnError(f"unknown tokenizer {shown(tokenizer)}: expected one of {', '.join(BLEU_TOKENIZERS)}")
    # force: do not warn of a space before a full stop, which a translation may well have.
    metric = _sacrebleu().BLEU(tokenize=tokenizer, lowercase=lowercase, force=True)
    return _score("BLEU", metric, translations, references)


def chrf(translations: Sequence[str], references: Sequence[Sequence[str]], lowercase: bool = False) -> TranslationScore:
    """Return the chrF2 of a whole test, the F-score of runs of characters.

    It is that of Popović (2015, https://aclanthology.org/W15-3049).  Arguments and errors are those of :func:`bleu`.
    """
    return _score("chrF2", _sacrebleu().CHRF(lowercase=lowercase), translations, references)


def scores_by_length(
    translations: Sequence[str],
    references: Sequence[Sequence[str]],
    lengths: Sequence[int],
    tokenizer: str = "13a",
    lowercase: bool = False,
    ends: Sequence[int] = LENGTH_ENDS,
) -> list[LengthScores]:
    """Return the scores of short sentences, of longer ones, and so on; ranges without sentences are left out.

    Args:
        translations: as for :func:`bleu`, and so the others but these two.
        references: for each sentence.
        lengths: the tokens of each source.
        tokenizer: for BLEU.
        lowercase: for both scores.
        ends: the last length of each range but the last, growing; the last range has no end.

    Raises:
        D2lrnnError: as :func:`bleu`; also if there are not as many lengths as translations.
    """
    if len(lengths) != len(translations):
        raise D2lrnnError(f"there are {len(translations)} translations and {len(lengths)} lengths: expected as many")
    _check(translations, references)
    found = []
    for least, most in zip((1, *(end + 1 for end in ends)), (*ends, None)):
        rows = [i for i, length in enumerate(lengths) if least <= length and (most is None or length <= most)]
        if rows:
            texts = [translations[i] for i in rows], [references[i] for i in rows]
            values = bleu(*texts, tokenizer, lowercase).value, chrf(*texts, lowercase).value
            found.append(LengthScores(least, most, len(rows), *values))
    return found


def _score(
    name: str, metric: Any, translations: Sequence[str], references: Sequence[Sequence[str]]
) -> TranslationScore:
    _check(translations, references)
    # sacrebleu takes the first references of all sentences, then the second ones; None: a sentence has no more.
    most = max(map(len, references))
    streams = [[texts[i] if i < len(texts) else None for texts in references] for i in range(most)]
    value = metric.corpus_score(list(translations), streams).score
    return TranslationScore(float(value), f"{name}|{metric.get_signature()}")


def _check(translations: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if not len(translations) or len(translations) != len(references):
        raise D2lrnnError(
            f"there are {len(translations)} translations, and references for {len(references)} sentences: expected as "
            "many, at least one"
        )
    for i, texts in enumerate(references):
        if isinstance(texts, str) or not texts:
            raise D2lrnnError(f"the references of sentence {i + 1} are {shown(texts)}: expected several texts, or one")


def _sacrebleu() -> ModuleType:
    try:
        import sacrebleu
    except ImportError as error:
        raise D2lrnnError(
            "the package sacrebleu is not installed, which computes BLEU and chrF: run `pip install sacrebleu`"
        ) from error
    return sacrebleu
