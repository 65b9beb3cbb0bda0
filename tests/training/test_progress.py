"""What a run says while it goes on: lines in a log file, a bar in a terminal."""

import inspect
import itertools
import re
import sys
import time
from types import SimpleNamespace

import nbformat
import pytest
from nbclient import NotebookClient
from tiny import RAIN, rain, tiny_model, training_of

import d2lrnn
from d2lrnn import History, NextToken, TrainConfig
from d2lrnn.training import progress
from d2lrnn.training.history import Position

CORPUS = rain(times=4, valid=RAIN[:30])


def run(corpus=CORPUS, **options):
    """Train for three epochs of four batches."""
    model = tiny_model(corpus.vocab_size, seed=1, cell="gru")
    config = TrainConfig(**{"num_epochs": 3, "batch_size": 4, "num_steps": 10, "pred_period": 3, "lr": 1.0, **options})
    return d2lrnn.train_and_predict(model, corpus, config, training_of(model, config, line_period=0))


@pytest.fixture
def clock(monkeypatch):
    """The machine's clock, which stands until it is set."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    return clock


def bar_over(num_epochs, period=60):
    """Return the bar of the training of a language model."""
    return progress.ProgressBar(TrainConfig(num_epochs=num_epochs), NextToken(9), period)


def pretend_a_terminal(monkeypatch):
    """Not a fixture: those see another stderr than the test."""
    monkeypatch.setenv("COLUMNS", "120")  # or the terminal that the tests run in would set the width
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


class TestLines:
    def test_of_a_run_each_batch_has_its_line(self, capsys, monkeypatch):
        history = run()
        out, err = capsys.readouterr()
        *lines, report = out.splitlines()
        assert err == "" and not re.search("[\r|█]", out) and report.startswith("epoch 3, perplexity")
        heads = [f"epoch {epoch}, {share}%" for epoch in (1, 2, 3) for share in (25, 50, 75, 100)]
        assert [line.split(":")[0] for line in lines] == heads
        number = r"[\d,]+\.\d\d"
        for i, line in enumerate(lines):
            validation = (
                rf", in validation {re.escape(f'{history.valid_perplexity[i // 4 - 1]:.2f}')}" if i >= 4 else ""
            )
            left = r", \d+ s left" if i else ""  # nobody knows after one batch
            assert re.fullmatch(rf".*: perplexity {number}{validation}, [\d,]+ tokens/s{left}", line)
        for epoch in (1, 2, 3):
            assert f"perplexity {history.perplexity[epoch - 1]:.2f}" in lines[4 * epoch - 1]
        assert lines[-1].endswith(", 0 s left")

    def test_what_they_say(self, capsys, clock, monkeypatch):
        """By a clock that is set: perplexity and speed are the epoch's, the time left is by what was watched."""
        history = History()
        with bar_over(4, 0) as bar:
            bar.show(history, Position(1, 5, loss_sum=0.0, count=1500, seconds=2.0), 20)
            clock.now += 3
            bar.show(history, Position(1, 10, loss_sum=2079.4415, count=3000, seconds=4.0), 20)
            history.epochs += [{"valid_perplexity": 120.0}, {"valid_perplexity": 110.123}]
            clock.now += 12
            bar.show(history, Position(3, 10, loss_sum=6e4, count=3000, seconds=0.5), 20)
        assert capsys.readouterr().out.splitlines() == [
            "epoch 1, 25%: perplexity 1.00, 750 tokens/s",
            "epoch 1, 50%: perplexity 2.00, 750 tokens/s, 42 s left",  # 3 s for a quarter; three and a half to go
            "epoch 3, 50%: perplexity 4.85e+08, in validation 110.12, 6,000 tokens/s, 10 s left",
        ]

    @pytest.mark.parametrize(
        "seconds, left",
        [(4, "4 s"), (119, "119 s"), (121, "2 min"), (7100, "118 min"), (7300, "2.0 h"), (1e5, "27.8 h")],
    )
    def test_the_time_left_has_a_fitting_unit(self, capsys, clock, seconds, left):
        with bar_over(31) as bar:
            clock.now += 100
            bar.show(History(), Position(1, 0, 1.0, 9, 0.0, 1.0), 7)
            clock.now += 30 * seconds
            bar.show(History(), Position(31, 0, 1.0, 9, 0.0, 1.0), 7)
        assert capsys.readouterr().out.splitlines()[-1].endswith(f" tokens/s, {left} left")

    def test_they_come_once_a_minute(self, capsys, clock):
        with bar_over(1) as bar:
            for batch in range(1, 301):  # one a second
                clock.now += 1
                bar.show(History(), Position(1, batch, 1.0, 10, 0.0, 1.0), 1000)
        shares = [line.split(":")[0] for line in capsys.readouterr().out.splitlines()]
        assert shares == [f"epoch 1, {share}%" for share in (6, 12, 18, 24, 30)]

    def test_where_nobody_knows_how_many_batches_there_are(self, capsys, clock, monkeypatch):
        with bar_over(4, 0) as bar:
            for epoch, batch in ((1, 1), (1, 2), (2, 1)):
                clock.now += 10
                bar.show(History(), Position(epoch, batch, 0.0, 10, 0.0, 1.0), 0)
        assert capsys.readouterr().out.splitlines() == [
            "epoch 1: perplexity 1.00, 10 tokens/s",
            "epoch 1: perplexity 1.00, 10 tokens/s",
            "epoch 2: perplexity 1.00, 10 tokens/s, 60 s left",
        ]

    def test_a_run_on_a_plain_list_of_batches(self, capsys, monkeypatch):
        model = tiny_model(CORPUS.vocab_size, cell="gru")
        batches = list(d2lrnn.data_iter_consecutive(CORPUS.train, 4, 10))
        training_of(model, TrainConfig(num_epochs=2, batch_size=4, num_steps=10), line_period=0).run(lambda: batches)
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(" ", 2)[:2] for line in lines] == [["epoch", "1:"]] * 4 + [["epoch", "2:"]] * 4


class TestBar:
    def test_it_shows_in_a_terminal(self, capsys, clock, monkeypatch):
        pretend_a_terminal(monkeypatch)
        position = Position(2, 5, loss_sum=2079.4415, count=3000, seconds=4.0)
        with bar_over(4) as bar:
            clock.now += 2
            bar.show(History(), position, 20)
            out, err = capsys.readouterr()
        assert out == ""
        last = err.split("\r")[-1]
        assert re.match(r" 31%\|█+\S*\s+\|", last)  # one and a quarter of four epochs
        assert "epoch 2, 25%: perplexity 2.00, 750 tokens/s" in last
        assert capsys.readouterr().err.strip("\r ") == ""  # it leaves nothing behind

    def test_it_moves_at_most_once_a_second(self, capsys, clock, monkeypatch):
        pretend_a_terminal(monkeypatch)
        with bar_over(4) as bar:
            for batch in range(1, 21):
                clock.now += 0.25
                bar.show(History(), Position(1, batch, 1.0, 10, 0.0, 1.0), 100)
            err = capsys.readouterr().err
        assert re.findall(r"epoch 1, (\d+)%", err) == ["4", "8", "12", "16", "20"]

    def test_in_a_run_the_reports_stand_above_it(self, capsys, clock, monkeypatch):
        pretend_a_terminal(monkeypatch)
        ticking = itertools.count(1)
        monkeypatch.setattr(time, "perf_counter", lambda: 10.0 * next(ticking))
        history = run(prefixes=("the",), pred_len=3)
        out, err = capsys.readouterr()
        shares = re.findall(r"epoch (\d), (\d+)%", err)
        assert shares[0] == ("1", "25") and shares[-1] == ("3", "100") and "|" in err
        found = [line for line in out.split("\n") if line.strip("\r ")]
        assert len(found) == 2 and "|" not in out and "%" not in out
        assert found[0].lstrip("\r ").startswith("epoch 3, perplexity") and f" - {history.samples[0][2]}" in found[1]


def test_tqdms_own_variable_can_take_the_bar_away(monkeypatch):
    options = []
    monkeypatch.setattr("tqdm.auto.tqdm", lambda **given: options.append(given))
    pretend_a_terminal(monkeypatch)
    bar_over(num_epochs=3)
    progress.ProgressBar(TrainConfig(verbose=False), NextToken(9))
    assert "disable" not in options[0] and options[1]["disable"] is True  # tqdm reads TQDM_DISABLE if it gets no value


@pytest.mark.parametrize("watched", [False, True])
def test_who_wants_quiet_gets_it(capsys, monkeypatch, watched):
    if watched:
        pretend_a_terminal(monkeypatch)
    run(verbose=False, prefixes=("the",))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "shell, expected", [(None, False), (SimpleNamespace(), False), (SimpleNamespace(kernel=1), True)]
)
def test_a_notebook_is_known_by_its_kernel(monkeypatch, shell, expected):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert progress.in_notebook() is expected
    monkeypatch.delitem(sys.modules, "IPython")
    assert progress.in_notebook() is False


def test_a_bar_in_a_notebook_does_not_stand_among_the_text():
    source = """
        import d2lrnn
        corpus = d2lrnn.load_corpus("sample", max_tokens=200)
        model = d2lrnn.build_model(d2lrnn.ModelConfig(num_hiddens=4), corpus.vocab_size)
        config = d2lrnn.TrainConfig(2, 2, 5, pred_period=1, pred_len=3, prefixes=("雨",))
        history = d2lrnn.train_and_predict(model, corpus, config)
    """
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(inspect.cleandoc(source))])
    NotebookClient(notebook, timeout=250, kernel_name="python3").execute()
    (cell,) = notebook.cells
    text = "".join(output.text for output in cell.outputs if output.output_type == "stream")
    assert {output.get("name", output.output_type) for output in cell.outputs} <= {"stdout", "display_data"}
    assert re.findall(r"^(?:epoch \d| - 雨)", text, re.MULTILINE) == ["epoch 1", " - 雨", "epoch 2", " - 雨"]
    assert "it/s" not in text and "%" not in text
