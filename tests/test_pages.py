"""README, its translation and the book's pages: their commands work, and what they name is there."""

import fnmatch
import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest

from d2lrnn.cli.main import main
from d2lrnn.cli.parser import make_parser
from d2lrnn.config.presets import CONFIGS
from d2lrnn.data.corpora import CORPORA

ROOT = Path(__file__).parent.parent
READMES = [ROOT / "README.md", ROOT / "README.zh.md"]
PAGES = sorted((ROOT / "docs").glob("*.md"))
LESSONS = sorted(path.stem for path in (ROOT / "chapters").glob("*.py"))
FEWER = {  # what makes a command of seconds of one of minutes
    "train": "--num-epochs 1 --num-hiddens 8 --embed-size 8 --batch-size 4 --max-tokens 1200".split(),
    "compare": "--num-epochs 1 --num-hiddens 8 --max-tokens 1200".split(),
}


class Block(NamedTuple):
    """A block of code in Markdown."""

    language: str
    text: str


def blocks(path):
    """Return the blocks of code of a page."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)
    return [Block(*block) for block in found]


def commands(path):
    """Return the commands of a page, without comments; a block without a language is one of commands or of output."""
    asked = {"bash"} if "docs" in path.parts else {""}
    lines = [line for block in blocks(path) if block.language in asked for line in block.text.splitlines()]
    lines = [re.sub(r"\s+# .*", "", line) for line in lines]
    return [line for line in lines if re.match(r"([A-Z0-9_]+=\S+ )*(make|d2lrnn|\.venv/bin/\w+) ", line + " ")]


def arguments(command):
    """Return the arguments of a command of d2lrnn's, or None for a command of another program."""
    found = re.fullmatch(r"(?:[A-Z0-9_]+=\S+ )*(?:d2lrnn|\.venv/bin/d2lrnn|\.venv/bin/python -m d2lrnn) (.*)", command)
    return shlex.split(found[1]) if found else None


def links(path):
    """Return the targets of a page's links and pictures that lie in the repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", path.read_text())
    return [target for target in found if not target.startswith("http")]


def anchors(path):
    """Return the names by which a page's headings are linked to."""
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings(path)]


def headings(path):
    """Return a page's headings."""
    return re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL), re.M)


def rows(path, beginning):
    """Return the rows of the tables of a page whose heading begins so, as lists of cells."""
    lines = path.read_text().splitlines()
    (start,) = (i for i, line in enumerate(lines) if line.startswith(beginning))
    end = next(i for i in range(start, len(lines)) if not lines[i].startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start + 2 : end]]


@pytest.mark.parametrize("page", READMES, ids=lambda page: page.name)
def test_readme_is_short(page):
    assert len(page.read_text().splitlines()) <= 150


def test_both_readmes_have_the_same_commands_output_links_and_numbers():
    english, chinese = READMES
    assert commands(english) == commands(chinese) != []
    without_comments = [[re.sub(r"\s+# .*", "", block.text) for block in blocks(page)] for page in READMES]
    assert without_comments[0] == without_comments[1]
    assert sorted({*links(english)} - {"README.zh.md"}) == sorted({*links(chinese)} - {"README.md"})
    assert len(headings(english)) == len(headings(chinese)) > 5
    numbers = [re.findall(r"\d[\d,.]*\d|\d", page.read_text().replace("d2l 1.0", "")) for page in READMES]
    assert sorted(set(numbers[0])) == sorted(set(numbers[1]))


@pytest.mark.parametrize(
    "page", [*READMES, ROOT / "benchmarks" / "results" / "README.md"], ids=lambda page: page.parent.name
)
def test_links_lead_somewhere(page):
    assert links(page)
    for target in links(page):
        file, _, anchor = target.partition("#")
        found = page.parent / file
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


@pytest.mark.parametrize("page", [*READMES, *PAGES], ids=lambda page: page.name)
def test_paths_in_the_text_are_there(page):
    text = page.read_text()
    for path in re.findall(r"(?<![\w/.])(?:chapters|docs|data|benchmarks|tests)/[\w./*-]+", text):
        path = path.replace("PAGE", "index")
        assert (
            path.startswith("docs/_build")
            or path == "data/poetry.txt"
            or [*ROOT.glob(path.rstrip("./"))]
            or [*(ROOT / "d2lrnn").glob(path.rstrip("./"))]
        ), path


@pytest.mark.parametrize("page", [*READMES, *PAGES], ids=lambda page: page.name)
def test_commands_are_ones_that_d2lrnn_and_make_know(page):
    makefile = (ROOT / "Makefile").read_text()
    for command in commands(page):
        given = arguments(command)
        if given is not None and given != ["--version"]:
            assert make_parser().parse_args(given).command == given[0]
        elif command.startswith("make"):
            targets = [word for word in command.split()[1:] if "=" not in word]
            assert targets and all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets), command
        elif command.startswith(".venv/bin/python ") and ".py" in command:
            assert (ROOT / re.search(r"\S+\.py", command)[0]).is_file(), command


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as README leaves it after `make run`, but for how long the model was trained."""
    path = tmp_path_factory.mktemp("readme")
    makefile = (ROOT / "Makefile").read_text()
    trained = re.search(r"^run: venv\n\t\$\(BIN\)/python -m d2lrnn (.*)$", makefile, re.MULTILINE)[1].split()
    at = trained.index("runs/sample")
    assert main([*trained[:at], str(path / "runs" / "sample"), *trained[at + 1 :], *FEWER["train"]]) == 0
    return path


def test_the_commands_of_readme_run_one_after_the_other(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (folder / "my.txt").write_text((ROOT / "data" / "lyrics_zh.txt").read_text()[:1500])
    given = [words for words in map(arguments, commands(READMES[0])) if words and words[0] != "play"]
    assert len(given) == 11
    for words in given:
        fewer = FEWER.get(words[0], [])
        fewer = fewer[:-2] if "sample_pairs" in words else fewer  # --max-tokens is not for translators
        assert main([*words, *fewer]) == 0, words
    printed = capsys.readouterr().out
    for part in (
        "copied from sample",
        "picture  runs/sample/gates.png",
        "my.txt, test: perplexity",
        "largest relative",
        "file     runs/sample/model.safetensors",
        "nothing broken",
    ):
        assert part in printed


def test_the_python_of_the_page_runs_from_top_to_bottom(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (page,) = (path for path in PAGES if path.name == "python.md")
    names = {}
    for block in blocks(page):
        if block.language == "python":
            code = block.text.replace("256", "8").replace("num_epochs=160", "num_epochs=1")
            code = code.replace('load_corpus("sample")', 'load_corpus("sample", max_tokens=1200)')
            exec(code, names)
    printed = capsys.readouterr().out
    difference = re.search(rf"^\(1120, {names['corpus'].vocab_size}\) (\S+)$", printed, re.MULTILINE)
    assert float(difference[1]) < 1e-5
    assert (folder / "lstm.png").is_file() and names["fast"].vocab_size == names["gluon"].vocab_size


@pytest.mark.parametrize("page", [*READMES, ROOT / "docs" / "data.md"], ids=lambda page: page.name)
def test_every_corpus_is_named_with_its_address(page):
    text = page.read_text()
    for name, corpus in CORPORA.items():
        assert f"`{name}`" in text
        if corpus.source.sha256:
            assert corpus.source.url in text and corpus.source.filename in text


@pytest.mark.parametrize(
    ("page", "beginning", "lesson"),
    [
        (READMES[0], "| section | lesson |", r"`chapters/(\w+).py`"),
        (READMES[1], "| 节 | 课 |", r"`chapters/(\w+).py`"),
        (ROOT / "docs" / "lessons.md", "| lesson | in d2l-zh v1 |", r"\[(\w+)\]\(lessons/\1.md\)"),
    ],
    ids=["README.md", "README.zh.md", "lessons.md"],
)
def test_tables_of_lessons_have_all_in_the_order_of_the_book(page, beginning, lesson):
    found = [name for row in rows(page, beginning) for name in re.findall(lesson, "|".join(row))]
    assert sorted(found) == LESSONS
    assert found == re.findall(r"^lessons/(\w+)$", (ROOT / "docs" / "index.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "beginning"),
    [(READMES[0], "| what | here |"), (READMES[1], "| 内容 | 这里 |")],
    ids=["README.md", "README.zh.md"],
)
def test_the_figures_of_readme_stand_in_the_results(page, beginning):
    results = (ROOT / "docs" / "results.md").read_text()
    for row in rows(page, beginning):
        numbers = re.findall(r"\d[\d,.]*\d", " ".join(row[1:]))
        assert numbers and all(re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", results) for number in numbers), row


def test_the_page_on_the_logs_names_every_file():
    folder = ROOT / "benchmarks" / "results"
    cells = re.findall(r"^\| (.*?) \|", (folder / "README.md").read_text(), re.MULTILINE)
    named = [name for cell in cells for name in re.findall("`(.+?)`", cell)]
    files = {path.name for path in folder.iterdir()} - {"README.md"}
    assert {name for name in named if not fnmatch.filter(files, name)} == set()
    assert {file for file in files if not any(fnmatch.fnmatch(file, name) for name in named)} == set()


def test_the_page_on_training_has_every_configuration_in_order():
    table = rows(ROOT / "docs" / "use.md", "| configuration | corpus |")
    assert [name for row in table for name in re.findall(r"`(.+?)`", row[0])] == list(CONFIGS)


@pytest.mark.parametrize(("beginning", "log"), [("digits: 7,500", "digits"), ("lines.csv: 48,002", "labelled_texts")])
def test_the_epochs_of_the_page_on_classifiers_are_those_of_the_logs(beginning, log):
    (block,) = (each.text for each in blocks(ROOT / "docs" / "classify.md") if each.text.startswith(beginning))
    (epoch,) = (line for line in block.splitlines() if line.startswith("epoch 1,"))
    lines = (ROOT / "benchmarks" / "results" / f"{log}.jsonl").read_text().splitlines()
    first = next(line for line in map(json.loads, lines) if line.get("epoch") == 1)
    assert epoch == (
        "epoch 1, accuracy {accuracy:.4f}, in validation {valid_accuracy:.4f}, gradient norm {grad_norm:.3f}, "
        "{examples_per_second:,.0f} examples/s, {seconds:.1f} s".format(**first)
    )
