"""Logs of runs: what is no log is refused in a line, and epochs stand at their numbers."""

import json
import math
import os
import tracemalloc
from pathlib import Path

import pytest

from d2lrnn.cli import main as cli
from d2lrnn.errors import D2lrnnError
from d2lrnn.plotting import plot_history
from d2lrnn.runs import LOG, RunError, read_history
from d2lrnn.runs.log import MAX_LOG

HEAD = {"event": "begin", "measure": "perplexity", "less_is_better": True}


def epoch(number, perplexity, **more):
    return {"event": "epoch", "epoch": number, "perplexity": perplexity, "grad_norm": 10.0 * number, **more}


def log_of(folder, *entries):
    folder.mkdir(exist_ok=True)
    (folder / LOG).write_text("".join(json.dumps(entry) + "\n" for entry in (HEAD, *entries)))
    return folder


def points(panel):
    """Return the curves of a panel, from number to value."""
    return [dict(zip(map(int, line.get_xdata()), line.get_ydata())) for line in panel.get_lines()]


@pytest.mark.parametrize(
    ("entries", "perplexity", "grad_norm", "said"),
    [
        ([epoch(1, 9.0), epoch(2, 8.0)], {1: 9.0, 2: 8.0}, {1: 10.0, 2: 20.0}, ""),
        (
            [epoch(1, 9.0), epoch(3, 7.0)],
            {1: 9.0, 3: 7.0},
            {1: 10.0, 3: 30.0},
            "gap      run: its log has no finite perplexity of epoch 2\n",
        ),
        (
            [epoch(1, 9.0), epoch(2, None), epoch(3, 7.0, grad_norm=None)],
            {1: 9.0, 3: 7.0},
            {1: 10.0, 2: 20.0},
            "gap      run: its log has no finite perplexity of epoch 2\n"
            "gap      run: its log has no finite grad_norm of epoch 3\n",
        ),
        (
            [epoch(3, 9.0), epoch(5, 8.0), epoch(9, 7.0)],
            {3: 9.0, 5: 8.0, 9: 7.0},
            {3: 30.0, 5: 50.0, 9: 90.0},
            "gap      run: its log has no finite perplexity of epochs 1 to 2, 4, 6 to 8\n",
        ),
        (
            [epoch(1, 9.0), epoch(1, 9.5), epoch(2, 8.0), epoch(2, 8.0)],
            {1: 9.5, 2: 8.0},
            {1: 10.0, 2: 20.0},
            "doubled  run: its log has several lines of epochs 1 to 2, the last one is drawn\n",
        ),
        ([epoch(2, 8.0), epoch(1, 9.0)], {1: 9.0, 2: 8.0}, {1: 10.0, 2: 20.0}, ""),
        (
            [epoch(1, 9.0), epoch(2, math.inf), epoch(3, 7.0)],
            {1: 9.0, 2: math.inf, 3: 7.0},
            {1: 10.0, 2: 20.0, 3: 30.0},
            "gap      run: its log has no finite perplexity of epoch 2\n",
        ),
    ],
    ids=["all", "a gap", "null", "gaps", "doubled", "out of order", "infinite"],
)
def test_epochs_are_drawn_at_their_numbers(tmp_path, capsys, entries, perplexity, grad_norm, said):
    run = log_of(tmp_path / "run", *entries)
    losses, norms = plot_history({"run": read_history(run)}).axes
    assert (points(losses), points(norms)) == ([perplexity], [grad_norm])
    picture = tmp_path / "picture.png"
    assert cli.main(["plot", str(run), "--out", str(picture)]) == 0
    assert capsys.readouterr().out == f"{said}picture  {picture}\n"


def test_validation_of_some_epochs_is_drawn_at_theirs(tmp_path):
    run = log_of(tmp_path, epoch(1, 9.0), epoch(2, 8.0, valid_perplexity=8.5), epoch(3, 7.0), epoch(4, 6.0))
    assert points(plot_history({"run": read_history(run)}).axes[0])[1] == {2: 8.5}


def test_gaps_in_validation_are_named_too(tmp_path, capsys):
    entries = [epoch(number, 9.0, valid_perplexity=value) for number, value in enumerate((9.5, None, 9.3, math.nan), 1)]
    run, picture = log_of(tmp_path / "run", *entries), tmp_path / "picture.png"
    assert cli.main(["plot", str(run), "--out", str(picture)]) == 0
    assert capsys.readouterr().out == (
        f"gap      run: its log has no finite valid_perplexity of epochs 2, 4\npicture  {picture}\n"
    )


@pytest.mark.parametrize("value", [1e308, -1e308, math.inf, math.nan, 1e-308, 0.0])
def test_every_number_that_a_float_holds_can_be_drawn(tmp_path, value):
    run = log_of(tmp_path, epoch(1, 9.0), epoch(2, value, grad_norm=value), epoch(3, -1e308))
    plot_history({"run": read_history(run)}, tmp_path / "picture.png")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"event": "epoch", "epoch": 1, "perplexity": 1' + "0" * 400 + "}", "it has a whole number of 401 digits: ex"),
        ('{"event": ["epoch"], "epoch": 1}', r"event is \['epoch'\]: expected a text"),
        ("[" * 100_000, "it is nested too deeply"),
        ("[1]", r"it is \[1\]: expected named fields"),
        ("5", "it is 5: expected named fields"),
        ('{"event": "epoch"}', "epoch is missing"),
        ('{"event": "epoch", "epoch": 0}', "epoch is 0: expected a whole number, at least 1 and at most 1,000,000"),
        ('{"event": "epoch", "epoch": 1e9}', "epoch is 1000000000.0: expected a whole number"),
        ('{"event": "epoch", "epoch": 1, "perplexity": true}', "perplexity is True: expected a number"),
        ('{"event": "epoch", "epoch": 1, "perplexity": "9"}', "perplexity is '9': expected a number"),
        ('{"event": "begin", "measure": 3}', "measure is 3: expected a text"),
        ('{"event": "begin", "less_is_better": null}', "less_is_better is None: expected true or false"),
        ("\0" * 100, "it is no JSON"),
    ],
    ids=lambda value: value[:30],
)
def test_a_line_that_is_none_of_a_log_is_told_with_its_number(tmp_path, capsys, line, reason):
    log_of(tmp_path, epoch(1, 9.0))
    with open(tmp_path / LOG, "a") as file:
        file.write(line + "\n")
    with pytest.raises(RunError, match=f"{LOG}, line 3 is not a line of a run's log: .*{reason}") as caught:
        read_history(tmp_path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    assert cli.main(["plot", str(tmp_path), "--out", str(tmp_path / "x.png")]) == 1
    assert capsys.readouterr().err == f"d2lrnn: {caught.value}\n"


def test_a_text_of_one_line_is_no_log_and_a_first_line_that_was_cut_short_is(tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("a line without a line feed")
    with pytest.raises(RunError, match="one.txt, line 1 is not a line of a run's log: 'a line without a line feed'"):
        read_history(path)
    path.write_text('{"event": "begin", "meas')
    with pytest.raises(RunError, match="tells of no epoch yet: wait until the first one is over"):
        read_history(path)


def test_a_log_beyond_reason_is_not_read(tmp_path):
    path = tmp_path / LOG
    for size, message in (
        (20 * 2**30, f"has 21,474,836,480 bytes: expected .* at most {MAX_LOG:,}"),
        (2**27, "line 1 is"),
    ):
        with open(path, "wb") as file:
            file.truncate(size)
        tracemalloc.start()
        with pytest.raises(RunError, match=message):
            read_history(path)
        assert tracemalloc.get_traced_memory()[1] < 2**27
        tracemalloc.stop()


def test_only_a_file_is_read_as_a_log(tmp_path):
    os.mkfifo(tmp_path / LOG)
    for path, reason in ((tmp_path, "a pipe, expected a file"), ("/dev/zero", "a device, expected a file")):
        with pytest.raises(D2lrnnError, match=reason):
            read_history(Path(path))
