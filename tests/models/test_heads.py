"""Models that answer a sequence or each of its steps: from scratch, on Gluon and in PyTorch the same."""

from itertools import product

import numpy
import pytest
from parity import assert_close, projections

import d2lrnn
from d2lrnn import CELLS, D2lrnnError, ModelConfig, build_model, copy_parameters
from d2lrnn._runtime import mx
from d2lrnn.data import counted_steps
from d2lrnn.models.parameters import named_parameters, numbers_of, set_values, trainable_parameters
from d2lrnn.models.summaries import step_weights
from d2lrnn.models.twins import read_parameters

np = mx.np
HEADS = ("state", "output", "mean", "steps")
ROWS, STEPS, SIZE, VOCAB_SIZE, OUTPUTS = 3, 5, 4, 11, 2


def twins(head, cell="lstm", num_layers=1, bidirectional=False, numbers=True):
    """Return both models with the same parameters, large enough that every gate is at work."""
    d2lrnn.set_seed(3)
    reads = {"input_size": SIZE} if numbers else {}
    shape = dict(num_hiddens=6, num_layers=num_layers, bidirectional=bidirectional, **projections(cell), **reads)
    config = ModelConfig("scratch", cell, head=head, num_outputs=OUTPUTS, **shape)
    both = d2lrnn.make_twins(config, None if numbers else VOCAB_SIZE)
    for param in both["scratch"].params:
        param[:] = np.random.normal(0, 0.4, param.shape)
    copy_parameters(both["scratch"], both["gluon"])
    return both["scratch"], both["gluon"]


def batch(numbers=True):
    draw = numpy.random.default_rng(5)
    if numbers:
        return np.array(draw.normal(size=(ROWS, STEPS, SIZE)), dtype="float32")
    return np.array(draw.integers(0, VOCAB_SIZE, (ROWS, STEPS)), dtype="int32")


def answers_and_gradients(model, X, counted=None):
    with mx.autograd.record():
        answers, state = model(X, model.begin_state(len(X)), counted)
        loss = (answers * np.arange(1, answers.size + 1).reshape(answers.shape) * 0.1).sum()
    loss.backward()
    return answers.asnumpy(), read_parameters(model, gradients=True)


COUNTED = numpy.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 1, 1, 0, 0]], dtype="float32")


@pytest.mark.parametrize("cell", [name for name in CELLS if name != "gru"])
@pytest.mark.parametrize("head", HEADS)
def test_scratch_and_gluon_are_the_same(head, cell):
    for num_layers, bidirectional, padded in ((1, False, False), (2, True, False), (2, True, True)):
        scratch, gluon = twins(head, cell, num_layers, bidirectional, numbers=num_layers == 1 or padded)
        X = batch(num_layers == 1 or padded)
        counted = np.array(COUNTED) if padded else None
        (expected, wanted), (found, gradients) = (
            answers_and_gradients(model, X, counted) for model in (scratch, gluon)
        )
        assert_close(found, expected, 2e-6)
        for name, gradient in wanted.items():
            assert_close(gradients[name], gradient, 2e-5)


@pytest.mark.parametrize(("head", "bidirectional"), product(HEADS, (False, True)))
def test_padding_changes_nothing(head, bidirectional):
    for model in twins(head, num_layers=2, bidirectional=bidirectional):
        X = batch().asnumpy()
        begin, end = (1, 3)  # of the steps of the third row that count
        alone, _ = answers_and_gradients(model, np.array(X[2:, begin:end]))
        padded = X.copy()
        padded[COUNTED == 0] = numpy.nan
        together, gradients = answers_and_gradients(model, np.array(padded), np.array(COUNTED))
        assert all(numpy.isfinite(gradient).all() for gradient in gradients.values())
        found = together[2, begin:end] if head == "steps" else together[2]
        assert_close(found, alone[0], 2e-6)


def test_what_each_head_reads_by_hand():
    """One hidden unit, one output, no weights but 1: the outputs are the hidden states themselves."""
    for kind, head in product(("scratch", "gluon"), HEADS):
        config = ModelConfig(kind, "rnn", 1, num_outputs=1, input_size=1, head=head)
        model = build_model(config, None)
        for name, param in named_parameters(model).items():
            is_bias = "bias" in name or name.startswith("b_")
            set_values(param, numpy.full(param.shape, 0.0 if is_bias else 1.0))
        h, hidden = 0.0, []
        for x in (0.5, -1.0, 2.0):
            h = numpy.tanh(x + h)
            hidden.append(h)
        answers, _ = model(np.array([[[0.5], [-1.0], [2.0]]]), model.begin_state(1))
        expected = {"state": hidden[-1], "output": hidden[-1], "mean": numpy.mean(hidden), "steps": hidden}[head]
        assert numpy.allclose(answers.asnumpy().reshape(-1), expected, rtol=1e-6)


def test_a_bidirectional_output_is_of_the_last_step_in_both_directions():
    scratch, _ = twins("output", bidirectional=True)
    X = batch()
    outputs, _ = scratch.stack.layers([X[:, t] for t in range(STEPS)], scratch.begin_state(ROWS), scratch.params[:-2])
    found, _ = scratch(X, scratch.begin_state(ROWS))
    expected = outputs[-1].asnumpy() @ scratch.params[-2].asnumpy() + scratch.params[-1].asnumpy()
    assert_close(found.asnumpy(), expected)


def test_the_weights_of_steps():
    counted = np.array(COUNTED)
    last = step_weights("output", counted).asnumpy()[:, :, 0]
    assert last.tolist() == [[0, 0, 0, 0, 1], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0]]
    mean = step_weights("mean", counted).asnumpy()[:, :, 0]
    assert numpy.allclose(mean, [[0.2] * 5, [0.5, 0.5, 0, 0, 0], [0, 0.5, 0.5, 0, 0]])
    with pytest.raises(D2lrnnError, match="^row 1 of the batch is all padding"):
        step_weights("mean", np.array([[1.0, 0.0], [0.0, 0.0]]))


def in_pytorch(name):
    """Return PyTorch's name: weight_hh_l1_reverse for rnn.layers.1._unfused.0.r_cell.h2h_weight."""
    _, _, layer, _, _, side, kind = name.split(".")
    source, part = kind.split("_")
    return f"{part}_{source[0]}h_l{layer}{'_reverse' if side.startswith('r') else ''}"


@pytest.mark.parametrize("head", HEADS)
def test_pytorch_computes_the_same_loss_and_gradients(head):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    d2lrnn.set_seed(4)
    model = build_model(
        ModelConfig(
            num_hiddens=6, num_layers=2, bidirectional=True, num_outputs=3, input_size=SIZE, head=head, init_scale=0.4
        ),
        None,
    )
    X, labels = batch(), numpy.array([2, 0, 1])
    loss_of = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    with mx.autograd.record():
        answers, _ = model(X, model.begin_state(ROWS))
        answers = answers.mean(axis=1) if head == "steps" else answers
        loss = loss_of(answers, np.array(labels)).mean()
    loss.backward()
    rnn, dense = torch.nn.LSTM(SIZE, 6, 2, bidirectional=True), torch.nn.Linear(12, 3)
    values, gradients = (numbers_of(model.parameters(), flag) for flag in (False, True))
    theirs = {name: dict(rnn.named_parameters())[in_pytorch(name)] for name in values if name.startswith("rnn")}
    theirs |= {"dense.weight": dense.weight, "dense.bias": dense.bias}
    assert theirs.keys() == values.keys()
    for name, param in theirs.items():
        param.data = torch.tensor(values[name])
    outputs, (hidden, _) = rnn(torch.tensor(X.asnumpy()).transpose(0, 1))
    read = {
        "state": torch.cat([hidden[-2], hidden[-1]], dim=1),
        "output": outputs[-1],
        "mean": outputs.mean(dim=0),
        "steps": outputs.mean(dim=0),
    }[head]
    expected = torch.nn.functional.cross_entropy(dense(read), torch.tensor(labels))
    expected.backward()
    assert float(loss) == pytest.approx(expected.item(), rel=1e-5)
    for name, param in theirs.items():
        assert_close(gradients[name], param.grad.numpy(), 1e-5)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (dict(head="state"), "num_outputs is none: a model with the head 'state' needs the number of outputs"),
        (dict(head="mean", num_outputs=2, kind="fast"), "kind 'fast' has language models alone: use kind 'scratch' or"),
        (dict(input_size=3), "input_size is for numbers, and a language model reads ids: use another head"),
        (dict(head="mean", num_outputs=2, input_size=3, embed_size=4), "an embedding is of ids, and input_size says"),
        (dict(head="last", num_outputs=2), "unknown head 'last': expected one of tokens, state, output, mean, steps"),
    ],
)
def test_settings_that_contradict_one_another(settings, complaint):
    with pytest.raises(D2lrnnError) as caught:
        ModelConfig(**settings)
    assert str(caught.value).startswith(complaint)


@pytest.mark.parametrize(
    ("X", "complaint"),
    [
        (np.zeros((2, 3, 5)), r"X has shape \(2, 3, 5\): expected \(batch_size, num_steps, input_size\), the last 4"),
        (np.zeros((2, 4)), r"X has shape \(2, 4\): expected \(batch_size, num_steps, input_size\)"),
        (np.zeros((2, 0, 4)), r"X has shape \(2, 0, 4\)"),
        (np.zeros((2, 3, 4), dtype="int32"), "X has type int32: expected float32"),
        (np.zeros((5, 3, 4)), r"X has shape \(5, 3, 4\), which is .*, but the state is for a batch of 2"),
        ([[[1.0]]], "X is a list: expected an MXNet array"),
    ],
)
def test_inputs_that_are_no_numbers_of_steps(X, complaint):
    for model in twins("mean"):
        with pytest.raises(D2lrnnError, match=f"^{complaint}"):
            model(X, model.begin_state(2))


@pytest.mark.parametrize("head", ["tokens", *HEADS])
def test_a_frozen_embedding_has_no_gradient_and_the_others_have_what_they_had(head):
    X, found = batch(numbers=False), []
    for frozen in (False, True):
        d2lrnn.set_seed(3)
        shape = dict(embed_size=4, num_hiddens=6, head=head, num_outputs=OUTPUTS, init_scale=0.5)
        model = build_model(ModelConfig(**shape, freeze_embedding=frozen), VOCAB_SIZE)
        assert ("embedding.weight" in trainable_parameters(model)) != frozen
        with mx.autograd.record():
            loss = (model(X, model.begin_state(ROWS))[0] ** 2).sum()
        loss.backward()
        found.append(numbers_of(model.parameters(), gradients=True))
    assert found[0].pop("embedding.weight").any()
    assert {name: array.tobytes() for name, array in found[0].items()} == {n: a.tobytes() for n, a in found[1].items()}


@pytest.mark.parametrize("head", ["state", "output", "mean"])
def test_pytorch_computes_the_same_for_texts_of_any_length(head):
    """The same loss and gradients as with PyTorch's packed sequences in float64: ids, an embedding, padding behind."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    d2lrnn.set_seed(6)
    shape = dict(num_hiddens=6, num_layers=2, bidirectional=True, embed_size=SIZE, num_outputs=3)
    model = build_model(ModelConfig(head=head, init_scale=0.8, **shape), VOCAB_SIZE)
    lengths, labels = [5, 2, 3], numpy.array([2, 0, 2], dtype="int32")
    X, counted = batch(numbers=False), np.array(counted_steps(lengths), dtype="float32")
    with mx.autograd.record():
        outcome = d2lrnn.SequenceClass().loss(model, (X, np.array(labels), counted), None)
    outcome.loss.backward()
    embedding = torch.nn.Embedding(VOCAB_SIZE, SIZE)
    rnn, dense = torch.nn.LSTM(SIZE, 6, 2, bidirectional=True, batch_first=True), torch.nn.Linear(12, 3)
    values, gradients = (numbers_of(model.parameters(), flag) for flag in (False, True))
    for part in (embedding, rnn, dense):
        part.double()
    theirs = {name: dict(rnn.named_parameters())[in_pytorch(name)] for name in values if name.startswith("rnn")}
    theirs |= {"embedding.weight": embedding.weight, "dense.weight": dense.weight, "dense.bias": dense.bias}
    assert theirs.keys() == values.keys()
    for name, param in theirs.items():
        param.data = torch.tensor(values[name]).double()
    pack, pad = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence
    inputs = embedding(torch.tensor(X.asnumpy()).long())
    packed, (hidden, _) = rnn(pack(inputs, torch.tensor(lengths), batch_first=True, enforce_sorted=False))
    outputs, _ = pad(packed, batch_first=True)
    read = {
        "state": torch.cat([hidden[-2], hidden[-1]], dim=1),
        "output": torch.stack([outputs[row, length - 1] for row, length in enumerate(lengths)]),
        "mean": torch.stack([outputs[row, :length].mean(dim=0) for row, length in enumerate(lengths)]),
    }[head]
    expected = torch.nn.functional.cross_entropy(dense(read), torch.tensor(labels).long())
    expected.backward()
    assert float(outcome.loss) == pytest.approx(expected.item(), rel=1e-5)
    for name, param in theirs.items():
        assert_close(gradients[name], param.grad.numpy(), 1e-5)
