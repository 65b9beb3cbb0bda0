"""What all lessons share: their options, their prose in a terminal, scripts and notebooks."""

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import jupytext
import nbformat
import numpy
import pytest
import wcwidth
from lessons import CHAPTERS, NAMES, check_picture, run_cells

import d2lrnn
from d2lrnn.training import TrainingDivergedError

ROOT = CHAPTERS.parent


@pytest.fixture
def common(monkeypatch):
    """The package that all lessons import."""
    monkeypatch.setattr(sys, "path", [str(CHAPTERS), *sys.path])
    return importlib.import_module("common")


# The form of a lesson.


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_is_a_linear_script(name, common):
    source = (CHAPTERS / f"{name}.py").read_text(encoding="utf-8")
    cells = common.script.read_cells(CHAPTERS / f"{name}.py")
    assert source.startswith("# %% [markdown]\n# # ") and "__main__" not in source
    code = [cell for cell in cells if not cell.is_prose]
    last = ast.unparse(ast.parse(code[0].text).body[-1])
    assert last.startswith("lesson = common.begin("), "begin() is the last statement of the first code cell"
    assert sum("common.begin(" in cell.text for cell in code) == 1
    headings = [line for cell in cells if cell.is_prose for line in cell.text.splitlines() if line.startswith("#")]
    assert headings[0].startswith("# ") and all(heading.startswith("## ") for heading in headings[1:])
    assert headings[-2:] == ["## Summary", "## Exercises"]


@pytest.mark.parametrize("name", NAMES)
def test_each_exercise_has_a_folded_solution(name, common):
    exercises = (CHAPTERS / f"{name}.py").read_text(encoding="utf-8").split("\n# ## Exercises\n")[1]
    numbers = re.findall(r"^# (\d+)\. ", exercises, re.MULTILINE)
    assert numbers == [str(i + 1) for i in range(len(numbers))] and len(numbers) >= 2
    folded = [line for line in exercises.splitlines() if line.startswith("# <details>")]
    assert folded == [f"# <details><summary>Solution {number}</summary>" for number in numbers]
    assert exercises.count("\n# </details>\n#\n") + exercises.endswith("\n# </details>\n") == len(numbers)


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_is_a_notebook(name):
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
def test_the_pictures_of_a_lesson_exist(name):
    source = (CHAPTERS / f"{name}.py").read_text(encoding="utf-8")
    for cell in jupytext.reads(source, fmt="py:percent").cells:
        if cell.cell_type == "markdown":
            for part in cell.source.split("](img/")[1:]:
                assert (CHAPTERS / "img" / part.split(")")[0]).is_file()


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_says_what_it_is_about_and_what_can_be_set(name, common, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    run_cells(name)
    out = " ".join(capsys.readouterr().out.split())
    paragraph = common.script.read_cells(CHAPTERS / f"{name}.py")[0].text.split("\n\n")[2]
    assert " ".join(common.script.plain(paragraph).split()) in out and "--quick" in out


def test_every_lesson_has_a_test():
    assert {path.stem for path in Path(__file__).parent.glob("test_*.py")} >= {f"test_{name}" for name in NAMES}


# Prose in a terminal.


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("# A *title*", "A title\n======="),
        ("## Two\nand a line", "Two\n---\nand a line"),
        (r"the state $\mathbf{H}_{t-1}$ of `H`", "the state H_(t-1) of H"),
        (r"$\boldsymbol{X} \in \mathbb{R}^{n \times d}$", "X ∈ ℝ^(n × d)"),
        (r"$$a &= \sigma(b) \\ c &= \frac{d}{e}$$", "    a = σ(b)\n    c = d/e"),
        ("* one\n  more\n* two", "* one more\n* two"),
        ("1. $x^2$\n2. **b** and *c*: 2 * 3 * 4", "1. x^2\n2. b and c: 2 * 3 * 4"),
        ("![A cell](img/lstm.svg)", "[picture chapters/img/lstm.svg: A cell]"),
        ("see [the book](https://d2l.ai)", "see the book (https://d2l.ai)"),
        ("1. Why?\n\n<details><summary>Solution 1</summary>\n\nSo.\n\n</details>\n\n2. When?", "1. Why?\n\n2. When?"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 1 | 2 |"),
        (r"$\min(\theta / \|\mathbf{g}\|, 1)$", "min(θ/‖g‖, 1)"),
        (r"$\mathbf{H}_{t-1}\mathbf{W}_{hh}$", "H_(t-1) W_hh"),
        (r"$\sum_{t=1}^{T} \log P(w_t)$", "∑_(t=1)^T log P(w_t)"),
        (r"$\mathbf{F}_t \odot \mathbf{C}_{t-1}$", "F_t ⊙ C_(t-1)"),
        (r"$[\overrightarrow{\mathbf{H}}_t, \overleftarrow{\mathbf{H}}_{t+1}] \leftarrow 0$", "[→H_t, ←H_(t+1)] ← 0"),
        (r"$P(x_t \mid \mathbf{H}_{t-1}) \approx P(x_t \mid x_1)$", "P(x_t | H_(t-1)) ≈ P(x_t | x_1)"),
        (r"$\log p_i$ and $\alpha = 1$", "log p_i and α = 1"),
        ("$\\frac{n(w_{t-1}) + \\epsilon P}\n{n - 1}$", "(n(w_(t-1)) + ϵ P)/(n - 1)"),
        (r"$\frac{n(w_{t-1}) + \epsilon P}{n - 1}$", "(n(w_(t-1)) + ϵ P)/(n - 1)"),
        (r"$\mathbf{W}_{hx} \mathbf{x}_t + \mathbf{W}_{hh}^\top \mathbf{g}$", "W_hx x_t + W_hh^⊤ g"),
        (r"$\frac{1}{T} \frac{\partial \ell}{\partial \mathbf{o}_t} \mathbf{h}_t^\top$", "1/T ∂ℓ/∂o_t h_t^⊤"),
        (r"$\frac{1}{T} \sum_{t=1}^T \alpha \log p_t \approx 1$", "1/T ∑_(t=1)^T α log p_t ≈ 1"),
    ],
)
def test_markdown_becomes_plain_text(markdown, text, common):
    assert common.script.plain(markdown) == text


def test_long_paragraphs_are_filled(common):
    lines = common.script.plain("word " * 100).splitlines()
    assert len(lines) == 5 and max(map(len, lines)) <= 100


# Prose in Chinese.

WORDS = {"A title": "标题", "one more": "一", "two": "二", "Why $x$?": "为什么$x$？", "A cell": "单元", "a b": "甲乙"}


@pytest.mark.parametrize(
    ("markdown", "translated"),
    [
        ("# A title\n\na\nb", "# 标题\n\n甲乙"),
        ("a b\n\n$$a b$$\n\na c", "甲乙\n\n$$a b$$\n\na c"),
        ("* one\n  more\n* two\n* three", "* 一\n* 二\n* three"),
        (
            "1. Why $x$?\n\n<details><summary>Solution 1</summary>\n\na b\n\n</details>",
            "1. 为什么$x$？\n\n<details><summary>解答 1</summary>\n\n甲乙\n\n</details>",
        ),
        ("![A cell](img/lstm_state.svg)", "![单元](img/lstm_state.zh_CN.svg)"),
        ("![A cell](img/none.svg)", "![单元](img/none.svg)"),
    ],
)
def test_blocks_are_translated_one_by_one(markdown, translated, common):
    assert common.language.translate(markdown, WORDS, "zh_CN") == translated
    assert common.language.translate(markdown, {}, None) == markdown


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, None),
        ({"LANG": "zh_CN.UTF-8"}, "zh_CN"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, None),
        ({"LANG": "C.UTF-8", "LANGUAGE": "fr:zh_CN:en"}, "zh_CN"),
        ({"LANGUAGE": "en:zh_CN", "LANG": "zh_CN.UTF-8"}, None),
        ({"LANG": "../locale"}, None),
    ],
)
def test_the_environment_chooses_the_language(environment, language, common, monkeypatch):
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert common.language.wanted() == language


def test_no_line_breaks_within_a_word(common):
    text = "这是`d2lrnn.cross_entropy`的（一个）例子：" * 20
    lines = common.script.plain(text).splitlines()
    assert "".join(lines) == text.replace("`", "") and max(map(wcwidth.width, lines)) <= 100
    assert all(line.count("d2lrnn") == line.count("d2lrnn.cross_entropy") for line in lines)
    assert all(line[-1] != "（" and line[0] not in "）：" for line in lines)


def test_no_line_of_chinese_begins_with_a_mark(common):
    text = common.script.plain("一二三四五六七八九，" * 30)
    lines = text.splitlines()
    assert len(lines) > 5 and all(line[0] != "，" for line in lines) and "".join(lines) == "一二三四五六七八九，" * 30
    assert max(map(wcwidth.width, lines)) <= 100


# Scripts.


def write_lesson(folder, body="print(2 * 3)"):
    path = folder / "lesson.py"
    path.write_text(
        "# %% [markdown]\n# # One lesson\n#\n# It is about $x^2$.\n\n# %%\nimport common\n\n"
        f"lesson = common.begin()\n\n# %% [markdown]\n# ## Part\n\n# %%\n{body}\n",
        encoding="utf-8",
    )
    return path


def run_script(path, *args, **options):
    return subprocess.run(
        [sys.executable, str(path), *args],
        env={**os.environ, "PYTHONPATH": str(CHAPTERS), "PYTHONIOENCODING": "utf-8", "LANGUAGE": "en"},
        capture_output=True,
        encoding="utf-8",
        **options,
    )


def test_a_script_prints_prose_and_output_in_order(tmp_path):
    done = run_script(write_lesson(tmp_path), "--max-tokens", "2000")
    opening = "corpus sample: 2,000 tokens, 476 different ones; on cpu(0)"
    expected = f"One lesson\n==========\n\nIt is about x^2.\n\n{opening}\n\nPart\n----\n\n6\n"
    assert (done.stdout, done.stderr, done.returncode) == (expected, "", 0)


def test_help_is_the_first_paragraph_and_the_options(tmp_path):
    done = run_script(write_lesson(tmp_path), "--help")
    assert done.returncode == 0 and "It is about x^2." in done.stdout and "--quick" in done.stdout
    assert "One lesson\n=" not in done.stdout


def test_a_defect_keeps_its_traceback_with_the_line_of_the_lesson(tmp_path):
    done = run_script(write_lesson(tmp_path, "x = 0\n1 / x"))
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr and 'lesson.py", line 16' in done.stderr


@pytest.mark.parametrize("shown", [0, 3], ids=["from the start", "after the title"])
def test_a_closed_output_ends_the_script_without_a_word(tmp_path, shown):
    path = write_lesson(tmp_path, "for _ in range(100_000):\n    print(_)")
    command = f"{sys.executable} {path} | head -n {shown}"
    environment = {**os.environ, "PYTHONPATH": str(CHAPTERS), "LANGUAGE": "en"}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("One lesson\n==========\n\n" if shown else "", "")


def test_an_error_of_the_readers_is_one_line(tmp_path):
    done = run_script(write_lesson(tmp_path, "import d2lrnn\nd2lrnn.Vocab(3)"))
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1


def test_a_script_runs_from_another_folder_with_the_module_beside_it(tmp_path):
    checkout = tmp_path / "checkout"
    for folder in ("chapters", "d2lrnn"):
        shutil.copytree(ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (checkout / "data").mkdir()
    (checkout / "data" / "lyrics_zh.txt").write_text("不分开的雨 分开的风 " * 100, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(checkout / "chapters" / "lstm.py"), "--quick", "--num-epochs", "1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "LANGUAGE": "en"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert "corpus sample: 1,000 tokens, 7 different ones" in done.stdout  # the copy's data, so the copy's module
    assert done.stderr == ""
    check_picture(tmp_path / "figures" / "lstm.png")


# The options.


def begin(common, *args, fixed=(), quick=None):
    return common.begin(
        model=d2lrnn.ModelConfig(cell="rnn"), training=common.BOOK_RNN, fixed=fixed, quick=quick, argv=args
    )


def test_the_defaults_are_the_books(common):
    lesson = begin(common, "--ctx", "cpu")
    assert lesson.model == d2lrnn.ModelConfig(cell="rnn", num_hiddens=256)
    assert lesson.training == d2lrnn.TrainConfig(
        250, 32, 35, "sgd", 1e2, 1e-2, "consecutive", pred_period=50, prefixes=("分开", "不分开")
    )
    assert (common.BOOK_GATED.num_epochs, common.BOOK_GATED.pred_period) == (160, 40)
    assert (lesson.out, lesson.quick) == (Path("figures"), False)
    assert len(lesson.corpus.train) == len(d2lrnn.load_corpus("sample").train)


def test_quick_gives_way_to_what_is_written_beside_it(common):
    args = ("--quick", "--num-hiddens", "24", "--max-tokens", "1500", "--prefix", "雨", "--seed", "3")
    lesson = begin(common, *args, quick={"num_epochs": 7, "num_hiddens": 5})
    assert (lesson.model.num_hiddens, len(lesson.corpus.train), lesson.quick) == (24, 1500, True)
    training = lesson.training
    assert (training.num_epochs, training.batch_size, training.optimizer) == (7, 10, "adam")
    assert (training.prefixes, training.seed) == (("雨",), 3)


def test_a_lesson_may_read_no_text(common, capsys):
    def begin(*args, **more):
        return common.begin(corpus=None, model=d2lrnn.ModelConfig(), training=common.BOOK_RNN, argv=args, **more)

    lesson = begin("--ctx", "cpu", "--num-epochs", "3", "--seed", "4")
    assert (lesson.corpus, lesson.data, lesson.training.num_epochs, lesson.title("A")) == (None, "", 3, "A")
    drawn = numpy.random.random()
    lesson = begin("--ctx", "cpu", "--quick", "--seed", "4", data=("digits", "drawn"), quick={"data": "drawn"})
    assert (lesson.data, lesson.model.num_hiddens, numpy.random.random()) == ("drawn", 64, drawn)
    assert capsys.readouterr().out == "on cpu(0)\ndata drawn; on cpu(0)\n"
    for args, words in ((["--corpus", "ptb"], "unrecognized arguments: --corpus ptb"), (["--data", "drawm"], "drawm")):
        with pytest.raises(SystemExit):
            begin(*args, data=("digits", "drawn"))
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(("args", "rows"), [([], range(1, 121)), (["--quick"], range(1, 121, 3))])
def test_under_quick_pairs_from_all_over_the_file_are_read(common, args, rows):
    lesson = common.begin(corpus=None, data=("sample_pairs", "cmn"), argv=["--ctx", "cpu", *args])
    corpus = common.lesson_pairs(lesson, quick=50)  # every third of 120 pairs
    read = [pair.row for split in (corpus.train, corpus.valid, corpus.test) for pair in split.pairs]
    assert sorted(read) == list(rows) and corpus.name == "sample_pairs"


WRONG = [
    (["--prefix", "ß"], "unknown character 'ß'"),
    (["--max-tokens", "100"], "the corpus has 100 ids"),
    (["--ctx", "tpu"], "unknown device 'tpu'"),
    (["--num-epochs", "0"], "num_epochs is 0"),
    (["--cell", "gru"], "--cell has no use in this lesson"),
    (["--nonsense"], "unrecognized arguments: --nonsense"),
]


@pytest.mark.parametrize(("args", "words"), WRONG)
def test_what_cannot_work_is_refused_in_a_line(common, capsys, args, words):
    with pytest.raises(SystemExit) as stop:
        begin(common, *args, fixed=["cell", "num_layers"])
    assert stop.value.code == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_a_corpus_that_is_not_there_is_told_in_two_lines(common, capsys, offline):
    with pytest.raises(SystemExit) as stop:
        begin(common, "--corpus", "jaychou")
    tried, to_do = stop.value.code.split("\n")
    assert "jaychou_lyrics.txt.zip is not in " in tried and to_do.startswith("Get https://")
    with pytest.raises(SystemExit, match="did you mean jaychou?"):
        begin(common, "--corpus", "jaychuo")


@pytest.fixture
def notebook(monkeypatch):
    """This Python is a notebook's."""
    shell = types.SimpleNamespace(kernel=object(), execution_count=1)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", "-f", "kernel.json"])


def test_a_notebook_takes_its_options_from_the_environment(common, notebook, monkeypatch):
    assert common.begin().corpus.name == "sample" and not common.begin().quick
    monkeypatch.setenv("D2LRNN_LESSON", "--quick --prefix '雨 停'")
    lesson = common.begin(model=d2lrnn.ModelConfig(), training=common.BOOK_RNN)
    assert lesson.quick and lesson.training.prefixes == ("雨 停",)


@pytest.mark.parametrize(("args", "words"), WRONG)
def test_a_notebook_goes_on_after_options_that_cannot_work(common, notebook, args, words):
    with pytest.raises(d2lrnn.D2lrnnError) as error:
        begin(common, *args, fixed=["cell", "num_layers"])
    assert words in str(error.value)


def test_a_notebook_tells_of_a_corpus_that_is_not_there(common, notebook, offline):
    with pytest.raises(d2lrnn.CorpusNotFoundError, match=r"\nGet https://.* and save it as ptb.zip in "):
        begin(common, "--corpus", "ptb")


# Training.


def test_an_interrupted_training_ends_the_lesson(common, capsys):
    lesson = begin(common, "--quick")
    twins = common.new_twins(lesson)
    models = {name: Interrupted(model) for name, model in twins.items()}
    with pytest.raises(SystemExit) as stop:
        common.train_each(models, lesson)
    assert stop.value.code == 130
    text = capsys.readouterr().out
    assert "training scratch" in text and "training gluon" not in text


class Interrupted:
    """A model during whose second step somebody types Ctrl-C."""

    def __init__(self, model):
        self._model, self._calls = model, 0

    def __getattr__(self, name):
        return getattr(self._model, name)

    def __call__(self, X, state):
        self._calls += 1
        if self._calls == 2:
            raise KeyboardInterrupt
        return self._model(X, state)


def test_a_training_that_diverges_is_the_readers_error(common):
    lesson = begin(common, "--quick", "--optimizer", "sgd", "--lr", "1e38", "--theta", "inf")
    with pytest.raises(TrainingDivergedError, match="became (nan|inf) in epoch 1.*try a finite theta or a smaller lr"):
        common.train_each(common.new_twins(lesson), lesson)
    assert issubclass(TrainingDivergedError, d2lrnn.D2lrnnError)  # which a script prints as one line
