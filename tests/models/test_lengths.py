"""Padding changes nothing: rows that are padded in a batch against the same rows run alone."""

from types import MethodType

import numpy
import pytest
from padding import PAD, PLACES, VOCAB_SIZE, array, assert_padding_changes_nothing, ids, normal, run
from parity import assert_close, gluon_state_like_scratch, projections, torch_gradients, torch_parameters

import d2lrnn
from d2lrnn import ModelConfig, RecurrentStack, RNNModel, UnrolledLayer, build_model
from d2lrnn._runtime import mx
from d2lrnn.config.model import Dropout
from d2lrnn.data.lines import counted_steps
from d2lrnn.models import Layers, unroll
from d2lrnn.models.parameters import get_values, named_parameters, numbers_of, set_values

np = mx.np
SIZE, INPUTS = 6, 4

shapes = pytest.mark.parametrize("num_layers, bidirectional", [(1, False), (1, True), (2, False), (2, True)])


def by_steps(model):
    """Return a language model as a function whose outputs are (num_steps, batch_size, num_outputs)."""

    def call(X, state, counted):
        logits, state = model(X, state, counted) if counted is not None else model(X, state)
        return logits.reshape(X.shape[1], X.shape[0], -1), state

    return call


def make(kind, cell, num_layers, bidirectional, dtype="float64", **options):
    """Return a model with parameters so large that every gate is at work."""
    config = ModelConfig(kind, cell, SIZE, num_layers, bidirectional, **options, **projections(cell))
    model = build_model(config, VOCAB_SIZE)
    if kind == "gluon":
        model.cast(dtype)
    else:
        model.params = [param.astype(dtype) for param in model.params]
        for param in model.params:
            param.attach_grad()
    for param in named_parameters(model).values():
        set_values(param, normal(*param.shape).astype(dtype))
    return model


def begin(model, rows):
    return [normal(*one.shape) for one in model.begin_state(rows)]


@shapes
@pytest.mark.parametrize("cell", d2lrnn.CELLS)
@pytest.mark.parametrize("kind", ["scratch", "fast", "gluon", "embedded"])
def test_of_a_language_model(kind, cell, num_layers, bidirectional):
    options = {"embed_size": 3} if kind == "embedded" else {}
    kind = "gluon" if options else kind
    # Gluon's fused layer with relu rounds what it returns to float32.
    rel = 1e-5 if (kind, cell) == ("gluon", "rnn_relu") else 1e-12
    model = make(kind, cell, num_layers, bidirectional, **options)
    for place in ("behind", "both") if num_layers == 1 + bidirectional else ("front",):
        counted = PLACES[place]
        args = ids(counted), counted, begin(model, len(counted)), VOCAB_SIZE, named_parameters(model), rel
        outputs = assert_padding_changes_nothing(by_steps(model), *args)
        bias = model.dense.bias if kind == "gluon" else model.params[-1]
        assert (outputs[~counted.T] == get_values(bias).asnumpy()).all()


@pytest.mark.parametrize("kind", ["scratch", "fast", "embedded"])
@pytest.mark.parametrize("place", PLACES)
def test_nothing_leaks_from_what_stands_at_padding(kind, place):
    """The parameters that belong to the padding's id are NaN: no output, state or other gradient knows."""
    counted = PLACES[place]
    options = {"embed_size": 3} if kind == "embedded" else {}
    model = make("gluon" if options else kind, "lstm", 2, True, **options)
    X, state, parameters = ids(counted), begin(model, len(counted)), named_parameters(model)
    weights = [normal(*counted.T.shape, VOCAB_SIZE), *(normal(*one.shape) for one in state)]
    results = []
    for value in (0.25, numpy.nan, numpy.inf):
        for name, param in parameters.items():
            table = get_values(param)
            if name == "embedding.weight" or name.split(".")[-1].startswith("W_x"):
                table[PAD if len(table) == VOCAB_SIZE else slice(0, 0)] = value
        found = run(by_steps(model), X, state, weights, counted)
        results.append([*found[0], *found[1], *numbers_of(parameters, gradients=True).values()])
    for other in results[1:]:
        for one, two in zip(results[0], other):
            assert numpy.isfinite(one).all() and (one == two).all()


class TestLayersOfFloats:
    """Recurrences that read numbers, among which NaN and infinity may stand where nothing counts."""

    @pytest.fixture(params=PLACES)
    def counted(self, request):
        return PLACES[request.param]

    @staticmethod
    def inputs(counted, dtype="float64"):
        X = normal(*counted.T.shape, INPUTS)
        X[~counted.T] = numpy.nan
        X[~counted.T, 0] = numpy.inf
        return array(X, dtype)

    @pytest.mark.parametrize("cell", d2lrnn.CELLS)
    @pytest.mark.parametrize("compiled", [True, False])
    def test_an_unrolled_layer(self, counted, cell, compiled):
        layer = UnrolledLayer(cell, SIZE, INPUTS, bidirectional=cell != "gru", **projections(cell))
        layer.initialize(mx.init.Uniform(0.7))
        layer.cast("float64")
        layer.hybridize(compiled)
        self.check(layer, counted)

    @pytest.mark.parametrize("cell", ["gru", "lstm", "lstm_peephole_projected"])
    @pytest.mark.parametrize("compiled", [True, False])
    def test_a_stack_on_gluon(self, counted, cell, compiled):
        stack = RecurrentStack(cell, SIZE, 2, True, input_size=INPUTS, **projections(cell))
        stack.initialize(mx.init.Uniform(0.7))
        stack.cast("float64")
        stack.hybridize(compiled, static_alloc=True, static_shape=True)
        self.check(stack, counted)

    def check(self, block, counted):
        def call(X, state, counted):
            return block(X, list(state)) if counted is None else block(X, list(state), counted)

        state = [normal(*one.shape) for one in block.begin_state(len(counted))]
        X, parameters = self.inputs(counted), named_parameters(block)
        width = block(X, [array(one, "float64") for one in state])[0].shape[2]
        outputs = assert_padding_changes_nothing(call, X, counted, state, width, parameters)
        assert (outputs[~counted.T] == 0).all()

    @shapes
    @pytest.mark.parametrize("cell", d2lrnn.CELLS)
    def test_layers_from_scratch(self, cell, num_layers, bidirectional):
        layers, counted = Layers(cell, num_layers, bidirectional, **projections(cell)), PLACES["both"]
        params = [array(normal(*shape), "float64") for shape in layers.param_shapes(INPUTS, SIZE)]
        for param in params:
            param.attach_grad()

        def call(X, state, counted):
            outputs, state = layers(list(X), state, params, counted)
            return np.stack(outputs), state

        state = [normal(*one.shape) for one in layers.init_state(len(counted), SIZE)]
        args = counted, state, layers.width(SIZE), dict(zip(layers.param_names, params))
        outputs = assert_padding_changes_nothing(call, self.inputs(counted), *args)
        assert (outputs[~counted.T] == 0).all()

    def test_one_cell_unrolled_by_hand(self, counted):
        cell = d2lrnn.CELLS["gru"]
        params = [array(normal(*cell.param_shape(name, INPUTS, SIZE, None)), "float64") for name in cell.param_names]
        for param in params:
            param.attach_grad()

        def call(X, state, counted):
            columns = None if counted is None else [counted[:, t : t + 1] for t in range(counted.shape[1])]
            outputs, state = unroll(cell.step, list(X), state, params, columns)
            return np.stack(outputs), state

        args = counted, [normal(len(counted), SIZE)], SIZE, dict(zip(cell.param_names, params))
        assert_padding_changes_nothing(call, self.inputs(counted), *args)

    @pytest.mark.parametrize("compiled", [True, False])
    @pytest.mark.parametrize("cell", ["lstm", "lstm_peephole"])
    def test_which_find_out_the_input_size(self, compiled, cell):
        stack, counted = RecurrentStack(cell, SIZE, 2), PLACES["both"]
        stack.initialize()
        stack.hybridize(compiled)
        outputs, _ = stack(self.inputs(counted, "float32"), stack.begin_state(4), array(counted, "float32"))
        assert outputs.shape == (8, 4, SIZE) and named_parameters(stack)
        assert stack.layers[0].l0_i2h_weight.shape == (4 * SIZE, INPUTS)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_of_two_layers_in_one_fused_layer(bidirectional):
    layer = mx.gluon.rnn.LSTM(SIZE, 2, bidirectional=bidirectional)
    model, counted = RNNModel(layer, VOCAB_SIZE, 3), PLACES["both"]
    model.initialize(mx.init.Uniform(0.7))
    args = counted, begin(model, len(counted)), VOCAB_SIZE, named_parameters(model), 1e-5, "float32"
    assert_padding_changes_nothing(by_steps(model), ids(counted), *args)


class TestOneModelCalledInManyWays:
    """Graphs with and without padding, of other lengths and batches, with parameters frozen and freed."""

    @pytest.mark.parametrize("cell", ["lstm", "gru", "lstm_peephole"])
    @pytest.mark.parametrize("compiled", [True, False])
    def test_one_after_the_other(self, cell, compiled):
        model = make("gluon", cell, 2, False)
        model.hybridize(compiled, static_alloc=compiled, static_shape=compiled)
        parameters = named_parameters(model)
        for place in ("behind", "both", "front", "both"):
            counted = PLACES[place]
            args = counted, begin(model, 4), VOCAB_SIZE, parameters
            assert_padding_changes_nothing(by_steps(model), ids(counted), *args)
        everything = numpy.ones((2, 5), bool)
        assert_padding_changes_nothing(by_steps(model), ids(everything), everything, begin(model, 2), *args[2:])

    def test_a_graph_for_each_length_and_none_twice(self):
        model, traced = make("gluon", "lstm", 1, False), []
        forward = model.hybrid_forward

        def tracing(self, F, X, state, params=None, counted=None):
            if F is mx.sym:
                traced.append(counted is not None)
            return forward(F, X, state, params, counted)

        model.hybrid_forward = MethodType(tracing, model)
        for steps, padded in ((5, 0), (3, 0), (5, 1), (3, 1), (5, 0), (5, 1), (3, 1), (4, 0)):
            X = ids(numpy.ones((2, steps), bool))
            state = tuple(one.astype("float64") for one in model.begin_state(2))
            found, _ = model(X, state, np.ones((2, steps)) if padded else None)
            assert_close(found.asnumpy(), model(X, state)[0].asnumpy(), 1e-12)
        assert traced == [False, True, True]

    @pytest.mark.parametrize("cell", ["lstm", "lstm_peephole"])
    def test_frozen_parameters(self, cell):
        model, counted = make("gluon", cell, 1, True), PLACES["both"]
        X, state, whole = ids(counted), begin(model, 4), named_parameters(model)
        weights = [normal(8, 4, VOCAB_SIZE), *(normal(*one.shape) for one in state)]

        def gradients():
            for param in d2lrnn.models.trainable_parameters(model).values():
                param.grad()[:] = 7  # so that what is found is not from before
            run(by_steps(model), X, state, weights, counted)
            return numbers_of(whole, gradients=True)

        expected = gradients()
        for name, param in whole.items():
            for grad_req in ("null", "write"):
                param.grad_req = grad_req
                found = gradients()
                assert set(expected) - set(found) == ({name} if grad_req == "null" else set())
                for other, gradient in found.items():
                    assert_close(gradient, expected[other], 1e-12)

    def test_a_gluon_trainer_trains_it(self):
        model, counted = make("gluon", "lstm", 1, False, dtype="float32"), array(PLACES["behind"][:3], "float32")
        trainer = mx.gluon.Trainer(model.collect_params(), "adam", {"learning_rate": 0.05})
        X, losses = ids(PLACES["behind"][:3]), []
        for _ in range(30):
            with mx.autograd.record():
                loss = d2lrnn.cross_entropy(model(X, model.begin_state(3), counted)[0], X, counted)
            loss.backward()
            trainer.step(1)
            losses.append(loss.item())
        assert losses[-1] < 0.5 * losses[0]


class TestDropout:
    COUNTED = array(PLACES["both"], "float32")

    def outputs(self, model, X):
        with mx.autograd.train_mode():
            found = model.with_outputs(X, model.begin_state(4), self.COUNTED)[1]
        return found.asnumpy().reshape(8, 4, -1)

    @pytest.mark.parametrize("place", ["inputs", "hidden", "outputs", "weights", "words"])
    @pytest.mark.parametrize("cell", ["lstm", "lstm_peephole"])
    def test_every_kind_drops_in_training_alone(self, place, cell):
        dropout = Dropout(**{place: 0.4})
        model = RNNModel(RecurrentStack(cell, SIZE, 2, dropout=dropout), VOCAB_SIZE, 3, dropout)
        model.initialize(mx.init.Uniform(0.7))
        X = ids(PLACES["both"])
        found = [self.outputs(model, X) for _ in range(4)]
        assert len({one.tobytes() for one in found}) > 1
        assert all((one[~PLACES["both"].T] == 0).all() for one in found)
        still = [model(X, model.begin_state(4), self.COUNTED)[0].asnumpy() for _ in range(2)]
        assert (still[0] == still[1]).all()

    def test_a_locked_mask_is_the_same_at_all_steps_that_count(self):
        dropout = Dropout(outputs=0.5, locked=True)
        model = RNNModel(RecurrentStack("lstm", 40, dropout=dropout), VOCAB_SIZE, 3, dropout)
        model.initialize(mx.init.Uniform(0.7))
        dropped = self.outputs(model, ids(PLACES["both"])) == 0
        for row, counted in enumerate(PLACES["both"][:3]):
            here = dropped[counted, row]
            assert (here == here[0]).all() and 0 < here[0].mean() < 1


@pytest.mark.parametrize("num_layers, bidirectional", [(1, False), (2, True)])
@pytest.mark.parametrize("kind", ["scratch", "fast", "gluon"])
def test_pytorchs_packed_sequences(kind, num_layers, bidirectional):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
    scratch = make("scratch", "lstm", num_layers, bidirectional, dtype="float32")
    lengths = (2, 5, 1, 4)
    counted = counted_steps(lengths)
    X, width = ids(counted), SIZE * (1 + bidirectional)
    layer = torch.nn.LSTM(VOCAB_SIZE, SIZE, num_layers, bidirectional=bidirectional)
    dense = torch.nn.Linear(width, VOCAB_SIZE)
    p = d2lrnn.read_parameters(scratch)
    with torch.no_grad():
        for kinds, gates, target in torch_parameters(layer, scratch.stack):
            parts = [p.get(kinds + gate, numpy.zeros(SIZE, "float32")).T for gate in gates]
            target.copy_(torch.from_numpy(numpy.concatenate(parts)))
        dense.weight.copy_(torch.from_numpy(p["W_hq"].T.copy()))
        dense.bias.copy_(torch.from_numpy(p["b_q"]))
    onehot = torch.nn.functional.one_hot(torch.from_numpy(X.asnumpy().T).long(), VOCAB_SIZE).float()
    packed, state = layer(torch.nn.utils.rnn.pack_padded_sequence(onehot, lengths, enforce_sorted=False))
    logits = dense(torch.nn.utils.rnn.pad_packed_sequence(packed)[0])  # 0 at padding
    targets = torch.from_numpy(((X.asnumpy() + 1) % VOCAB_SIZE).T).long()
    losses = torch.nn.functional.cross_entropy(logits.reshape(-1, VOCAB_SIZE), targets.reshape(-1), reduction="none")
    losses[torch.from_numpy(counted.T.reshape(-1))].mean().backward()
    model = scratch
    if kind != "scratch":
        model = build_model(ModelConfig(kind, "lstm", SIZE, num_layers, bidirectional), VOCAB_SIZE)
        d2lrnn.copy_parameters(scratch, model)
    mask = array(counted, "float32")
    with mx.autograd.record():
        found, new_state = model(X, model.begin_state(4), mask)
        loss = d2lrnn.cross_entropy(found, (X + 1) % VOCAB_SIZE, mask)
    loss.backward()
    assert_close(found.asnumpy(), logits.detach().numpy().reshape(-1, VOCAB_SIZE))
    flat = gluon_state_like_scratch(new_state, 2) if kind == "gluon" else [one.asnumpy() for one in new_state]
    expected = [one.detach().numpy() for pair in zip(*state) for one in pair]
    assert len(flat) == len(expected)
    for one, other in zip(flat, expected):
        assert_close(one, other)
    gradients = d2lrnn.read_parameters(model, gradients=True)
    for name, gradient in torch_gradients(layer, dense, scratch.stack).items():
        assert_close(gradients[name], gradient, rel=2e-5)


class TestWhatIsRefused:
    @pytest.mark.parametrize("kind", ["scratch", "fast", "gluon"])
    @pytest.mark.parametrize(
        ("counted", "complaint"),
        [
            (np.ones((5, 2)), r"counted has shape \(5, 2\): expected \(2, 5\), which is \(batch_size, num_steps\)"),
            (numpy.ones((2, 5)), "counted is a ndarray: expected an MXNet array"),
        ],
    )
    def test_another_shape_or_kind_of_array(self, kind, counted, complaint):
        model = build_model(ModelConfig(kind, num_hiddens=SIZE), VOCAB_SIZE)
        with pytest.raises(ValueError, match=complaint):
            model(np.zeros((2, 5), dtype="int32"), model.begin_state(2), counted)

    def test_equations_of_the_users(self):
        model = d2lrnn.RNNModelScratch(3, 4, None, d2lrnn.get_rnn_params, d2lrnn.init_rnn_state, lambda *_: None)
        with pytest.raises(ValueError, match="expected a Stack, rnn, gru"):
            model(np.zeros((2, 5), dtype="int32"), model.begin_state(2), np.ones((2, 5)))

    def test_whole_numbers_and_booleans_are_welcome(self):
        model = make("gluon", "lstm", 1, False, dtype="float32")
        X = ids(PLACES["both"])
        masks = [array(PLACES["both"], dtype) for dtype in ("float32", "int32", bool)]
        found = [model(X, model.begin_state(4), mask)[0].asnumpy().tobytes() for mask in masks]
        assert len(set(found)) == 1


def test_mxnets_where_with_a_number_gives_the_gradient_to_the_wrong_side():
    """The reason for arrays of zeros in their place; if this ever fails, MXNet has been mended."""
    X = np.ones((2,))
    X.attach_grad()
    for zero, expected in ((0.0, [0, 1]), (np.zeros(2), [1, 0])):
        with mx.autograd.record():
            found = np.where(np.array([1, 0]), X, zero)
        found.backward()
        assert found.asnumpy().tolist() == [1, 0] and X.grad.asnumpy().tolist() == expected
