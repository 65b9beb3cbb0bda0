"""``train --vectors`` and ``words``: an embedding that begins with a file's vectors, and what it makes alike."""

import json
import re
from pathlib import Path

import forks
import numpy
import pytest
from tiny import FOX_CORPUS, write_fox

from d2lrnn import nearest_words
from d2lrnn.cli import main as cli
from d2lrnn.data.vectors import read_vectors
from d2lrnn.runs.checkpoint import BEST, LAST
from d2lrnn.runs.trained import load_run

SIZES = "--num-hiddens 8 --batch-size 4 --num-steps 10 --num-epochs 2 --pred-len 3 --prefix the --seed 3".split()
SHAPE = ["train", "--corpus", "rain", *SIZES]
LACKING = "jqz"  # characters of the corpus that the file has no vectors for


@pytest.fixture
def vectors(rain_files, tmp_path):
    """A file of vectors of the corpus "rain"."""
    return write_vectors(tmp_path / "vectors.txt")


def write_vectors(path):
    draw = numpy.random.default_rng(5)
    known = [token for token in FOX_CORPUS.vocab.idx_to_token if token not in LACKING]
    path.write_text("".join(f"{token} {' '.join(map(repr, draw.normal(size=6)))}\n" for token in known + ["é", "ü"]))
    return path


def embedding(folder, name=BEST):
    return load_run(folder, name).parameters["embedding.weight"]


@pytest.mark.parametrize("unknown", ["random", "shared"])
def test_a_frozen_embedding_stays_what_the_file_says(vectors, tmp_path, capsys, unknown):
    run = tmp_path / "run"
    arguments = [*SHAPE, "--vectors", str(vectors), "--freeze-vectors", "--unknown-vectors", unknown, "--out", str(run)]
    assert cli.main(arguments) == 0
    out = capsys.readouterr().out
    count = len(FOX_CORPUS.vocab)
    assert f"vectors  6 numbers each for {count - 3} of {count} words from {vectors}; without: " in out
    others = "random ones" if unknown == "random" else "their mean, shared"
    assert f"the other words get {others}; frozen\n" in out
    checkpoint = load_run(run)
    assert checkpoint.shape.embed_size == 6 and checkpoint.shape.freeze_embedding
    found = read_vectors(vectors, FOX_CORPUS.vocab)
    assert embedding(run)[found.found].tobytes() == found.values[found.found].tobytes()
    lacking = embedding(run)[~found.found]
    assert len(lacking) == 3 and (lacking == lacking[0]).all() == (unknown == "shared")
    vectors.unlink()  # a run that goes on needs no file
    before = load_run(run, LAST).parameters
    assert cli.main(["train", "--resume", str(run), "--num-epochs", "3"]) == 0
    after = load_run(run, LAST).parameters
    for name in before:
        assert (before[name].tobytes() == after[name].tobytes()) == (name == "embedding.weight"), name


def test_or_it_is_trained_further(vectors, tmp_path, capsys):
    run = tmp_path / "run"
    assert cli.main([*SHAPE, "--vectors", str(vectors), "--out", str(run), "--lr", "1e-4"]) == 0
    assert "the other words get random ones; trained further\n" in capsys.readouterr().out
    found = read_vectors(vectors, FOX_CORPUS.vocab)
    difference = abs(embedding(run) - found.values)[found.found]
    assert 0 < difference.max() < 0.05 and not load_run(run).shape.freeze_embedding


def test_a_run_with_frozen_vectors_killed_three_times_ends_with_the_same_numbers(tmp_path, seed):
    """Word dropout reads the frozen embedding; Adam remembers each parameter that is trained, and no other."""
    write_fox(tmp_path / "data")
    file = write_vectors(tmp_path / "vectors.txt")
    settings = [*SIZES, "--vectors", str(file), "--freeze-vectors", "--word-dropout", "0.1", "--num-epochs", "4"]
    result = forks.run("killed_run.py", tmp_path, seed % 2**32, 3, *settings)
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["positions"][-1] > [1, 0]
    whole, killed = (load_run(tmp_path / folder, LAST) for folder in ("whole", "killed"))
    assert "mean.embedding.weight" not in whole.training.arrays and "mean.dense.weight" in whole.training.arrays
    for one, other in ((whole.parameters, killed.parameters), (whole.training.arrays, killed.training.arrays)):
        assert {name: array.tobytes() for name, array in one.items()} == {n: a.tobytes() for n, a in other.items()}
    found = read_vectors(file, FOX_CORPUS.vocab)
    assert embedding(tmp_path / "killed")[found.found].tobytes() == found.values[found.found].tobytes()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--freeze-vectors"], "--freeze-vectors is for vectors from a file: name it, --vectors FILE"),
        (["--unknown-vectors", "shared"], "--unknown-vectors is for vectors from a file: name it"),
        (["--vectors", "FILE", "--embed-size", "9"], "embed_size is 9, and the vectors of .* have 6 numbers: leave"),
        (["--vectors", "FILE", "--kind", "scratch"], "the models from scratch have no embedding and no dropout"),
        (["--vectors", "FILE", "--tie-weights"], "tie_weights needs an output layer"),
        (["--vectors", "nothing.txt"], "No such file or directory: 'nothing.txt'"),
    ],
)
def test_what_cannot_begin(vectors, tmp_path, complaint, options, reason):
    options = [str(vectors) if option == "FILE" else option for option in options]
    assert re.search(reason, complaint(*SHAPE, *options, "--out", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_where_a_run_goes_on_no_vectors_can_be_given(vectors, tmp_path, complaint):
    run = tmp_path / "run"
    assert cli.main([*SHAPE, "--vectors", str(vectors), "--out", str(run)]) == 0
    for options in (["--vectors", vectors], ["--freeze-vectors"], ["--unknown-vectors", "shared"]):
        found = complaint("train", "--resume", run, *options)
        assert f"{options[0]} cannot be changed where a run goes on" in found


def test_words_prints_what_the_functions_find(vectors, tmp_path, capsys, complaint):
    run = tmp_path / "run"
    assert cli.main([*SHAPE, "--vectors", str(vectors), "--out", str(run)]) == 0
    capsys.readouterr()
    assert cli.main(["words", str(run), "--near", "t", "--count", "4"]) == 0
    checkpoint = load_run(run)
    expected = nearest_words("t", checkpoint.build_model("cpu"), checkpoint.vocab, 4)
    assert capsys.readouterr().out == "".join(f"{cosine:7.4f}  {token}\n" for token, cosine in expected)
    assert cli.main(["words", str(run), "--analogy", "a", "b", "c"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10 and not {"a", "b", "c"} & {line[9:] for line in lines}
    assert "unknown character '☃'" in complaint("words", run, "--near", "☃")
    assert "count is 0" in complaint("words", run, "--near", "a", "--count", "0")
    with pytest.raises(SystemExit):
        cli.main(["words", str(run)])
    assert "one of the arguments --near --analogy is required" in capsys.readouterr().err


TEXT = "the king and the queen and the man and the woman " * 6
FILE = "5 2\nking 2 2\nqueen 3 -3\nman 0 4\nwoman 0 -5\nthe 7 -1\n"


def test_the_page_on_vectors_says_what_happens(tmp_path, monkeypatch, capsys):
    """Its program runs as printed, and its commands on a small file print what it shows."""
    page = (Path(__file__).parents[2] / "docs" / "vectors.md").read_text()
    monkeypatch.chdir(tmp_path)
    Path("my.txt").write_text(TEXT)
    Path("vectors.txt").write_text(FILE)
    (program,) = (code for code in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S) if "d2lrnn" in code)
    names = {}
    exec(program, names)
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1].startswith("[('queen', ") and printed.splitlines()[-2].startswith("[('man', 0.70")
    assert names["vectors"].values[names["corpus"].vocab.token_to_idx["king"]].tolist() == [2, 2]
    begin, *looks = re.findall(r"^d2lrnn (.*)$", page, re.M)
    begin = begin.replace("glove.6B.zip/glove.6B.100d.txt", "vectors.txt --freeze-vectors").split()
    assert cli.main([*begin, *"--num-hiddens 4 --num-epochs 1 --batch-size 2 --num-steps 5".split()]) == 0
    (shown,) = re.findall(r"^```text\n(.*?)^```", page, re.M | re.S)
    assert shown in capsys.readouterr().out
    for look in looks:
        assert cli.main(look.split()) == 0
    printed = capsys.readouterr().out
    assert " 0.7071  man\n" in printed and "picture  runs/words/embedding.png\n" in printed
