"""What a cell declares, what follows from that, and adding one."""

import math

import numpy
import pytest
from parity import assert_agree_in_float64, random_ids

import d2lrnn
from d2lrnn import Cell, ModelConfig, TrainConfig, add_cell, build_model
from d2lrnn._runtime import mx
from d2lrnn.cells import compiled, declaration, registry
from d2lrnn.cells.compiled import sigmoid, tanh
from d2lrnn.cells.steps import dot
from d2lrnn.models.parameters import get_values, named_parameters
from d2lrnn.runs.checkpoint import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint

np, npx = mx.np, mx.npx
NEW = {
    "rnn_relu": {},
    "lstm_peephole": {},
    "lstm_projected": {"num_projections": 5},
    "lstm_peephole_projected": {"num_projections": 5},
}
new_cells = pytest.mark.parametrize("cell", NEW)
every_kind = pytest.mark.parametrize("kind", ["scratch", "fast", "gluon"])


@every_kind
@pytest.mark.parametrize("n_c, n_r, n_i", [(20, 8, 11), (7, 3, 30)])
def test_as_many_weights_as_the_paper_counts(kind, n_c, n_r, n_i):
    """Sak, Senior and Beaufays (arXiv 1402.1128): without biases, for n_i inputs and n_o outputs."""
    n_o = n_i
    counts = {
        "lstm_peephole": n_c * n_c * 4 + n_i * n_c * 4 + n_c * n_o + n_c * 3,
        "lstm_peephole_projected": n_c * n_r * 4 + n_i * n_c * 4 + n_r * n_o + n_c * n_r + n_c * 3,
    }
    counts["lstm_projected"] = counts["lstm_peephole_projected"] - n_c * 3
    for cell, count in counts.items():
        config = ModelConfig(kind, cell, n_c, num_projections=n_r if "projected" in cell else None)
        params = named_parameters(build_model(config, n_i))
        assert count == sum(math.prod(p.shape) for name, p in params.items() if "b" not in name.replace("weight", ""))
        assert count + 4 * n_c + n_o == sum(math.prod(param.shape) for param in params.values())


@new_cells
@every_kind
def test_a_checkpoint_brings_the_model_back(cell, kind, tmp_path):
    config = ModelConfig(kind, cell, 8, num_layers=2, init_scale=0.5, **NEW[cell])
    model = build_model(config, 19)
    corpus = d2lrnn.Corpus("letters", d2lrnn.Vocab("abcdefghijklmnopqrs"), [0, 1, 2])
    saved = load_checkpoint(save_checkpoint(tmp_path / "saved", Checkpoint.of(model, config, TrainConfig(), corpus)))
    copy, X = saved.build_model(), random_ids()
    assert saved.model_config == config
    before, after = (each(X, each.begin_state(4))[0].asnumpy() for each in (model, copy))
    assert (before == after).all()


def odd_step(X, state, params):
    """Take one step of a cell that nobody needs, of all that a cell can have."""
    W_xa, W_ha, b_a, c_a, W_xu, W_hu, w_cu, b_u, c_u, W_xv, W_hv, w_cv, b_v, c_v, W_mr = params
    H, C = state
    A = npx.sigmoid(dot(X, W_xa) + b_a + dot(H, W_ha) + c_a)
    V = npx.sigmoid(dot(X, W_xv) + b_v + dot(H, W_hv) + C * w_cv + c_v)
    U = np.tanh(dot(X, W_xu) + b_u + A.mean() * (dot(H, W_hu) + c_u) + C * w_cu)
    C = C * A + V * U
    H = dot(C, W_mr)
    return H, (H, C)


def compiled_odd_step(F, X, state, weights):
    H, C = state
    w_cv, w_cu = weights.peepholes
    X_v, X_a, X_u = weights.split(X)
    H_v, H_a = weights.split(weights.product(H, "va"), "va")
    A = sigmoid(F, X_a + H_a)
    V = sigmoid(F, X_v + H_v + C * w_cv)
    U = tanh(F, X_u + F.np.mean(A) * weights.product(H, "u") + C * w_cu)
    C = C * A + V * U
    H = weights.project(C)
    return H, (H, C)


@pytest.fixture
def odd(only_here):
    add_cell("odd", Cell(odd_step, compiled_odd_step, "auv", ("va", "u"), 2, 2, "vu", projected=True))


@pytest.mark.parametrize("num_layers, bidirectional", [(1, False), (2, True)])
def test_all_that_follows_from_a_declaration(num_layers, bidirectional, odd):
    """An added cell with two biases, two products, peepholes and a projection: from scratch, compiled and on Gluon."""
    shape = dict(num_hiddens=7, num_layers=num_layers, bidirectional=bidirectional, num_projections=3)
    assert_agree_in_float64(ModelConfig(cell="odd", **shape))


def late_step(X, state, params):
    W_xf, W_hf, b_f, W_xh, W_hh, b_h = params
    (H,) = state
    F = npx.sigmoid(dot(X, W_xf) + dot(H, W_hf) + b_f)
    H = np.tanh(dot(X, W_xh) + F * (dot(H, W_hh) + b_h))
    return H, (H,)


def compiled_late_step(F, X, state, weights):
    (H,) = state
    X_f, X_h = weights.split(X)
    H_f, H_h = weights.split(weights.product(H))
    H = tanh(F, X_h + sigmoid(F, X_f + H_f) * H_h)
    return H, (H,)


def test_a_single_bias_is_in_the_product_with_the_state(only_here):
    """Where a step multiplies that product, it multiplies the bias, compiled and on Gluon alike."""
    add_cell("late", Cell(late_step, compiled_late_step, "fh"))
    assert_agree_in_float64(ModelConfig(cell="late", num_hiddens=7))


def test_an_added_cell_is_known_everywhere(odd, tmp_path):
    assert list(d2lrnn.CELLS)[-1] == "odd"
    with pytest.raises(ValueError, match="num_projections is None for cell 'odd'"):
        ModelConfig(cell="odd")
    config, vocab = ModelConfig(cell="odd", num_hiddens=7, num_projections=3), d2lrnn.Vocab("abcde")
    model = build_model(config, 5)
    corpus = d2lrnn.Corpus("letters", vocab, [0, 1, 2])
    path = save_checkpoint(tmp_path / "odd", Checkpoint.of(model, config, TrainConfig(), corpus))
    copy = load_checkpoint(path).build_model()
    for name, param in named_parameters(model).items():
        assert (get_values(param) == get_values(named_parameters(copy)[name])).all()
    assert len(d2lrnn.predict("ab", 6, model, vocab)) == 8
    del d2lrnn.CELLS["odd"]
    with pytest.raises(CheckpointError, match="odd: the cell 'odd' is not known here: name the file .*, --import FILE"):
        load_checkpoint(path)


def test_names_that_are_taken_or_none_are_refused(only_here):
    before, cell = dict(d2lrnn.CELLS), d2lrnn.CELLS["rnn"]
    for name, complaint in (("lstm", "there is a cell 'lstm' already"), ("my cell", "'my cell': expected a word")):
        with pytest.raises(ValueError, match=complaint):
            add_cell(name, cell)
    with pytest.raises(ValueError, match="'mine': expected a Cell, found a function"):
        add_cell("mine", odd_step)
    assert d2lrnn.CELLS == before


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"gates": ""}, "gates is ''"),
        ({"gates": "aa"}, "gates is 'aa': expected different letters"),
        ({"gates": "aq"}, "gates is 'aq': .*without the output layer's q"),
        ({"products": ("a",)}, r"products is \('a',\): expected each of the gates 'ab' once"),
        ({"products": ("ab", "b")}, "expected each of the gates 'ab' once"),
        ({"peepholes": "c"}, "peepholes is 'c': expected some of the gates 'ab', and a memory"),
        ({"peepholes": "a", "num_states": 1}, "peepholes is 'a': .*memory, num_states 2; found 1"),
        ({"num_biases": 3}, "num_biases is 3"),
        ({"num_states": 0}, "num_states is 0"),
        ({"projected": True, "identity": True}, "not square"),
        ({"candidate": "ab"}, "candidate is 'ab': expected one of the letters 'ab'"),
        ({"candidate": "c"}, "candidate is 'c': expected one of the letters 'ab'"),
        ({"peepholes": "a", "peepholes_after": "b"}, "peepholes_after is 'b': expected some of the peepholes 'a'"),
    ],
)
def test_declarations_that_contradict_themselves(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        Cell(odd_step, compiled_odd_step, **{"gates": "ab", "num_states": 2, **options})


def test_there_is_one_table_and_its_cells_have_their_own_steps():
    assert d2lrnn.CELLS is declaration.CELLS is registry.CELLS
    for name, cell in d2lrnn.CELLS.items():
        assert (cell.step.__name__, cell.compiled_step.__name__) == (f"{name}_step", f"{name}_step")
        assert (cell.step.__module__, cell.compiled_step.__module__) == ("d2lrnn.cells.steps", "d2lrnn.cells.compiled")
    with pytest.raises(RuntimeError, match="import that file first"):
        declaration._declared("h").step()


def test_the_candidate_is_the_last_letter_unless_another_is_named():
    assert {name: cell.candidate for name, cell in d2lrnn.CELLS.items()} == {
        **dict.fromkeys(("rnn", "rnn_relu", "gru", "gru_reset_after"), "h"),
        **dict.fromkeys(("lstm", "lstm_peephole", "lstm_projected", "lstm_peephole_projected"), "c"),
    }
    assert Cell(odd_step, compiled_odd_step, "auv", candidate="u").candidate == "u"


def test_the_gates_of_gluon_are_stacked_as_gluon_stacks_them():
    assert {name: cell.stacked for name, cell in d2lrnn.CELLS.items() if not name.startswith("lstm_")} == {
        "rnn": "h",
        "rnn_relu": "h",
        "gru": "rzh",
        "gru_reset_after": "rzh",
        "lstm": "ifco",
    }


def test_dot_without_a_bias():
    X, W = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    assert compiled.dot(mx, X, W, None, 3).tolist() == [[11, 17, 23]]
    assert compiled.dot(mx, X, W, np.array([1.0, 2.0, 3.0]), 3).tolist() == [[12, 19, 26]]
    assert numpy.isclose(compiled.relu(mx, np.array([-1.0, 2.0])).asnumpy(), [0, 2]).all()
