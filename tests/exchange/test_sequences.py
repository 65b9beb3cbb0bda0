"""Classifiers and forecasters as files: there and back, in PyTorch and in onnxruntime, and what is refused."""

import json
from dataclasses import replace

import numpy
import onnx
import onnxruntime
import pytest
from in_pytorch import varied, with_names_of_page
from parity import assert_close, projections
from safetensors.numpy import load_file, safe_open, save
from tiny import tiny_model

from d2lrnn import ModelConfig, TrainConfig, Vocab, load_checkpoint, save_checkpoint
from d2lrnn._runtime import mx
from d2lrnn.data.lines import counted_steps
from d2lrnn.exchange import ExchangeError, contents_of, export_onnx, export_safetensors, import_safetensors
from d2lrnn.exchange.pytorch import MODULES
from d2lrnn.runs.checkpoint import Checkpoint
from d2lrnn.runs.classifier import ClassifierRun, label_vocab
from d2lrnn.runs.forecaster import ForecasterRun

VOCAB = Vocab.from_list("abcdefg")
CLASSES = label_vocab(("ja", "nein", "vielleicht"))
LENGTHS = (5, 3, 1)  # of the rows of a batch; the steps behind are padding
NUM_STEPS = LENGTHS[0]
NUMBERS, IDS, EMBEDDED = {"input_size": 4}, {}, {"embed_size": 6}
PLAN = {
    "horizon": 2,
    "stride": 1,
    "loss": "squared",
    "difference": True,
    "logarithm": False,
    "season": None,
    "noise": 0,
}
SERIES = {"columns": ["a", "b"], "time_column": "day", "plan": PLAN, "mean": [0.5, -1.25], "std": [2.0, 0.1]}

# Each cell and each head, in one direction and two, for numbers and for ids.
MODELS = {
    "rnn state": {"cell": "rnn", "head": "state", "bidirectional": True, **NUMBERS},
    "rnn_relu output": {"cell": "rnn_relu", "head": "output", **EMBEDDED},
    "gru mean": {"cell": "gru", "kind": "scratch", "head": "mean", "bidirectional": True, **NUMBERS},
    "gru_reset_after output": {"cell": "gru_reset_after", "head": "output", "bidirectional": True, **IDS},
    "lstm mean": {"cell": "lstm", "head": "mean", "bidirectional": True, **EMBEDDED},
    "lstm steps": {"cell": "lstm", "head": "steps", "num_layers": 2},
    "lstm_peephole state": {"cell": "lstm_peephole", "head": "state", "num_layers": 2, **NUMBERS},
    "lstm_projected state": {"cell": "lstm_projected", "head": "state", "bidirectional": True, **IDS},
    "lstm_projected steps": {"cell": "lstm_projected", "kind": "scratch", "head": "steps"},
    "lstm_peephole_projected output": {"cell": "lstm_peephole_projected", "head": "output", "num_layers": 2, **NUMBERS},
}
no_onednn = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")


def checkpoint_of(**settings):
    """Return the checkpoint of a classifier of three classes, or of a forecaster of two columns, two ahead."""
    forecasts = settings["head"] == "steps"
    settings = {"num_outputs": 4 if forecasts else 3, **({"input_size": 2} if forecasts else {}), **settings}
    settings |= projections(settings["cell"])
    vocab = None if "input_size" in settings else VOCAB
    model = varied(tiny_model(None if vocab is None else len(vocab), init_scale=0.5, **settings))
    config = ModelConfig(**{"num_hiddens": 8, **settings})
    named = {} if vocab is None else {"text": vocab}
    if forecasts:
        origin = {"given": "/home/somebody/waves.csv", "sha256": "0" * 64, "held_out": 0.1}
        about = {"task": "forecasting", "data": SERIES, "origin": origin}
    else:
        named["labels"] = CLASSES
        about = {"task": "classification", "origin": {"given": "digits", "sha256": "1" * 64}}
    checkpoint = Checkpoint(config, named, TrainConfig(num_epochs=2), "some", reached={"epoch": 1}, **about)
    return checkpoint.with_parameters(model), model


def batch(model):
    """Return a padded batch by chance, and how many steps of each row count."""
    draw, shape = numpy.random.default_rng(2), (len(LENGTHS), NUM_STEPS)
    if model.vocab_size:
        return draw.integers(0, model.vocab_size, shape), numpy.array(LENGTHS)
    return draw.normal(size=(*shape, model.input_size)).astype("float32"), numpy.array(LENGTHS)


def answers(model, X, lengths):
    """Return what a model answers; all steps of a forecaster count."""
    counted = None
    if model.head != "steps":
        counted = mx.np.array(counted_steps(lengths, NUM_STEPS), dtype="float32")
    X = mx.np.array(X, dtype="int32" if model.vocab_size else "float32")
    return model(X, model.begin_state(len(X)), counted)[0].asnumpy()


def session_of(path):
    """Load a file into onnxruntime, without threads of its own."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@no_onednn
@pytest.mark.parametrize("settings", MODELS.values(), ids=MODELS)
def test_onnxruntime_computes_the_same(settings, tmp_path):
    checkpoint, model = checkpoint_of(**settings)
    exported = export_onnx(checkpoint, tmp_path / "model.onnx")
    assert exported.difference < 1e-5
    session, (X, lengths) = session_of(exported.path), batch(model)
    name = "ids" if model.vocab_size else "numbers"
    arrays = {name: X} if model.head == "steps" else {name: X, "lengths": lengths}
    assert [array.name for array in session.get_inputs()] == list(arrays)
    (found,) = session.run(None, arrays)
    assert_close(found, answers(model, X, lengths))
    for row, length in enumerate(lengths):  # alone and without padding
        one = {array: values[row : row + 1] for array, values in arrays.items()}
        one[name] = one[name][:, :length]
        expected = found[row, :length] if model.head == "steps" else found[row]
        if model.head != "steps" or not model.bidirectional:
            assert_close(session.run(None, one)[0][0], expected)
    proto = onnx.load(str(exported.path))
    assert (proto.ir_version, proto.opset_import[0].version) == (7, 13)


@no_onednn
@pytest.mark.parametrize("settings", MODELS.values(), ids=MODELS)
def test_there_and_back_nothing_changes(settings, tmp_path):
    first, _ = checkpoint_of(**settings)
    path = export_safetensors(first, tmp_path / "model.safetensors")
    second = load_checkpoint(import_safetensors(path, tmp_path / "run"))
    assert {name: array.tobytes() for name, array in first.parameters.items()} == {
        name: array.tobytes() for name, array in second.parameters.items()
    }
    if first.task == "forecasting":  # the file's name without its folder
        assert first.origin.pop("given") == "/home/somebody/waves.csv" and second.origin.pop("given") == "waves.csv"
    assert replace(second, parameters={}, path=None) == replace(first, parameters={})
    assert b"/home" not in path.read_bytes()
    (ForecasterRun if first.task == "forecasting" else ClassifierRun).open(tmp_path / "run")


@no_onednn
@pytest.mark.parametrize("name", [name for name, settings in MODELS.items() if settings["cell"] in MODULES])
def test_pytorch_computes_the_same_by_the_program_of_the_page(name, tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
    checkpoint, model = checkpoint_of(**MODELS[name])
    path = export_safetensors(checkpoint, tmp_path / "model.safetensors")
    page = with_names_of_page()
    (X, lengths), (other, about) = batch(model), page["load"](str(path))
    lengths = numpy.full(len(X), NUM_STEPS) if model.head == "steps" else lengths
    with torch.no_grad():
        found = page["answer"](other, about, torch.tensor(X), torch.tensor(lengths)).numpy()
    assert_close(found, answers(model, X, lengths))


def test_the_metadata_tell_what_another_program_needs(tmp_path):
    classifier, _ = checkpoint_of(cell="lstm", head="mean", **IDS)
    forecaster, _ = checkpoint_of(cell="lstm", head="steps")
    for checkpoint in (classifier, forecaster):
        path = export_safetensors(checkpoint, tmp_path / f"{checkpoint.task}.safetensors")
        session = session_of(export_onnx(checkpoint, tmp_path / f"{checkpoint.task}.onnx").path)
        with safe_open(path, "numpy") as file:
            about = file.metadata()
        of_graph = session.get_modelmeta().custom_metadata_map
        assert about == {**of_graph, "format": "pt", "module": about["module"]}
        shapes = [array.shape for array in (*session.get_inputs(), *session.get_outputs())]
        assert (about["task"], about["head"]) == (checkpoint.task, checkpoint.shape.head)
        if checkpoint is classifier:
            assert json.loads(about["classes"]) == ["ja", "nein", "vielleicht"] and "data" not in about
            assert (json.loads(about["vocabulary"]), about["level"]) == (list("abcdefg"), "char")
            assert shapes == [["batch_size", "num_steps"], ["batch_size"], ["batch_size", 3]]
        else:
            assert json.loads(about["data"]) == SERIES and not {"classes", "vocabulary", "level"} & about.keys()
            assert shapes == [["batch_size", "num_steps", 2], ["batch_size", "num_steps", 4]]


def test_a_classifier_of_pytorchs_needs_no_settings(tmp_path):
    """Task, head and classes beside the tensors are enough; the model reads numbers, since there is no vocabulary."""
    checkpoint, model = checkpoint_of(cell="lstm", head="mean", **NUMBERS)
    tensors = load_file(export_safetensors(checkpoint, tmp_path / "model.safetensors"))
    about = {"task": "classification", "head": "mean", "classes": '["x", "y", "z"]'}
    (tmp_path / "plain.safetensors").write_bytes(save(tensors, about))
    found = ClassifierRun.open(import_safetensors(tmp_path / "plain.safetensors", tmp_path / "run").parent)
    assert found.classes == ("x", "y", "z") and found.checkpoint.shape.input_size == 4
    X, lengths = batch(model)
    assert numpy.array_equal(answers(found.model, X, lengths), answers(model, X, lengths))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The tensors and the metadata of a classifier's and of a forecaster's file."""
    folder, found = tmp_path_factory.mktemp("whole"), {}
    for settings in ({"cell": "lstm", "head": "mean", **NUMBERS}, {"cell": "lstm", "head": "steps"}):
        checkpoint, _ = checkpoint_of(**settings)
        path = export_safetensors(checkpoint, folder / f"{checkpoint.task}.safetensors")
        with safe_open(path, "numpy") as file:
            found[checkpoint.task] = load_file(path), file.metadata()
    return found


GONE = None
SIZES = "a series of {} columns, {} means and {} deviations is forecast {} ahead by a model with 2 inputs and 4 outputs"


def series(**changes):
    return {"data": json.dumps({**SERIES, **changes})}


BROKEN = {
    "no such task": (
        "classification",
        {"task": "chess"},
        "the task 'chess': expected one of language_model, classific",
    ),
    "no head": ("classification", {"head": GONE}, "the task classification and no head: expected state or output or"),
    "another head": (
        "classification",
        {"head": "steps"},
        "the task classification and the head 'steps': expected state",
    ),
    "no classes": (
        "classification",
        {"classes": GONE},
        "its metadata has no classes: expected a JSON list with the name",
    ),
    "classes no JSON": ("classification", {"classes": "ja"}, "the classes in its metadata: it is no JSON"),
    "classes no texts": (
        "classification",
        {"classes": "[1, 2, 3]"},
        r"the classes in its metadata: \[0\] is 1: expected",
    ),
    "a class twice": (
        "classification",
        {"classes": '["a", "a", "b"]'},
        "the classes in its metadata: .*'a' is there tw",
    ),
    "a class too few": (
        "classification",
        {"classes": '["a", "b"]'},
        "there are 2 classes and 3 outputs: expected an out",
    ),
    "strange data": (
        "classification",
        {"data": '{"shift": -1}'},
        "the data in its metadata: shift is -1: expected a wh",
    ),
    "a vocabulary too": (
        "classification",
        {"vocabulary": '["a", "b", "c", "d"]'},
        "its settings have input_size 4, and there is a vocabulary: expected a vocabulary for a model that reads ids",
    ),
    "ids without a vocabulary": (
        "classification",
        {"settings": '{"model_config": {"input_size": null}}'},
        "its settings have input_size None, and there is no vocabulary: expected .* or input_size 4 for one that reads",
    ),
    "a language model without a vocabulary": (
        "classification",
        {"task": GONE, "head": GONE},
        "has no vocabulary: name a",
    ),
    "no data": ("forecasting", {"data": GONE}, "the data in its metadata: columns is missing"),
    "data a list": ("forecasting", {"data": "[]"}, r"the data in its metadata: it is \[\]: expected named fields"),
    "a strange plan": (
        "forecasting",
        series(plan={**PLAN, "horizon": 0}),
        "the data in its metadata: horizon is 0: expected a whole number, at least 1",
    ),
    "a column too many": ("forecasting", series(columns=["a", "b", "c"]), SIZES.format(3, 2, 2, 2)),
    "a mean too few": ("forecasting", series(mean=[1.0]), SIZES.format(2, 1, 2, 2)),
    "another horizon": ("forecasting", series(plan={**PLAN, "horizon": 3}), SIZES.format(2, 2, 2, 3)),
    "no deviation": ("forecasting", series(std=[1.0, 0]), "a deviation of the series is 0: expected numbers above 0"),
    "a mean that is none": ("forecasting", series(mean=[1.0, "x"]), r"mean\[1\] is 'x': expected a finite number"),
}


@pytest.mark.parametrize(("task", "changes", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_file_that_says_what_cannot_be(task, changes, expected, whole, tmp_path):
    tensors, about = whole[task]
    about = {name: value for name, value in {**about, **changes}.items() if value is not GONE}
    path = tmp_path / "broken.safetensors"
    path.write_bytes(save(tensors, about))
    with pytest.raises(ExchangeError, match=expected) as found:
        import_safetensors(path, tmp_path / "run")
    assert str(found.value).startswith(f"{path}: ") and "\n" not in str(found.value)
    assert [place.name for place in tmp_path.iterdir()] == ["broken.safetensors"]


def test_a_vocabulary_for_a_model_that_reads_numbers_is_refused(tmp_path):
    checkpoint, _ = checkpoint_of(cell="lstm", head="mean", **NUMBERS)
    path = export_safetensors(checkpoint, tmp_path / "model.safetensors")
    for tokens, expected in (
        ("abcd", "its settings have input_size 4, and there is a vocabulary"),
        ("ab", "has 2 tok"),
    ):
        with pytest.raises(ExchangeError, match=expected):
            import_safetensors(path, tmp_path / "run", vocab=Vocab.from_list(tokens))


def test_a_classifier_without_its_classes_cannot_be_written(tmp_path):
    checkpoint, _ = checkpoint_of(cell="lstm", head="mean", **NUMBERS)
    with pytest.raises(ExchangeError, match="there are 0 classes and 3 outputs: expected an output for each"):
        contents_of(replace(checkpoint, vocabularies={}))
    with pytest.raises(ExchangeError, match="the task is forecasting, and the head 'mean': expected steps"):
        contents_of(replace(checkpoint, task="forecasting", data=SERIES))
    forecaster, _ = checkpoint_of(cell="lstm", head="steps")
    with pytest.raises(ExchangeError, match="the data: columns is missing"):
        contents_of(replace(forecaster, data={}))


def test_what_an_imported_forecaster_says_of_its_series(tmp_path):
    """Its file is not there any more, and a series that no file names is not taken for the generated one."""
    checkpoint, _ = checkpoint_of(cell="lstm", head="steps")
    path = export_safetensors(checkpoint, tmp_path / "model.safetensors")
    run = ForecasterRun.open(import_safetensors(path, tmp_path / "run"))
    with pytest.raises(ValueError, match="the run's series is not at waves.csv any more: name its new place, --corpus"):
        run.source()
    save_checkpoint(tmp_path / "run" / "model.d2lrnn", replace(checkpoint, origin={}))
    with pytest.raises(ValueError, match="does not say which series it was trained on: name a file .*, --corpus FILE"):
        ForecasterRun.open(tmp_path / "run").source()
