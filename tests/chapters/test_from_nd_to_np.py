import re

import numpy
import pytest
from lessons import section

import d2lrnn


@pytest.mark.parametrize("corpus", ["sample", "jaychou"])
def test_lesson(run, corpus, request):
    if corpus != "sample":
        request.getfixturevalue("real_data")
    text, names = run("from_nd_to_np", "--corpus", corpus, pictures=["from_nd_to_np"])
    assert "after b[0] = 7, a is [7. 2. 3.]\n" in text and "a.grad is [14.  4.  6.]\n" in text
    assert "np.tanh(a) is a TypeError: This is a numpy operator" in text

    rows = section(text, "Ten lines in both").split("difference\n")[1].split("\n\n")[0]
    lines = re.findall(r"^(\S.*?)  +(\S.*?)  +(\d\S*)$", rows, re.MULTILINE)
    assert len(lines) == 10 and {gap for _, _, gap in lines} == {"0e+00"}
    assert all("np." in new or "npx." in new or new[:2] in ("H.", "lo") for _, new, _ in lines)
    forms = re.findall(r"^(\w[\w ]*)(?:\[0\])? +(n[dp]) \(", text, re.MULTILINE)
    assert [form for _, form in forms] == ["np", "np", "np", "nd", "nd", "nd"]

    # The same numbers in both, epoch by epoch, and those of the module's own loop.
    in_nd, in_np = names["perplexities"]["mxnet.nd"], names["perplexities"]["mxnet.np"]
    assert in_nd == in_np and len(in_nd) == 5 and in_nd[-1] < in_nd[0] < names["vocab_size"]
    assert "largest difference of a parameter at the end: 0e+00\n" in text
    lesson = names["lesson"]
    d2lrnn.set_seed(lesson.training.seed)
    size = names["vocab_size"], names["num_hiddens"]
    model = d2lrnn.RNNModelScratch(*size, None, d2lrnn.get_gru_params, d2lrnn.init_gru_state, d2lrnn.gru)
    numpy.testing.assert_allclose(
        in_np, d2lrnn.train_and_predict(model, lesson.corpus, lesson.training).perplexity, 1e-5
    )
    assert "d2lrnn has nothing called predict_rnn, a name of the book: write d2lrnn.predict(" in text
