"""PyTorch's names and layouts of a translator's numbers: the parts encoder, bridge and decoder.

The encoder has the parts ``embedding`` and ``rnn``, and so has the decoder unless it reads by the encoder's.  The
decoder's other parts are layers ``nn.Linear``: ``query``, ``key`` and ``score`` of its attention, ``combined``, which
reads the context and the output side by side, and ``output``.  The parts of ``bridge`` make an array of the decoder's
first state each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy

from d2lrnn.checks import shortened, shown
from d2lrnn.config.model import ModelConfig
from d2lrnn.data.vocabulary import Vocab
from d2lrnn.errors import D2lrnnError
from d2lrnn.exchange.answers import Answers, ExchangeError
from d2lrnn.exchange.contents import TranslatorContents
from d2lrnn.exchange.pytorch import ENCODER, RNN, Shape, layer_tensors, layer_values, shapes_for
from d2lrnn.models.shapes import stack_from
from d2lrnn.models.stack import Stack
from d2lrnn.models.translator import translator_shapes

EMBEDDING, OUTPUT = "embedding.weight", "decoder.output.weight"

# PyTorch's name for each parameter of a translator that is no recurrent layer's, but for those of the bridge.
MATRICES = {
    "decoder.W_q": "decoder.query.weight",
    "decoder.W_a": "decoder.query.weight",
    "decoder.W_k": "decoder.key.weight",
    "decoder.w_v": "decoder.score.weight",
    "decoder.W_c": "decoder.combined.weight",
    "decoder.W_hq": OUTPUT,
    "decoder.b_q": "decoder.output.bias",
}


def translator_tensors(contents: TranslatorContents) -> dict[str, numpy.ndarray]:
    """Return a translator's numbers under PyTorch's names; tied weights stand in both places."""
    config, tensors = contents.config, {}
    embeddings = {"encoder.": contents.embedding, "decoder.": contents.target_embedding}
    for part, stack in _parts(config).items():
        if (embedding := embeddings[part]) is not None:
            tensors[part + EMBEDDING] = embedding
        layers = layer_tensors(stack, config.num_hiddens, _below(part, contents.values))
        tensors |= {part + name: array for name, array in layers.items()}
    for name, array in contents.values.items():
        if other := _other_name(name):
            tensors[other] = array[None] if name == "decoder.w_v" else array.T
    return {name: numpy.ascontiguousarray(array) for name, array in tensors.items()}


def translator_from(
    tensors: Mapping[str, numpy.ndarray],
    config: ModelConfig,
    vocab: Vocab,
    settings: dict[str, Any],
    answers: Answers,
) -> TranslatorContents:
    """Return the translator whose numbers are tensors that :func:`check_translator_shapes` lets pass.

    Raises:
        ExchangeError: if the settings say that weights are tied, and they differ.
    """
    values: dict[str, numpy.ndarray] = {}
    for part, stack in _parts(config).items():
        layers = layer_values(_below(part, tensors), stack)
        values |= {part + name: numpy.ascontiguousarray(array) for name, array in layers.items()}
    for name in _shapes_of_matrices(config, len(vocab)):
        array = tensors[_other_name(name)]
        values[name] = numpy.ascontiguousarray(array[0] if name == "decoder.w_v" else array.T)
    embeddings = [tensors.get(part + EMBEDDING) for part in ("encoder.", "decoder.")]
    own = f"{'encoder' if config.share else 'decoder'}.{EMBEDDING}"
    if config.tie_weights and not numpy.array_equal(tensors[own], tensors[OUTPUT]):
        raise ExchangeError(f"its settings have tie_weights, and {OUTPUT} is not the embedding: expected equal numbers")
    stack = replace(stack_from(config), num_outputs=None)
    given = (stack, config.num_hiddens, embeddings[0], config.tie_weights, values, vocab, settings, answers)
    return TranslatorContents(*given, embeddings[1])


def translator_config(settings: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], num_ids: int) -> ModelConfig:
    """Return the settings of the translator in a file, and check that its tensors have the names and shapes for them.

    Args:
        settings: of the file.
        shapes: of its tensors, by name.
        num_ids: the size of the source's vocabulary.

    Raises:
        ExchangeError: if the settings are missing or cannot be, or the tensors do not fit them.
    """
    if "model_config" not in settings:
        raise ExchangeError("its settings have no model_config, which a translator needs: expected a file of `export`")
    try:
        config = ModelConfig.from_dict(settings["model_config"])
        if config.head != "translation" or config.num_layers > len(shapes):  # before so many names are made up
            raise ExchangeError(f"they have the head {config.head!r} and {config.num_layers:,} layers")
        expected = _shapes_for(config, num_ids)
    except D2lrnnError as error:
        raise ExchangeError(f"its settings describe no translator in this file: {error}") from error
    for name in sorted({*expected, *shapes}):
        if shapes.get(name) != expected.get(name):
            found = f"has the shape {shortened(str(shapes[name]))}" if name in shapes else "is missing"
            wanted = f"{expected[name]}" if name in expected else "no such tensor"
            raise ExchangeError(f"the tensor {shown(name)} {found}: expected {wanted}, by its settings")
    return config


def _parts(config: ModelConfig) -> dict[str, Stack]:
    """Return the layers of each part that has layers of its own, by the beginning of its names."""
    stack = stack_from(config)
    return {"encoder.": stack} | ({} if config.share else {"decoder.": replace(stack, bidirectional=False)})


def _shapes_for(config: ModelConfig, num_ids: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors of a translator, by name."""
    found: dict[str, tuple[int, ...]] = {}
    for part, stack in _parts(config).items():
        inputs = num_ids if part == "encoder." else config.num_outputs or 0
        shapes = shapes_for(Shape(stack, config.num_hiddens, inputs, config.embed_size, 1))
        found |= {part + name: shape for name, shape in shapes.items() if name.startswith(RNN)}
        if config.embed_size:
            found[part + EMBEDDING] = shapes[ENCODER]
    for name, shape in _shapes_of_matrices(config, num_ids).items():
        found[_other_name(name)] = (1, *shape) if name == "decoder.w_v" else shape[::-1]
    return found


def _shapes_of_matrices(config: ModelConfig, num_ids: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters that are no recurrent layer's, by the names from scratch."""
    shapes = translator_shapes(stack_from(config), config.num_hiddens, num_ids, config.attention, config.share)
    return {name: shape for name, shape in shapes.items() if _other_name(name)}


def _other_name(name: str) -> str:
    """Return PyTorch's name of a parameter; "" for those of recurrent layers."""
    if name.startswith("bridge."):  # W_0 and b_0
        letter, i = name.removeprefix("bridge.").split("_")
        return f"bridge.{i}.{'weight' if letter == 'W' else 'bias'}"
    return MATRICES.get(name, "")


def _below(part: str, values: Mapping[str, numpy.ndarray]) -> dict[str, numpy.ndarray]:
    """Return the numbers whose names begin with a part, without it."""
    return {name[len(part) :]: array for name, array in values.items() if name.startswith(part)}
