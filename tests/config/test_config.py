"""What config.py says of other rooms, which it does not know."""

import numpy
import pytest

from d2lrnn import CELLS, ModelConfig, Stack, UnrolledLayer, rnn_layer
from d2lrnn.cells import declaration
from d2lrnn.config import fields


def test_the_cells_have_the_names_that_are_checked():
    assert declaration.CELL_NAMES == list(CELLS)
    assert declaration.PROJECTED_CELLS == [name for name, cell in CELLS.items() if cell.projected]


@pytest.mark.parametrize(
    ("cell", "num_projections", "complaint"),
    [
        ("lstm", 4, "num_projections is 4 for cell 'lstm': expected None, since it projects nothing"),
        ("lstm_projected", None, "num_projections is None for cell 'lstm_projected': expected a whole number"),
        ("lstm_peephole_projected", 0, "num_projections is 0: expected a whole number, at least 1"),
        ("lstm_projected", 2.0, "num_projections is 2.0: expected a whole number, at least 1"),
        ("lstm_projected", 8, "num_projections is 8: expected less than num_hiddens = 8"),
    ],
)
def test_projections_that_cannot_be(cell, num_projections, complaint):
    ways = [
        lambda: ModelConfig(cell=cell, num_hiddens=8, num_projections=num_projections),
        lambda: Stack(cell, num_projections=num_projections).get_params(5, 8),
        lambda: UnrolledLayer(cell, 8, num_projections=num_projections),
        lambda: rnn_layer(cell, 8, num_projections=num_projections),
    ]
    for way in ways:
        with pytest.raises(ValueError, match=f"^{complaint}"):
            way()


def test_an_embedding_tied_to_a_projection_has_its_width():
    options = {"cell": "lstm_projected", "num_hiddens": 8, "num_projections": 5, "tie_weights": True}
    assert ModelConfig(**options, embed_size=5).embed_size == 5
    with pytest.raises(ValueError, match="expected embed_size = num_projections = 5, .* embed_size is 8"):
        ModelConfig(**options, embed_size=8)


def test_the_largest_float32_is_numpys():
    assert fields.FLOAT32_MAX == numpy.finfo("float32").max
