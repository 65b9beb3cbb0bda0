import re

import numpy
import pytest
from lessons import number_after, section, table

import d2lrnn

LSTMS = ["lstm", "lstm_peephole", "lstm_projected", "lstm_peephole_projected"]


def count(cell, n, vocab_size):
    """The formulas of the paper, and the biases."""
    r = n // 2 if "projected" in cell else n
    gates = 4 * n * (r + vocab_size + 1) + ("projected" in cell) * n * r + ("peephole" in cell) * 3 * n
    return gates + r * vocab_size + vocab_size


@pytest.mark.parametrize("corpus", ["sample", "jaychou"])
def test_lesson(run, corpus, request):
    if corpus != "sample":
        request.getfixturevalue("real_data")
    text, names = run("lstm_relatives", "--corpus", corpus, pictures=["lstm_relatives"])
    vocab_size, n = names["vocab_size"], names["num_hiddens"]

    # The steps by hand are the module's; their shapes.
    for cell in ("lstm_peephole", "lstm_peephole_projected"):
        assert f"this is {cell}: H differs by 0, C by 0\n" in text
    assert f"W_hi ({n}, {n})\nw_ci ({n},)\n" in text
    assert f"W_hi ({n // 2}, {n}), W_mr ({n}, {n // 2}), W_hq ({n // 2}, {vocab_size})\n" in text

    # "The input gate of the LSTM is the same in both cases. With peepholes it differs."
    assert number_after(text, "without peepholes: after two different memories the input gates differ by") == 0
    assert number_after(text, "with peepholes   : after two different memories the input gates differ by") > 1e-3

    # "none is to have more parameters than the LSTM"
    rows = table(text, "cell  ")
    assert list(rows) == LSTMS
    for cell, row in rows.items():
        assert row == [count(cell, n, vocab_size), row[1], count(cell, int(row[1]), vocab_size)]
        assert row[2] <= rows["lstm"][0] < count(cell, int(row[1]) + 1, vocab_size)
        if cell in names["models"]:
            values = d2lrnn.read_parameters(names["models"][cell])
            assert sum(value.size for value in values.values()) == row[2]

    # "compute the same numbers"
    gaps = table(text, "difference, relative")
    assert list(gaps) == [f"{cell}, {kind}" for cell in LSTMS[1:] for kind in ("fast", "gluon")]
    assert all(max(row) < 1e-5 and len(row) == 3 for row in gaps.values()) and sum(map(sum, gaps.values())) > 0

    # "The projected model from the book's first weights learns last. With wider first weights it keeps up."
    perplexities = {name: history.perplexity[-1] for name, history in names["histories"].items()}
    assert list(perplexities) == [*LSTMS[:3], "lstm_projected, W_mr wide"]
    slowest = perplexities.pop("lstm_projected")
    assert slowest > 1.2 * max(perplexities.values()) and max(perplexities.values()) < 0.5 * vocab_size

    # What is left after 35 steps without a gate: by the equations.
    left = re.findall(r"^(tanh|relu), (\S.*\S) +of 0.5 there is left (\S+)$", text, re.M)
    assert [(function, start) for function, start, _ in left] == [
        ("tanh", "N(0, 0.01²)"),
        ("tanh", "the identity"),
        ("relu", "the identity"),
    ]
    expected = 0.5
    for _ in range(35):
        expected = numpy.tanh(expected)
    random, tanh, relu = (float(number) for *_, number in left)
    assert random < 1e-30 and tanh == pytest.approx(expected, rel=0.05) and relu == 0.5

    # "learns nothing", "remembers", "learns sooner than tanh"; "with most seeds the perplexity explodes"
    letters, slowly = (
        {name: perplexities[-1] for name, perplexities in names[key].items()} for key in ("letters", "slowly")
    )
    assert 7.8 < min(letters["tanh, N(0, 0.01²)"], letters["LSTM, b_f = 0"])
    assert letters["tanh, the identity"] < 5 and letters["LSTM, b_f = 5"] < 4
    exploded = r"the perplexity (rose from \S+ to \S+|became inf) in epoch [23]"
    assert re.search(rf"^relu, the identity .* {exploded}$", text, re.M)
    assert slowly["relu, the identity"] < 0.95 * slowly["tanh, the identity"]
    shown = section(text, "Remember a letter")
    for name, perplexities in names["slowly"].items():
        assert re.search(rf"^{re.escape(name)} +" + " +".join(f"{p:.2f}" for p in perplexities) + "$", shown, re.M)
