"""A model's numbers under the book's names, whether from scratch or on Gluon: read, copied, compared in twins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy

from d2lrnn._runtime import mx
from d2lrnn.cells.registry import CELLS
from d2lrnn.config.model import ModelConfig
from d2lrnn.errors import D2lrnnError
from d2lrnn.models.build import build_model
from d2lrnn.models.compiled import FastRNNModel
from d2lrnn.models.gluon.facts import facts_of, gluon_cell
from d2lrnn.models.gluon.heads import SequenceModel
from d2lrnn.models.gluon.layers import RecurrentStack
from d2lrnn.models.gluon.model import RNNModel
from d2lrnn.models.layer_numbers import add_up_biases, freeze_second_biases, layers_in, read_layers, write_layers
from d2lrnn.models.parameters import device_of, get_values, is_on_gluon, numbers_of, set_values
from d2lrnn.models.scratch import RNNModelScratch
from d2lrnn.models.sequence import SequenceModelScratch
from d2lrnn.models.stack import Stack
from d2lrnn.models.translator_twins import copy_translator, is_translator, read_translator, write_translator


def copy_parameters(source, target) -> None:
    """Copy the numbers of one model into another, from scratch to Gluon or back, so that both compute the same.

    Gluon keeps two biases a gate where the book has one.  A copy into Gluon sets the second bias to 0 and freezes it
    (``grad_req = "null"``): if both biases were trained, their sum would move twice as far.  A copy from Gluon adds the
    two up.  ``gru_reset_after`` has both biases, so nothing is frozen there.

    Args:
        source: an :class:`RNNModelScratch` or :class:`RNNModel`.
        target: another model of the same cell, layers, directions and sizes; the twin of a Gluon GRU is a
            ``gru_reset_after``.  Two translators can be copied too.

    Raises:
        D2lrnnError: if the two differ in more than the numbers; then nothing was copied.
    """
    if is_translator(source) and is_translator(target):
        return copy_translator(source, target)
    for model in (source, target):
        if embedding_of(model) is not None:
            raise D2lrnnError("a model with an embedding has no twin from scratch, whose inputs are one-hot vectors")
    found, expected = layers_of(source), layers_of(target)
    if found != expected:
        source_has, target_has = _differences(found, expected)
        raise D2lrnnError(
            f"the source has {source_has}, the target {target_has}: only models of one shape can be copied"
        )
    values, present = read_parameters(source), read_parameters(target)
    for name in found.param_names:
        if values[name].shape != present[name].shape:
            raise D2lrnnError(
                f"{name} has shape {values[name].shape} in the source, {present[name].shape} in the target"
            )
    add_up_biases(expected.layers, values)
    write_parameters(target, values)
    if is_on_gluon(target):
        freeze_second_biases(target)


def _differences(first: Stack, second: Stack) -> list[str]:
    """Return the settings in which two stacks differ, once for each of them, such as ``cell 'rnn'``."""
    names = [field.name for field in fields(Stack) if getattr(first, field.name) != getattr(second, field.name)]
    return [", ".join(f"{name} {getattr(stack, name)!r}" for name in names) for stack in (first, second)]


def layers_of(model) -> Stack:
    """Return a model's layers as a Stack, with ``num_outputs`` None: the shape of ``b_q`` tells that number.

    Raises:
        D2lrnnError: if the model computes equations of the user's.
    """
    if not is_on_gluon(model):
        return replace(model.stack, num_outputs=None)
    layers = layers_in(model)
    return Stack(layers.cell, layers.num_layers, layers.bidirectional, num_projections=layers.num_projections)


def embedding_of(model) -> numpy.ndarray | None:
    """Return a model's embedding, a vector for each id, (vocab_size, embed_size); None if the model has none."""
    embedding = getattr(model, "embedding", None)
    return None if embedding is None else get_values(embedding.weight).asnumpy()


def has_tied_weights(model) -> bool:
    """Return whether the output layer's weight is the embedding, one parameter in two places."""
    return getattr(model, "embedding", None) is not None and model.dense.weight is model.embedding.weight


def read_parameters(model, gradients: bool = False) -> dict[str, numpy.ndarray]:
    """Return a model's numbers under the book's names, so that a model from scratch and one on Gluon can be compared.

    Args:
        model: an :class:`RNNModelScratch` or :class:`RNNModel`.  With an embedding, the ``W_x`` of the first layer have
            embed_size rows instead of vocab_size.
        gradients: whether to return the gradients instead of the values.

    Returns:
        NumPy arrays by the names of :attr:`Stack.param_names`, and for a Gluon model its second biases ``c_`` too.
        Frozen parameters have no gradients.
    """
    if is_translator(model):
        return read_translator(model, gradients)
    if not is_on_gluon(model):
        return numbers_of(model.parameters(), gradients)
    dense = {"W_hq": model.dense.weight, "b_q": model.dense.bias}
    values = {name: array.T for name, array in numbers_of(dense, gradients).items()}
    return values | read_layers(model, gradients)


def write_parameters(model, values: Mapping[str, Any]) -> None:
    """Set a model's parameters to numbers under the book's names, as :func:`read_parameters` returns them.

    Second biases ``c_`` of a cell that has one bias a gate are 0 if ``values`` lacks them.  A model that has none gets
    their sum with the first.

    Args:
        model: an :class:`RNNModelScratch` or :class:`RNNModel`; its embedding stays as it is.
        values: an array for each name of the model's, of the parameter's shape.
    """
    if is_translator(model):
        return write_translator(model, values)
    if not is_on_gluon(model):
        values = dict(values)
        add_up_biases(layers_of(model).layers, values)
        for name, param in model.parameters().items():
            set_values(param, values[name])
        return
    set_values(model.dense.weight, values["W_hq"].T)
    set_values(model.dense.bias, values["b_q"])
    write_layers(model, values)


LANGUAGE_MODELS = (RNNModelScratch, FastRNNModel, RNNModel)


def known_stack(model) -> Stack | None:
    """Return the layers of a model, whatever its head, whose equations the module knows, else None.

    No number is read or computed.
    """
    if type(model) not in (*LANGUAGE_MODELS, SequenceModelScratch, SequenceModel):  # a derived class may do anything
        return None
    if isinstance(model, RNNModelScratch):
        known = model.knows_its_equations
    else:
        known = _has_equal_layers(model) if is_on_gluon(model) else type(model.stack) is Stack
    return layers_of(model) if known else None


def equations_stack(model) -> Stack | None:
    """Return what :func:`known_stack` returns of a language model; None of any other model."""
    return known_stack(model) if type(model) in LANGUAGE_MODELS else None


def equations_of(model) -> tuple[Stack, list] | None:
    """Return the layers and parameters of a model from scratch that computes the same as ``model``, or None.

    The model from scratch reads one-hot vectors, and its parameters are in the book's order.  The parameters of a Gluon
    model are copies.  None means that the model's equations are not known.
    """
    stack = equations_stack(model)
    if stack is None:
        return None
    if isinstance(model, RNNModelScratch):
        return stack, model.params
    values = read_parameters(model)
    add_up_biases(stack.layers, values)
    embedding = embedding_of(model)
    if embedding is not None:  # E[id] @ W equals (E @ W)[id], so the embedding can become part of W_x
        for name in stack.param_names[: len(CELLS[stack.cell].param_names)]:
            if name.split(".")[-1].startswith("W_x"):
                with numpy.errstate(over="ignore", invalid="ignore"):  # who uses the product says that it is no number
                    values[name] = embedding @ values[name]
    ctx = device_of(model.dense.weight)
    return stack, [mx.np.array(values[name], dtype=values[name].dtype, ctx=ctx) for name in stack.param_names]


def _has_equal_layers(model: RNNModel) -> bool:
    """Return whether the layers differ in nothing but their numbers, and no class of the user's combines them."""
    facts = map(facts_of, model.layers)
    kinds = {(layer.cell, layer.num_hiddens, layer.num_projections, layer.num_directions) for layer in facts}
    plain = not isinstance(model.rnn, RecurrentStack) or type(model.rnn) is RecurrentStack
    return len(kinds) == 1 and plain


def make_twins(config: ModelConfig, vocab_size: int, ctx=None) -> dict:
    """Make a model from scratch and its twin on Gluon, with the same parameters.

    Args:
        config: the settings of both; ``kind`` does not matter, and the cell ``gru`` means ``gru_reset_after``.
        vocab_size: the size of the vocabulary.
        ctx: the device of both.

    Returns:
        the two models, under the keys ``scratch`` and ``gluon``.
    """
    cell = gluon_cell(config.cell)
    models = {
        kind: build_model(replace(config, kind=kind, cell=cell), vocab_size, ctx) for kind in ("scratch", "gluon")
    }
    copy_parameters(models["scratch"], models["gluon"])
    return models
