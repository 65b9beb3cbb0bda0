"""A trained model as an ONNX file, which onnxruntime and many other programs run without MXNet and d2lrnn."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy

from d2lrnn._runtime import mx
from d2lrnn.errors import naming
from d2lrnn.exchange.contents import Contents, ExchangeError
from d2lrnn.exchange.onnx_graph import make_graph
from d2lrnn.models.protocol import LanguageModel
from d2lrnn.paths import PathLike, user_path
from d2lrnn.runs.whole_file import whole_file
from d2lrnn.version import VERSION

# The oldest versions that serve: a runtime refuses a file of a newer version than it knows, and the package onnx would
# write its newest.  From opset 13 on, Split and Unsqueeze take the inputs that they have now.  Opset 13 came with
# version 7 of the file's own format (IR).  onnxruntime's table of versions has both from 1.6 on; 1.15.0, 1.19.2 and
# 1.32.0 were tried, with all cells.
OPSET, IR_VERSION = 13, 7

# Of a model's numbers.  A file of Protocol Buffers, which ONNX's are, ends at 2**31, vocabulary and settings included.
MAX_BYTES = 2**31 - 2**27

_GUIDE = (
    "A recurrent language model; its tokens by id are in the metadata, as vocabulary. "
    "Inputs: ids (batch_size, num_steps), the tokens to read; {states}, the state before them, zeros where a text "
    "begins. Outputs: logits (batch_size, num_steps, {num_outputs}), after each token those of the next one; {new}, "
    "the state after the last token, for the next call."
)


@dataclass(frozen=True)
class Exported:
    """What :func:`write_onnx` has written."""

    path: Path
    size: int  # bytes of the file
    difference: float | None  # of the logits from the model's, relative to the largest; None: the file was not run


def write_onnx(contents: Contents, path: PathLike, model: LanguageModel | None = None) -> Exported:
    """Write a model as an ONNX file; where onnxruntime is installed, run the file and hold it against the model.

    The inputs and outputs are those of :func:`d2lrnn.exchange.onnx_graph.make_graph`.  The metadata has
    ``cell``, ``level``, ``vocabulary`` and ``settings``, as a safetensors file has; the latter two are JSON.

    Args:
        contents: of the model.
        path: the file to write.
        model: the model itself, to hold the file against; None: the file is not run.

    Raises:
        ExchangeError: if the package onnx is not installed, or the model is too large for the format.
        FileError: if the file cannot be written.
    """
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
    onnx.helper.set_model_props(proto, _metadata(contents))
    onnx.checker.check_model(proto, full_check=True)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(proto.SerializeToString())
    difference = None if model is None else _difference(path, model)
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
    return _GUIDE.format(states=" and ".join(states), num_outputs=contents.num_outputs, new=new)


def _metadata(contents: Contents) -> dict[str, str]:
    return {
        "cell": contents.stack.cell,
        "level": contents.vocab.level,
        "vocabulary": json.dumps(contents.vocab.idx_to_token),
        "settings": json.dumps(contents.settings),
    }


def _difference(path: Path, model: LanguageModel) -> float | None:
    """Return the largest difference of a file's logits from the model's, relative to the largest logit.

    Two rows of tokens by chance are read in two parts, and the state is carried on from the first to the second.
    None: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3  # errors alone
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
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
        largest = max(largest, float(abs(found - expected).max() / (abs(expected).max() or 1.0)))
    return largest
