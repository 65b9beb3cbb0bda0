"""Training and measuring on whole lines: what is in a batch, that padding counts in nothing, that lines stand alone."""

import math
from functools import partial

import numpy
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from known import Told, round_and_round
from tiny import tiny_model, training_of

import d2lrnn
from d2lrnn import ModelConfig, build_model, data_iter_lines, evaluate_lines, load_text
from d2lrnn._runtime import mx
from d2lrnn.cli import main as cli
from d2lrnn.data.lines import counted_steps, few_lengths, next_length, pad_lines
from d2lrnn.evaluation.losses import cross_entropy
from d2lrnn.models.twins import read_parameters
from d2lrnn.runs.checkpoint import load_checkpoint

TEXT = "rain\nin spain\n\n  falls \nmainly\nin\nthe plain"
quiet = partial(tiny.quiet, batch_size=2, num_steps=20, batches="lines", theta=1.0, lr=0.5)
END = 0  # of the ids in the tests of the sampler


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("lines") / "rain.txt"
    path.write_text(TEXT)
    return load_text(path, lines=True)


def make(corpus, **options):
    return tiny_model(corpus.vocab_size, init_scale=1.0, **options)


def as_lists(batches):
    return [[array.asnumpy().tolist() for array in batch] for batch in batches]


lines_of_ids = st.lists(st.lists(st.integers(1, 9), max_size=5).map(lambda ids: [*ids, END]), min_size=1, max_size=12)


@given(lines_of_ids, st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_batches_are_those_of_a_plain_loop(lines, batch_size, num_lines, cut):
    rows = [sum(lines[i : i + num_lines], []) for i in range(0, len(lines), num_lines)]
    ids = sum(lines, [])
    ids = ids[:-1] if cut and len(ids) > 1 and ids[-2] != END else ids  # the last line need not have its end
    if len(rows) < batch_size:
        with pytest.raises(d2lrnn.CorpusTooShortError, match=f"{len(rows)} rows of {num_lines} lines"):
            data_iter_lines(ids, batch_size, END, num_lines)
        return
    numpy.random.seed(7)
    order, expected = numpy.random.permutation(len(rows)).tolist(), []
    while len(order) >= batch_size:
        taken, order = [rows[i] for i in order[:batch_size]], order[batch_size:]
        width = max(map(len, taken))
        Y = [row + [END] * (width - len(row)) for row in taken]
        X = [([END, *row[:-1]] + [END] * width)[:width] for row in taken]
        expected.append([X, Y, [[1.0] * len(row) + [0.0] * (width - len(row)) for row in taken]])
    numpy.random.seed(7)
    batches = data_iter_lines(ids, batch_size, END, num_lines)
    assert batches.num_batches == len(expected)
    found = as_lists(batches)
    assert [Y for _, Y, _ in found] == [Y for _, Y, _ in expected]
    assert [counted for *_, counted in found] == [counted for *_, counted in expected]
    for (X, _, counted), (wanted, *_) in zip(found, expected):  # what stands where nothing counts does not matter
        assert [[x for x, c in zip(*pair) if c] for pair in zip(X, counted)] == [
            [x for x, c in zip(*pair) if c] for pair in zip(wanted, counted)
        ]


def test_types_and_errors():
    X, Y, counted = next(data_iter_lines([1, 2, 0, 3, 0], 2, END))
    assert (X.dtype, Y.dtype, counted.dtype) == (numpy.int32, numpy.int32, numpy.float32)
    with pytest.raises(ValueError, match="lines 3 to 4: found 5 tokens, line ends included, but num_steps is 4"):
        data_iter_lines([1, 0, 2, 0, 3, 4, 0, 5, 0], 1, END, 2, 4)
    data_iter_lines([1, 0, 2, 0, 3, 4, 0, 5, 0], 1, END, 2, 5)
    with pytest.raises(ValueError, match="num_lines is 0: expected a whole number, at least 1"):
        data_iter_lines([1, 0], 1, END, 0)
    with pytest.raises(d2lrnn.CorpusTooShortError, match="the corpus has 0 rows of 1 lines; one batch needs 1"):
        data_iter_lines([], 1, END)


@pytest.mark.parametrize("kind", ["scratch", "fast", "gluon"])
def test_padding_counts_neither_in_the_loss_nor_in_a_gradient(corpus, kind):
    """A padded batch has the loss and gradients of its rows alone, weighted by their tokens."""
    model = make(corpus, kind=kind)
    params = d2lrnn.named_parameters(model)

    def gradients(*batch):
        X, Y, counted = (mx.np.array(array, dtype=dtype) for array, dtype in zip(batch, ("int32", "int32", "float32")))
        with mx.autograd.record():
            loss = cross_entropy(model(X, model.begin_state(len(X)))[0], Y, counted)
        loss.backward()
        grads = {name: (p.grad() if hasattr(p, "data") and callable(p.data) else p.grad) for name, p in params.items()}
        return float(loss), {name: grad.asnumpy().astype("float64") for name, grad in grads.items()}

    long, short = [1, 2, 3, 4, 5, 6], [2, 1]
    garbage = 7, 8
    whole = gradients(
        [long[:-1], [short[0], *garbage, 3, 3]], [long[1:], [short[1], 5, *garbage, 6]], [[1] * 5, [1] + [0] * 4]
    )
    parts = [gradients([ids[:-1]], [ids[1:]], [[1] * (len(ids) - 1)]) for ids in (long, short)]
    assert whole[0] == pytest.approx((5 * parts[0][0] + parts[1][0]) / 6, rel=1e-5)
    for name, found in whole[1].items():
        numpy.testing.assert_allclose(found, (5 * parts[0][1][name] + parts[1][1][name]) / 6, rtol=2e-4, atol=1e-6)


def test_a_sum_over_steps_counts_no_padding(corpus):
    X, Y = (
        mx.np.array([[0, 1, 2, 3], [0, 2, 0, 0]], dtype="int32"),
        mx.np.array([[1, 2, 3, 0], [2, 0, 0, 0]], dtype="int32"),
    )
    counted = mx.np.array([[1, 1, 1, 1], [1, 1, 0, 0]], dtype="float32")
    steps = [training_of(make(corpus), quiet(sum_over_steps=summed)).step for summed in (False, True)]
    mean, summed = (step((X, Y, counted), None).norm for step in steps)
    assert summed == pytest.approx(mean * 6 / 2, rel=1e-6)  # six tokens in two rows


def nats(model, corpus, row):
    """Return the cross-entropy of each token of a row, one at a time from the zero state."""
    state, now, found = model.begin_state(1), corpus.vocab.token_to_idx["\n"], []
    for token in row:
        logits, state = model(mx.np.array([[now]], dtype="int32"), state)
        scores = logits.asnumpy()[0].astype("float64")
        found.append(math.log(numpy.exp(scores).sum()) - scores[token])
        now = token
    return found


@pytest.mark.parametrize("num_lines", [1, 2, 4])
@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_evaluation_is_what_one_token_at_a_time_gives(corpus, num_lines, batch_size):
    assert corpus.vocab.decode(corpus.train) == "rain\nin spain\nfalls\nmainly\nin\nthe plain\n"
    model, end = make(corpus, cell="gru"), corpus.vocab.token_to_idx["\n"]
    lines = [f"{line}\n" for line in "rain,in spain,falls,mainly,in,the plain".split(",")]
    rows = ["".join(lines[i : i + num_lines]) for i in range(0, 6, num_lines)]
    expected = sum((nats(model, corpus, corpus.vocab.encode(row)) for row in rows), [])
    assert len(expected) == len(corpus.train)
    found = evaluate_lines(model, corpus.train, end, num_lines, batch_size)
    assert math.log(found) == pytest.approx(numpy.mean(expected), rel=1e-5)
    without_last_end = evaluate_lines(model, corpus.train[:-1], end, num_lines, batch_size)
    assert without_last_end == pytest.approx(found, rel=1e-6)


def test_the_history_is_of_counted_tokens(corpus):
    """With a learning rate of next to nothing, training on all lines sees what evaluation sees."""
    model = make(corpus)
    expected = evaluate_lines(model, corpus.train, corpus.vocab.token_to_idx["\n"])
    history = d2lrnn.train_and_predict(model, corpus, quiet(num_epochs=1, batch_size=3, lr=1e-30))
    assert history.perplexity == [pytest.approx(expected, rel=1e-5)]


def test_every_batch_begins_with_the_zero_state(corpus):
    batch = next(data_iter_lines(corpus.train, 6, corpus.vocab.token_to_idx["\n"]))
    losses = []
    for batches in ("lines", "consecutive"):
        training = training_of(make(corpus), quiet(batches=batches))
        first = training.step(batch, None, 1e-30)
        gradients = read_parameters(training.model, gradients=True)
        again = training.step(batch, first.state, 1e-30)
        losses.append((float(first.loss), float(again.loss)))
        same = [(read_parameters(training.model, True)[name] == array).all() for name, array in gradients.items()]
        assert all(same) if batches == "lines" else not any(same)
    (first, again), (_, carried) = losses
    assert first == again and abs(first - carried) > 0.01  # with the state carried, it would be another loss


def test_it_learns_lines_and_writes_them(corpus):
    model = make(corpus)
    config = quiet(num_epochs=150, optimizer="adam", lr=0.02, batch_size=6, prefixes=("\n", "the"), pred_len=20)
    history = d2lrnn.train_and_predict(model, corpus, config)
    assert history.perplexity[-1] < 1.5
    lines = corpus.vocab.decode(corpus.train).split("\n")
    beginning, following = (text for _, _, text in history.samples[-2:])  # the prefix "the" begins a line too
    assert beginning.startswith("\n") and beginning[1:] in lines  # a sample of single lines ends with its line
    assert following == "\nthe plain"


def test_samples_of_a_temperature_are_the_seeds(corpus):
    def samples(**options):
        config = quiet(num_epochs=1, num_lines=2, prefixes=("\n",) * 3, pred_len=10, pred_temperature=2.0, **options)
        return [text for _, _, text in d2lrnn.train_and_predict(make(corpus), corpus, config).samples]

    assert samples() == samples() and len(set(samples())) == 3
    assert {len(text) for text in samples()} == {11}
    config = quiet(num_epochs=1, prefixes=("\n",) * 3)  # always the likeliest: once says it all
    assert len(d2lrnn.train_and_predict(make(corpus), corpus, config).samples) == 1


def test_a_corpus_without_lines_is_refused(corpus, tiny_corpus):
    with pytest.raises(
        ValueError, match=r"read without its line ends: train with num_lines, or load_corpus\(..., lines"
    ):
        d2lrnn.train_and_predict(build_model(ModelConfig(), 28), tiny_corpus, quiet())
    with pytest.raises(ValueError, match="num_lines is 2 where batches are 'varied': expected batches 'lines', or 1"):
        quiet(batches="varied", num_lines=2)


@pytest.mark.parametrize("patience, epochs", [(0, 9), (1, 3), (2, 4), (4, 9)])
def test_training_ends_once_validation_no_longer_improves(corpus, patience, epochs):
    size, end = corpus.vocab_size, corpus.vocab.token_to_idx["\n"]
    lines = round_and_round(size, 3 * size, first=end + 1)  # three, each of which has every character once
    corpus = d2lrnn.Corpus("rain", corpus.vocab, corpus.train, lines)
    model = Told(make(corpus), [5.0, 4.0, 4.5, 4.2, 3.0, 6.0, 6.0, 6.0, 7.0])
    training = training_of(model, quiet(num_epochs=9, patience=patience))
    history = d2lrnn.train_and_predict(training.model, corpus, training.config, training)
    assert (len(history.perplexity), history.stopped) == (epochs, "")
    assert history.valid_perplexity[:3] == pytest.approx([5.0, 4.0, 4.5], rel=1e-5)
    d2lrnn.train_and_predict(training.model, corpus, training.config, training)  # as after --resume: nothing is left
    assert len(history.perplexity) == epochs


def test_patience_without_validation_is_refused(corpus):
    with pytest.raises(
        ValueError, match="patience goes by the perplexity in validation, but rain.txt has no such split: hold a share"
    ):
        d2lrnn.train_and_predict(make(corpus), corpus, quiet(patience=2))


def test_the_command_evaluates_line_by_line(corpus, tmp_path, capsys):
    path = tmp_path / "rain.txt"
    path.write_text(TEXT * 4)
    out = tmp_path / "run"
    sizes = "--num-hiddens 8 --num-layers 1 --embed-size 4 --batch-size 2 --num-epochs 2 --held-out 0.2".split()
    assert cli.main(["train", "--config", "poetry", "--corpus", str(path), "--out", str(out), *sizes]) == 0
    trained = capsys.readouterr().out
    checkpoint = load_checkpoint(out / "model.d2lrnn")
    text = load_text(path, lines=True).hold_out(0.2)
    end = text.vocab.token_to_idx["\n"]
    for arguments, num_lines in (([], 1), (["--num-lines", "2"], 2)):
        assert cli.main(["evaluate", str(out), *arguments]) == 0
        printed = capsys.readouterr().out
        expected = evaluate_lines(checkpoint.build_model(), text.test, end, num_lines)
        assert f"rain.txt, test: perplexity {expected:.2f} over {len(text.test)} tokens" in printed
        assert f"{math.log2(expected):.3f} bits per character" in printed
    assert f"test     perplexity {evaluate_lines(checkpoint.build_model(), text.test, end):.2f}" in trained
    assert "in validation" in trained and f"{len(text.valid)}\n" in trained
    few = 1 + numpy.flatnonzero(text.test == end)[0]
    for max_tokens in (few, few + 1):  # whole lines only: one in both cases
        assert cli.main(["evaluate", str(out), "--max-tokens", str(max_tokens)]) == 0
        expected = evaluate_lines(checkpoint.build_model(), text.test[:few], end)
        assert f"test: perplexity {expected:.2f} over {few} tokens" in capsys.readouterr().out
    assert cli.main(["evaluate", str(out), "--max-tokens", str(few - 1)]) == 1
    assert f"max_tokens is {few - 1}: expected at least the tokens of the first line" in capsys.readouterr().err
    assert cli.main(["evaluate", str(out), "--cache"]) == 1
    assert "with nothing to adapt to: leave --cache and --dynamic out" in capsys.readouterr().err


class TestWhatCounts:
    @pytest.mark.parametrize(
        ("lengths", "options", "expected"),
        [
            ([1, 3], {}, [[1, 0, 0], [1, 1, 1]]),
            ([1, 3], {"num_steps": 4}, [[1, 0, 0, 0], [1, 1, 1, 0]]),
            ([1, 3, 0], {"front": True}, [[0, 0, 1], [1, 1, 1], [0, 0, 0]]),
            ([2], {"num_steps": 3, "front": True}, [[0, 1, 1]]),
        ],
    )
    def test_from_lengths(self, lengths, options, expected):
        assert counted_steps(lengths, **options).tolist() == [[bool(n) for n in row] for row in expected]

    @pytest.mark.parametrize("lengths", [[4], [-1], [1.5], [[1]], 2])
    def test_lengths_that_are_none(self, lengths):
        with pytest.raises(ValueError, match="expected whole numbers from 0 to 3, one for each row"):
            counted_steps(lengths, 3)

    def test_it_is_what_lines_are_padded_with(self):
        _, _, counted = pad_lines([numpy.array([3, 1]), numpy.array([4, 5, 1])], 1)
        assert (counted == counted_steps([2, 3])).all()


# Few lengths


def test_few_lengths_are_four_to_each_power_of_two():
    assert [next_length(n) for n in (1, 2, 5, 8, 9, 11, 13, 15, 17, 33, 41, 64, 65, 94)] == [
        *(1, 2, 5, 8, 10, 12, 14, 16, 20, 40, 48, 64, 80, 96)
    ]
    lengths = range(1, 2000)
    assert all(n <= next_length(n) <= 1.25 * n and next_length(next_length(n)) == next_length(n) for n in lengths)
    assert len({next_length(n) for n in range(5, 97)}) == 18


def test_few_lengths_pad_the_same_batches_further():
    corpus = numpy.concatenate([[*range(1, 1 + n), 0] for n in (8, 10, 16, 3, 12, 4)])
    numpy.random.seed(2)
    exact = list(data_iter_lines(corpus, 2, 0))
    numpy.random.seed(2)
    batches = few_lengths(data_iter_lines(corpus, 2, 0), 0)
    assert batches.num_batches == len(exact) == 3
    for padded, batch in zip(batches, exact):
        n = batch[0].shape[1]
        for found, shorter in zip(padded, batch):
            assert found.shape == (2, next_length(n)) and found.dtype == shorter.dtype
            assert (found[:, :n] == shorter).all() and (found[:, n:] == 0).all()


def test_rows_are_padded_to_few_lengths_too():
    X, Y, counted = pad_lines([numpy.array([5, 6, 1]), numpy.arange(2, 11)], 1, few=True)
    assert X.shape == Y.shape == counted.shape == (2, 10)
    assert Y[0].tolist() == [5, 6] + 8 * [1] and X[0].tolist() == [1, 5, 6] + 7 * [1]
    assert counted.sum(axis=1).tolist() == [3, 9]


def lengths_seen(monkeypatch, model, corpus, config):
    """Train and measure in validation; return the numbers of steps that the model was called with, and the history."""
    seen, call = set(), type(model).__call__
    monkeypatch.setattr(type(model), "__call__", lambda self, X, *more: seen.add(X.shape[1]) or call(self, X, *more))
    history = d2lrnn.train_and_predict(model, corpus, config)
    monkeypatch.undo()
    return seen - {1}, history  # 1: where it writes


@pytest.mark.parametrize(
    ("kind", "cell", "few"),
    [("fast", "lstm", True), ("gluon", "lstm_peephole", True), ("gluon", "lstm", False), ("scratch", "gru", False)],
)
def test_only_models_that_compile_a_graph_for_each_length_get_few_lengths(monkeypatch, kind, cell, few):
    text = "\n".join("rain in spain stays"[: 2 + k % 17] for k in range(60))
    vocab = d2lrnn.Vocab(text)
    corpus = d2lrnn.Corpus("lines", vocab, vocab.encode(text), valid=vocab.encode(text[:400]))
    config = quiet(num_epochs=1, seed=1)
    seen, history = lengths_seen(monkeypatch, tiny_model(len(vocab), kind=kind, cell=cell), corpus, config)
    assert all(next_length(n) == n for n in seen) == few
    # Without few lengths, the same numbers but for rounding.
    monkeypatch.setattr("d2lrnn.data.lines.next_length", lambda length: length)
    exact, expected = lengths_seen(monkeypatch, tiny_model(len(vocab), kind=kind, cell=cell), corpus, config)
    assert {next_length(n) for n in exact} == seen if few else exact == seen
    rel = 1e-6 if few else 0
    assert history.perplexity == pytest.approx(expected.perplexity, rel=rel, abs=0)
    assert history.valid == pytest.approx(expected.valid, rel=rel, abs=0)
