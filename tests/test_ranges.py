"""Numbers beyond reason end in one line, wherever they enter, and cost neither memory nor time."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

import d2lrnn
from d2lrnn import Dropout, ModelConfig, Sampling, TrainConfig
from d2lrnn.config import Cache, Dynamic
from d2lrnn.errors import D2lrnnError


def test_no_function_is_at_a_loss_with_any_number():
    """The program prints a line for each call that ended otherwise; a crash or a hang ends the program itself."""
    program = Path(__file__).parent / "hostile_numbers.py"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # each thread takes address space
    command = [sys.executable, "-W", "ignore", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    *complaints, last = done.stdout.splitlines() or [""]
    assert (complaints, done.returncode) == ([], 0), done.stderr
    assert int(last.removesuffix(" calls")) > 260


@pytest.mark.parametrize("kind", [ModelConfig, Dropout, TrainConfig, Sampling, Cache, Dynamic])
def test_every_number_of_a_configuration_has_a_range(kind):
    for field in dataclasses.fields(kind):
        if field.metadata.get("kind") in (int, float):
            for value in (True, "3", float("nan"), [3]):
                with pytest.raises(D2lrnnError, match="is .*: expected a (whole )?number, (at least|above) "):
                    kind(**{field.name: value})


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (
            lambda: ModelConfig(num_layers=10**9),
            "num_layers is 1000000000: expected a whole number, at least 1 and at most 100",
        ),
        (
            lambda: ModelConfig(num_outputs=2**31),
            "num_outputs is 2147483648: expected a whole number, at least 1 and at most 2,147,483,647",
        ),
        (
            lambda: TrainConfig(theta=1e-40),
            "theta is 1e-40, which float32 holds as 0: expected a number, above 0 and at most inf",
        ),
        (
            lambda: Dynamic(eps=5e-324),
            "eps is 5e-324, which float32 holds as 0: expected a number, above 0 and at most 1e+06",
        ),
        (
            lambda: Sampling(beam_width=2, stop="a", length_penalty=400),
            "length_penalty is 400: expected a number, at least 0 and at most 10",
        ),
        (
            lambda: Sampling(beam_width=100_000),
            "beam_width is 100000: expected a whole number, at least 0 and at most 1,000",
        ),
        (
            lambda: ModelConfig(init_scale=True),
            "init_scale is True: expected a number, above 0 and at most 1e+38",
        ),
        (
            lambda: TrainConfig(prefixes=("\ud800",)),
            r"prefixes[0] is '\ud800': '\ud800' is half of a character",
        ),
        (lambda: TrainConfig(prefixes=(5,)), "prefixes[0] is 5, of type int: expected a text"),
        (lambda: TrainConfig(verbose=1), "verbose is 1: expected true or false"),
        (
            lambda: d2lrnn.load_corpus("sample", held_out="much"),
            "held_out is 'much': expected a number, at least 0 and below 0.5",
        ),
    ],
)
def test_what_is_said(call, complaint):
    with pytest.raises(D2lrnnError) as caught:
        call()
    assert str(caught.value) == complaint


def test_what_float32_cannot_hold_is_nothing():
    assert ModelConfig(dropout=1e-40) == ModelConfig()
    assert Sampling(temperature=1e-320).temperature == 0
    assert TrainConfig(pred_temperature=10**30).pred_temperature == 1e30


TEXT = "the rain in spain stays mainly in the plain "
VOCAB = d2lrnn.Vocab(TEXT)
MODEL = d2lrnn.build_model(ModelConfig(num_hiddens=4), len(VOCAB))


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: d2lrnn.generate(["the"] * 1000, 10, MODEL, VOCAB), "1,000 texts at once, 13,000 tokens in all, "),
        (lambda: d2lrnn.predict("the", 10**6, MODEL, VOCAB), "1 texts at once, 1,000,003 tokens in all, "),
        (lambda: d2lrnn.generate(["the"], 10**6, MODEL, VOCAB), "1 texts at once, 1,000,003 tokens in all, "),
        (
            lambda: d2lrnn.generate(["the"], 10**4, MODEL, VOCAB, Sampling(beam_width=9)),
            "9 texts at once, 90,027 tokens in all, ",
        ),
        (
            lambda: d2lrnn.acrostic(["the"] * 99, d2lrnn.Form((500,), (" ",)), MODEL, VOCAB),
            "99 texts at once, 148,500 tokens in all, ",
        ),
        (
            lambda: d2lrnn.evaluate(MODEL, VOCAB.encode(TEXT), 5000),
            "a batch of 5,000 x 35 tokens, with 13 logits each,",
        ),
        (lambda: MODEL.begin_state(10**6), "the state of 1,000,000 rows "),
        (lambda: d2lrnn.get_gru_params(1000, 1000), "a model of 7,004,000 parameters "),
        (lambda: d2lrnn.counted_steps([1, 10**7]), "a mask of 2 x 10,000,000 "),
        (lambda: d2lrnn.build_model(ModelConfig(num_hiddens=1000), 10), "a model of 4,058,010 parameters "),
    ],
)
def test_memory_is_reckoned_where_sizes_multiply(call, what, monkeypatch):
    monkeypatch.setattr("d2lrnn.checks.memory", lambda: 2_000_000)
    with pytest.raises(D2lrnnError) as caught:
        call()
    assert str(caught.value).startswith(what) and "GiB of memory, and there are 0.0 GiB: " in str(caught.value)
