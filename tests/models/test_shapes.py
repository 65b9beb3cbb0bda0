"""The names and shapes of parameters that are worked out are those that a model has."""

from itertools import product

import pytest
from parity import projections

from d2lrnn import CELLS, CONFIGS, Cell, D2lrnnError, ModelConfig, build_model, named_parameters, rnn_layer
from d2lrnn.models import parameter_shapes
from d2lrnn.models.gluon import facts

VOCAB_SIZE = 7
MINE = Cell(max, max, gates="abc", products=("ca", "b"), num_states=3, num_biases=2)  # a model is made, but never run


def shapes_of(model):
    return {name: param.shape for name, param in named_parameters(model).items()}


@pytest.mark.parametrize("cell", [*CELLS, "mine"])
def test_the_shapes_are_those_of_the_model(cell, monkeypatch):
    monkeypatch.setitem(CELLS, "mine", MINE)
    narrow = {"num_projections": 3} if CELLS[cell].projected else {}
    width = narrow.get("num_projections", 5)
    more = [{}, {"num_outputs": 4}, {"embed_size": 6}, {"embed_size": width, "tie_weights": True}]
    for kind, num_layers, bidirectional, extra in product(("scratch", "fast", "gluon"), (1, 2, 3), (False, True), more):
        if kind == "gluon" or "embed_size" not in extra:
            if not (bidirectional and "tie_weights" in extra):
                config = ModelConfig(kind, cell, 5, num_layers, bidirectional, **narrow, **extra)
                expected = shapes_of(build_model(config, VOCAB_SIZE))
                assert list(parameter_shapes(config, VOCAB_SIZE).items()) == list(expected.items()), config


def test_sizes_that_no_machine_holds_cost_nothing():
    config = ModelConfig("gluon", "lstm", 2**31 - 1, embed_size=2**31 - 1)
    assert parameter_shapes(config, 2**31 - 1)["rnn._unfused.0.h2h_weight"] == (4 * (2**31 - 1), 2**31 - 1)


GIB = 2**30
SMALLER = "make num_hiddens, num_layers, embed_size or the vocabulary smaller"


@pytest.mark.parametrize(
    ("kind", "num_hiddens", "memory", "complaint"),
    [
        ("gluon", 10**6, 2**60, "4,000,043,000,007 parameters cannot be made: MXNet counts to 2,147,483,647 here; "),
        ("scratch", 20_000, 8 * GIB, "1,600,780,007 parameters would take 11.9 GiB of memory, and there are 8.0 GiB: "),
        ("fast", 2_000, 100_000_000, "16,078,007 parameters would take 0.1 GiB of memory, and there are 0.1 GiB: "),
    ],
)
def test_a_model_that_does_not_fit_is_not_begun(kind, num_hiddens, memory, complaint, monkeypatch):
    monkeypatch.setattr("d2lrnn.checks.memory", lambda: memory)
    with pytest.raises(D2lrnnError) as caught:
        build_model(ModelConfig(kind, num_hiddens=num_hiddens), VOCAB_SIZE)
    assert str(caught.value) == f"a model of {complaint}{SMALLER}"


@pytest.mark.parametrize("vocab_size", [0, -1, 2.0, True, None, 2**31])
def test_a_vocabulary_has_a_size(vocab_size):
    with pytest.raises(D2lrnnError, match="^vocab_size is .*: expected "):
        build_model(ModelConfig(num_hiddens=2), vocab_size)


def test_the_named_configurations():
    shapes = parameter_shapes(CONFIGS["large"].model, 10_000)
    assert sum(rows * (rest[0] if rest else 1) for rows, *rest in shapes.values()) == 66_034_000


@pytest.mark.parametrize("cell", CELLS)
def test_the_memory_of_a_state_is_that_of_its_arrays(cell, monkeypatch):
    layer, reckoned = rnn_layer(cell, 6, 3, True, **projections(cell)), []
    size = sum(array.size for array in layer.begin_state(batch_size=2))
    monkeypatch.setattr(facts, "check_state", lambda batch_size, widths: reckoned.append(batch_size * sum(widths)))
    facts.check_state_of([layer, layer], 2)
    assert reckoned == [2 * size]
