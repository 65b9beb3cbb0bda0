"""A trained model as an ONNX file, which onnxruntime and many other programs run without MXNet and d2lrnn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy

from d2lrnn._runtime import mx
from d2lrnn.config.presets import CLASSIFICATION, FORECASTING, LANGUAGE_MODEL, TRANSLATION
from d2lrnn.data.lines import counted_steps
from d2lrnn.exchange.answers import ExchangeError
from d2lrnn.exchange.contents import Contents
from d2lrnn.exchange.onnx_graph import make_graph
from d2lrnn.models.protocol import Model
from d2lrnn.paths import PathLike, make_folder, user_path
from d2lrnn.runs.whole_file import whole_file
from d2lrnn.version import VERSION

# The oldest versions that serve: a runtime refuses a file of a newer version than it knows, and the package onnx would
# write its newest.  From opset 13 on, Split and Unsqueeze take the inputs that they have now.  Opset 13 came with
# version 7 of the file's own format (IR).  onnxruntime's table of versions has both from 1.6 on; 1.15.0, 1.19.2 and
# 1.32.0 were tried, with all cells.
OPSET, IR_VERSION = 13, 7

# Of a model's numbers.  A file of Protocol Buffers, which ONNX's are, ends at 2**31, vocabulary and settings included.
MAX_BYTES = 2**31 - 2**27

_GUIDES = {
    LANGUAGE_MODEL: (
        "A recurrent language model; its tokens by id are in the metadata, as vocabulary. "
        "Inputs: ids (batch_size, num_steps), the tokens to read; {states}, the state before them, zeros where a text "
        "begins. Outputs: logits (batch_size, num_steps, {num_outputs}), after each token those of the next one; "
        "{new}, the state after the last token, for the next call."
    ),
    CLASSIFICATION: (
        "A recurrent classifier of sequences; the names of its classes are in the metadata, as classes. "
        "Inputs: {read}; lengths (batch_size,), how many of a row's steps count, at least 1, the others behind them "
        "being padding. Output: logits (batch_size, {num_outputs})."
    ),
    FORECASTING: (
        "A recurrent forecaster; columns and scale of its series are in the metadata, in data. Inputs: {read}, scaled. "
        "Output: forecasts (batch_size, num_steps, {num_outputs}), after each step the scaled next values, first those "
        "of all columns one step ahead."
    ),
}


@dataclass(frozen=True)
class Exported:
    """What :func:`write_onnx` has written."""

    path: Path
    size: int  # bytes of the file
    difference: float | None  # of what it computes from the model's, relative to the largest; None: it was not run


def write_onnx(contents: Contents, path: PathLike, model: Model | None = None) -> Exported:
    """Write a model as an ONNX file; where onnxruntime is installed, run the file and hold it against the model.

    The inputs and outputs are those of :func:`d2lrnn.exchange.onnx_graph.make_graph`.  The metadata are
    :attr:`Contents.metadata`, as a safetensors file has them.

    Args:
        contents: of the model.
        path: the file to write.
        model: the model itself, to hold the file against; None: the file is not run.

    Raises:
        ExchangeError: if the package onnx is not installed, or the model is too large for the format; for a
            translator.
        FileError: if the file cannot be written.
    """
    if contents.answers.task == TRANSLATION:
        raise ExchangeError("a translator cannot be written as an ONNX graph yet: write a safetensors file")
    onnx, path = _package_onnx(), user_path(path)
    graph = make_graph(contents)
    size = sum(len(constant.raw_data) for constant in graph.initializer)
    if size > MAX_BYTES:
        raise ExchangeError(
            f"the model's numbers take {size:,} bytes, and an ONNX file cannot hold more than {MAX_BYTES:,}: "
            "export it to safetensors"
        )
    versions = {"opset_imports": [onnx.helper.make_opsetid("", OPSET)], "ir_version": IR_VERSION}
    produced = {"producer_name": "d2lrnn", "producer_version": VERSION}
    proto = onnx.helper.make_model(graph, doc_string=_guide(contents), **versions, **produced)
    onnx.helper.set_model_props(proto, contents.metadata)
    onnx.checker.check_model(proto, full_check=True)
    make_folder(path.parent)
    with whole_file(path) as file:
        file.write(proto.SerializeToString())
    difference = None if model is None else _difference(path, model, contents)
    return Exported(path, path.stat().st_size, difference)


def _package_onnx() -> ModuleType:
    try:
        import onnx
        import onnx.checker
    except ImportError as error:
        # Without "numpy<2", pip takes the newest ml_dtypes for onnx, and with it NumPy 2.
        raise ExchangeError(
            "the package onnx is not installed, which writes ONNX files: run `pip install onnx onnxruntime 'numpy<2'` "
            "(MXNet does not work with NumPy 2)"
        ) from error
    return onnx


def _guide(contents: Contents) -> str:
    states = ["h", "c"][: contents.cell.num_states]
    new = " and ".join(f"new_{name}" for name in states)
    read = "ids (batch_size, num_steps), the tokens to read by their place in the metadata's vocabulary"
    if contents.vocab is None:
        read = f"numbers (batch_size, num_steps, {contents.num_inputs})"
    names = {"states": " and ".join(states), "new": new, "read": read, "num_outputs": contents.num_outputs}
    return _GUIDES[contents.answers.task].format(**names)


def _difference(path: Path, model: Model, contents: Contents) -> float | None:
    """Return the largest difference of what a file computes from what the model does, relative to the largest number.

    None: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3  # errors alone
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    if contents.answers.task == LANGUAGE_MODEL:
        return _difference_in_parts(session, model)
    return _difference_at_once(session, model, contents)


def _relative(found: numpy.ndarray, expected: numpy.ndarray) -> float:
    return float(abs(found - expected).max() / (abs(expected).max() or 1.0))


def _difference_at_once(session: Any, model: Any, contents: Contents) -> float:
    """Compare the answers to three sequences by chance; of a classifier's, two are padded."""
    lengths, num_steps, generator = [10, 7, 1], 10, numpy.random.default_rng(0)
    shape, ctx = (len(lengths), num_steps), model.begin_state(1)[0].ctx
    if contents.vocab is None:
        read = generator.normal(size=(*shape, contents.num_inputs)).astype("float32")
    else:
        read = generator.integers(0, len(contents.vocab), shape)
    arrays, counted = {session.get_inputs()[0].name: read}, None
    if contents.answers.task == CLASSIFICATION:
        arrays["lengths"] = numpy.array(lengths)
        counted = mx.np.array(counted_steps(lengths, num_steps), dtype="float32", ctx=ctx)
    X = mx.np.array(read, dtype="float32" if contents.vocab is None else "int32", ctx=ctx)
    expected, _ = model(X, model.begin_state(len(lengths)), counted)
    return _relative(session.run(None, arrays)[0], expected.asnumpy())


def _difference_in_parts(session: Any, model: Any) -> float:
    """Compare a language model's logits for two rows of tokens by chance.

    They are read in two parts, and the state is carried on from the first to the second.
    """
    batch_size, num_steps, generator = 2, 10, numpy.random.default_rng(0)
    state, largest = model.begin_state(batch_size), 0.0
    arrays = {
        array.name: numpy.zeros((array.shape[0], batch_size, array.shape[2]), "float32")
        for array in session.get_inputs()[1:]
    }
    for _ in range(2):
        ids = generator.integers(0, model.vocab_size, (batch_size, num_steps))
        logits, state = model(mx.np.array(ids, dtype="int32", ctx=state[0].ctx), state)
        expected = logits.asnumpy().reshape(num_steps, batch_size, -1).swapaxes(0, 1)
        found, *new = session.run(None, {"ids": ids, **arrays})
        arrays = dict(zip(arrays, new))
        largest = max(largest, _relative(found, expected))
    return largest
