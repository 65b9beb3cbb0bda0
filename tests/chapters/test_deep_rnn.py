import re
from dataclasses import replace

import pytest
from lessons import number_after, samples, section, table
from mxnet import init

import d2lrnn


@pytest.mark.parametrize(
    "args",
    [("--corpus", "sample"), ("--corpus", "jaychou", "--cell", "rnn", "--num-layers", "3")],
    ids=["sample", "jaychou"],
)
def test_lesson(run, args, request):
    if "jaychou" in args:
        request.getfixturevalue("real_data")
    text, names = run("deep_rnn", *args, pictures=["deep_rnn"])
    lesson = names["lesson"]
    v, h, depth = lesson.corpus.vocab_size, lesson.model.num_hiddens, lesson.model.num_layers

    # By hand: "equal in every digit", "may differ in the last digit".
    assert f"l0.W_xh  ({v}, {h})\n" in text and f"l1.W_xh  ({h}, {h})\n" in text
    by_hand = section(text, "Two layers by hand")
    assert number_after(by_hand, "H1 differs by") == number_after(by_hand, "H2 by") == 0
    assert number_after(by_hand, "the outputs by") < 1e-8
    any_cell, gates = section(text, "Any cell, any depth"), 3 if lesson.model.cell == "gru" else 1
    assert number_after(any_cell, "the states differ by") == 0 and number_after(any_cell, "the outputs by") < 1e-8
    sizes = [int(size.replace(",", "")) for size in re.findall(r"^layer \d: .* with (.*) numbers$", any_cell, re.M)]
    assert sizes == [gates * (v * h + h * h + h)] + [gates * (2 * h * h + h)] * (depth - 1)

    # On Gluon: the same numbers up to rounding.
    rounding = re.findall(r"^\S+ +largest difference (\S+), largest number (\S+)$", text, re.MULTILINE)
    assert len(rounding) == 3 and all(0 < float(gap) < 1e-5 * float(size) for gap, size in rounding)

    # Dropout by hand, in Gluon's layer and in RecurrentStack; Gluon's does nothing on the CPU.
    dropout = section(text, "Dropout between the layers")
    assert number_after(dropout, "in training:") == pytest.approx(0.5, abs=0.03)
    assert number_after(dropout, "the mean") == pytest.approx(1, abs=0.06) and number_after(dropout, "the others") == 2
    assert number_after(dropout, "otherwise:") == number_after(dropout, "gluon.rnn ") == 0
    assert number_after(dropout, "RecurrentStack ") > 0.1
    assert "RNNModel says: GRU was made with dropout" in dropout

    # States shrink upwards and gradients downwards; both keep their size with weights ten times as large.
    start = re.findall(r"^N\(0, (\S+)²\) +(?:states|gradients of b_h) +(\S+) +(\S+) +(\S+)$", text, re.MULTILINE)
    (_, *states), (_, *gradients), *larger = [[float(number) for number in row] for row in start]
    assert states[1] < 0.3 * states[0] and states[2] < 0.3 * states[1]
    assert gradients[1] < 0.3 * gradients[2] and gradients[0] < 0.3 * gradients[1]
    assert [scale for scale, *_ in larger] == [0.1, 0.1] and all(min(row) > 0.3 * max(row) for _, *row in larger)

    # "The single layer is ahead at first."
    histories = names["histories"]
    single = histories["one layer"].trained
    assert all(single[9] < 0.5 * histories[name].trained[9] for name in ("compiled", "gluon"))
    written = samples(text, lesson.training.prefixes[0])
    assert len(written) == 6
    if lesson.model.cell == "gru":  # "the two deep models fall side by side", and write lines of the corpus
        assert number_after(text, "compiled and gluon:") < 1e-2
        assert all(history.trained[-1] < 1.5 for history in histories.values())
        corpus_text = lesson.corpus.vocab.decode(lesson.corpus.train)
        assert all(sample[2:10] in corpus_text for sample in written[1::2])
        names["models"]["gluon"].initialize(init.Normal(0.1), ctx=names["ctx"], force_reinit=True)  # second solution
        short = replace(lesson.training, num_epochs=10, prefixes=(), verbose=False)
        again = d2lrnn.train_and_predict(names["models"]["gluon"], lesson.corpus, short)
        assert again.trained[-1] < 0.8 * single[9]
    else:  # the first solution
        assert histories["gluon"].trained[-1] > 10 * single[-1]

    # About as many numbers at each depth; "one layer is ahead on the held-out text".
    rows = table(text, "layers  hidden units")
    assert list(rows) == [str(layers) for layers in range(1, depth + 1)]
    one, *deeper = rows.values()
    assert all(0.95 * one[1] < numbers <= one[1] and one[3] < held_out for _, numbers, _, held_out, _ in deeper)
