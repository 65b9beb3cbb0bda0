"""What config.py says of other rooms, which it does not know."""

import numpy

from d2lrnn import config, scratch


def test_the_cells_have_the_names_that_are_checked():
    assert config.CELL_NAMES == tuple(scratch.CELLS)


def test_the_largest_float32_is_numpys():
    assert config.FLOAT32_MAX == numpy.finfo("float32").max
