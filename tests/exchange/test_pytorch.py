"""Exported models compute in PyTorch what they compute here, and those of PyTorch here what they compute there."""

import json

import numpy
import pytest
from in_pytorch import ByStep, logits_of, run_program, varied
from parity import assert_close, projections
from tiny import tiny_model

import d2lrnn
from d2lrnn import Corpus, ModelConfig, TrainConfig, Vocab, load_checkpoint, predict_batch
from d2lrnn._runtime import mx
from d2lrnn.exchange import export_safetensors, import_safetensors
from d2lrnn.exchange.contents import contents_of_model
from d2lrnn.exchange.pytorch import MODULES, NAMES, module_of, shape_of, tensors_of
from d2lrnn.runs.checkpoint import Checkpoint

VOCAB = Vocab.from_list("abcdefghijklmnopqrs")
CORPUS = Corpus("letters", VOCAB, VOCAB.encode("abc"))
NUM_STEPS = 25  # of a part of the 200 steps: unrolled layers are compiled for this number alone

# The settings of models beside their cell; two layers each.  Gluon's gru is gru_reset_after.
KINDS = [("scratch", {}), ("gluon", {}), ("gluon", {"embed_size": 6})]
MODELS = [
    {"kind": kind, "cell": cell, "num_layers": 2, **projections(cell), **more}
    for cell in d2lrnn.CELLS
    for kind, more in KINDS
    if (kind, cell) != ("gluon", "gru")
]
TIED = {"kind": "gluon", "cell": "lstm", "num_layers": 2, "embed_size": 8, "tie_weights": True}
FROM_BOTH_ENDS = [
    {"kind": kind, "cell": cell, "num_layers": 2, "bidirectional": True, **projections(cell)}
    for cell in ("rnn", "gru", "lstm_projected", "lstm_peephole")
    for kind in ("scratch", "gluon")
]
# oneDNN says so at each LSTM with a projection.
no_onednn = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")


def name_of(settings):
    return " ".join(f"{name}" if value is True else str(value) for name, value in settings.items())


def model_of(settings):
    return varied(tiny_model(len(VOCAB), init_scale=0.8, **settings))


def checkpoint_of(settings):
    model = model_of(settings)
    return model, Checkpoint.of(model, ModelConfig(num_hiddens=8, **settings), TrainConfig(), CORPUS)


def in_torch(torch, path):
    """Return an exported model as a function of ids and state, by the program of the page, or by its steps."""
    from safetensors.torch import load_file, safe_open

    with safe_open(str(path), "pt") as file:
        has_module = "module" in file.metadata()
    if has_module:
        model = run_program(path, "ab", 5)["model"]
        return lambda ids, state=None: logits_of(torch, model, ids, state)
    by_step = ByStep(load_file(str(path)))
    return lambda ids, state=None: by_step(torch, ids, state)


def write(other, prefixes, num_preds):
    """Continue texts of one length by the tokens that a model of PyTorch's holds for the likeliest."""
    written = [[*prefix] for prefix in prefixes]
    ids, state = numpy.stack([VOCAB.encode(prefix) for prefix in prefixes]), None
    for _ in range(num_preds):
        logits, state = other(ids, state)
        ids = logits[:, -1:].argmax(2)
        for text, token in zip(written, ids[:, 0]):
            text.append(VOCAB.idx_to_token[token])
    return ["".join(text) for text in written]


def assert_reads_alike(other, model, num_parts):
    """Hold a model of PyTorch's against a model on ids by chance, in parts, with the state carried."""
    generator = numpy.random.default_rng(1)
    state, others_state = model.begin_state(2), None
    for _ in range(num_parts):
        ids = generator.integers(0, len(VOCAB), (2, NUM_STEPS))
        logits, state = model(mx.np.array(ids, dtype="int32"), state)
        found, others_state = other(ids, others_state)
        assert_close(found, logits.asnumpy().reshape(NUM_STEPS, 2, -1).transpose(1, 0, 2))


@no_onednn
@pytest.mark.parametrize("settings", [*MODELS, TIED], ids=name_of)
def test_an_exported_model_computes_and_writes_the_same_in_pytorch(settings, torch, tmp_path):
    """Logits over 200 steps, to 1e-5 of the largest, and the text that the likeliest tokens make."""
    model, checkpoint = checkpoint_of(settings)
    path = export_safetensors(checkpoint, tmp_path / "model.safetensors")
    other, prefixes = in_torch(torch, path), ["a" + token for token in VOCAB.idx_to_token]
    assert_reads_alike(other, model, 200 // NUM_STEPS)
    texts = predict_batch(prefixes, 20, model, VOCAB)
    assert texts == write(other, prefixes, 20) and len({text[2:] for text in texts}) > 3


@no_onednn
@pytest.mark.parametrize("settings", FROM_BOTH_ENDS, ids=name_of)
def test_a_model_that_reads_from_both_ends_computes_the_same_in_pytorch(settings, torch, tmp_path):
    model, checkpoint = checkpoint_of(settings)
    other = in_torch(torch, export_safetensors(checkpoint, tmp_path / "model.safetensors"))
    assert_reads_alike(other, model, 1)


# A layer of torch.nn, the cell that it has, and what import has to be told.
LAYERS = [
    ("RNN", {}, "rnn", {}),
    ("RNN", {"nonlinearity": "relu"}, "rnn_relu", {"cell": "rnn_relu"}),
    ("GRU", {}, "gru_reset_after", {}),
    ("LSTM", {}, "lstm", {}),
    ("LSTM", {"proj_size": 5}, "lstm_projected", {}),
]


def torch_model(torch, name, embed_size=None, tied=False, **options):
    """Return a model of parts that are called as the page says, two layers of eight units."""
    torch.manual_seed(4)
    width = options.get("proj_size") or 8
    parts = {"rnn": getattr(torch.nn, name)(embed_size or len(VOCAB), 8, 2, batch_first=True, **options)}
    parts["decoder"] = torch.nn.Linear(width, len(VOCAB))
    if embed_size:
        parts["encoder"] = torch.nn.Embedding(len(VOCAB), embed_size)
    if tied:
        parts["decoder"].weight = parts["encoder"].weight
    return torch.nn.ModuleDict(parts)


@no_onednn
@pytest.mark.parametrize("embed_size", [None, 6])
@pytest.mark.parametrize(("name", "options", "cell", "told"), LAYERS, ids=[layer[2] for layer in LAYERS])
def test_a_model_from_pytorch_computes_the_same_by_the_equations_of_the_book(
    torch, tmp_path, name, options, cell, told, embed_size
):
    from safetensors.torch import save_file

    model, path = torch_model(torch, name, embed_size, **options), tmp_path / "torch.safetensors"
    save_file(model.state_dict(), path, metadata={"vocabulary": json.dumps(VOCAB.idx_to_token)})
    for kind in ("scratch", "gluon"):
        run = import_safetensors(path, tmp_path / kind, kind, **told)
        ours = load_checkpoint(run)
        assert ours.shape == ModelConfig(
            kind,
            cell,
            8,
            2,
            embed_size=embed_size if kind == "gluon" else None,
            num_projections=options.get("proj_size"),
        )
        assert_reads_alike(lambda ids, state: logits_of(torch, model, ids, state), ours.build_model(), 2)


def test_tied_weights_come_from_pytorch_as_one(torch, tmp_path):
    from safetensors.torch import save_model

    model, path = torch_model(torch, "LSTM", 8, tied=True), tmp_path / "torch.safetensors"
    save_model(
        model, str(path), {"vocabulary": json.dumps({token: i for i, token in enumerate("abcdefghijklmnopqrs")})}
    )
    ours = load_checkpoint(import_safetensors(path, tmp_path / "run"))
    assert ours.shape.tie_weights and "dense.weight" not in ours.parameters
    assert_reads_alike(lambda ids, state: logits_of(torch, model, ids, state), ours.build_model(), 2)


def test_the_layout_of_a_gate_is_pytorchs(torch):
    """The names and shapes that torch.nn makes are those that are written; no name is left over."""
    for settings in [*MODELS, TIED]:
        contents = contents_of_model(model_of(settings), VOCAB)
        module = module_of(shape_of(contents))
        assert (module is None) == (settings["cell"] not in MODULES)
        if module is not None:
            layer = getattr(torch.nn, module.pop("class"))(**module)
            found = {f"rnn.{name}": tuple(tensor.shape) for name, tensor in layer.state_dict().items()}
            written = {name: array.shape for name, array in tensors_of(contents).items() if name.startswith("rnn.")}
            assert found == written


def test_gates_stand_below_one_another_in_pytorchs_order():
    """By hand: i, f, g, o of an LSTM with peepholes and a projection, each the transpose of the book's matrix."""
    model = model_of({"kind": "scratch", "cell": "lstm_peephole_projected", "num_projections": 3})
    params, tensors = model.parameters(), tensors_of(contents_of_model(model, VOCAB))
    assert list(tensors) == [*(f"rnn.{name}_l0" for name in NAMES.values()), "decoder.weight", "decoder.bias"]
    for i, gate in enumerate("ifco"):
        rows = slice(8 * i, 8 * i + 8)
        for name, letters in (("weight_ih", "W_x"), ("weight_hh", "W_h"), ("bias_ih", "b_")):
            expected = params[letters + gate].asnumpy().T
            assert numpy.array_equal(tensors[f"rnn.{name}_l0"][rows], expected)
    for i, gate in enumerate("ifo"):
        assert numpy.array_equal(tensors["rnn.weight_ch_l0"][8 * i : 8 * i + 8], params[f"w_c{gate}"].asnumpy())
    assert numpy.array_equal(tensors["rnn.weight_hr_l0"], params["W_mr"].asnumpy().T)
    assert numpy.array_equal(tensors["decoder.weight"], params["W_hq"].asnumpy().T)
    assert not tensors["rnn.bias_hh_l0"].any() and tensors["rnn.weight_hh_l0"].shape == (32, 3)
