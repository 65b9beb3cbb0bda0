"""Translators as safetensors files: there and back nothing changes, PyTorch computes the same, hostile files speak."""

import json
from dataclasses import asdict, replace

import numpy
import pytest
from in_pytorch import PAGE, blocks, varied
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tiny import quiet

import d2lrnn
from d2lrnn import ModelConfig, Vocab, build_model, load_checkpoint, save_checkpoint
from d2lrnn.cli import main as cli
from d2lrnn.config.generation import Decoding
from d2lrnn.config.translation import TranslationConfig
from d2lrnn.data.sentences import SPECIAL
from d2lrnn.exchange import ExchangeError, contents_of, export_onnx, export_safetensors, import_safetensors
from d2lrnn.models.parameters import set_values
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.translator import TranslatorRun

SOURCE = Vocab.from_list([*SPECIAL, *"i see a bird .".split()], "word")
TARGET = Vocab.from_list([*SPECIAL, *"我看见鸟。"], "char")
FILE = "model.safetensors"
KINDS = [
    {"attention": "general", "bidirectional": True, "embed_size": 5},
    {"attention": "additive", "num_layers": 2, "embed_size": 6, "tie_weights": True, "cell": "gru"},
    {"attention": "dot", "share": True, "embed_size": 6, "tie_weights": True},
    {"attention": None, "share": True, "cell": "rnn"},
    {"attention": "general", "cell": "lstm_peephole_projected", "num_projections": 4, "bidirectional": True},
    {"kind": "scratch", "attention": "additive", "bidirectional": True, "num_layers": 2},
    {"kind": "scratch", "attention": None, "cell": "gru"},
]


def trained(settings, **more):
    """Return the checkpoint of a translator; all its numbers are by chance."""
    usual = {"num_hiddens": 6, "cell": "lstm", "init_scale": 0.5, "num_outputs": len(TARGET)}
    config = ModelConfig(head="translation", **{**usual, **settings})
    source = TARGET if config.share else SOURCE
    d2lrnn.set_seed(3)
    model = varied(build_model(config, len(source)))
    data = {"plan": asdict(TranslationConfig(source.level, "char", min_count=3, swap=True))}
    about = {"origin": {"given": "cmn", "sha256": "0" * 64}, "reached": {"epoch": 2, "valid_perplexity": 7.5}}
    vocabularies = {"source": source, "target": TARGET}
    found = Checkpoint(config, vocabularies, quiet(), "cmn", task="translation", data=data, **{**about, **more})
    return found.with_parameters(model)


@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: " ".join(map(str, settings.values())))
def test_there_and_back_nothing_changes(settings, tmp_path):
    first = trained(settings)
    path = export_safetensors(first, tmp_path / FILE)
    second = load_checkpoint(import_safetensors(path, tmp_path / "run"))
    assert {name: array.tobytes() for name, array in first.parameters.items()} == {
        name: array.tobytes() for name, array in second.parameters.items()
    }
    assert replace(second, parameters={}, path=None) == replace(first, parameters={})
    contents = contents_of(first)
    trained_numbers = sum(array.size for name, array in first.parameters.items())
    assert contents.num_params == trained_numbers
    levels = (first.vocabularies["source"].level, "char")
    sides = [f"{len(vocab)} tokens of level {level}" for vocab, level in zip(first.vocabularies.values(), levels)]
    assert contents.inputs_and_outputs == " into ".join(sides)
    assert TranslatorRun.open(tmp_path / "run").read("I see xyzzy .").unknown


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return the first of KINDS, with an embedding of five numbers, and its file."""
    folder = tmp_path_factory.mktemp("exported")
    first = trained({**KINDS[0], "init_scale": 2.0})
    return first, export_safetensors(first, folder / FILE)


def test_no_path_of_this_machine_is_told(tmp_path):
    first = trained(KINDS[3], origin={"given": "/home/me/pairs.txt", "sha256": "0" * 64, "data_dir": "/home/me/data"})
    path = export_safetensors(first, tmp_path / FILE)
    assert b"/home" not in path.read_bytes()
    origin = load_checkpoint(import_safetensors(path, tmp_path / "run")).origin
    assert origin == {"given": "pairs.txt", "sha256": "0" * 64}


def test_the_program_on_the_page_translates_as_the_model_does(exported, monkeypatch):
    """In PyTorch, greedily; the page has the name of each tensor and of each entry of the metadata."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
    checkpoint, path = exported
    program = next(block for block in blocks() if "target_vocabulary" in block)
    functions, _, call = program.rpartition("\n\n\n")
    names = {}
    exec(functions, names)
    assert "load(" in call and "translate(" in call
    tensors, about = names["load"](path)
    run = TranslatorRun(path, checkpoint)
    texts = ["i see a bird .", "a bird", "see xyzzy", "bird . i"]
    greedy = Decoding(beam_width=1, max_ratio=0.01)
    expected = d2lrnn.translate_texts(run.model, texts, SOURCE, TARGET, greedy)
    with torch.no_grad():
        found = [
            names["translate"](text.split(), tensors, about)[: len(one.tokens)] for text, one in zip(texts, expected)
        ]
    assert found == [[*one.tokens] for one in expected] and len({one.text for one in expected}) > 2
    page = PAGE.read_text()
    with safe_open(path, "numpy") as file:
        named = {name for name in file.metadata() if name != "format"} | {
            name for name in file.keys() if ".rnn." not in name
        }
    named |= {"decoder.key.weight", "decoder.score.weight", "encoder.rnn.weight_ih_l0"}
    assert not [name for name in named if f"`{name.replace('bridge.1', 'bridge.0')}`" not in page]


def changed_settings(**changes):
    def change(tensors, metadata):
        settings = json.loads(metadata["settings"])
        settings["model_config"].update(changes)
        metadata["settings"] = json.dumps(settings)

    return change


def changed_metadata(**changes):
    def change(tensors, metadata):
        metadata.update(changes)

    return change


def without(*names):
    def change(tensors, metadata):
        for name in names:
            tensors.pop(name, None)
            metadata.pop(name, None)

    return change


def with_tensor(name, array):
    def change(tensors, metadata):
        tensors[name] = array

    return change


PLAN = {"plan": {**asdict(TranslationConfig()), "batching": "at random"}}

WRONG = [
    (without("vocabulary"), "its metadata has no vocabulary: expected a JSON list"),
    (without("target_vocabulary"), "its metadata has no target_vocabulary: expected a JSON list"),
    (without("settings"), "its settings have no model_config, which a translator needs"),
    (without("data"), "the data in its metadata: plan is missing"),
    (without("head"), "the task translation and no head: expected translation"),
    (changed_metadata(head="tokens"), "the task translation and the head 'tokens'"),
    (changed_metadata(target_vocabulary="[1]"), "the target_vocabulary in its metadata: "),
    (changed_metadata(target_level="verse"), "the target_vocabulary in its metadata: "),
    (changed_metadata(vocabulary=json.dumps([*"abcdefghi"])), "the vocabulary of the source does not begin with <pad>"),
    (changed_metadata(target_vocabulary=json.dumps([*SPECIAL, "a"])), "target has 5 tokens, and there are 9 outputs"),
    (changed_metadata(data=json.dumps(PLAN)), "the data in its metadata: unknown batching 'at random'"),
    (changed_metadata(data="{"), "the data in its metadata: "),
    (changed_settings(head="tokens"), "its settings describe no translator in this file: "),
    (changed_settings(num_layers=1_000_000), "its settings describe no translator in this file: "),
    (changed_settings(num_layers=90), "its settings describe no translator in this file: they have the head"),
    (changed_settings(num_hiddens=10**9), "has the shape (6,): expected (1000000000,), by its settings"),
    (changed_settings(num_outputs=8), "the tensor 'decoder.embedding.weight' has the shape (9, 5): expected (8, 5)"),
    (changed_settings(attention="additive"), "the tensor 'decoder.key.weight' is missing: expected (6, 12)"),
    (changed_settings(attention=None), "the tensor 'decoder.combined.weight' has the shape (6, 18): expected no such"),
    (
        changed_settings(attention="magic"),
        "its settings describe no translator in this file: unknown attention 'magic'",
    ),
    (changed_settings(share=True), "its settings describe no translator in this file: "),
    (changed_settings(cell="mine"), "its settings describe no translator in this file: "),
    (changed_settings(colour="red"), "its settings describe no translator in this file: "),
    (without("bridge.0.bias"), "the tensor 'bridge.0.bias' is missing: expected (6,), by its settings"),
    (with_tensor("more", numpy.ones(3, "float32")), "the tensor 'more' has the shape (3,): expected no such tensor"),
    (with_tensor("decoder.output.bias", numpy.ones(9)), "is of type F64: expected F32"),
    (with_tensor("decoder.output.bias", numpy.full(9, numpy.nan, "float32")), "has numbers that are not finite"),
    (with_tensor("\x1b[31m", numpy.ones(3, "float32")), "has the shape (3,): expected no such tensor"),
]


@pytest.mark.parametrize(("change", "expected"), WRONG, ids=[expected[:40] for _, expected in WRONG])
def test_a_file_that_holds_no_translator_is_a_sentence(change, expected, exported, tmp_path):
    tensors = load_file(exported[1])
    with safe_open(exported[1], "numpy") as file:
        metadata = file.metadata()
    change(tensors, metadata)
    save_file(tensors, tmp_path / FILE, metadata)
    with pytest.raises(ExchangeError) as caught:
        import_safetensors(tmp_path / FILE, tmp_path / "run")
    assert expected in str(caught.value) and "\x1b" not in str(caught.value) and len(str(caught.value)) < 500
    assert not (tmp_path / "run").exists()


def test_weights_that_are_to_be_tied_are_equal(tmp_path):
    path = export_safetensors(trained(KINDS[1]), tmp_path / FILE)
    tensors = load_file(path)
    assert numpy.array_equal(tensors["decoder.output.weight"], tensors["decoder.embedding.weight"])
    tensors["decoder.output.weight"][0, 0] += 1
    with safe_open(path, "numpy") as file:
        save_file(tensors, tmp_path / "other.safetensors", file.metadata())
    with pytest.raises(ExchangeError, match="tie_weights, and decoder.output.weight is not the embedding"):
        import_safetensors(tmp_path / "other.safetensors", tmp_path / "run")


def test_what_cannot_be_said_of_a_translator(exported, tmp_path):
    first, path = exported
    for given in ({"cell": "gru"}, {"vocab": SOURCE}):
        with pytest.raises(ExchangeError, match="leave out --cell, --vocabulary and --level"):
            import_safetensors(path, tmp_path / "run", **given)
    with pytest.raises(ExchangeError, match="a translator keeps its kind, which is gluon: leave --kind out"):
        import_safetensors(path, tmp_path / "run", kind="scratch")
    with pytest.raises(ExchangeError, match="a translator cannot be written as an ONNX graph yet"):
        export_onnx(first, tmp_path / "model.onnx")
    model = first.build_model()
    set_values(model.decoder.dense.bias, numpy.full(len(TARGET), numpy.inf))
    with pytest.raises(ExchangeError, match="decoder.b_q has numbers that are not finite"):
        export_safetensors(first.with_parameters(model), tmp_path / FILE)
    with pytest.raises(ExchangeError, match="the vocabulary of the target does not begin with <pad>"):
        export_safetensors(replace(first, vocabularies={"source": SOURCE}), tmp_path / FILE)
    assert not list(tmp_path.iterdir())


def test_the_commands(exported, tmp_path, capsys):
    save_checkpoint(tmp_path / "run" / "model.d2lrnn", exported[0])
    assert cli.main(["export", str(tmp_path / "run"), "--to", "safetensors"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[1].endswith(" parameters, 9 tokens of level word into 9 tokens of level char")
    assert out[2] == "checked  read back; all numbers, the vocabularies and the settings are equal"
    assert cli.main(["import", str(tmp_path / "run" / FILE), "--out", str(tmp_path / "new")]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].endswith(" hidden units, 9 tokens of level word into 9 tokens of level char")
    assert out[-1].endswith(f"translate {tmp_path / 'new'} TEXT") and len(out) == 3
    texts = []
    for name in ("run", "new"):
        assert cli.main(["translate", str(tmp_path / name), "I see a bird."]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != "\n"
    assert cli.main(["export", str(tmp_path / "run"), "--to", "onnx"]) == 1
    assert "a translator cannot be written as an ONNX graph yet: write a safetensors file" in capsys.readouterr().err
