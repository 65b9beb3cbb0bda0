"""`train` on several devices, which gives the numbers of one."""

import pytest
from tiny import FOX_NAMED, write_fox

from d2lrnn.data.corpora import CORPORA
from d2lrnn.runs.log import LOG, read_log

SETTINGS = ["--corpus", "rain", "--num-hiddens", "8", "--num-layers", "2", "--num-epochs", "2", "--num-steps", "9"]


@pytest.fixture
def trained(run, tmp_path, monkeypatch):
    """Return a function that trains, and returns the perplexities of the epochs."""
    write_fox(tmp_path / "data")
    monkeypatch.setitem(CORPORA, "rain", FOX_NAMED)
    monkeypatch.setenv("D2LRNN_DATA", str(tmp_path / "data"))

    def train(*options):
        folder = tmp_path / "-".join(options).replace(":", "")
        run("train", *SETTINGS, "--out", folder, *options)
        epochs = [entry for entry in read_log(folder / LOG) if entry["event"] == "epoch"]
        return [entry[name] for entry in epochs for name in ("perplexity", "valid_perplexity")]

    return train


def test_several_devices_give_the_perplexities_of_one(trained):
    one = trained("--ctx", "cpu")
    assert len(one) == 4 and one[-2] < one[0] < 29
    assert trained("--ctx", "cpu:0,cpu:1") == pytest.approx(one, rel=1e-5)
    assert trained("--layers-on", "cpu:0,cpu:1") == one


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--layers-on", "cpu:0,cpu:1", "--ctx", "cpu:0,cpu:1"], "expected one of the two"),
        (["--compression", "0.1"], "--compression is for the workers of a job, which `launch` starts: leave it out"),
        (["--layers-on", "cpu:0,cpu:1", "--kind", "scratch"], "--layers-on is for models on Gluon"),
        (["--ctx", "cpu:0,cpu:0"], "comes twice"),
    ],
)
def test_what_does_not_go_together(complaint, tmp_path, options, reason):
    assert reason in complaint("train", "--corpus", "sample", "--out", tmp_path / "run", *options)
