"""From a configuration to a model with new parameters."""

from __future__ import annotations

from typing import Any

from d2lrnn._runtime import mx
from d2lrnn.config.model import ModelConfig
from d2lrnn.device import ContextLike, as_ctx
from d2lrnn.models.compiled import FastRNNModel
from d2lrnn.models.gluon.layers import RecurrentStack, rnn_layer
from d2lrnn.models.gluon.model import RNNModel
from d2lrnn.models.parameters import set_values
from d2lrnn.models.scratch import RNNModelScratch
from d2lrnn.models.shapes import check_size, stack_from


def build_model(config: ModelConfig, vocab_size: int, ctx: ContextLike = None):
    """Make a model with new parameters: weights N(0, 0.01²), biases 0, as in the book.

    Cells with ``Cell.identity`` begin with the identity as ``W_h``.  With ``init_scale``, all parameters, biases too,
    are uniform between -init_scale and init_scale, as in Zaremba et al. (arXiv 1409.2329).

    Args:
        config: the model's settings.
        vocab_size: the size of the vocabulary.
        ctx: the device, as for :func:`d2lrnn.device.as_ctx`.

    Returns:
        an :class:`RNNModelScratch`, :class:`FastRNNModel` or :class:`RNNModel`.

    Raises:
        D2lrnnError: if ``vocab_size`` is no size, or the model's parameters and gradients do not fit in memory.
        DeviceError: for a device that is not there.
    """
    check_size(config, vocab_size)
    stack = stack_from(config)
    model: Any
    if config.kind == "fast":
        model = FastRNNModel(vocab_size, config.num_hiddens, ctx, stack)
    elif config.kind == "scratch":
        model = RNNModelScratch(vocab_size, config.num_hiddens, ctx, stack.get_params, stack.init_state, stack)
    else:
        model = _build_gluon_model(config, vocab_size, ctx)
    if config.init_scale is not None:
        for param in model.parameters().values():
            set_values(param, mx.np.random.uniform(-config.init_scale, config.init_scale, size=param.shape))
    return model


def _build_gluon_model(config: ModelConfig, vocab_size: int, ctx: ContextLike) -> RNNModel:
    input_size = config.embed_size or vocab_size
    if config.num_layers == 1:
        layer = rnn_layer(config.cell, config.num_hiddens, input_size, config.bidirectional, config.num_projections)
    else:
        layer = RecurrentStack(
            config.cell,
            config.num_hiddens,
            config.num_layers,
            config.bidirectional,
            config.dropout,
            input_size,
            config.num_projections,
        )
    model = RNNModel(layer, vocab_size, config.embed_size, config.dropout, config.num_outputs, config.tie_weights)
    model.initialize(mx.init.Normal(0.01), ctx=as_ctx(ctx))
    return model
