"""Training a translator on sentence pairs: a source comes in, its translation goes out."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from d2lrnn.config.generation import Decoding
from d2lrnn.config.training import TrainConfig
from d2lrnn.config.translation import TranslationConfig
from d2lrnn.data.batches import Batches
from d2lrnn.data.buckets import PairBatching, data_iter_pairs
from d2lrnn.data.pairs import PairExamples, PairsCorpus, Sentence
from d2lrnn.data.sentences import SPECIAL
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.errors import D2lrnnError
from d2lrnn.evaluation.losses import check_finite, perplexity
from d2lrnn.evaluation.translation_scores import (
    LengthScores,
    TranslationScore,
    bleu,
    chrf,
    scores_by_length,
)
from d2lrnn.generation.translation import translate
from d2lrnn.training.history import History
from d2lrnn.training.progress import say
from d2lrnn.training.target_tokens import NextTargetToken, SampledTargetToken, check_gives_rows
from d2lrnn.training.task import Task, check_needs_no_validation
from d2lrnn.visible import in_a_line

NUM_SHOWN = 3  # sentences of the validation that are translated for the user's eyes

_USUAL = Decoding()

_CHINESE = re.compile("[\u3400-\u9fff\U00020000-\U0003ffff]")


class Translation(Task):
    """A model learns to translate: next tokens of the target, perplexity, translations, BLEU and chrF in the test.

    Args:
        model: a :class:`Translator` or :class:`TranslatorScratch`.
        data: the sentence pairs; those for validation and for the test may be missing.
        config: how to train.
        plan: how pairs become batches, and what is asked of the model.

    Raises:
        D2lrnnError: if model and data differ in vocabulary, or ``averaging`` or ``patience`` is set and there are no
            pairs for validation; if ``plan`` asks for as many candidates as there are tokens, or a model from scratch
            for any.
    """

    def __init__(self, model: Any, data: PairsCorpus, config: TrainConfig, plan: TranslationConfig) -> None:
        super().__init__(model, config, objective_of(plan, len(data.target), config.num_epochs))
        if plan.sampled_softmax:
            check_gives_rows(model)
        self.data, self.plan = data, plan
        self._tested_with: dict[str, str] = {}
        self.validates, self.tests = data.valid is not None, data.test is not None
        sizes, expected = (model.vocab_size, model.num_outputs), (len(data.source), len(data.target))
        if sizes != expected:
            raise D2lrnnError(
                f"the model reads {sizes[0]} tokens and writes {sizes[1]}, the vocabularies of {data.name} have "
                f"{expected[0]} and {expected[1]}: expected the same"
            )
        if not self.validates:
            check_needs_no_validation(config, f"the perplexity in validation, but {data.name} has no pairs for that")
        self.batches()  # raises before anything is computed

    def batches(self) -> Batches:
        """Return the batches of an epoch."""
        batching = PairBatching(self.config.batch_size, self.plan.batching, (), self.plan.reverse_source)
        ctx = self.model.begin_state(1)[0].ctx
        return data_iter_pairs(self.data.train, batching, ctx, training=True)

    def validation(self, after_each: Callable[[], None]) -> float:
        """Return the perplexity in validation."""
        return perplexity_of_pairs(self.model, self.data.split("valid")[1], self.config, self.plan, after_each)

    def test(self, model: Any) -> dict[str, float]:
        """Return a model's perplexity, BLEU and chrF on the pairs for the test.

        Without the package sacrebleu there is the perplexity alone.
        """
        examples = self.data.split("test")[1]
        found = {"perplexity": check_finite(perplexity_of_pairs(model, examples, self.config, self.plan))}
        if importlib.util.find_spec("sacrebleu") is None:
            say(self.config, "without the package sacrebleu there is no BLEU: pip install sacrebleu")
            return found
        scores = scores_of_translations(model, examples, self.data.target, self.plan)
        self._tested_with = {"bleu_signature": scores.bleu.signature, "chrf_signature": scores.chrf.signature}
        return {**found, "bleu": scores.bleu.value, "chrf": scores.chrf.value}

    @property
    def tested_with(self) -> dict[str, str]:
        """The signatures of the scores, once there are scores."""
        return self._tested_with

    def show(self, epoch: int, history: History, after_each: Callable[[], None]) -> None:
        """Translate a few sentences of the validation, print them and keep them in the history."""
        if not self.validates:
            return
        sentences = self.data.split("valid")[1].sentences()[:NUM_SHOWN]
        greedily = Decoding(beam_width=1)
        texts = translations_of(self.model, sentences, self.data.target, self.plan, greedily)
        after_each()
        # Those of this epoch are there already if an exception came between them and the end of the epoch.
        before = [sample for sample in history.samples if sample[0] != epoch]
        shown = [(sentence.text, text) for sentence, text in zip(sentences, texts)]
        history.samples = before + [(epoch, source, text) for source, text in shown]
        for source, text in shown:
            say(self.config, in_a_line(f" - {source} -> {text}"))


def objective_of(plan: TranslationConfig, vocab_size: int, num_epochs: int) -> NextTargetToken:
    """Return what is asked of a translator whose target has ``vocab_size`` tokens.

    Raises:
        D2lrnnError: if ``plan`` asks for as many candidates as there are tokens.
    """
    schedule = plan.scheduled_sampling, num_epochs
    if plan.sampled_softmax:
        return SampledTargetToken(vocab_size, plan.sampled_softmax, *schedule)
    return NextTargetToken(vocab_size, plan.label_smoothing, *schedule)


def perplexity_of_pairs(
    model: Any,
    examples: PairExamples,
    config: TrainConfig,
    plan: TranslationConfig,
    after_each: Callable[[], None] | None = None,
) -> float:
    """Return the perplexity of the targets' tokens; ``after_each`` is called after each batch.

    The pairs come in batches of equally long sources, which is the same as in buckets and needs no padding of them.
    """
    objective = NextTargetToken(model.num_outputs)
    batching = PairBatching(config.batch_size, reverse_source=plan.reverse_source)
    total, count = 0.0, 0
    for batch in data_iter_pairs(examples, batching, model.begin_state(1)[0].ctx):
        total += float(objective.loss(model, batch, None).score)
        count += objective.count(batch)
        if after_each is not None:
            after_each()
    return perplexity(total, count)


class TranslationScores(NamedTuple):
    """How good the translations of the sentences of a split are."""

    bleu: TranslationScore
    chrf: TranslationScore
    by_length: list[LengthScores]


def translations_of(
    model: Any,
    sentences: Sequence[Sentence],
    target: Vocab,
    plan: TranslationConfig,
    decoding: Decoding = _USUAL,
) -> list[str]:
    """Return a model's translations of sentences, as texts."""
    sources = [sentence.ids for sentence in sentences]
    return [found.text for found in translate(model, sources, target, decoding, plan.reverse_source)]


def scores_of_translations(
    model: Any, examples: PairExamples, target: Vocab, plan: TranslationConfig, decoding: Decoding = _USUAL
) -> TranslationScores:
    """Return the scores of a model's translations of the different source sentences of a split.

    Each sentence is held against all of its translations.  Translations of words are in small letters, so there capital
    letters do not count.

    Raises:
        D2lrnnError: if sacrebleu is not installed.
    """
    sentences = examples.sentences()
    texts = translations_of(model, sentences, target, plan, decoding)
    references = [sentence.references for sentence in sentences]
    how = bleu_tokenizer(target), target.level == "word"
    lengths = [len(sentence.ids) for sentence in sentences]
    return TranslationScores(
        bleu(texts, references, *how),
        chrf(texts, references, how[1]),
        scores_by_length(texts, references, lengths, *how),
    )


def bleu_tokenizer(target: Vocab) -> str:
    """Return how BLEU splits a translation: "13a" for words, "zh" for Chinese characters, "char" for other ones."""
    if target.level == "word":
        return "13a"
    characters = "".join(target.idx_to_token[len(SPECIAL) :])
    return "zh" if 2 * len(_CHINESE.findall(characters)) > len(characters) else "char"
