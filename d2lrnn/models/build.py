"""From a configuration to a model with new parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from d2lrnn._runtime import mx
from d2lrnn.config.model import ModelConfig
from d2lrnn.data.batches import check_inputs
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.models.compiled import FastRNNModel
from d2lrnn.models.gluon.encoder import Encoder
from d2lrnn.models.gluon.heads import SequenceModel
from d2lrnn.models.gluon.layers import RecurrentStack, rnn_layer
from d2lrnn.models.gluon.model import RNNModel
from d2lrnn.models.gluon.translator import Decoder, Translator
from d2lrnn.models.parameters import freeze, set_values
from d2lrnn.models.scratch import RNNModelScratch
from d2lrnn.models.sequence import SequenceModelScratch
from d2lrnn.models.shapes import check_size, stack_from
from d2lrnn.models.translator import TranslatorScratch


def build_model(config: ModelConfig, vocab_size: int | None, ctx: ContextLike = None):
    """Make a model with new parameters: weights N(0, 0.01²), biases 0, as in the book.

    Cells with ``Cell.identity`` begin with the identity as ``W_h``.  With ``init_scale``, all parameters, biases too,
    are uniform between -init_scale and init_scale, as in Zaremba et al. (arXiv 1409.2329).

    Args:
        config: the model's settings.
        vocab_size: the size of the vocabulary; None for a model whose inputs are numbers (``input_size``).
        ctx: the device, as for :func:`d2lrnn.device.as_ctx`.

    Returns:
        an :class:`RNNModelScratch`, :class:`FastRNNModel` or :class:`RNNModel`; with another head than that of language
        models, a :class:`SequenceModelScratch` or :class:`SequenceModel`, or a :class:`TranslatorScratch` or
        :class:`Translator`.

    Raises:
        D2lrnnError: if ``vocab_size`` is no size, or the model's parameters and gradients do not fit in memory.
        DeviceError: for a device that is not there.
    """
    check_size(config, vocab_size)
    stack, inputs = stack_from(config), check_inputs(vocab_size, config.input_size)
    model: Any
    if config.kind == "fast":
        model = FastRNNModel(inputs, config.num_hiddens, ctx, stack)
    elif config.kind == "scratch" and config.head == "translation":
        shape = (config.attention, config.share)
        model = TranslatorScratch(stack, config.num_hiddens, inputs, *shape, ctx)
    elif config.kind == "scratch" and config.head != "tokens":
        model = SequenceModelScratch(stack, config.num_hiddens, config.head, vocab_size, config.input_size, ctx)
    elif config.kind == "scratch":
        model = RNNModelScratch(inputs, config.num_hiddens, ctx, stack.get_params, stack.init_state, stack)
    else:
        model = _build_gluon_model(config, vocab_size, ctx)
    if config.init_scale is not None:
        for param in model.parameters().values():
            set_values(param, mx.np.random.uniform(-config.init_scale, config.init_scale, size=param.shape))
    return model


def _build_gluon_model(config: ModelConfig, vocab_size: int | None, ctx: ContextLike):
    inputs = check_inputs(vocab_size, config.input_size)
    model: RNNModel | SequenceModel | Translator
    if config.head == "translation":
        model = _translator(config, inputs)
    elif config.head == "tokens":
        layer, more = _recurrent(config, inputs), (config.num_outputs, config.tie_weights)
        model = RNNModel(layer, inputs, config.embed_size, config.dropout, *more)
    else:
        layer, ids = _recurrent(config, inputs), (vocab_size, config.embed_size, config.dropout)
        model = SequenceModel(layer, config.num_outputs or 0, config.head, *ids, config.input_size)
    model.initialize(mx.init.Normal(0.01), ctx=as_ctx(ctx))
    if config.freeze_embedding:
        freeze(model.embedding.weight)
    return model


def _recurrent(config: ModelConfig, inputs: int):
    """Return the recurrent layers for ids of a vocabulary, or for as many numbers."""
    input_size = config.embed_size or inputs
    sizes = (config.num_hiddens, input_size, config.bidirectional, config.num_projections)
    if config.num_layers == 1:
        return rnn_layer(config.cell, *sizes)
    return RecurrentStack(
        config.cell,
        config.num_hiddens,
        config.num_layers,
        config.bidirectional,
        config.dropout,
        input_size,
        config.num_projections,
    )


def _translator(config: ModelConfig, vocab_size: int) -> Translator:
    """Return a translator on Gluon; with ``share``, the encoder of the source is the decoder's too."""
    num_outputs, ids = config.num_outputs or 0, (config.embed_size, config.dropout)
    encoder = reader = Encoder(_recurrent(config, vocab_size), vocab_size, *ids)
    if not config.share:
        reader = Encoder(_recurrent(replace(config, bidirectional=False), num_outputs), num_outputs, *ids)
    return Translator(encoder, Decoder(reader, num_outputs, config.attention, encoder.width, config.tie_weights))
