"""Training a language model on a corpus, or any model on any batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from d2lrnn.config.generation import Sampling
from d2lrnn.config.training import TrainConfig
from d2lrnn.data.batches import Batches, data_iter_consecutive, data_iter_random, data_iter_varied
from d2lrnn.data.corpus import Corpus
from d2lrnn.data.lines import RowTooLongError, data_iter_lines, few_lengths
from d2lrnn.data.vocabulary import LINE_END, Vocab
from d2lrnn.errors import D2lrnnError
from d2lrnn.evaluation.losses import check_finite
from d2lrnn.evaluation.texts import evaluate, evaluate_lines
from d2lrnn.generation.prefixes import as_lines, encode_prefix
from d2lrnn.generation.sampling import stream
from d2lrnn.models.protocol import LanguageModel, check_batch_size, check_causal, check_vocab, wants_few_lengths
from d2lrnn.training.history import History
from d2lrnn.training.loop import Training
from d2lrnn.training.objective import NextToken, Objective
from d2lrnn.training.progress import say
from d2lrnn.training.task import Task, check_needs_no_validation


def train(
    model: LanguageModel,
    make_batches: Callable[[], Iterable],
    config: TrainConfig,
    on_epoch: Callable[[int, History], None] | None = None,
    objective: Objective | None = None,
) -> History:
    """Train any model on any batches from the beginning to the end; :func:`train_and_predict` makes its batches itself.

    Args:
        model: the model, trained in place.
        make_batches: called once an epoch; returns its batches, as :meth:`d2lrnn.training.loop.Training.run` says.
        config: how to train.
        on_epoch: called after each epoch with its number, from 1, and the history so far.
        objective: the loss of a batch; None: the cross-entropy of the next token.

    Raises:
        TrainingDivergedError: as :meth:`d2lrnn.training.loop.Training.run`.
    """
    return Training(model, config, objective or NextToken(model.vocab_size)).run(make_batches, on_epoch)


def batches_for(model: LanguageModel, corpus: Corpus, config: TrainConfig) -> Batches:
    """Check that model, corpus and configuration fit together, and return the batches of an epoch.

    Raises:
        LooksAheadError: for a bidirectional model, which would see its own targets.
        D2lrnnError: if model and corpus differ in vocabulary, a prefix is empty or has an unknown token, or the corpus
            is too short or lacks the validation that ``averaging`` and ``patience`` need.
    """
    check_causal(model)
    check_vocab(model, corpus.vocab)
    for prefix in config.prefixes:
        encode_prefix(prefix, corpus.vocab)
    if corpus.valid is None:
        missing = f"but {corpus.name} has no such split: hold a share of it out, --held-out"
        check_needs_no_validation(config, f"the perplexity in validation, {missing}")
    check_batch_size(model, config.batch_size, 1 if config.batches == "lines" else config.num_steps, copies=4)
    ctx = model.begin_state(1)[0].ctx
    if config.batches == "lines":
        end = line_end(corpus.vocab)
        try:
            batches = data_iter_lines(corpus.train, config.batch_size, end, config.num_lines, config.num_steps, ctx)
        except RowTooLongError as error:  # of the file's lines, the blank ones are no lines of the corpus
            raise D2lrnnError(error.message(corpus.place_of_lines(error.first, error.last))) from error
        return few_lengths(batches, end) if wants_few_lengths(model) else batches
    samplers = {"consecutive": data_iter_consecutive, "random": data_iter_random, "varied": data_iter_varied}
    return samplers[config.batches](corpus.train, config.batch_size, config.num_steps, ctx)


def perplexity_on(
    model: LanguageModel,
    ids,
    vocab: Vocab,
    config: TrainConfig,
    batch_size: int = 1,
    after_each: Callable[[], None] | None = None,
) -> float:
    """Return the perplexity on a text that is read as in training: line by line, or from end to end.

    ``after_each``, if it is given, is called after each call of the model.

    Raises:
        LooksAheadError, D2lrnnError: as :func:`d2lrnn.evaluation.texts.evaluate`.
    """
    if config.batches == "lines":
        return evaluate_lines(model, ids, line_end(vocab), config.num_lines, config.batch_size, after_each)
    return evaluate(model, ids, batch_size, config.num_steps, after_each)


def line_end(vocab: Vocab) -> int:
    """Return the id of the line end.

    Raises:
        D2lrnnError: if the vocabulary has none.
    """
    if LINE_END not in vocab:
        raise D2lrnnError(
            "num_lines is for a corpus of lines, and this one was read without its line ends: train with num_lines, "
            "or load_corpus(..., lines=True)"
        )
    return vocab.token_to_idx[LINE_END]


class LanguageModelling(Task):
    """A language model learns a corpus: next tokens, perplexity, samples.

    Args:
        model: an :class:`RNNModelScratch` or :class:`RNNModel`.
        corpus: the model learns its ``train`` ids; ``valid`` and ``test`` may be there.
        config: how to train, and which prefixes the samples start from.

    Raises:
        LooksAheadError, D2lrnnError: as :func:`batches_for`.
    """

    def __init__(self, model: LanguageModel, corpus: Corpus, config: TrainConfig) -> None:
        super().__init__(model, config, NextToken(corpus.vocab_size))
        self.corpus = corpus
        self.validates, self.tests = corpus.valid is not None, corpus.test is not None
        self.batches()  # raises before anything is computed

    def batches(self) -> Batches:
        """Return the batches of an epoch."""
        return batches_for(self.model, self.corpus, self.config)

    def validation(self, after_each: Callable[[], None]) -> float:
        """Return the perplexity in validation."""
        corpus, config = self.corpus, self.config
        return perplexity_on(self.model, corpus.valid, corpus.vocab, config, config.batch_size, after_each)

    def test(self, model: LanguageModel) -> dict[str, float]:
        """Return a model's perplexity on the test split.

        Raises:
            D2lrnnError: if it is no finite number.
        """
        return {"perplexity": check_finite(perplexity_on(model, self.corpus.test, self.corpus.vocab, self.config))}

    def show(self, epoch: int, history: History, after_each: Callable[[], None]) -> None:
        """Let the model write, print the samples and keep them in the history."""
        samples = _samples(self.model, self.corpus, self.config, after_each)
        # Those of this epoch are there already if an exception came between them and the end of the epoch.
        before = [sample for sample in history.samples if sample[0] != epoch]
        history.samples = before + [(epoch, prefix, sample) for prefix, sample in samples]
        for _, sample in samples:
            say(self.config, f" - {sample.strip(LINE_END)}".replace(LINE_END, LINE_END + "   "))


def train_and_predict(
    model: LanguageModel,
    corpus: Corpus,
    config: TrainConfig | None = None,
    training: Training | None = None,
    on_segment: Callable[[], None] | None = None,
) -> History:
    """Train a language model on a corpus, and let it write every ``pred_period`` epochs (d2l-zh v1, section 6.4.7).

    Args:
        model: an :class:`RNNModelScratch` or :class:`RNNModel`, trained in place on the device of its parameters.
        corpus: the model learns its ``train`` ids.  If there are ``valid`` ids, their perplexity is measured after each
            epoch, with the averaged parameters once averaging has begun.  The averaged parameters are in
            ``training.average``; the model keeps its own.
        config: how to train, and which prefixes the samples start from; None: as the book trains its LSTM.
        training: a training of this model and config, which goes on from where it stands; None: a new one begins.
        on_segment: called wherever the run may be saved; if ``training.position.batch`` is 0, an epoch is over.

    Returns:
        the history: perplexity, gradient norm, speed and time of each epoch, and the samples.

    Raises:
        LooksAheadError, D2lrnnError: as :func:`batches_for`.
        TrainingDivergedError: as :meth:`Training.run`.
    """
    return LanguageModelling(model, corpus, config or TrainConfig()).train(training, on_segment)


def _samples(
    model: LanguageModel, corpus: Corpus, config: TrainConfig, after_each: Callable[[], None]
) -> list[tuple[str, str]]:
    """Return prefixes, and the text that the model writes after each; ``after_each`` is called after each token.

    Without a temperature, repeated prefixes are dropped: greedy search would write the same text after each.
    """
    prefixes = list(config.prefixes if config.pred_temperature else dict.fromkeys(config.prefixes))
    if not prefixes:
        return []
    starts, sampling = prefixes, Sampling(config.pred_temperature, seed=config.seed)
    if config.batches == "lines":
        starts, sampling = as_lines(starts, sampling, config.num_lines)
    texts = [[start] for start in starts]
    for token in stream(starts, config.pred_len, model, corpus.vocab, sampling):
        texts[token.row].append(token.text)
        after_each()
    return [(prefix, "".join(text)) for prefix, text in zip(prefixes, texts)]
