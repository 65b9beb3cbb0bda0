import numpy
import pytest
from lessons import number_after, samples, section, table
from mxnet import np

import d2lrnn


@pytest.mark.parametrize("corpus", ["sample", "jaychou"])
def test_lesson(run, corpus, request):
    """Each step of the walk works, and the numbers are those of one cell."""
    if corpus != "sample":
        request.getfixturevalue("real_data")
    text, names = run("another_cell", "--corpus", corpus, pictures=["another_cell"])
    lesson = names["lesson"]
    v, h = lesson.corpus.vocab_size, lesson.model.num_hiddens

    check_equations(names["mgu_step"])
    assert number_after(text, "b_f = -30: of a state of 1 the first step leaves") == 1
    assert number_after(text, "b_f =  30: of a state of 1 the first step leaves") == pytest.approx(0, abs=1e-6)
    assert number_after(text, "its output differs by") == 0
    assert number_after(text, "this is mgu: H differs by") == 0 and number_after(text, "the outputs by") < 1e-8

    # What follows from the declaration, and the name that is taken.
    declared = section(text, "Third piece: a declaration and a name")
    params = d2lrnn.Stack("mgu").param_names
    assert params == "W_xf W_hf b_f W_xh W_hh b_h W_hq b_q".split()
    assert [line.split()[0] for line in declared.splitlines() if line.endswith(")") and line[1] == "_"] == params
    assert "a second time: there is a cell 'mgu' already" in declared

    # From scratch, compiled, on Gluon: only rounding differs.
    gaps = table(text, "difference, relative")
    assert list(gaps) == ["logits", "H", *(f"gradient of {name}" for name in params)]
    assert all(max(row) < 1e-5 and len(row) == 2 for row in gaps.values()) and sum(map(sum, gaps.values())) > 0

    # "two thirds of the weights"; "both cells learn to write lines".
    for cell, gates in (("mgu", 2), ("gru", 3)):
        assert number_after(text, f"{cell}:") == gates * (v * h + h * h + h) + h * v + v
    assert all(row[1] < 2 for row in table(text, "model ").values())
    written, corpus_text = samples(text, lesson.training.prefixes[0]), lesson.corpus.vocab.decode(lesson.corpus.train)
    assert len(written) == 4 and all(sample[2:10] in corpus_text for sample in written[1::2])


def check_equations(step):
    """Check one step against the paper's equations, in NumPy and in float64."""
    rng = numpy.random.default_rng(1)
    shapes = ((5, 4), (4, 4), (4,)) * 2
    W_f, U_f, b_f, W_h, U_h, b_h = params = [rng.normal(0, 1, shape) for shape in shapes]
    x, h = rng.normal(0, 1, (3, 5)), rng.normal(0, 1, (3, 4))
    f = 1 / (1 + numpy.exp(-(x @ W_f + h @ U_f + b_f)))
    expected = (1 - f) * h + f * numpy.tanh(x @ W_h + (f * h) @ U_h + b_h)
    X, H, *params = (np.array(array, dtype="float64") for array in (x, h, *params))
    found, (state,) = step(X, (H,), params)
    numpy.testing.assert_allclose(found.asnumpy(), expected, rtol=1e-12)
    assert state is found


def test_the_cell_is_gone_after_the_test_that_added_it():
    with pytest.raises(ValueError, match="unknown cell 'mgu'"):
        d2lrnn.ModelConfig(cell="mgu")
