"""Every section of the chapter runs, prints what it teaches and draws what it says; as script and as notebook."""

import importlib
import math
import random
import re
import subprocess
import sys
import types
from pathlib import Path

import jupytext
import matplotlib.image
import nbformat
import numpy
import pytest
from known import Scaled
from tiny import ctrl_c

import d2lrnn

ROOT = Path(__file__).parent.parent
CHAPTERS = ROOT / "chapters"
# The lessons that still have a main(); tests/chapters/ has the others.
NAMES = sorted(path.stem for path in CHAPTERS.glob("*.py") if "\ndef main(" in path.read_text(encoding="utf-8"))
PICTURES = {
    "language_model_data": ["token_frequencies"],
    "rnn_concise": ["rnn_concise"],
    "lstm": ["lstm"],
    "bi_rnn": ["bi_rnn"],
    "poetry": ["poetry"],
    "lstm_relatives": ["lstm_relatives"],
    "from_nd_to_np": ["from_nd_to_np"],
}
NO_TWINS = (
    *("language_model_data", "poetry"),
    "from_nd_to_np",
)
TRAINING = [name for name in NAMES if name not in NO_TWINS]


@pytest.fixture
def common(monkeypatch):
    """What the chapters share, and through it the chapters: importable, as they are for their scripts."""
    monkeypatch.setattr(sys, "path", [str(CHAPTERS), *sys.path])
    return importlib.import_module("common")


@pytest.fixture
def run(common, capsys, tmp_path, only_here):
    """Run a chapter, check what all of them have to do, and return what it printed."""

    def run(name, *args):
        out = tmp_path / name
        capsys.readouterr()
        importlib.import_module(name).main(["--quick", "--ctx", "cpu", "--out", str(out), *args])
        text = capsys.readouterr().out
        headings = re.findall(r"^(\d+)\. .*\n-+$", text, re.MULTILINE)
        assert headings == [str(i + 1) for i in range(len(headings))]
        assert len(headings) >= 3
        assert not re.search(r"\bnan\b", text)
        printed = re.findall(r"^picture  (.*)$", text, re.MULTILINE)
        assert printed == [str(out / f"{picture}.png") for picture in PICTURES[name]]
        assert sorted(map(str, out.iterdir())) == sorted(printed)
        for path in printed:
            check_picture(path)
        return text

    return run


def check_picture(path):
    assert Path(path).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    pixels = matplotlib.image.imread(path)[:, :, :3]
    assert min(pixels.shape[:2]) > 200
    inked = (pixels.min(axis=2) < 0.9).mean()
    coloured = (numpy.ptp(pixels, axis=2) > 0.2).mean()  # a curve, where the axes and letters are grey
    assert 0.01 < inked < 0.6
    assert coloured > 0.0005


def table(text, header):
    """Return the rows of a printed table that begins with a header: lists of numbers by the rows' names."""
    lines = text[text.index(header) :].splitlines()[1:]
    rows = {}
    for line in lines:
        match = re.match(r"(\S.*?)\s{2,}([-+\d][-+\d.,e\s]*|inf[\s\d.e+inf]*)$", line)
        if not match:
            break
        rows[match[1]] = [float(number.replace(",", "")) for number in match[2].split()]
    return rows


def number_after(text, words):
    return float(re.search(re.escape(words) + r"\s*(-?\d[\d,.]*(e[-+]\d+)?)", text)[1].replace(",", ""))


def check_training(name, text):
    """Check the perplexities in a chapter's table, and that the twins agree.

    Two epochs teach little more than how frequent each token is: the perplexity of the second is at most 1.3 times the
    one that the frequencies alone give, and 5 times with 10,000 words, which take more steps to learn of.
    """
    vocab_size = number_after(text, "tokens,")
    given = re.search(r"^corpus (\S+):", text, re.MULTILINE)[1]
    if name != "bi_rnn":
        corpus = d2lrnn.load_corpus(given, max_tokens=int(number_after(text, f"corpus {given}:")))
        shares = numpy.unique(corpus.train, return_counts=True)[1] / len(corpus.train)
        bound = (5 if vocab_size == 10_000 else 1.3) * math.exp(-(shares * numpy.log(shares)).sum())
    header = "model " if name != "bi_rnn" else "model                   perplexity"
    rows = table(text[text.index("epochs, batches of") :], header)
    column = 0 if name == "bi_rnn" else 1
    perplexities = {run: row[column] for run, row in rows.items() if run != "never a line end"}
    if name == "bi_rnn":  # what the share of line ends alone tells, and a tenth more
        ends = 1 - rows["never a line end"][0]
        bound = 1.1 * math.exp(-ends * math.log(ends) - (1 - ends) * math.log(1 - ends))
    assert len(perplexities) >= 2
    assert all(1 <= perplexity < bound for perplexity in perplexities.values())
    for model, perplexity in perplexities.items():
        twin = model.replace("scratch", "gluon")
        if twin != model and twin in perplexities:
            assert perplexity == pytest.approx(perplexities[twin], rel=1e-3)


def test_every_chapter_is_listed():
    assert set(NAMES) <= set(PICTURES)


# What each chapter prints on the corpus that ships.


def test_lstm_relatives(run):
    text = run("lstm_relatives")
    check_training("lstm_relatives", text)
    assert "W_hi       (8, 16)\nw_ci       (16,)\n" in text and "\nW_mr       (16, 8)\n" in text
    v, n = int(number_after(text, "tokens,")), 16

    def count(cell, n):
        """The formulas of the paper, and the biases."""
        r = n // 2 if "projected" in cell else n
        return 4 * n * (r + v + 1) + r * v + v + ("projected" in cell) * n * r + ("peephole" in cell) * 3 * n

    rows = table(text, "cell  ")
    assert list(rows) == ["lstm", "lstm_peephole", "lstm_projected", "lstm_peephole_projected"]
    for cell, row in rows.items():
        assert row == [count(cell, n), row[1], count(cell, int(row[1]))]
        assert row[2] <= rows["lstm"][0] < count(cell, int(row[1]) + 1)
    gaps = table(text, "difference, relative")
    assert [name.split(", ")[1] for name in gaps] == ["fast", "gluon"] * 3
    assert all(max(row) < 1e-5 and len(row) == 3 for row in gaps.values()) and sum(map(sum, gaps.values())) > 0
    letters = {name: row[-1] for name, row in table(text, "perplexity in epoch").items()}
    assert letters["tanh, from the identity"] < 5 and letters["relu, from the identity"] < 6
    assert letters["tanh, from N(0, 0.01²)"] > 7.5 and letters["relu, from N(0, 0.01²)"] > 7.5


def test_bi_rnn(run):
    text = run("bi_rnn")
    check_training("bi_rnn", text)
    assert number_after(text, "one direction  ") == 0
    assert number_after(text, "two directions ") > 0
    assert "train_and_predict says: a bidirectional model cannot be a left-to-right language model" in text
    text_tokens = re.search(r"^input     (.*)$", text, re.MULTILINE)[1]
    tags = re.search(r"^targets   (.*)$", text, re.MULTILINE)[1].split()
    lyrics = (ROOT / "data" / "lyrics_zh.txt").read_text(encoding="utf-8")
    restored = "".join(token + "\n" * int(tag) for token, tag in zip(text_tokens, tags))
    assert lyrics.startswith(restored)
    true = re.search(r"^true +(.*)$", text, re.MULTILINE)[1]
    assert true.rstrip("/").replace("/", "\n") in lyrics


def test_two_directions_find_what_only_the_next_token_tells(run, tmp_path):
    letters = random.Random(0)
    lines = ("a" + "".join(letters.choices("bcde", k=letters.randint(2, 7))) for _ in range(400))
    corpus = tmp_path / "lines.txt"
    corpus.write_text("\n".join(lines), encoding="utf-8")
    text = run("bi_rnn", "--corpus", str(corpus), "--cell", "rnn", "--num-epochs", "6", "--lr", "0.02")
    check_training("bi_rnn", text)
    rows = table(text, "model                   perplexity")
    for kind in ("scratch", "gluon"):
        *_, one = rows[f"{kind}, one direction"]
        *_, two = rows[f"{kind}, two directions"]
        assert one < 0.5
        assert two > 0.8  # not 1: at the end of a window there is no next token


# The real corpora.


@pytest.mark.parametrize("name", TRAINING)
@pytest.mark.parametrize("corpus", ["jaychou", "ptb"])
def test_on_real_data(corpus, name, run, real_data):
    text = run(name, "--corpus", corpus, "--data-dir", str(real_data))
    assert f"corpus {corpus}: 2,000 tokens, " in text
    check_training(name, text)


@pytest.mark.parametrize(
    ("name", "corpus"),
    [
        ("language_model_data", "jaychou"),
        ("poetry", "couplets"),
    ],
)
def test_the_others_on_real_data(corpus, name, run, real_data):
    assert re.search(rf"^corpus {corpus}: [\d,]+ tokens, ", run(name, "--corpus", corpus), re.MULTILINE)


def test_on_the_time_machine(run, real_data):
    text = run("bi_rnn", "--corpus", "timemachine", "--data-dir", str(real_data))
    check_training("bi_rnn", text)
    assert re.search(r"^input     thetimemachine", text, re.MULTILINE)


# Scripts.


def test_importing_the_chapters_has_no_effect(tmp_path):
    program = (
        f"import sys; sys.path.insert(0, {str(CHAPTERS)!r}); sys.argv = ['x', '--nonsense']\n"
        + "".join(f"import {name}\n" for name in NAMES)
        + "assert not {'d2l', 'matplotlib', 'IPython'} & set(sys.modules), 'imported too much'"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


# Notebooks.


@pytest.mark.parametrize("name", NAMES)
def test_a_chapter_is_a_notebook(name):
    source = (CHAPTERS / f"{name}.py").read_text(encoding="utf-8")
    notebook = jupytext.reads(source, fmt="py:percent")
    nbformat.validate(notebook)
    again = nbformat.reads(jupytext.writes(notebook, fmt="ipynb"), as_version=4)
    nbformat.validate(again)
    cells = [(cell.cell_type, cell.source) for cell in notebook.cells]
    assert [(cell.cell_type, cell.source) for cell in again.cells] == cells
    back = jupytext.writes(again, fmt="py:percent")
    assert back[back.index("# %%") :].split() == source.split()


@pytest.mark.parametrize("name", NAMES)
def test_a_chapter_says_what_it_is_about_and_what_can_be_set(name, common, capsys):
    chapter = importlib.import_module(name)
    with pytest.raises(SystemExit) as stop:
        chapter.main(["--help"])
    assert stop.value.code == 0
    out = " ".join(capsys.readouterr().out.split())
    assert " ".join(chapter.__doc__.split()) in out and "--quick" in out


def test_a_notebook_has_no_command_line(common, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", "-f", "kernel.json"])
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    with pytest.raises(SystemExit):  # in a terminal these are arguments, and wrong ones
        common.parse_args("", None)
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert common.parse_args("", None).corpus.name == "sample"


# The arguments.


def parse(common, *args, fixed=()):
    return common.parse_args("", args, model=d2lrnn.ModelConfig(cell="rnn"), training=common.BOOK_RNN, fixed=fixed)


def test_the_defaults_are_the_books(common):
    lesson = parse(common, "--ctx", "cpu")
    assert lesson.model == d2lrnn.ModelConfig(cell="rnn", num_hiddens=256)
    assert lesson.training == d2lrnn.TrainConfig(
        250, 32, 35, "sgd", 1e2, 1e-2, "consecutive", pred_period=50, prefixes=("分开", "不分开")
    )
    assert (common.BOOK_GATED.num_epochs, common.BOOK_GATED.pred_period) == (160, 40)
    assert lesson.out == Path("figures")
    assert len(lesson.corpus.train) == len(d2lrnn.load_corpus("sample").train)


def test_quick_gives_way_to_what_is_written_beside_it(common):
    lesson = parse(common, "--quick", "--num-hiddens", "24", "--max-tokens", "1500", "--prefix", "雨", "--seed", "3")
    assert lesson.model.num_hiddens == 24
    assert len(lesson.corpus.train) == 1500
    assert (lesson.training.num_epochs, lesson.training.batch_size, lesson.training.num_steps) == (2, 8, 10)
    assert (lesson.training.prefixes, lesson.training.seed) == (("雨",), 3)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--corpus", "jaychuo"], "did you mean jaychou?"),
        (["--prefix", "ß"], "unknown character 'ß'"),
        (["--max-tokens", "100"], "the corpus has 100 ids"),
        (["--ctx", "tpu"], "unknown device 'tpu'"),
        (["--num-epochs", "0"], "num_epochs is 0"),
        (["--cell", "gru"], "--cell has no use in this chapter"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_what_cannot_work_is_refused_in_a_line(common, capsys, args, words):
    with pytest.raises(SystemExit) as stop:
        parse(common, *args, fixed=["cell", "num_layers"])
    assert stop.value.code == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_a_corpus_without_line_ends_has_none_to_restore(run, tmp_path):
    corpus = tmp_path / "one_line.txt"
    corpus.write_text("abc" * 200, encoding="utf-8")
    with pytest.raises(SystemExit, match="one_line.txt has no ' '"):
        run("bi_rnn", "--corpus", str(corpus))


def test_interrupted_training_ends_the_chapter_with_what_there_is(common, capsys, tmp_path):
    lesson = parse(common, "--quick", "--out", str(tmp_path))
    models, count = common.new_twins(lesson), d2lrnn.data_iter_consecutive(lesson.corpus.train, 8, 10).num_batches
    models["scratch"] = Scaled(models["scratch"], lambda call: ctrl_c(call) if call == count + 1 else 1.0)
    with pytest.raises(SystemExit) as stop:
        common.train_and_show(models, lesson, "rnn", "RNN")
    assert stop.value.code == 130
    text = capsys.readouterr().out
    assert table(text, "model    epochs")["scratch"][:2] == [1, number_after(text, "epoch 1, perplexity")]
    assert "  scratch  '分开" in text and "  gluon" not in text


@pytest.mark.parametrize("name", ["bi_rnn"])
def test_training_that_diverges_ends_the_chapter_with_a_line(name, run):
    with pytest.raises(SystemExit, match="became (nan|inf) in epoch 1.*try a finite theta or a smaller lr"):
        run(name, "--optimizer", "sgd", "--lr", "1e38", "--theta", "inf")
