"""Checkpoints that somebody made up, their checksum right: each is refused in a line, or does no harm."""

import io
import json
import math
import os
import random
import re
import socket
import threading
import tracemalloc
import zipfile

import numpy
import pytest
from made_up import HEAD, archive, changed, good_checkpoint, leaves, member, read, write, write_described

from d2lrnn import D2lrnnError, NextToken, Training, load_checkpoint
from d2lrnn.cli import main as cli
from d2lrnn.config.generation import Sampling
from d2lrnn.errors import FileError
from d2lrnn.runs import CheckpointError, TrainedRun


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A good checkpoint: its description, and its other arrays."""
    return read(good_checkpoint(tmp_path_factory.mktemp("good") / "model.d2lrnn"))


def complaint(path):
    """Return the line with which a file is refused."""
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message and len(message) < 1000
    return message


TRAINING, HISTORY, POSITION = ("training",), ("training", "history"), ("training", "position")
DESCRIPTIONS = [
    # (way to the value, another value, what is said of it)
    ((), [], r"it is \[\]: expected named fields"),
    (("corpus",), 5, "corpus is 5: expected a path"),
    (("corpus",), ..., "corpus is missing"),
    (("colour",), "red", "colour is unknown: expected model_config, train_config"),
    (("model_config",), [], "the settings of a model are a list"),
    (("model_config", "num_layers"), 10**9, "num_layers is 1000000000|1,000,000,000 layers"),
    (("model_config", "num_layers"), 9, "the parameters b_h, b_q|10 parameters|do not fit the model"),
    (("model_config", "num_hiddens"), 2**31 - 1, "do not fit the model"),
    (("model_config", "kind"), "gluon", "do not fit the model"),
    (("model_config", "cell"), "lstm", "do not fit the model"),
    (("model_config", "num_outputs"), 10**9, "the parameters W_hq, b_q do not fit the model"),
    (("train_config", "prefixes"), [5], r"prefixes\[0\] is 5: expected a text"),
    (("train_config", "prefixes"), ["\ud800"], r"prefixes\[0\] is '\\ud800': expected a text without halves"),
    (("train_config", "optimizer"), "sgd", "the training's arrays mean.W_hh, .* and 14 more do not fit"),
    (("train_config", "batches"), "random", "the training's arrays state.0 do not fit"),
    (("vocabularies",), [], r"vocabularies is \[\]: expected named fields"),
    (("vocabularies", "text"), None, "vocabularies.text is None: expected named fields"),
    (("vocabularies", "text", "tokens"), "abc", "tokens is 'abc': expected a list of at least 1"),
    (("vocabularies", "text", "tokens", 3), "\udfff", r"tokens\[3\] is '\\udfff': expected a text"),
    (("vocabularies", "text", "tokens"), list("abc"), "the parameters W_hq, W_xh, W_xr, W_xz, b_q do not fit"),
    (("origin", "given"), ["x"], r"origin.given is \['x'\]: expected a path"),
    (("origin", "given"), "a\0b", r"origin.given is 'a\\x00b': expected a path"),
    (("origin", "sha256"), ..., "origin.sha256 is missing"),
    (("origin", "lines"), 1, "origin.lines is 1: expected true or false"),
    (("origin", "held_out"), 0.5, "origin.held_out is 0.5: expected a finite number, at least 0, below 0.5"),
    (("origin", "max_tokens"), True, "origin.max_tokens is True: expected a whole number, at least 1"),
    (("reached", "epoch"), "77", "reached.epoch is '77': expected a whole number"),
    (("reached", "valid_perplexity"), None, "reached.valid_perplexity is None: expected a number"),
    (TRAINING, [1], r"training is \[1\]: expected named fields"),
    (TRAINING, None, "the training's arrays average.W_hh, .* do not fit"),
    ((*HISTORY, "epochs"), {}, r"training.history.epochs is {}: expected a list"),
    ((*HISTORY, "epochs", 1), [], r"training.history.epochs\[1\] is \[\]: expected named fields"),
    ((*HISTORY, "epochs", 1, "lr"), True, r"training.history.epochs\[1\].lr is True: expected a finite number"),
    ((*HISTORY, "epochs", 0, "perplexity"), ..., r"epochs\[0\].perplexity is missing"),
    ((*HISTORY, "epochs", 0, "valid_perplexity"), math.nan, r"epochs\[0\].valid_perplexity is nan: expected a number"),
    ((*HISTORY, "epochs"), [], "training.position.epoch is 3 with 4 batches: expected 1"),
    ((*HISTORY, "samples"), [[1, "the"]], r"samples\[0\] is \[1, 'the'\]: expected a list of 3"),
    ((*HISTORY, "samples"), [[1, "the", 2]], r"samples\[0\]\[2\] is 2: expected a text"),
    ((*HISTORY, "measure"), "accuracy", r"epochs\[0\].accuracy is missing"),
    ((*HISTORY, "less_is_better"), 0, "less_is_better is 0: expected true or false"),
    ((*POSITION, "batch"), -1, "training.position.batch is -1: expected a whole number, at least 0"),
    ((*POSITION, "batch"), 10**400, "has a whole number of 401 digits"),
    ((*POSITION, "epoch"), 4, "training.position.epoch is 4 with 4 batches: expected 3, after a history of 2 epochs"),
    ((*POSITION, "loss_sum"), math.inf, "training.position.loss_sum is inf: expected a finite number"),
    ((*TRAINING, "steps", "update"), math.inf, "training.steps.update is inf: expected a whole number"),
    ((*TRAINING, "steps", "average"), 0, "the training's arrays average.W_hh, .* do not fit"),
]


@pytest.mark.parametrize(("way", "value", "message"), DESCRIPTIONS, ids=lambda value: str(value)[:40])
def test_a_made_up_description_is_refused(good, tmp_path, capsys, way, value, message):
    meta, arrays = good
    path = write_described(tmp_path / "model.d2lrnn", changed(meta, way, value) if way else value, arrays)
    found = complaint(path)
    assert re.search(message, found), found
    for command in (["show"], ["sample"], ["evaluate"], ["play", "--port", "0"]):
        assert cli.main([command[0], str(path), *command[1:]]) == 1
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err == f"d2lrnn: {found}\n"


def members_of(meta, arrays):
    """Return the members of a checkpoint's archive."""
    return {"meta.json.npy": member(numpy.array(json.dumps(meta)))} | {
        f"{name}.npy": member(array) for name, array in arrays.items()
    }


def huge(shape, descr="<f4"):
    """Return the file of an array of a shape, without its numbers."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


W = "parameters/W_hh"
ARCHIVES = {
    # what is put in place of an array, or beside all of them: what is said of it
    "no array": ({f"{W}.npy": b"not one"}, f"the member '{W}' is no array"),
    "no numbers": (
        {f"{W}.npy": member(numpy.array(["a", "b"], dtype=object))},
        f"the array '{W}' is not one of numbers",
    ),
    "another byte order": ({f"{W}.npy": member(numpy.zeros((3, 3), ">f4"))}, f"the array '{W}' is not one of numbers"),
    "complex numbers": ({f"{W}.npy": member(numpy.zeros((3, 3), "c8"))}, f"the array '{W}' is not one of numbers"),
    "a text": ({f"{W}.npy": member(numpy.array("abc"))}, "the parameters W_hh do not fit the model"),
    "a larger shape": ({f"{W}.npy": huge((2**31 - 1, 2**31 - 1))}, f"the array '{W}' has 0 bytes, which do not fit"),
    "no such size": ({f"{W}.npy": huge((10**9 * 9, 0))}, f"the array '{W}' has the shape '.9000000000, 0.'"),
    "a shape of 10,000 axes": ({f"{W}.npy": huge((1,) * 10**4)}, f"the member '{W}' is no array"),
    "no such type": ({f"{W}.npy": huge((), "<b8")}, "there is no type of numbers '<b8'"),
    "one parameter more": ({"parameters/W_z.npy": member(numpy.zeros(3))}, "the parameters W_z do not fit the model"),
    "one array more": ({"W_z.npy": member(numpy.zeros(3))}, "there are 1 arrays that no checkpoint has, such as 'W_z'"),
    "another state": (
        {"training/state.0.npy": member(numpy.zeros((4, 4), "float32"))},
        "the training's arrays state.0 do not fit",
    ),
    "a state without rows": (
        {"training/state.0.npy": member(numpy.zeros((0, 3), "float32"))},
        "the training's arrays state.0 do not fit",
    ),
    "another precision": (
        {"training/mean.b_h.npy": member(numpy.zeros(3))},
        "the training's arrays mean.b_h do not fit the model and its settings",
    ),
    "half a memory": (
        {"training/mean.b_h.npy": None},
        "arrays average and mean and variance are not of the same",
    ),
    "no description": ({"meta.json.npy": None}, "there is no meta.json among 45 arrays"),
    "numbers for a description": (
        {"meta.json.npy": member(numpy.arange(3))},
        "its description is an array of type",
    ),
    "no characters": (
        {"meta.json.npy": huge((), "<U1") + b"\xff" * 4},
        "has numbers that are no characters",
    ),
    "no JSON": ({"meta.json.npy": member(numpy.array("{"))}, "it is no JSON"),
    "100,000 brackets": ({"meta.json.npy": member(numpy.array("[" * 10**5))}, "it is nested too deeply"),
    "no file of NumPy": ({"readme.txt": b"hello"}, "the member 'readme.txt' is no array"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_made_up_archive_is_refused(good, tmp_path, name):
    others, message = ARCHIVES[name]
    members = {name: content for name, content in {**members_of(*good), **others}.items() if content is not None}
    assert re.search(message, complaint(write(tmp_path / "model.d2lrnn", archive(members.items()))))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_come_once_and_fill_the_file(good, tmp_path):
    path, members = tmp_path / "model.d2lrnn", list(members_of(*good).items())
    whole = archive(members)
    load_checkpoint(write(path, whole))  # nothing is wrong with it yet
    for body, message in (
        (archive([*members, members[3]]), "the array '.*' is there twice"),
        (
            archive(members, zipfile.ZIP_DEFLATED),
            "the member 'meta.json.npy' is compressed: expected arrays",
        ),
        (whole + bytes(10**4), "the sizes of its arrays do not add up to the size of the file"),
        (whole[:-30], "the sizes of its arrays do not add up to the size of the file"),
        (b"x" + whole, "after 0 arrays comes neither another one nor the directory"),
        (whole.replace(b"PK\1\2", b"PK\3\4", 1), "is damaged: "),
    ):
        assert re.search(message, complaint(write(path, body)))


def test_a_file_costs_no_more_memory_than_its_size(good, tmp_path):
    """A member of 64 MiB zeros, deflated; 20,000 empty members; a model of 12 GiB in a file of a few KiB."""
    path, (meta, arrays) = tmp_path / "model.d2lrnn", good
    zeros = archive([("parameters/W.npy", member(numpy.zeros(2**23)))], zipfile.ZIP_DEFLATED)
    empty = archive((f"parameters/W{i}.npy", b"") for i in range(20_000))
    large = io.BytesIO()
    wide = changed(changed(meta, ("model_config", "num_hiddens"), 40_000), TRAINING, None)
    numpy.savez(
        large, **{"meta.json": numpy.array(json.dumps(wide))}, **{k: v for k, v in arrays.items() if "par" in k}
    )
    for body in (zeros, empty, large.getvalue()):
        write(path, body)
        tracemalloc.start()
        try:
            complaint(path)
            assert tracemalloc.get_traced_memory()[1] < 3 * 2**20 + 20 * len(body)
        finally:
            tracemalloc.stop()


def test_a_file_with_a_hole_is_judged_by_its_beginning_and_its_end(tmp_path):
    path = tmp_path / "sparse.d2lrnn"
    for beginning, message in (
        (b"", "is not a d2lrnn checkpoint: expected it to begin with"),
        (HEAD % 3, "is damaged: its second line is no SHA-256"),
        (HEAD % 3 + b"0" * 64 + b"\n", "is damaged: after 0 arrays comes neither another one nor"),
        (HEAD % 3 + b"0" * 64 + b"\n" + archive([("W.npy", member(numpy.zeros(3)))]), "do not add up to the size of"),
    ):
        with open(path, "wb") as file:
            file.write(beginning)
            file.truncate(12 * 2**30)
        tracemalloc.start()
        assert message in complaint(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
        tracemalloc.stop()


def test_only_files_are_opened(tmp_path, capsys):
    places = {name: tmp_path / name for name in ("fifo", "socket", "round", "folder")}
    os.mkfifo(places["fifo"])
    places["round"].symlink_to(places["round"])
    places["folder"].mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(places["socket"]))
    reasons = {
        "fifo": "a pipe, expected a file",
        "socket": "a socket, expected a file",
        "round": "Too many levels of symbolic links",
        "folder": "Is a directory",
    }
    places["device"], reasons["device"] = "/dev/ptmx", "a device, expected a file"
    for name, reason in reasons.items():
        with pytest.raises(FileError, match=re.escape(f"{reason}: '{places[name]}'")):
            load_checkpoint(places[name])
        if name != "folder":
            for command in ("show", "sample", "evaluate", "play", "plot"):
                out = ["--out", tmp_path / "x.png"] if command == "plot" else []
                assert cli.main([command, *map(str, (places[name], *out))]) == 1
                assert reason in capsys.readouterr().err


def test_a_corpus_that_is_a_fifo_is_not_waited_for(good, tmp_path, capsys):
    meta, arrays = good
    fifo, path = tmp_path / "fifo", tmp_path / "model.d2lrnn"
    os.mkfifo(fifo)
    threading.Thread(target=fifo.write_text, args=("the rain",), daemon=True).start()  # or the old code waits for ever
    write_described(path, changed(meta, ("origin", "given"), str(fifo)), arrays)
    for command in (["evaluate"], ["sample", "--novelty"], ["play", "--port", "0", "--data-dir", str(tmp_path)]):
        assert cli.main([command[0], str(path), *command[1:]]) == 1
        assert f"{fifo} is a pipe: expected a text file" in capsys.readouterr().err


# Whatever is changed

VALUES = [
    None,
    True,
    False,
    -1,
    0,
    1,
    2,
    10**9,
    10**18,
    10**30,
    0.5,
    1e-300,
    1e300,
    math.inf,
    math.nan,
    "",
    "a",
    "\ud800",
]
VALUES += ["x" * 10**4, [], {}, [[]], [None], [5], {"": 0}, {"a": {"a": 1}}, [["a", 1]], [1, "a", "a"], ...]


def use(path):
    """Do with a checkpoint what commands do."""
    checkpoint = load_checkpoint(path)
    run = TrainedRun(path, checkpoint)
    run.check_writes()
    starts = run.beginnings()
    run.generate(starts[:1], 2, Sampling(temperature=0.0))
    if checkpoint.training:
        Training(run.model, checkpoint.train_config, NextToken(len(run.vocab))).restore(checkpoint.training)


def mutated(meta, arrays, generator):
    """Return a description with one or two values changed, and the arrays, of which one may be another."""
    for _ in range(generator.choice((1, 1, 2))):
        meta = changed(meta, generator.choice(list(leaves(meta))), generator.choice(VALUES))
    if generator.random() < 0.2:
        name = generator.choice(list(arrays))
        array = arrays[name]
        types = [array.astype(name) for name in ("float64", "float16", "int8")]
        arrays = {**arrays, name: generator.choice([*types, array.T, array[:1], array[None], numpy.array("a"), None])}
    return meta, {name: array for name, array in arrays.items() if array is not None}


def test_whatever_is_changed_is_refused_or_does_no_harm(good, tmp_path, seed):
    generator, refused = random.Random(seed), 0
    for _ in range(300):
        meta, arrays = mutated(*good, generator)
        path = write_described(tmp_path / "model.d2lrnn", meta, arrays)
        try:
            use(path)
        except D2lrnnError as error:
            refused += 1
            assert "\n" not in str(error)
    assert 200 < refused < 300
