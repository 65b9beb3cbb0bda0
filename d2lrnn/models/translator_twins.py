"""A translator's numbers under the names from scratch, whether from scratch or on Gluon: read, written, copied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy

from d2lrnn.errors import D2lrnnError
from d2lrnn.models.gluon.translator import Translator
from d2lrnn.models.layer_numbers import add_up_biases, freeze_second_biases, layers_in, read_layers, write_layers
from d2lrnn.models.parameters import numbers_of, set_values
from d2lrnn.models.translator import TranslatorScratch


def is_translator(model) -> bool:
    """Return whether a model is a translator of d2lrnn's."""
    return isinstance(model, (Translator, TranslatorScratch))


def read_translator(model, gradients: bool = False) -> dict[str, numpy.ndarray]:
    """Return a translator's numbers, or its gradients, by the names of a :class:`TranslatorScratch`.

    For a translator on Gluon, the second biases ``c_`` are there too.  With embeddings, the ``W_x`` of the first layers
    have embed_size rows.
    """
    if isinstance(model, TranslatorScratch):
        return numbers_of(model.parameters(), gradients)
    values = {f"encoder.{name}": array for name, array in read_layers(model.encoder, gradients).items()}
    if not _shares(model):
        values |= {f"decoder.{name}": array for name, array in read_layers(model.decoder, gradients).items()}
    for name, parts in _matrices_of(model).items():
        numbers = numbers_of({str(i): param for i, param in enumerate(parts)}, gradients)
        if len(numbers) == len(parts):  # frozen parameters have no gradients
            whole = numpy.concatenate([array.T for array in numbers.values()])
            values[name] = whole[:, 0] if name == "decoder.w_v" else whole
    return values


def write_translator(model, values: Mapping[str, Any]) -> None:
    """Set a translator's parameters to numbers as :func:`read_translator` returns them; embeddings stay as they are."""
    if isinstance(model, TranslatorScratch):
        given = _with_one_bias(model, values)
        for name, param in model.parameters().items():
            set_values(param, given[name])
        return
    for prefix, block in _blocks_of(model).items():
        write_layers(block, _below(prefix, values))
    for name, parts in _matrices_of(model).items():
        begin, whole = 0, values[name]
        for param in parts:
            end = begin + param.shape[-1] if len(parts) > 1 else len(whole)
            set_values(param, whole[begin:end].T.reshape(param.shape))
            begin = end


def copy_translator(source, target) -> None:
    """Copy a translator's numbers into another; see :func:`d2lrnn.models.twins.copy_parameters`.

    Raises:
        D2lrnnError: if the two differ in more than the numbers, or one has embeddings; then nothing was copied.
    """
    for model in (source, target):
        parts = (model.encoder, model.decoder) if isinstance(model, Translator) else ()
        if any(part.embedding is not None for part in parts):
            raise D2lrnnError("a translator with embeddings has no twin from scratch, whose inputs are one-hot vectors")
    found, expected = _with_one_bias(source, read_translator(source)), read_translator(target)
    of_biases = [name for name in found.keys() ^ expected.keys() if name.split(".")[-1].startswith("c_")]
    shapes = [
        {name: array.shape for name, array in values.items() if name not in of_biases} for values in (found, expected)
    ]
    cells = [[layers for _, layers in _layers_of(model)] for model in (source, target)]
    if shapes[0] != shapes[1] or cells[0] != cells[1]:
        names = sorted(name for name in {*shapes[0], *shapes[1]} if shapes[0].get(name) != shapes[1].get(name))
        raise D2lrnnError(
            f"the source has the layers {cells[0][0]}, the target {cells[1][0]}, and these parameters differ: "
            f"{', '.join(names) or 'none'}: only translators of one shape can be copied"
        )
    write_translator(target, found)
    if isinstance(target, Translator):
        for block in _blocks_of(target).values():
            freeze_second_biases(block)


def _shares(model: Translator) -> bool:
    return model.decoder.encoder is model.encoder


def _blocks_of(model: Translator) -> dict[str, Any]:
    """Return what holds recurrent layers, by the prefix of their names."""
    return {"encoder.": model.encoder} if _shares(model) else {"encoder.": model.encoder, "decoder.": model.decoder}


def _layers_of(model) -> list[tuple[str, Any]]:
    """Return the prefix and the record of the encoder's layers, and of the decoder's if these are others."""
    if isinstance(model, Translator):
        return [(prefix, layers_in(block)) for prefix, block in _blocks_of(model).items()]
    return [("encoder.", model.encoder), *([] if model.share else [("decoder.", model.decoder)])]


def _matrices_of(model: Translator) -> dict[str, list]:
    """Return by name the parameters that are no recurrent layers'; those of a list stand below one another."""
    found: dict[str, list] = {}
    for name, param in {} if model.bridge is None else model.bridge.parameters().items():
        place, kind = name.split(".")
        found[f"bridge.{'W' if kind == 'weight' else 'b'}_{place}"] = [param]
    decoder, attention = model.decoder, model.decoder.attention
    if attention is not None:
        blocks = {"query": "W_q" if attention.kind == "additive" else "W_a", "key": "W_k", "score": "w_v"}
        own = {letters: getattr(attention, block, None) for block, letters in blocks.items()}
        found |= {f"decoder.{letters}": [block.weight] for letters, block in own.items() if block is not None}
        found["decoder.W_c"] = [decoder.of_context.weight, decoder.of_hidden.weight]
    return {**found, "decoder.W_hq": [decoder.dense.weight], "decoder.b_q": [decoder.dense.bias]}


def _below(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values whose names begin with a prefix, without it."""
    return {name[len(prefix) :]: array for name, array in values.items() if name.startswith(prefix)}


def _with_one_bias(model, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with second biases added to the first, for cells that have one bias a gate."""
    values = dict(values)
    for prefix, layers in _layers_of(model):
        own = _below(prefix, values)
        add_up_biases(layers, own)
        values |= {prefix + name: array for name, array in own.items()}
    return values
