import functools
import re

import pytest
from lessons import number_after, table

import d2lrnn

RUNGS = [
    "1 book", "2 all steps at once", "3 look-up", "4 four products in one", "5 other operators", "6 compiled", "gluon"
]  # fmt: skip


@pytest.mark.parametrize("corpus", ["sample", "jaychou", "ptb"])
def test_lesson(run, corpus, request):
    if corpus != "sample":
        request.getfixturevalue("real_data")
    reduced = ["--num-hiddens", "32"] if corpus != "ptb" else ["--num-hiddens", "8", "--num-steps", "5"]
    pictures = ["the_same_numbers_faster"]
    text, names = run("the_same_numbers_faster", "--corpus", corpus, *reduced, pictures=pictures)
    n, vocab_size = names["lesson"].model.num_hiddens, names["lesson"].corpus.vocab_size

    # The same numbers on every rung; 0 would be a model compared with itself.
    assert list(names["rungs"]) == RUNGS
    for name in RUNGS[1:]:
        assert 0 < number_after(text, f"{name}: loss and gradients differ from rung 1's by") < 1e-4
    assert 0 <= number_after(text, "this is d2lrnn.lstm: difference") < 1e-4
    assert 0 <= number_after(text, "this is FastRNNModel: difference") < 1e-4
    again = names["numbers"](names["book"], names["model"])  # the parameters are what they were
    assert names["gap"](again, names["expected"]) == 0
    compared = d2lrnn.named_parameters(names["model"]).values()
    assert f"the loss and 14 gradients, {sum(param.size for param in compared):,} numbers" in text

    # The table's numbers are those of one another.
    rungs = table(text, "rung  ")
    assert list(rungs) == RUNGS
    gaps, times, gains, in_all = zip(*rungs.values())
    assert gaps[0] == 0 and all(0 < gap < 1e-4 for gap in gaps[1:])
    assert gains[0] == in_all[0] == 1
    near = functools.partial(pytest.approx, rel=0.01, abs=0.01)  # of numbers printed with two digits after the point
    assert gains[1:] == near([a / b for a, b in zip(times, times[1:])])
    assert in_all == near([times[0] / ms for ms in times])

    # The floor.
    tokens = names["lesson"].training.batch_size * names["lesson"].training.num_steps
    found = re.findall(r"^(.*?) +([\d,.]+) million operations +([\d.]+) ms$", text, re.MULTILINE)
    millions = {what: float(count.replace(",", "")) for what, count, _ in found}
    states, output = 3 * 2 * tokens * n * 4 * n / 1e6, 3 * 2 * tokens * n * vocab_size / 1e6
    assert millions == {
        "inputs, one-hot": pytest.approx(2 * 2 * tokens * vocab_size * 4 * n / 1e6, abs=0.051),
        "inputs, looked up": 0,
        "states": pytest.approx(states, abs=0.051),
        "output layer": pytest.approx(output, abs=0.051),
        "floor from rung 3 on": pytest.approx(states + output, abs=0.051),
    }
    floor = (states + output) / number_after(text, "\nspeed")  # in ms: millions over thousand millions a second
    assert float(found[-1][2]) == pytest.approx(floor, abs=0.0051, rel=0.01)
    assert number_after(text, "The compiled step takes") == times[5]
    share = re.search(r"ms; ([\d.]+)% of that is the floor", text)[1]
    assert float(share) == pytest.approx(100 * floor / times[5], abs=0.06, rel=0.01)

    # Rungs are timed in turns, and the first round does not count.
    order = []
    names["step"] = lambda forward: forward()
    ms = names["in_turns"]({name: functools.partial(order.append, name) for name in "abc"}, 3)
    assert "".join(order) == "abc" * 4 and list(ms) == list("abc") and all(0 < value < 1000 for value in ms.values())
