"""Names of runs and corpora in the pictures that commands draw: as they are, and told apart."""

import json

import pytest
from pictures import assert_drawn
from tiny import history_of

from d2lrnn.cli import main as cli
from d2lrnn.plotting.pictures import plot_history

SMALL = "--num-hiddens 4 --embed-size 4 --batch-size 2 --num-steps 5 --num-epochs 1 --pred-len 3".split()


def write_log(folder, *perplexities):
    """Write the log of a run of so many epochs; returns its history."""
    history = history_of(list(perplexities), [0.5] * len(perplexities))
    lines = [{"event": "epoch", "epoch": i, **found} for i, found in enumerate(history.epochs, 1)]
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return history


def test_every_run_is_in_the_legend_whatever_it_is_called(tmp_path):
    names = [r"$\frac$", "$a_b$", "_x", "a\x1b", "r"]
    runs = {name: write_log(tmp_path / name, 9.0 - i, 5.0) for i, name in enumerate(names)}
    again = write_log(tmp_path / "more" / "r", 4.0, 3.0)
    folders = [tmp_path / name for name in names] + [tmp_path / "more" / "r"]
    assert cli.main(["plot", *map(str, folders), "--out", str(tmp_path / "plot.png")]) == 0
    expected = {**runs, str(tmp_path / "more" / "r"): again}
    expected = {str(tmp_path / "r") if name == "r" else name: history for name, history in expected.items()}
    assert_drawn(tmp_path / "plot.png", plot_history, expected, title=", ".join(expected))


@pytest.mark.parametrize("name", [r"$\frac$", "_a$b$"])
def test_a_run_and_a_corpus_of_such_names_are_drawn_by_train_and_show(tmp_path, capsys, name):
    text, run = tmp_path / f"{name}.txt", tmp_path / name
    text.write_text(r"the $\frac$ and _x " * 30)
    assert cli.main(["train", "--corpus", str(text), *SMALL, "--out", str(run)]) == 0
    for what in (["--prefix", r"$\frac$"], ["--what", "gates", "--prefix", r"$\frac$"], ["--what", "embedding"]):
        assert cli.main(["show", str(run), *what]) == 0
    assert {path.name for path in run.glob("*.png")} == {"loss.png", "next.png", "gates.png", "embedding.png"}
