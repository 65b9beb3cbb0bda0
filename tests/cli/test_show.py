"""The command ``show``, from the arguments to the picture."""

import inspect
import math
import re
from functools import partial

import pytest
from pictures import assert_drawn

from d2lrnn import (
    ModelConfig,
    Sampling,
    TrainConfig,
    build_model,
    embedding_map,
    gate_activations,
    generate,
    load_text,
    next_token_probabilities,
    plot_embedding,
    plot_gates,
    plot_next,
    predict,
)
from d2lrnn._runtime import mx
from d2lrnn.cli import main as cli
from d2lrnn.cli import show as show_command
from d2lrnn.models.parameters import get_values, named_parameters, set_values
from d2lrnn.runs.checkpoint import Checkpoint, save_checkpoint
from d2lrnn.runs.trained import load_run


@pytest.fixture
def save(tmp_path, tiny_corpus):
    """Keep a new model as if it had been trained; returns its folder."""

    def save(prefixes=("the quick", "fox"), change=None, **shape):
        config = ModelConfig(**{"num_hiddens": 20, "init_scale": 0.8, **shape})
        model = build_model(config, tiny_corpus.vocab_size)
        for param in named_parameters(model).values() if change else ():
            set_values(param, mx.np.array(change(get_values(param).asnumpy())))
        folder = tmp_path / "fox"
        save_checkpoint(
            folder / "model.d2lrnn", Checkpoint.of(model, config, TrainConfig(prefixes=prefixes), tiny_corpus)
        )
        return folder

    return save


@pytest.fixture
def show(capsys):
    """Run the command as a user does, in this process; returns its status and what it printed."""

    def run(*arguments):
        status = cli.main(["show", *map(str, arguments)])
        out, err = capsys.readouterr()
        return status, out + err

    return run


@pytest.mark.parametrize(("options", "prefix"), [([], "the quick"), (["--prefix", "over"], "over")])
def test_what_may_come_next(save, show, options, prefix):
    folder = save(embed_size=6)
    assert show(folder, *options) == (0, f"picture  {folder / 'next.png'}\n")
    run = load_run(folder)
    expected = next_token_probabilities(prefix, run.build_model(), run.vocab)
    assert_drawn(folder / "next.png", plot_next, expected, title=f"fox: what follows {prefix!r}")


def test_a_long_prefix_is_cut_in_the_title_alone(save, show):
    folder = save()
    prefix = "the quick brown fox jumps over the lazy dog"
    show(folder, "--prefix", prefix, "--count", 3)
    run = load_run(folder)
    expected = next_token_probabilities(prefix, run.build_model(), run.vocab, 3)
    assert_drawn(folder / "next.png", plot_next, expected, title="fox: what follows '... ver the lazy dog'")


def test_gates_over_a_text(save, show, tmp_path):
    folder, text = save(cell="gru", num_layers=2), "lazy dog"
    drawing, picture = tmp_path / "new" / "gates.svg", tmp_path / "new" / "gates.png"
    for path in (drawing, picture):
        options = ["--what", "gates", "--prefix", text, "--layer", 1, "--count", 5, "--out", path]
        assert show(folder / "model.d2lrnn", *options) == (0, f"picture  {path}\n")
    assert "<svg" in drawing.read_text()[:1000]
    run = load_run(folder)
    gates = gate_activations(text, run.build_model(), run.vocab, 1)
    plot = partial(plot_gates, num_units=5)
    assert_drawn(picture, plot, gates, list(text), title="fox: gates of the gru, layer 1")


def test_gates_over_what_the_model_writes_where_no_text_is_given(save, show):
    folder = save()
    assert show(folder / "model.d2lrnn", "--what", "gates") == (0, f"picture  {folder / 'gates.png'}\n")
    run = load_run(folder)
    model = run.build_model()
    text = predict("the quick", 30, model, run.vocab)
    gates = gate_activations(text, model, run.vocab)
    assert_drawn(folder / "gates.png", plot_gates, gates, list(text), title="fox: gates of the lstm, layer 0")


def test_a_model_of_lines_reads_a_line_end_first(tmp_path, show):
    path = tmp_path / "rain.txt"
    path.write_text("rain\nin spain\nfalls\n" * 3)
    corpus = load_text(path, lines=True)
    config, training = ModelConfig(num_hiddens=20, init_scale=0.8), TrainConfig(prefixes=("\n",), batches="lines")
    model = build_model(config, corpus.vocab_size)
    save_checkpoint(tmp_path / "run" / "model.d2lrnn", Checkpoint.of(model, config, training, corpus))
    assert show(tmp_path / "run", "--prefix", "in", "--count", 5)[0] == 0
    expected = next_token_probabilities("\nin", model, corpus.vocab, 5)
    assert_drawn(tmp_path / "run" / "next.png", plot_next, expected, title=f"run: what follows {chr(10) + 'in'!r}")
    assert show(tmp_path / "run", "--what", "gates")[0] == 0
    (written,) = generate(["\n"], 30, model, corpus.vocab, Sampling(temperature=0.0, stop="\n"))
    gates, title = gate_activations(written.text, model, corpus.vocab), "run: gates of the lstm, layer 0"
    assert_drawn(tmp_path / "run" / "gates.png", plot_gates, gates, list(written.text), title=title)


@pytest.mark.parametrize(
    ("shape", "what"), [({"embed_size": 6}, "embedding"), ({}, "input weights"), ({"kind": "scratch"}, "input weights")]
)
def test_a_map_of_the_tokens(save, show, shape, what):
    folder = save(**shape)
    assert show(folder, "--what", "embedding", "--count", 9) == (0, f"picture  {folder / 'embedding.png'}\n")
    run = load_run(folder)
    expected, title = embedding_map(run.build_model(), run.vocab, 9), f"fox: {what} of the 9 most frequent tokens"
    assert_drawn(folder / "embedding.png", plot_embedding, expected, title=title)


@pytest.mark.parametrize(
    ("shape", "options", "complaint"),
    [
        ({}, ["--what", "embedding", "--prefix", "a"], "--prefix given, but a picture of embedding has no use for it"),
        ({}, ["--layer", 0], "--layer given, but a picture of next has no use for it: leave it out"),
        ({}, ["--what", "embedding", "--layer", 0], "--layer given, but a picture of embedding has no use"),
        ({"cell": "rnn"}, ["--what", "gates"], "the cell rnn has no gates to look at"),
        ({}, ["--what", "gates", "--layer", 1], "layer is 1: expected 0 to 0"),
        (
            {"bidirectional": True},
            ["--what", "gates"],
            "a bidirectional model cannot be a left-to-right language model",
        ),
        ({}, ["--prefix", "☃"], r"unknown character '☃' \(U\+2603\)"),
        ({}, ["--prefix", ""], "the prefix is empty"),
        ({"prefixes": ()}, [], "was trained without prefixes: say what the model is to read, --prefix TEXT"),
        ({}, ["--count", 0], "count is 0: expected a whole number, at least 1"),
        ({}, ["--what", "gates", "--count", 0], "count is 0: expected a whole number, at least 1"),
        ({}, ["--what", "embedding", "--count", 2], "count is 2: expected a whole number, at least 3"),
        ({}, ["--out", "picture.docx"], "Format 'docx' is not supported"),
        ({}, ["--ctx", "abacus"], "unknown device 'abacus'"),
    ],
)
def test_what_cannot_be_shown_is_said_in_a_line(save, show, shape, options, complaint):
    folder = save(**shape)
    status, out = show(folder, *options)
    (line,) = out.splitlines()
    assert status == 1
    assert line.startswith("d2lrnn: ") and re.search(complaint, line)
    assert [path.name for path in folder.iterdir()] == ["model.d2lrnn"]


NO_NUMBERS = "hold NaN or infinity: did (it|the model) diverge in training"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("options", "what"),
    [
        ([], "the model's logits"),
        (["--what", "gates"], "the model's logits"),
        (["--what", "gates", "--prefix", "fox"], "the gates"),
        (["--what", "embedding"], "the tokens' vectors"),
    ],
)
@pytest.mark.parametrize("kind", ["gluon", "scratch"])
def test_a_model_that_is_lost_is_not_drawn(save, show, kind, options, what, value):
    """As the command `sample` says it; one weight in seven is lost, so that some sums are of inf and -inf."""

    def lose(weights):
        weights.flat[::7], weights.flat[3::7] = value, -value
        return weights

    folder = save(kind=kind, change=lose)
    status, out = show(folder, *options)
    assert status == 1 and re.fullmatch(f"d2lrnn: {what} {NO_NUMBERS}.\\n", out)
    assert [path.name for path in folder.iterdir()] == ["model.d2lrnn"]


@pytest.mark.parametrize("options", [[], ["--prefix", "fox"]])
def test_gates_of_weights_whose_sums_overflow(save, show, options):
    """3e38 is a number of float32; the sum of two such numbers is none, and less another such sum it is NaN."""

    def enlarge(weights):
        weights[...] = -3e38 if weights.shape[-1] == 20 else 3e38  # those from 20 hidden units; inputs and biases
        return weights

    status, out = show(save(change=enlarge), "--what", "gates", *options)
    assert status == 1 and re.search(NO_NUMBERS, out)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_weights_whose_product_with_the_embedding_overflows_are_said_in_one_line(save, show, capsys, cell):
    """The writer reads E W in place of E and W; a warning of NumPy's would be an error here."""

    def enlarge(weights):
        weights[...] = 1e38
        return weights

    folder = save(cell=cell, embed_size=6, change=enlarge)
    status, out = show(folder, "--what", "gates")
    assert status == 1 and re.fullmatch(f"d2lrnn: the model's logits {NO_NUMBERS}.\\n", out)
    assert cli.main(["sample", str(folder)]) == 1
    assert re.fullmatch(f"d2lrnn: the model's logits {NO_NUMBERS}.\\n", capsys.readouterr().err)


def test_a_run_that_is_not_there(show, tmp_path):
    assert f"{tmp_path / 'model.d2lrnn'} is not there: expected a folder that `train` wrote" in show(tmp_path)[1]


def test_the_help_tells_the_choices_and_the_defaults(capsys):
    with pytest.raises(SystemExit):
        cli.main(["show", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert f"--what {{{','.join([*show_command.PICTURES, *show_command.CLASSIFIER_PICTURES])}}}" in out
    functions = {
        "next": (next_token_probabilities, "count"),
        "gates": (plot_gates, "num_units"),
        "embedding": (embedding_map, "count"),
    }
    defaults = [
        f"{what}: {inspect.signature(function).parameters[name].default}"
        for what, (function, name) in functions.items()
    ]
    assert f"({'; '.join(defaults)})" in out
    assert f"and {show_command.NUM_PREDS} tokens after it" in out
