"""What help() says of the book's functions: shapes, equations, and an example that runs."""

import doctest
import pydoc

import pytest

import d2lrnn

EXAMPLES = (
    *("to_onehot", "rnn", "gru", "gru_reset_after", "lstm"),
    *("grad_clipping", "data_iter_random", "data_iter_consecutive"),
)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_gives_what_it_says(name):
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(d2lrnn, name), name, globs={})
    failed, attempted = doctest.DocTestRunner().run(example)
    assert attempted >= 2 and not failed


@pytest.mark.parametrize("name", ["rnn", "gru", "gru_reset_after", "lstm"])
def test_help_has_the_equations_the_shapes_and_the_parameters(name):
    text = pydoc.render_doc(getattr(d2lrnn, name), renderer=pydoc.plaintext)
    assert f"{name}(inputs, state, params)" in text
    for part in ("Y = H W_hq + b_q", "num_steps matrices of shape (batch_size, vocab_size)", f"get_{name}_params"):
        assert part in text
    biases = {param for param in d2lrnn.Stack(name).param_names if param[0] in "bc"}
    assert biases and all(bias in text for bias in biases)
