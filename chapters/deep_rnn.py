# %% [markdown]
# # Deep recurrent networks
#
# (d2l-zh v1, section 6.9; d2l 1.0, section 10.3; Zaremba et al. 2014, arXiv 1409.2329)
#
# In a single recurrent layer, only one step lies between a token and the hidden state. To work a token over more
# thoroughly, stack layers: the hidden states of one are the inputs of the next. With
# $\mathbf{H}^{(0)}_t = \mathbf{X}_t$ and layers $\ell = 1, \ldots, L$ of the simple cell,
#
# $$\mathbf{H}_t^{(\ell)} = \tanh(\mathbf{H}_t^{(\ell-1)} \mathbf{W}_{xh}^{(\ell)} + \mathbf{H}_{t-1}^{(\ell)}
# \mathbf{W}_{hh}^{(\ell)} + \mathbf{b}_h^{(\ell)}), \qquad \mathbf{O}_t = \mathbf{H}_t^{(L)} \mathbf{W}_{hq} +
# \mathbf{b}_q.$$
#
# A GRU or an LSTM puts its own equations in place of the tanh. Every layer has a state of its own.

# %%
"""Deep recurrent networks: stacked layers from scratch and on Gluon, and dropout between them."""

import math

import common
from mxnet import autograd, gluon, init, np

import d2lrnn
from d2lrnn import FusedLayerError, RecurrentStack, RNNModel
from d2lrnn.models import stack_from

# %% [markdown]
# ## From scratch
#
# `Stack` runs the cells of `d2lrnn/cells/steps.py` layer over layer. Only the first layer sees the whole vocabulary;
# the second has `num_hiddens` inputs.


# %%
def from_scratch(lesson):
    """List the layers of a stack and run it over one batch."""
    common.section("1. From scratch: Stack")
    vocab_size, num_hiddens, stack = lesson.corpus.vocab_size, lesson.model.num_hiddens, stack_from(lesson.model)
    names, shapes = stack.param_names, stack.param_shapes(vocab_size, num_hiddens)
    per_layer = len(d2lrnn.CELLS[stack.cell].param_names)
    print(f"{stack.num_layers} layers of {stack.cell}")
    for i in range(0, len(names) - 2, per_layer):
        numbers = sum(map(math.prod, shapes[i : i + per_layer]))
        first = ", ".join(f"{names[j]} {shapes[j]}" for j in (i, i + 1))
        print(f"layer {i // per_layer}    {first} and {per_layer - 2} more; {numbers:,} numbers in all")
    print(f"output     {names[-2]} {shapes[-2]}, {names[-1]} {shapes[-1]}")
    X, _ = common.first_batch(lesson)
    params = stack.get_params(vocab_size, num_hiddens, lesson.ctx)
    state = stack.init_state(X.shape[0], num_hiddens, lesson.ctx)
    outputs, state = stack(d2lrnn.to_onehot(X, vocab_size), state, params)
    print(f"outputs    {len(outputs)} matrices {outputs[0].shape} = (batch_size, vocab_size)")
    print(f"state      {len(state)} arrays {state[0].shape} = (batch_size, num_hiddens), layer by layer")


# %% [markdown]
# ## On Gluon
#
# `RecurrentStack` puts one-layer `gluon.rnn` layers on one another. (`gluon.rnn` can stack by itself,
# `num_layers=2`; why the module does not use that comes next.)


# %%
def on_gluon(lesson):
    """Compare the stack on Gluon with the one from scratch, with the same parameters."""
    common.section("2. On Gluon: RecurrentStack, with the same parameters")
    X, _ = common.first_batch(lesson)
    results = []
    for name, model in common.new_twins(lesson).items():
        logits, state = model(X, model.begin_state(X.shape[0]))
        results.append([logits, state[-1]])
        print(f"{name:8} logits {logits.shape}, state {len(state)} arrays {state[0].shape}")
    print("largest difference, beside the largest number itself")
    for what, a, b in zip(("logits", "the last layer's state"), *results):
        print(f"{what:24} {common.difference(a, b):.1e}   {float(abs(a).max()):.1e}")


# %% [markdown]
# ## Dropout between the layers
#
# Deep models overfit; dropout zeroes a random share of the numbers that pass from one layer to the next, in training
# only. It must not act from one time step to the next, or the memory would be wiped out bit by bit.
#
# Gluon's recurrent layers have an option for this. It works on a GPU, but on the CPU MXNet 1.9.1 ignores it without a
# word. The test: a layer whose dropout works gives other numbers in training than in prediction.


# %%
def dropout():
    """Run layers with dropout in training and in prediction, on the CPU, and compare their outputs."""
    common.section("3. Dropout 0.5 between two layers, on the CPU")
    fused = gluon.rnn.GRU(8, num_layers=2, dropout=0.5, input_size=8)
    inputs = np.random.normal(size=(6, 4, 8))  # (num_steps, batch_size, num_inputs)
    print("do the outputs differ between training and prediction?")
    for name, layer in (("gluon.rnn", fused), ("RecurrentStack", RecurrentStack("gru", 8, 2, dropout=0.5))):
        layer.initialize(init.Normal(0.5))
        state = layer.begin_state(batch_size=4)
        with autograd.record():
            training, _ = layer(inputs, state)
        prediction, _ = layer(inputs, state)
        print(f"{name:15} largest difference {common.difference(training, prediction):.2f}")
    try:
        RNNModel(fused, vocab_size=8)
    except FusedLayerError as error:
        print(f"so RNNModel refuses: {error}")


# %% [markdown]
# ## Training
#
# With the book's small first weights a second layer gets hardly any signal at the start, so for some tens of epochs
# it lags behind a single layer. On a text of ten thousand characters a second layer is more than is needed anyway:
# depth pays on large corpora, with dropout.


# %%
def training(lesson):
    """Train both models and show them side by side."""
    common.section("4. Training")
    title = f"{lesson.model.num_layers}-layer {lesson.model.cell.upper()} from scratch and on Gluon"
    common.train_and_show(common.new_twins(lesson), lesson, "deep_rnn", title)


# %% [markdown]
# ## Exercises
#
# 1. Train one, two and three layers (`--num-layers`) for equal times, in place of equal epochs. Which is ahead when?
# 2. Train a Gluon model with `ModelConfig(num_layers=2, dropout=0.5)`. What happens to the perplexity in training? And
#    to what the model writes?
# 3. Start the weights larger, by `model.initialize(init.Normal(0.1), force_reinit=True)`. Does the second layer still
#    lag?
# 4. Why does dropout on $\mathbf{H}_{t-1} \to \mathbf{H}_t$ do more harm than dropout between layers? How large is the
#    share of a memory that survives 35 steps of dropout 0.5?


# %%
def main(argv=None):
    """Run the lesson."""
    lesson = common.parse_args(
        __doc__,
        argv,
        model=d2lrnn.ModelConfig(cell="gru", num_layers=2),
        training=common.BOOK_GATED,
    )
    common.opening("Deep recurrent networks", lesson)
    from_scratch(lesson)
    on_gluon(lesson)
    dropout()
    training(lesson)


# %%
if __name__ == "__main__":
    main()
