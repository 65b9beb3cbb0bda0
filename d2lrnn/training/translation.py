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
from d2lrnn.evaluation.losses import check_finite, cross_entropy, perplexity, spread_losses
from d2lrnn.evaluation.translation_scores import (
    LengthScores,
    TranslationScore,
    bleu,
    chrf,
    scores_by_length,
)
from d2lrnn.generation.translation import translate
from d2lrnn.training.history import History
from d2lrnn.training.objective import Objective, Outcome
from d2lrnn.training.progress import say
from d2lrnn.training.task import Task
from d2lrnn.visible import in_a_line

NUM_SHOWN = 3  # sentences of the validation that are translated for the user's eyes

_USUAL = Decoding()

_CHINESE = re.compile("[\u3400-\u9fff\U00020000-\U0003ffff]")


class NextTargetToken(Objective):
    """A translator's objective: the cross-entropy of each next token of the target; the measure is the perplexity.

    A batch is ``(X, counted, Y_in, Y_out, weights)``, as :func:`d2lrnn.data.buckets.data_iter_pairs` yields it.  The
    model reads the right tokens before each token that it is to predict (teacher forcing).

    Args:
        vocab_size: the number of the target's tokens, which is the perplexity of guessing at random.
        label_smoothing: the share epsilon of the probability that is asked to be spread over all tokens alike (Szegedy
            et al. 2016, arXiv 1512.00567).  The loss is then (1 - epsilon) times the cross-entropy plus epsilon times
            the mean of -log p over all tokens.  The perplexity is that of the cross-entropy alone.
    """

    measure, unit = "perplexity", "tokens"

    def __init__(self, vocab_size: int, label_smoothing: float = 0.0) -> None:
        self.limit, self.segment_limit = vocab_size, vocab_size**2  # as for NextToken
        self.label_smoothing = label_smoothing

    def loss(self, model: Any, batch: tuple, state: tuple | None) -> Outcome:
        """Compute the mean loss in nats over the tokens whose weight is 1, and the sum of their cross-entropies.

        Raises:
            D2lrnnError: if Y_in, Y_out and ``weights`` have different shapes.
        """
        X, counted, Y_in, Y_out, weights = batch
        if not Y_in.shape == Y_out.shape == weights.shape:
            raise D2lrnnError(
                f"Y_in has shape {Y_in.shape}, Y_out {Y_out.shape}, weights {weights.shape}: expected the same"
            )
        logits, _ = model(X, self.begin(model, batch), counted, Y_in)
        loss = cross_entropy(logits, Y_out, weights)
        total = loss.detach() * weights.sum()
        if self.label_smoothing:
            loss = loss + self.label_smoothing * spread_losses(logits, Y_out, weights)
        return Outcome(loss, (), total)

    def count(self, batch: tuple) -> int:
        """Return how many tokens of the batch's targets are no padding."""
        return int(batch[-1].sum())

    def value(self, loss_sum: float, score_sum: float, count: int) -> float:
        """Return the perplexity."""
        return perplexity(score_sum, count)


class Translation(Task):
    """A model learns to translate: next tokens of the target, perplexity, translations, BLEU and chrF in the test.

    Args:
        model: a :class:`Translator` or :class:`TranslatorScratch`.
        data: the sentence pairs; those for validation and for the test may be missing.
        config: how to train.
        plan: how pairs become batches, and what is asked of the model.

    Raises:
        D2lrnnError: if model and data differ in vocabulary, or ``averaging`` or ``patience`` is set and there are no
            pairs for validation.
    """

    def __init__(self, model: Any, data: PairsCorpus, config: TrainConfig, plan: TranslationConfig) -> None:
        super().__init__(model, config, NextTargetToken(len(data.target), plan.label_smoothing))
        self.data, self.plan = data, plan
        self._tested_with: dict[str, str] = {}
        self.validates, self.tests = data.valid is not None, data.test is not None
        sizes, expected = (model.vocab_size, model.num_outputs), (len(data.source), len(data.target))
        if sizes != expected:
            raise D2lrnnError(
                f"the model reads {sizes[0]} tokens and writes {sizes[1]}, the vocabularies of {data.name} have "
                f"{expected[0]} and {expected[1]}: expected the same"
            )
        needing = [name for name in ("averaging", "patience") if getattr(config, name)]
        if needing and not self.validates:
            raise D2lrnnError(
                f"{' and '.join(needing)} go by the perplexity in validation, but {data.name} has no pairs for that"
            )
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
