"""Checkpoints that somebody made up: of any description and any archive, with the checksum that belongs to them."""

import copy
import hashlib
import io
import json
import zipfile

import numpy
from tiny import quiet, rain, training_of

from d2lrnn import Checkpoint, ModelConfig, build_model, set_seed, train_and_predict
from d2lrnn.runs.checkpoint import save_checkpoint

CORPUS = rain(20, "the rain in spain stays mainly")
CONFIG = ModelConfig("scratch", "gru", 3)
TRAINING = quiet(num_epochs=9, optimizer="adam", averaging=1, prefixes=("the ", "rain"))
ORIGIN = {"given": "sample", "max_tokens": 880, "level": None, "lines": False, "held_out": 0.1, "sha256": "0" * 64}
HEAD = b"d2lrnn checkpoint %d\n"


class HaltError(Exception):
    """Ends a training within an epoch."""


def good_checkpoint(path):
    """Save a run that was halted within its third epoch, with all that a checkpoint can hold, and return the file."""
    set_seed(3)
    training = training_of(build_model(CONFIG, CORPUS.vocab_size), TRAINING, segment=4)

    def halt():
        if (training.position.epoch, training.position.batch) == (3, 4):
            raise HaltError

    training.average.start()
    try:
        train_and_predict(training.model, CORPUS, TRAINING, training, halt)
    except HaltError:
        training.history.samples.append((1, "the ", "the rain"))
        reached = {"epoch": 2, "valid_perplexity": 12.0}
        checkpoint = Checkpoint.about(CONFIG, TRAINING, CORPUS, ORIGIN)
        more = {"training": training.snapshot(), "reached": reached}
        return save_checkpoint(path, checkpoint.with_parameters(training.model, **more))
    raise AssertionError("the training was not halted")


def read(path):
    """Return the description and the other arrays of a checkpoint."""
    with numpy.load(io.BytesIO(path.read_bytes().split(b"\n", 2)[2])) as archive:
        arrays = dict(archive)
    return json.loads(str(arrays.pop("meta.json"))), arrays


def write(path, body, version=3):
    """Write a file that is a checkpoint but for its body, with the body's right checksum."""
    path.write_bytes(HEAD % version + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    return path


def write_described(path, meta, arrays, version=3):
    """Write a checkpoint with this description, JSON or a text, and these arrays."""
    body, text = io.BytesIO(), meta if isinstance(meta, str) else json.dumps(meta)
    numpy.savez(body, **{"meta.json": numpy.array(text)}, **arrays)
    return write(path, body.getvalue(), version)


def member(array):
    """Return the bytes of an array's file."""
    file = io.BytesIO()
    numpy.save(file, array)
    return file.getvalue()


def archive(members, compression=zipfile.ZIP_STORED):
    """Return a ZIP file of members, pairs of a name and bytes."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
    return body.getvalue()


def changed(meta, way, value):
    """Return a description with another value at the end of a way, or without it where the value is ``...``."""
    meta = copy.deepcopy(meta)
    *way, last = way
    place = meta
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return meta


def leaves(value, way=()):
    """Yield the ways to all values of a description, those of the first ten items of a list."""
    if way:
        yield way
    items = value.items() if isinstance(value, dict) else enumerate(value[:10]) if isinstance(value, list) else ()
    for step, found in items:
        yield from leaves(found, (*way, step))
