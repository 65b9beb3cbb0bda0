import re
import sys

import numpy
import pytest
from lessons import CHAPTERS, number_after, run_cells, section, table

PICTURES = [f"sequence_classification{part}" for part in ("_rows", "", "_reading", "_confusion", "_misread")]


@pytest.mark.parametrize("data", ["drawn", "digits"])
def test_lesson(run, data, request):
    if data == "digits":
        request.getfixturevalue("real_data")
    args = ["--data", data, "--num-epochs", "3"] if data == "digits" else []  # with --quick, drawn ones for 6 epochs
    text, names = run("sequence_classification", *args, pictures=PICTURES, grey=PICTURES[-1:])
    assert f"data {data}; on cpu(0)\n" in text and f"{data}: 600 for training, 200 for validation, 500 for test" in text
    chance = max(numpy.bincount(names["data"].valid.labels)) / 200

    # The digit that is printed: step by step the rows of the first one of the batch, as many as count.
    printed = re.findall(r"^  step +(\d+)(.*)$", text, re.MULTILINE)
    assert [int(step) for step, _ in printed] == [*range(1, 29)]
    assert max(int(step) for step, row in printed if row.strip()) <= names["lengths"][0] < 28

    # By hand: the module's model from scratch computes the same, up to the rounding of the mean.
    read = section(text, "What the output layer reads")
    gaps = re.findall(r"^(\w+) +h .*model, scratch (\S+), gluon (\S+)$", read, re.MULTILINE)
    assert [head for head, *_ in gaps] == ["state", "output", "mean"]
    assert float(gaps[0][1]) == 0 and all(float(gap) < 1e-6 for _, *both in gaps for gap in both)
    assert number_after(read, "with the mask: the logits change by") == 0
    assert number_after(read, "without it: the logits change by") > 0.01
    assert numpy.array_equal(names["h"]["state"].asnumpy(), names["h"]["output"].asnumpy())

    # The loss, its gradient; before training nothing is known.
    loss = section(text, "The loss of a class")
    assert number_after(loss, "the loss is") == pytest.approx(numpy.log(10), abs=0.5)
    assert number_after(loss, "SequenceClass: difference") < 1e-6 > number_after(loss, "of the logits: difference")

    # The last output of the backward direction has read one row; where the answer looks before training.
    ends = section(text, "From both ends")
    assert number_after(ends, "model from scratch: difference") < 1e-7
    assert number_after(ends, "last backward state by") > 0.01 and number_after(ends, "last backward output by") == 0
    parts = table(ends, f"{'rows':26}")
    assert list(parts) == list(names["networks"])
    one, output, state, mean = parts.values()
    assert one[0] < 0.05 * one[3] and output[0] < 0.05 * output[3]
    assert min(state[0], state[3]) > max(state[1], state[2]) and max(mean) < 2 * min(mean)

    # Training: far above chance; on the drawn digits the networks are ahead of softmax regression.
    accuracies = {name: history.valid[-1] for name, history in names["histories"].items()}
    softmax, one, _, mean = accuracies.values()
    assert number_after(text, "accuracy ") == pytest.approx(chance, abs=0.1)
    assert min(accuracies.values()) > 1.5 * chance
    if data == "drawn":
        assert min(list(accuracies.values())[1:]) > softmax + 0.1 and mean > one + 0.05
    rows = table(section(text, "Training"), f"{'accuracy':26}")
    assert {name: row[2] for name, row in rows.items()} == pytest.approx(accuracies, abs=1e-4)
    assert [row[0] for row in rows.values()][0] == 7850

    # The network that changes its mind: in the end it is right, and not all along.
    guesses = [
        int(guess) for guess in re.search(r"after each row it is taken for a (.*)$", text, re.MULTILINE)[1].split()
    ]
    assert (
        len(guesses) == 28
        and f"\na {guesses[-1]}; after each row" in text
        and sum(a != b for a, b in zip(guesses, guesses[1:])) >= 3
    )

    # The test: the confusion matrix is the module's, and the worst digits come first.
    misread = section(text, "What is misread")
    matrix, best = names["matrix"], names["best"]
    assert number_after(misread, "confusion_matrix: difference") == 0 and matrix.sum() == 500
    assert accuracies[best] == max(accuracies.values())
    assert f"500 digits of the test, {500 - matrix.trace()} misread by {best}" in misread
    tested = dict(re.findall(r"^(\S.*?) +accuracy (\d.*)$", misread, re.MULTILINE))
    share = matrix.trace() / 500
    assert list(tested) == list(accuracies)
    assert tested[best] == f"{share:.4f} in the test, +- {(share * (1 - share) / 500) ** 0.5:.4f}"
    surest = names["of_the_right"][names["worst"]]
    assert (
        len(surest) == 12
        and all(surest[:-1] <= surest[1:])
        and surest[-1] <= numpy.delete(names["of_the_right"], names["worst"]).min()
    )


def test_without_the_network_two_lines_say_what_to_do(monkeypatch, offline, capsys):
    monkeypatch.setattr(sys, "path", [str(CHAPTERS), *sys.path])
    monkeypatch.setattr(sys, "argv", ["sequence_classification.py", "--ctx", "cpu"])
    with pytest.raises(SystemExit) as stop:
        run_cells("sequence_classification")
    found, to_do = str(stop.value.code).splitlines()
    assert "t10k-images-idx3-ubyte.gz is not in" in found and "save" in to_do
    assert "What the output layer reads" not in capsys.readouterr().out
