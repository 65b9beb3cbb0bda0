"""A run finds its corpus again: in a new place too, but no other text."""

from dataclasses import replace

import pytest
from tiny import SONG, save_model

from d2lrnn import D2lrnnError, load_corpus
from d2lrnn.cli import main as cli
from d2lrnn.data import CorpusNotFoundError
from d2lrnn.runs.checkpoint import LAST, load_checkpoint, save_checkpoint
from d2lrnn.runs.lock import FolderLock
from d2lrnn.runs.log import RunError
from d2lrnn.runs.origin import check_origin, reload_corpus, remember_place

SMALL = "--num-hiddens 4 --batch-size 2 --num-steps 5 --pred-len 2 --num-epochs 1".split()


@pytest.fixture
def moved(tmp_path, offline):
    """A run whose corpus was moved: its checkpoint, and the corpus's old place and new place."""
    old, new = tmp_path / "old.txt", tmp_path / "new.txt"
    old.write_text(SONG, encoding="utf-8")
    save_model(tmp_path / "run" / "model.d2lrnn", load_corpus(old), ("雨下",), str(old))
    checkpoint = load_checkpoint(tmp_path / "run" / "model.d2lrnn")
    save_checkpoint(tmp_path / "run" / LAST, replace(checkpoint, reached={}))
    old.rename(new)
    return checkpoint, old, new


def places(checkpoint):
    return [load_checkpoint(checkpoint.path.with_name(name)).origin["given"] for name in ("model.d2lrnn", LAST)]


def test_a_corpus_that_is_gone_is_asked_for(moved):
    checkpoint, old, new = moved
    message = f"^the run's corpus is not at {old} any more: name its new place, --corpus FILE$"
    with pytest.raises(CorpusNotFoundError, match=message):
        reload_corpus(checkpoint)
    assert reload_corpus(checkpoint, given=str(new)).train.tolist() == load_corpus(new).train.tolist()


@pytest.mark.parametrize("command", [["evaluate"], ["sample", "--novelty"]], ids=" ".join)
def test_the_new_place_is_remembered(moved, command, capsys):
    checkpoint, old, new = moved
    name, *options = command
    run = str(checkpoint.path.parent)
    assert cli.main([name, run, *options]) == 1
    assert cli.main([name, run, *options, "--corpus", str(new)]) == 0
    assert places(checkpoint) == [str(new)] * 2
    assert cli.main([name, run, *options]) == 0
    found = load_checkpoint(checkpoint.path)
    assert {name: array.tolist() for name, array in found.parameters.items()} == {
        name: array.tolist() for name, array in checkpoint.parameters.items()
    }
    assert replace(found, parameters={}, origin={}) == replace(checkpoint, parameters={}, origin={})


def test_a_run_that_goes_on_remembers_the_new_place(moved, tmp_path, monkeypatch, capsys):
    _, old, new = moved
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "--corpus", str(new), "--out", "r", *SMALL]) == 0
    new.rename(old)
    assert cli.main(["train", "--resume", "r", "--num-epochs", "2"]) == 1
    assert f"the run's corpus is not at {new} any more: name its new place" in capsys.readouterr().err
    assert cli.main(["train", "--resume", "r", "--num-epochs", "2", "--corpus", str(old)]) == 0
    assert [load_checkpoint(tmp_path / "r" / name).origin["given"] for name in ("model.d2lrnn", LAST)] == [str(old)] * 2
    assert cli.main(["train", "--resume", "r", "--num-epochs", "3"]) == 0


def test_another_text_is_not_remembered(moved, tmp_path):
    checkpoint, old, _ = moved
    other = tmp_path / "other.txt"
    other.write_text(SONG[::-1], encoding="utf-8")
    corpus = reload_corpus(checkpoint, given=str(other))
    assert remember_place(checkpoint, corpus, given=str(other)) is checkpoint
    assert places(checkpoint) == [str(old)] * 2
    with pytest.raises(
        RunError, match="is not the one that the run began with: .*To learn from more text, train a new"
    ):
        check_origin(checkpoint, corpus)
    other.write_text(SONG + "x", encoding="utf-8")
    with pytest.raises(
        RunError, match="the vocabulary of other.txt .*; a run keeps to the text that it began with. To"
    ):
        reload_corpus(checkpoint, given=str(other))


def test_a_training_that_goes_on_is_not_disturbed(moved):
    checkpoint, old, new = moved
    lock = FolderLock(checkpoint.path.parent)
    corpus = load_corpus(new)
    assert remember_place(checkpoint, corpus, given=str(new)).origin["given"] == str(new)
    assert places(checkpoint) == [str(old)] * 2
    lock.release()
    checkpoint.path.with_name(LAST).write_bytes(b"damaged")
    remember_place(checkpoint, corpus, given=str(new))
    with pytest.raises(D2lrnnError):
        places(checkpoint)
