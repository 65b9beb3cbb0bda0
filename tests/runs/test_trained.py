"""A trained run: what it is called, how its model is built, read to and written with."""

import pytest

from d2lrnn import (
    D2lrnnError,
    LooksAheadError,
    ModelConfig,
    Sampling,
    TrainConfig,
    UnknownTokenError,
    build_model,
    generate,
    load_text,
    stream,
)
from d2lrnn.device import DeviceError
from d2lrnn.runs.checkpoint import Checkpoint, save_checkpoint
from d2lrnn.runs.log import RunError
from d2lrnn.runs.trained import TrainedRun


@pytest.fixture
def opened(tmp_path):
    """Open a run whose model is new, of lines or not."""
    (tmp_path / "rain.txt").write_text("rain\nin spain\nfalls\n" * 3)

    def opened(prefixes=("in", "rain", "in"), num_lines=0, ctx="cpu", **shape):
        corpus = load_text(tmp_path / "rain.txt", lines=num_lines > 0)
        config = ModelConfig(**{"num_hiddens": 12, "init_scale": 1.0, **shape})
        model = build_model(config, corpus.vocab_size)
        training = TrainConfig.from_dict({"prefixes": prefixes, "num_lines": num_lines})
        save_checkpoint(tmp_path / "wet" / "model.d2lrnn", Checkpoint.of(model, config, training, corpus))
        return TrainedRun.open(tmp_path / "wet", ctx)

    return opened


def test_its_folder_and_its_file_are_the_same_run(opened):
    one = opened()
    other = TrainedRun.open(one.path / "model.d2lrnn", "cpu")
    for run in (one, other):
        assert (run.name, run.num_lines, run.first_text) == ("wet", 0, "in")
        assert run.model is run.model
    assert one.generate(["in"], 20) == other.generate(["in"], 20)


def test_the_model_is_built_when_it_is_asked_for(opened):
    run = opened(ctx="abacus")
    assert run.vocab and run.beginnings()
    with pytest.raises(DeviceError, match="unknown device 'abacus'"):
        run.model  # noqa: B018


def test_it_begins_with_what_is_given_or_with_each_prefix_of_the_training_once(opened):
    run = opened()
    assert run.beginnings() == ["in", "rain"]
    assert run.beginnings(["falls", "falls"]) == ["falls", "falls"]
    assert run.greedy_beginning() == ("in", Sampling(temperature=0.0))
    assert run.greedy_beginning("") == ("", Sampling(temperature=0.0))
    run = opened(prefixes=())
    assert run.first_text == "" and run.beginnings([""]) == [""]
    with pytest.raises(RunError, match="wet was trained without prefixes: name one"):
        run.beginnings(remedy="name one")


@pytest.mark.parametrize(("num_lines", "stop"), [(0, None), (1, "\n"), (2, None)])
def test_texts_are_read_as_in_training(opened, num_lines, stop):
    run = opened(num_lines=num_lines, prefixes=("\n",) if num_lines else ("in",))
    before = "\n" if num_lines else ""
    expected = generate([f"{before}in"] * 2, 20, run.model, run.vocab, Sampling(seed=3, stop=stop))
    assert run.generate(["in"] * 2, 20, Sampling(seed=3)) == expected
    assert list(run.stream(["in"], 20)) == list(stream([f"{before}in"], 20, run.model, run.vocab, Sampling(stop=stop)))
    once = run.as_read(["in", "rain"], Sampling())
    assert once == ([f"{before}in", f"{before}rain"], Sampling(stop=stop)) == run.as_read(*once)
    assert run.as_read(["in"], Sampling(stop="a"))[1] == Sampling(stop="a")
    with pytest.raises(UnknownTokenError, match="'☃' .* at position 2"):
        run.generate(["in☃"], 3)


def test_what_cannot_write_is_refused(opened):
    opened().check_writes()
    with pytest.raises(LooksAheadError):
        opened(bidirectional=True).check_writes()
    with pytest.raises(D2lrnnError, match="no language model"):
        opened(num_outputs=3).check_writes()
