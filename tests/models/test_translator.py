"""Translators: from scratch and on Gluon the same, whatever is padded, and decoded at once or step by step."""

import copy
from itertools import product

import numpy
import pytest
from parity import assert_close, projections

import d2lrnn
from d2lrnn import D2lrnnError, ModelConfig, build_model, copy_parameters
from d2lrnn._runtime import mx
from d2lrnn.models import Decoder, Encoder, RecurrentStack, Translator, parameter_shapes, rnn_layer
from d2lrnn.models.gluon.bridge import Bridge
from d2lrnn.models.parameters import named_parameters, numbers_of, set_values
from d2lrnn.models.twins import read_parameters

np = mx.np
SOURCE_SIZE, TARGET_SIZE, ROWS, NUM_HIDDENS = 7, 9, 3, 4
COUNTED = numpy.array([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [1, 1, 0, 1, 0]], dtype="float32")
ATTENTIONS = (None, "additive", "dot", "general")
attentions = pytest.mark.parametrize("attention", ATTENTIONS)


def config(attention=None, **settings):
    settings = {"cell": "lstm", "num_hiddens": NUM_HIDDENS, "num_outputs": TARGET_SIZE, "init_scale": 0.7, **settings}
    return ModelConfig(head="translation", attention=attention, **settings)


def in_double(model):
    """Return the model in float64: gradients of an attention can be so small that float32 rounds much of them away."""
    if isinstance(model, Translator):
        model.cast("float64")
        return model
    model.params = [param.astype("float64") for param in model.params]
    for param in model.params:
        param.attach_grad()
    return model


def translator(attention=None, **settings):
    settings = config(attention, **settings)
    return in_double(build_model(settings, TARGET_SIZE if settings.share else SOURCE_SIZE))


def ids(size, steps, rows=ROWS):
    return np.array(numpy.random.randint(0, size, (rows, steps)), dtype="int32")


def run(model, X, Y_in, counted=None):
    """Return logits, and gradients by name, of a loss in which each logit counts differently."""
    factors = numpy.random.default_rng(4).normal(size=(Y_in.size, model.num_outputs))
    with mx.autograd.record():
        logits, _ = model(X, model.begin_state(len(X)), counted, Y_in)
        loss = (logits * np.array(factors, dtype=logits.dtype)).sum()
    loss.backward()
    return logits.asnumpy(), read_parameters(model, gradients=True)


def by_row(logits):
    """Return logits as (rows, steps, outputs)."""
    return logits.reshape(-1, ROWS, logits.shape[1]).swapaxes(0, 1)


TWINS = [
    *((attention, "lstm", 1, False, share) for attention, share in product(ATTENTIONS, (False, True))),
    *((attention, "lstm", 2, True, False) for attention in (None, "additive", "general")),
    ("dot", "gru_reset_after", 2, False, False),
    ("additive", "gru_reset_after", 1, True, False),
    ("general", "lstm_peephole_projected", 1, True, False),
    ("dot", "rnn", 1, False, True),
]


@pytest.mark.parametrize(("attention", "cell", "num_layers", "bidirectional", "share"), TWINS)
def test_scratch_and_gluon_are_the_same(attention, cell, num_layers, bidirectional, share):
    shape = dict(num_layers=num_layers, bidirectional=bidirectional, share=share, num_hiddens=6, **projections(cell))
    size = TARGET_SIZE if share else SOURCE_SIZE
    twins = d2lrnn.make_twins(config(attention, cell=cell, **shape), size)
    copy_parameters(*map(in_double, twins.values()))
    X, Y_in = ids(size, 5), ids(TARGET_SIZE, 4)
    for counted in (None, np.array(COUNTED)):
        (expected, wanted), (found, gradients) = (run(model, X, Y_in, counted) for model in twins.values())
        assert_close(found, expected, 1e-12)
        assert set(gradients) == set(wanted) == set(twins["scratch"].parameters())
        for name, gradient in wanted.items():
            assert_close(gradients[name], gradient, 1e-11)
    memories = [model.encode(X, counted) for model in twins.values()]
    weights = [model.decode(Y_in, memory)[1] for model, memory in zip(twins.values(), memories)]
    if attention:
        assert_close(weights[1].asnumpy(), weights[0].asnumpy(), 1e-12)
        assert (weights[1].asnumpy()[:, COUNTED == 0] == 0).all()
    else:
        assert weights == [None, None]


def test_copies_there_and_back_change_nothing():
    for attention, share in product(ATTENTIONS, (False, True)):
        size = TARGET_SIZE if share else SOURCE_SIZE
        twins = d2lrnn.make_twins(config(attention, cell="gru", share=share), size)
        before = read_parameters(twins["scratch"])
        for param in twins["scratch"].params:
            param[:] = 0
        copy_parameters(twins["gluon"], twins["scratch"])
        for name, values in read_parameters(twins["scratch"]).items():
            assert (values == before[name]).all() and (values != 0).any()


def test_translators_of_other_shapes_are_not_copied():
    source = build_model(config("general", kind="scratch"), SOURCE_SIZE)
    complaints = {
        "decoder.W_k, decoder.W_q, decoder.w_v: only": translator("additive"),
        "decoder.b_i, decoder.b_o, encoder.W_xc": translator("general", share=True),
        "these parameters differ: decoder.W_a, decoder.W_c, decoder.W_hc": translator("general", num_hiddens=5),
        "bidirectional=True, num_projections=None), and these": translator("general", bidirectional=True),
        "the target Layers(cell='gru_reset_after'": translator("general", cell="gru"),
        "a translator with embeddings has no twin from scratch": translator("general", embed_size=3),
    }
    for complaint, target in complaints.items():
        before = read_parameters(target)
        with pytest.raises(D2lrnnError) as caught:
            copy_parameters(source, target)
        assert complaint in str(caught.value)
        assert all((values == before[name]).all() for name, values in read_parameters(target).items())


@attentions
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_changes_nothing(attention, bidirectional):
    if attention == "dot" and bidirectional:
        attention = "general"
    model = translator(attention, bidirectional=bidirectional, num_layers=2, embed_size=3)
    X, Y_in = ids(SOURCE_SIZE, 5), ids(TARGET_SIZE, 4)
    logits, gradients = run(model, X, Y_in, np.array(COUNTED))
    other = X.asnumpy()
    other[COUNTED == 0] = SOURCE_SIZE - 1 - other[COUNTED == 0]
    again, same = run(model, np.array(other, dtype="int32"), Y_in, np.array(COUNTED))
    assert (again == logits).all() and all((same[name] == gradients[name]).all() for name in gradients)
    for row in range(ROWS):
        alone = X[row : row + 1, numpy.flatnonzero(COUNTED[row]).tolist()]
        expected, _ = run(model, alone, Y_in[row : row + 1])
        assert_close(by_row(logits)[row], expected, 1e-12)


def test_padding_behind_the_target_changes_nothing_before_it():
    model = translator("general")
    X, Y_in = ids(SOURCE_SIZE, 5), ids(TARGET_SIZE, 4)
    whole, short = by_row(run(model, X, Y_in)[0]), by_row(run(model, X, Y_in[:, :2])[0])
    assert_close(whole[:, :2], short, 1e-12)


@attentions
@pytest.mark.parametrize("kind", ["scratch", "gluon"])
def test_step_by_step_as_all_at_once(kind, attention):
    model = translator(attention, kind=kind, num_layers=2)
    X, Y_in, counted = ids(SOURCE_SIZE, 5), ids(TARGET_SIZE, 4), np.array(COUNTED)
    expected = by_row(model(X, model.begin_state(ROWS), counted, Y_in)[0].asnumpy())
    memory, order, found = model.encode(X, counted), [2, 0, 0, 1], []
    assert {array.shape[-2] for array in memory} == {ROWS}
    memory = [np.take(array, np.array(order), axis=-2) for array in memory]  # as a beam search chooses rows
    for t in range(4):
        logits, weights, memory = model.decode(Y_in[order, t : t + 1], memory)
        found.append(logits.asnumpy())
        assert weights is None or weights.shape == (1, 4, 5)
    assert_close(numpy.stack(found, axis=1), expected[order], 1e-12)


@pytest.mark.parametrize(("kind", "share"), [("scratch", False), ("gluon", False), ("gluon", True)])
def test_gradients_step_by_step_are_those_of_all_at_once(kind, share):
    """A decoder that is fed its own ids in training takes one step a call, and gradients go back through all calls."""
    model = translator("additive", kind=kind, share=share)
    X, Y_in, counted = ids(model.vocab_size, 5), ids(TARGET_SIZE, 4), np.array(COUNTED)
    _, expected = run(model, X, Y_in, counted)
    factors = numpy.random.default_rng(4).normal(size=(4, ROWS, TARGET_SIZE))  # those of run
    with mx.autograd.record():
        memory, loss = model.encode(X, counted), 0
        for t in range(4):
            logits, _, memory = model.decode(Y_in[:, t : t + 1], memory)
            loss = loss + (logits * np.array(factors[t], dtype="float64")).sum()
    loss.backward()
    for name, gradient in read_parameters(model, gradients=True).items():
        assert_close(gradient, expected[name], 1e-11)


def test_without_padding_and_with_a_fused_cell_nothing_is_unrolled():
    assert not translator("general", bidirectional=True, num_layers=2).unrolls
    assert translator("general", cell="lstm_peephole").unrolls


SHAPES = [
    {"attention": attention, "cell": cell, "num_layers": num_layers, "bidirectional": bidirectional, **more}
    for attention, cell, num_layers, bidirectional, more in [
        *((attention, "lstm", 1, False, {}) for attention in ATTENTIONS),
        ("additive", "lstm_peephole_projected", 2, True, {"num_projections": 3}),
        ("general", "gru", 2, True, {"embed_size": 5}),
        ("general", "lstm", 3, True, {"embed_size": NUM_HIDDENS, "tie_weights": True}),
        ("dot", "lstm", 2, False, {"share": True}),
        (None, "rnn", 1, False, {"embed_size": NUM_HIDDENS, "tie_weights": True, "share": True}),
        (None, "gru_reset_after", 1, True, {}),
    ]
]


@pytest.mark.parametrize("settings", SHAPES)
@pytest.mark.parametrize("kind", ["scratch", "gluon"])
def test_the_shapes_are_those_of_the_model(kind, settings):
    if kind == "gluon" or "embed_size" not in settings:
        made, size = config(kind=kind, **settings), TARGET_SIZE if settings.get("share") else SOURCE_SIZE
        model = build_model(made, size)
        expected = {name: param.shape for name, param in named_parameters(model).items()}
        assert list(parameter_shapes(made, size).items()) == list(expected.items())
        assert (model.vocab_size, model.num_outputs) == (size, TARGET_SIZE)
        assert model.bidirectional == settings["bidirectional"]


def test_one_encoder_with_two_decoders():
    """From one language into two: the loss is the sum of both, and so is the encoder's gradient."""
    first, X, Y_in = translator("general", num_layers=2, embed_size=3), ids(SOURCE_SIZE, 5), ids(TARGET_SIZE, 4)
    reader = Encoder(RecurrentStack("lstm", NUM_HIDDENS, 2), 5, embed_size=6)
    second = Translator(first.encoder, Decoder(reader, 5))
    second.decoder.initialize(mx.init.Uniform(0.7))
    second.decoder.cast("float64")
    other = ids(5, 3)

    def loss(model, memory, Y):
        logits, *_ = model.decode(Y, memory)
        return d2lrnn.cross_entropy(logits, Y)

    gradients = []
    for models in ((first,), (second,), (first, second)):
        with mx.autograd.record():
            memory = first.encode(X)  # once for both
            total = sum(
                loss(model, memory if model is first else memory[:4], Y_in if model is first else other)
                for model in models
            )
        total.backward()
        gradients.append(numbers_of(first.encoder.parameters(), gradients=True))
    for name, both in gradients[2].items():
        assert_close(both, gradients[0][name] + gradients[1][name], 1e-11)
        assert abs(gradients[1][name]).max() > 0


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("padded", [False, True])
def test_a_shared_weight_is_one_parameter_with_the_gradients_of_both_sides(padded, compiled):
    model = translator("dot", share=True, embed_size=NUM_HIDDENS, tie_weights=True)
    names = set(model.parameters())
    assert {name for name in names if "rnn" in name or "embedding" in name} == {
        "encoder.embedding.weight",
        *(f"encoder.rnn._unfused.0.{side}_{kind}" for side in ("i2h", "h2h") for kind in ("weight", "bias")),
    }
    assert "decoder.dense.weight" not in names
    apart = in_double(build_model(config("dot", embed_size=NUM_HIDDENS), TARGET_SIZE))
    for name, param in apart.parameters().items():
        own = name if name in names else name.replace("decoder.", "encoder.")
        set_values(param, numbers_of(model.parameters()).get(own.replace("dense.weight", "embedding.weight")))
    X, Y_in, counted = ids(TARGET_SIZE, 5), ids(TARGET_SIZE, 4), np.array(COUNTED) if padded else None
    results = []
    for one in (model, apart):
        one.hybridize(compiled)
        with mx.autograd.record():
            logits, _ = one(X, one.begin_state(ROWS), counted, Y_in)
            loss = (logits**2).sum()
        loss.backward()
        results.append((logits.asnumpy(), numbers_of(one.parameters(), gradients=True)))
    (found, gradients), (expected, parts) = results
    assert_close(found, expected, 1e-12)
    for name, gradient in gradients.items():
        wanted = parts[name]
        if name.startswith("encoder."):
            wanted = wanted + parts[name.replace("encoder.", "decoder.")]
        if "embedding" in name:
            wanted = wanted + parts["decoder.dense.weight"]
        assert_close(gradient, wanted, 1e-11)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_copy_computes_the_same_and_shares_nothing(bidirectional):
    model = translator("additive", bidirectional=bidirectional, embed_size=3)
    X, Y_in = ids(SOURCE_SIZE, 5), ids(TARGET_SIZE, 4)
    before, gradients = run(model, X, Y_in)
    for other in (copy.copy(model), copy.deepcopy(model)):
        found, own = run(other, X, Y_in)
        assert (found == before).all() and all((own[name] == gradients[name]).all() for name in gradients)
        for param in other.parameters().values():
            set_values(param, numpy.zeros(param.shape))
        assert (run(model, X, Y_in)[0] == before).all()


def test_new_memory_reaches_all_graphs():
    """Parameters are made anew and frozen between calls; the graphs must read and write the new arrays."""
    model = translator("general", bidirectional=True, embed_size=3)
    X, Y_in = ids(SOURCE_SIZE, 5), ids(TARGET_SIZE, 4)

    def make_anew():
        model.cast("float32")  # MXNet draws no float64
        model.initialize(mx.init.Uniform(0.7), force_reinit=True)
        model.cast("float64")

    for change in (
        lambda: None,
        make_anew,
        lambda: setattr(model.bridge.parameters()["0.weight"], "grad_req", "null"),
        lambda: setattr(model.decoder.attention.query.weight, "grad_req", "null"),
    ):
        change()
        compiled = run(model, X, Y_in)
        fresh = copy.deepcopy(model)
        fresh.hybridize(False)
        expected = run(fresh, X, Y_in)
        assert_close(compiled[0], expected[0], 1e-12)
        assert set(compiled[1]) == set(expected[1])
        for name, gradient in expected[1].items():
            assert_close(compiled[1][name], gradient, 1e-11)


def test_a_translator_learns_to_reverse():
    model = translator("general", num_hiddens=24, embed_size=12, num_outputs=SOURCE_SIZE, init_scale=0.3)
    X = ids(SOURCE_SIZE - 1, 4, rows=32)
    Y = X[:, ::-1]
    Y_in = np.concatenate([np.full((32, 1), SOURCE_SIZE - 1, dtype="int32"), Y[:, :-1]], axis=1)
    trainer = mx.gluon.Trainer(model.collect_params(), "adam", {"learning_rate": 0.03})
    losses = []
    for _ in range(60):
        with mx.autograd.record():
            logits, _ = model(X, model.begin_state(32), None, Y_in)
            loss = d2lrnn.cross_entropy(logits, Y)
        loss.backward()
        trainer.step(1)
        losses.append(loss.item())
    assert losses[0] == pytest.approx(numpy.log(SOURCE_SIZE), rel=0.1) and losses[-1] < 0.1


def test_the_bridge_by_hand():
    bridge = Bridge([2, 3])
    bridge.initialize(mx.init.Uniform(1))
    state = [numpy.random.normal(size=(2, ROWS, width)) for width in (2, 3)]
    found = bridge(*(np.array(array, dtype="float32") for array in state))
    for i, (array, new) in enumerate(zip(state, found)):
        weight, bias = (bridge.parameters()[f"{i}.{kind}"].data().asnumpy() for kind in ("weight", "bias"))
        expected = numpy.tanh(numpy.concatenate(array, axis=1) @ weight.T + bias)
        assert new.shape == (1, ROWS, array.shape[2])
        assert_close(new[0].asnumpy(), expected, 1e-6)


def test_dropout_acts_in_training_alone():
    model = translator("general", embed_size=3, dropout=0.5, num_layers=2)
    X, Y_in = ids(SOURCE_SIZE, 5), ids(TARGET_SIZE, 4)
    with mx.autograd.train_mode():
        first, second = (model(X, model.begin_state(ROWS), None, Y_in)[0].asnumpy() for _ in range(2))
    assert (first != second).any()
    first, second = (model(X, model.begin_state(ROWS), None, Y_in)[0].asnumpy() for _ in range(2))
    assert (first == second).all()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (dict(head="tokens", attention="dot"), "attention and share are settings of a translator: set head to 'transl"),
        (dict(head="mean", share=True), "attention and share are settings of a translator: set head to 'translation'"),
        (dict(attention="cosine"), "unknown attention 'cosine': expected one of additive, dot, general"),
        (
            dict(num_outputs=None),
            "num_outputs is none: a model with the head 'translation' needs the number of outputs",
        ),
        (dict(kind="fast"), "kind 'fast' has language models alone: use kind 'scratch' or 'gluon'"),
        (dict(input_size=3), "input_size is for numbers, and a translator reads ids: use another head"),
        (
            dict(share=True, bidirectional=True),
            "share lets the decoder read by the encoder's layers, and a decoder can",
        ),
        (
            dict(attention="dot", bidirectional=True),
            "attention 'dot' multiplies outputs of one width, and a bidirection",
        ),
        (
            dict(embed_size=3, freeze_embedding=True),
            "a translator has two embeddings, and both are trained: leave free",
        ),
        (
            dict(embed_size=3, tie_weights=True),
            "tie_weights needs an output layer of the embedding's shape: expected "
            "embed_size = num_hiddens = 256; embed_size is 3",
        ),
        (dict(kind="scratch", embed_size=3), "the models from scratch have no embedding and no dropout"),
    ],
)
def test_settings_that_contradict_one_another(settings, complaint):
    with pytest.raises(D2lrnnError) as caught:
        ModelConfig(**{"head": "translation", "num_outputs": 9, **settings})
    assert str(caught.value).startswith(complaint)


def reader(cell="lstm", size=NUM_HIDDENS, bidirectional=False, **options):
    return Encoder(rnn_layer(cell, size, bidirectional=bidirectional), TARGET_SIZE, **options)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (
            lambda: Decoder(reader(bidirectional=True), 9),
            "a decoder cannot read from the end, which is not written yet",
        ),
        (
            lambda: Decoder(reader(), 9, tie_weights=True),
            r"the weights cannot be tied: the embedding is None, the outp",
        ),
        (
            lambda: Decoder(reader(), 9, "dot", 8),
            "attention 'dot' multiplies outputs of one width, and the decoder's h",
        ),
        (
            lambda: Translator(reader(size=5), Decoder(reader(), 9)),
            r"the encoder's state is of lstm with layers and wi",
        ),
        (
            lambda: Translator(reader("gru"), Decoder(reader("rnn"), 9)),
            "the encoder's state is of gru_reset_after with",
        ),
        (
            lambda: Translator(reader(), Decoder(reader(), 9, "general", 8)),
            "the decoder looks at outputs of width 8, t",
        ),
        (
            lambda: build_model(config(share=True), 7),
            "share gives source and target one vocabulary, and the source's h",
        ),
        (
            lambda: translator("dot").decode(ids(9, 2), translator().encode(ids(7, 3))),
            "the memory has 2 arrays: expect",
        ),
        (
            lambda: translator().decode(ids(9, 2), translator("dot").encode(ids(7, 3))),
            "the memory has 4 arrays: expect",
        ),
        (lambda: run(translator("dot"), ids(7, 3), ids(9, 3, rows=2)), r"X has shape \(2, 3\), which is \(batch_size"),
        (lambda: run(translator("dot"), ids(7, 3), 9 + ids(9, 3)), "X has the id"),
        (
            lambda: run(translator("dot"), ids(7, 3), ids(9, 3), np.ones((3, 4))),
            r"counted has shape \(3, 4\): expected ",
        ),
    ],
)
def test_what_does_not_fit_together(make, complaint):
    with pytest.raises(D2lrnnError, match=f"^{complaint}"):
        make()


@pytest.mark.parametrize(
    ("attention", "settings"),
    [
        (None, {}),
        ("general", {"bidirectional": True}),
        ("dot", {"embed_size": NUM_HIDDENS, "tie_weights": True}),
        ("additive", {"embed_size": NUM_HIDDENS, "tie_weights": True, "share": True}),
    ],
)
def test_outputs_and_rows_give_the_logits_of_some_ids(attention, settings):
    """Values and gradients are those of the same logits of the whole output layer; ids may come twice."""
    model = translator(attention, **settings)
    X, Y_in = ids(model.vocab_size, 5), ids(TARGET_SIZE, 4)
    some = np.array([7, 2, 0, 2, 8], dtype="int32")
    factors = np.array(numpy.random.default_rng(4).normal(size=(Y_in.size, len(some))), dtype="float64")
    found = []
    for counted in (None, np.array(COUNTED)):
        for whole in (True, False):
            with mx.autograd.record():
                if whole:
                    logits = np.take(model(X, model.begin_state(ROWS), counted, Y_in)[0], some, axis=1)
                else:
                    parts = model.outputs_and_rows(X, model.begin_state(ROWS), counted, Y_in, some)
                    logits = np.dot(parts[0], parts[1].T) + parts[2]
                loss = (logits * factors).sum()
            loss.backward()
            found.append((logits.asnumpy(), numbers_of(model.parameters(), gradients=True)))
        (expected, wanted), (values, gradients) = found[-2:]
        assert_close(values, expected, 1e-12)
        assert gradients.keys() == wanted.keys()
        for name, gradient in wanted.items():
            assert_close(gradients[name], gradient, 1e-11)
    assert (parts[1].asnumpy()[1] == model.decoder.dense.weight.data().asnumpy()[2]).all()
    with pytest.raises(D2lrnnError, match="id"):
        model.outputs_and_rows(X, model.begin_state(ROWS), None, Y_in, some + 1)
