"""Runs side by side: their table, and what the picture's title tells."""

from pictures import assert_drawn
from tiny import history_of

from d2lrnn import History
from d2lrnn.cli.compare import report_comparison
from d2lrnn.plotting.pictures import plot_comparison
from d2lrnn.training.comparison import comparison_table, largest_difference

PLAIN = history_of([9.0, 4.0], [0.5] * 2, [1000.0] * 2, [2.0] * 2)
HELD_OUT = history_of([9.0, 5.0], [0.5] * 2, [1000.0] * 2, [2.0] * 2, valid_perplexity=[8.0, 7.25])


def test_the_table_has_validation_where_there_is_one():
    alone = [line.split() for line in comparison_table({"a": PLAIN}).splitlines()]
    assert alone == [["model", "epochs", "perplexity", "tokens/s", "seconds"], ["a", "2", "4.00", "1,000", "4.0"]]
    both = [line.split() for line in comparison_table({"a": PLAIN, "b": HELD_OUT}).splitlines()]
    assert both[0] == ["model", "epochs", "perplexity", "validation", "tokens/s", "seconds"]
    assert both[1] == ["a", "2", "4.00", "-", "1,000", "4.0"]
    assert both[2] == ["b", "2", "5.00", "7.25", "1,000", "4.0"]


def test_the_columns_of_the_table_are_below_their_names():
    for names in (("a", "b"), ("from scratch", "gluon")):
        lines = comparison_table(dict(zip(names, (PLAIN, HELD_OUT)))).splitlines()
        assert {len(line) for line in lines} == {lines[0].index("seconds") + len("seconds")}


def test_the_title_tells_the_largest_difference(tmp_path, capsys):
    runs = {"a": PLAIN, "b": HELD_OUT}
    assert report_comparison(runs, tmp_path / "two.png", "lstm on sample") == 0
    title = "lstm on sample; largest relative difference in perplexity: 2.0e-01"
    assert title.partition("; ")[2] in capsys.readouterr().out
    assert_drawn(tmp_path / "two.png", plot_comparison, runs, title=title)


def test_a_measure_may_be_0_or_below():
    one, other = (History([{"score": value} for value in values], measure="score") for values in ((0, -4), (0, -5)))
    assert largest_difference(one, other) == 0.2
