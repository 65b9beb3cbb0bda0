"""The names and shapes of a model's parameters, worked out from its settings: nothing is made."""

from __future__ import annotations

from dataclasses import replace

from d2lrnn.cells.registry import CELLS
from d2lrnn.checks import check_parameters
from d2lrnn.config.model import ModelConfig
from d2lrnn.data.batches import check_inputs
from d2lrnn.models.attention import attention_shapes
from d2lrnn.models.gluon.facts import gluon_cell
from d2lrnn.models.gluon.layers import layer_shapes
from d2lrnn.models.stack import Stack
from d2lrnn.models.translator import translator_shapes


def stack_from(config: ModelConfig) -> Stack:
    """Return the layers that a configuration describes; for kind ``gluon``, with the cell that Gluon computes."""
    cell = gluon_cell(config.cell) if config.kind == "gluon" else config.cell
    return Stack(cell, config.num_layers, config.bidirectional, config.num_outputs, config.num_projections)


def parameter_shapes(config: ModelConfig, vocab_size: int | None) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters of ``build_model(config, vocab_size)``, without making the model.

    Args:
        config: the model's settings.
        vocab_size: the size of the vocabulary; None for a model whose inputs are numbers.

    Returns:
        shapes by the names of :func:`d2lrnn.models.parameters.named_parameters`, in the order of the model's
        parameters; all parameters are float32.
    """
    stack, inputs = stack_from(config), check_inputs(vocab_size, config.input_size)
    if config.head == "translation":
        return _translator_shapes(config, stack, inputs)
    if config.kind != "gluon":
        return dict(zip(stack.param_names, stack.param_shapes(inputs, config.num_hiddens)))
    return _gluon_shapes(config, inputs, stack.layers.width(config.num_hiddens))


def check_size(config: ModelConfig, vocab_size: int | None) -> None:
    """Check that a model can be made: that its parameters can be counted and fit in memory with their gradients.

    MXNet counts the numbers of an array in 32 bits, and a fused layer's array holds all parameters of the layer.

    Args:
        config: the model's settings.
        vocab_size: the size of the vocabulary; None for a model whose inputs are numbers.

    Raises:
        D2lrnnError: with the number of parameters, if they are too many, or if ``vocab_size`` is no size.
    """
    check_parameters(parameter_shapes(config, vocab_size).values())


def _gluon_shapes(config: ModelConfig, inputs: int, width: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters of a model on Gluon, whose recurrent layers have outputs of a width."""
    return _encoder_shapes(config, inputs, width) | _output_shapes(config, config.num_outputs or inputs, width)


def _encoder_shapes(config: ModelConfig, inputs: int, width: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of an embedding, if there is one, and of recurrent layers on Gluon."""
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (inputs, config.embed_size)} if config.embed_size else {}
    num_inputs = config.embed_size or inputs
    for layer in range(config.num_layers):
        prefix = f"rnn.layers.{layer}." if config.num_layers > 1 else "rnn."
        sizes = (config.num_hiddens, num_inputs, config.bidirectional, config.num_projections)
        shapes |= {prefix + name: shape for name, shape in layer_shapes(config.cell, *sizes).items()}
        num_inputs = width
    return shapes


def _output_shapes(config: ModelConfig, num_outputs: int, width: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of an output layer on Gluon; tied, its weight is the embedding."""
    weight = {} if config.tie_weights else {"dense.weight": (num_outputs, width)}
    return {**weight, "dense.bias": (num_outputs,)}


def _translator_shapes(config: ModelConfig, stack: Stack, inputs: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters of a translator, from scratch or on Gluon."""
    shapes = translator_shapes(stack, config.num_hiddens, inputs, config.attention, config.share)
    if config.kind != "gluon":
        return shapes
    key_size, num_outputs = stack.layers.width(config.num_hiddens), stack.num_outputs or 0
    one_way = replace(config, bidirectional=False)
    width = stack_from(one_way).layers.width(config.num_hiddens)
    found = {f"encoder.{name}": shape for name, shape in _encoder_shapes(config, inputs, key_size).items()}
    for name, (*rows, columns) in shapes.items():
        if name.startswith("bridge."):  # W_0 and b_0
            letter, i = name.removeprefix("bridge.").split("_")
            found[f"bridge.{i}.{'weight' if letter == 'W' else 'bias'}"] = (columns, *rows)
    own = {} if config.share else _encoder_shapes(one_way, num_outputs, width)
    if config.attention is not None:
        kinds = {"W_q": "query", "W_a": "query", "W_k": "key", "w_v": "score"}
        for letters, (rows_of_query, *columns_of) in attention_shapes(config.attention, width, key_size).items():
            own[f"attention.{kinds[letters]}.weight"] = (*(columns_of or [1]), rows_of_query)
        own |= {"of_context.weight": (width, key_size), "of_hidden.weight": (width, width)}
    own |= _output_shapes(config, num_outputs, width)
    return found | {f"decoder.{name}": shape for name, shape in own.items()}


def state_shapes(config: ModelConfig, batch_size: int) -> list[tuple[int, ...]]:
    """Return the shapes of the state of ``build_model(config, vocab_size)``, without making the model.

    Args:
        config: the model's settings.
        batch_size: rows of a batch.

    Returns:
        the shapes of the arrays of ``model.begin_state(batch_size)``; all are float32.
    """
    stack = stack_from(config)
    widths = CELLS[stack.cell].state_widths(config.num_hiddens, config.num_projections) * config.num_layers
    if config.kind == "gluon":
        return [(stack.num_directions, batch_size, width) for width in widths]
    return [(batch_size, width) for width in widths * stack.num_directions]
