"""A ~ in a path is the home folder, whoever reads the path."""

import pwd
from pathlib import Path

import pytest
from tiny import SONG, quiet, rain, save_model, tiny_model, training_of

from d2lrnn import Checkpoint, D2lrnnError, FileError, ModelConfig, load_checkpoint, load_corpus
from d2lrnn.cli import main as cli
from d2lrnn.data import load_ids, load_lines, load_text
from d2lrnn.paths import user_path
from d2lrnn.plotting import plot_history
from d2lrnn.runs.folder import RunFolder
from d2lrnn.runs.log import read_history
from d2lrnn.runs.trained import TrainedRun, load_run, name_of

SMALL = "--max-tokens 150 --num-hiddens 4 --batch-size 2 --num-steps 5 --pred-len 2 --num-epochs 1".split()


@pytest.fixture
def home(tmp_path, monkeypatch, offline):
    """The home folder, in which there are a text and a run that was trained on it; the current folder is another."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    (home / "song.txt").write_text(SONG, encoding="utf-8")
    (home / "imported.py").write_text("")
    save_model(home / "run" / "model.d2lrnn", load_corpus(home / "song.txt"), ("雨下",), "~/song.txt")
    (home / "run" / "log.jsonl").write_text('{"event": "epoch", "epoch": 1, "perplexity": 9.0, "grad_norm": 1.0}\n')
    yield home
    assert not list(here.iterdir()), "nothing may be made in a folder called ~"


def test_a_home_folder_is_put_in(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.chdir(tmp_path)
    assert user_path("~/a/~b") == user_path(Path("~/a/~b")) == Path("/home/me/a/~b")
    someone = pwd.getpwall()[0]
    assert user_path(f"~{someone.pw_name}/x") == Path(someone.pw_dir, "x")
    assert (user_path("~"), user_path("a~")) == (Path("/home/me"), Path("a~"))
    assert user_path("./~/x") == user_path(user_path("./~/x")) == tmp_path / "~/x"
    with pytest.raises(
        D2lrnnError, match="^~nosuchuser/x: there is no home folder ~nosuchuser; .* write ./~nosuchuser/x"
    ):
        user_path("~nosuchuser/x")
    with pytest.raises(D2lrnnError, match="expected a path, which cannot hold half a surrogate pair"):
        user_path("a\ud800")
    with pytest.raises(D2lrnnError, match="found an empty text: expected a path"):
        user_path("")
    for name, reason in (("~a\0b", "a path cannot hold the character NUL"), ("~" + "a" * 300, "File name too long")):
        with pytest.raises(FileError, match=reason):
            user_path(name)
    with pytest.raises(D2lrnnError, match="^found 5: expected a path"):
        user_path(5)
    (tmp_path / "~old.txt").write_text("")
    assert user_path("~old.txt") == tmp_path / "~old.txt"


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--corpus=~/song.txt", "--out=~/new", *SMALL),
        ("train", "--corpus=song.txt", "--out=~/new", *SMALL),
        ("compare", "--corpus=~/song.txt", "--out=~/new", "--cell", "rnn", *SMALL),
        ("plot", "~/run", "--out=~/new/p.png"),
        ("show", "~/run", "--out=~/new/p.png", "--import=~/imported.py"),
        ("evaluate", "~/run", "--text=~/song.txt"),
        ("evaluate", "~/run", "--corpus=~/song.txt", "--split", "train"),
        ("sample", "~/run", "--novelty", "--corpus=~/song.txt"),
    ],
    ids=lambda arguments: " ".join(arguments[:3]),
)
def test_every_option_takes_a_path_in_the_home_folder(home, arguments, monkeypatch, capsys):
    if arguments[1] == "--corpus=song.txt":
        monkeypatch.chdir(home)
    assert cli.main(arguments) == 0
    assert (home / "new").is_dir() == any("~/new" in argument for argument in arguments)
    monkeypatch.chdir(home.parent / "here")


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--data-dir", "~nobody-x"),
        ("train", "--corpus", "~nobody-x/a.txt"),
        ("evaluate", "r", "--data-dir=~nobody-x"),
    ],
)
def test_a_user_who_is_not_there_is_a_sentence(home, arguments, capsys):
    arguments = [str(home / "run") if argument == "r" else argument for argument in arguments]
    assert cli.main(arguments) == 1
    err = capsys.readouterr().err
    assert err.startswith("d2lrnn: ~nobody-x") and "there is no home folder ~nobody-x" in err and err.count("\n") == 1


def test_an_output_folder_of_a_user_who_is_not_there_is_a_sentence_too(home, capsys):
    assert cli.main(["train", "--out=~nobody-x/r"]) == 1
    assert "d2lrnn: ~nobody-x/r: there is no home folder ~nobody-x" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("train", "--out"), "--out"),
        (("train", "--resume"), "--resume"),
        (("evaluate", "run", "--data-dir"), "--data-dir"),
        (("plot", "run"), "RUN"),
    ],
)
def test_an_empty_path_is_not_taken_for_the_current_folder(home, capsys, arguments, name):
    with pytest.raises(SystemExit, match="2"):
        cli.main([*arguments, ""])
    end = f" error: argument {name}: expected a path, found an empty text (all options: --help)\n"
    assert capsys.readouterr().err == f"python -m d2lrnn {arguments[0]}:{end}"


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--corpus", ""),
        ("compare", "--corpus", ""),
        ("train", "--config", "series", "--corpus", ""),
        ("train", "--config", "translate-en-zh", "--corpus", ""),
        ("evaluate", "run", "--corpus", ""),
        ("play", "run", "--port", "0", "--corpus", ""),
        ("doctor", "--import", ""),
    ],
)
def test_an_empty_name_is_no_file(home, capsys, arguments):
    assert cli.main([str(home / "run") if argument == "run" else argument for argument in arguments]) == 1
    assert capsys.readouterr().err == "d2lrnn: found an empty text: expected a path\n"


def test_every_function_takes_a_path_in_the_home_folder(home, monkeypatch):
    corpus = load_corpus("~/song.txt")
    assert load_text("~/song.txt").train.tolist() == corpus.train.tolist()
    assert len(load_ids("~/song.txt", corpus.vocab)[0]) == len(corpus.train)
    assert next(load_lines("~/song.txt", corpus.vocab)).number == 1
    for name in ("~/run", Path("~/run"), "~/run/model.d2lrnn"):
        assert TrainedRun.open(name).name == name_of(name) == "run"
        assert load_run(name).vocab == corpus.vocab
    assert load_checkpoint("~/run/model.d2lrnn").origin["given"] == str(home / "song.txt")
    assert read_history("~/run").perplexity == [9.0]
    plot_history({"run": read_history("~/run/log.jsonl")}, "~/p.png")
    assert (home / "p.png").is_file()
    (home / "lyrics").mkdir()
    (home / "lyrics" / "jaychou_lyrics.txt").write_text("甲乙")
    assert len(load_corpus("jaychou", "~/lyrics").train) == 2
    monkeypatch.setenv("D2LRNN_DATA", "~/lyrics")
    assert len(load_corpus("jaychou").train) == 2
    text = rain(20)
    config, model = quiet(), tiny_model(text.vocab_size)
    about = Checkpoint.about(ModelConfig(num_hiddens=8), config, text, {})
    RunFolder("~/folder", training_of(model, config), about).begin("train")
    assert (home / "folder" / "log.jsonl").is_file()
