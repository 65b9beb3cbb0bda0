# %% [markdown]
# # A recurrent network on Gluon
#
# (d2l-zh v1, section 6.5; d2l 1.0, section 9.6)
#
# The network from scratch runs one small operator after another: for each time step a product, sums and a tanh.
# `gluon.rnn.RNN` computes the same equation
#
# $$\mathbf{H}_t = \tanh(\mathbf{X}_t \mathbf{W}_{xh} + \mathbf{b}_{xh} + \mathbf{H}_{t-1} \mathbf{W}_{hh} +
# \mathbf{b}_{hh})$$
#
# for all time steps in one fused operator. This lesson builds the language model around it, shows that it computes
# the same numbers, and measures what the fused operator saves.

# %%
"""A recurrent network on Gluon's fused layer: the same numbers as from scratch, in less time."""

import common
from mxnet import autograd, gluon, npx

import d2lrnn
from d2lrnn import RNNModel, copy_parameters

# %% [markdown]
# ## The layer
#
# The layer takes all time steps at once, as one array whose first axis is time, and returns all hidden states. It has
# no output layer. Its state has one more axis than ours, for the layers and directions it may have.


# %%
def the_layer(lesson):
    """Run Gluon's layer over one batch of one-hot vectors."""
    common.section("1. The layer")
    vocab_size, num_hiddens = lesson.corpus.vocab_size, lesson.model.num_hiddens
    layer = d2lrnn.rnn_layer("rnn", num_hiddens, vocab_size)
    layer.initialize(ctx=lesson.ctx)
    X, _ = common.first_batch(lesson)
    state = layer.begin_state(batch_size=X.shape[0], ctx=lesson.ctx)
    inputs = npx.one_hot(X.T, vocab_size)
    outputs, new_state = layer(inputs, state)
    print(f"inputs        {inputs.shape} = (num_steps, batch_size, vocab_size)")
    print(f"state         {len(state)} array {state[0].shape} = (layers and directions, batch_size, num_hiddens)")
    print(f"outputs       {outputs.shape} = (num_steps, batch_size, num_hiddens)")
    gap = common.difference(outputs[-1], new_state[0])
    print(f"new state     {new_state[0].shape}: the last of the outputs, difference {gap:.0e}")


# %% [markdown]
# ## The model
#
# `RNNModel` puts one-hot vectors before the layer and a dense layer behind it. It is called as the model from scratch
# is, so one training loop serves both.


# %%
def the_model(lesson):
    """Build the model around the layer and list its parameters."""
    common.section("2. The model")
    model = common.new_twins(lesson)["gluon"]
    for name in ("l0_i2h_weight", "l0_h2h_weight", "l0_i2h_bias", "l0_h2h_bias"):
        print(f"rnn.{name:14} {getattr(model.rnn, name).shape}")
    print(f"{'dense.weight':18} {model.dense.weight.shape}")
    print(f"{'dense.bias':18} {model.dense.bias.shape}")
    X, _ = common.first_batch(lesson)
    logits, _ = model(X, model.begin_state(X.shape[0]))
    print(f"{'logits':18} {logits.shape} = (num_steps * batch_size, vocab_size)")


# %% [markdown]
# ## The same numbers
#
# Gluon stores each weight transposed, and gives a step two biases, one beside the input and one beside the state.
# Only their sum counts, but two biases would move twice as far in training, so `copy_parameters` sets the second to
# zero and freezes it. What is left between the two models is the rounding of 32-bit numbers.


# %%
def same_numbers(lesson):
    """Compare logits, state and a gradient of the two models with the same parameters."""
    common.section("3. The same numbers")
    twins, found = common.new_twins(lesson), {}
    X, Y = common.first_batch(lesson)
    for name, model in twins.items():
        with autograd.record():
            logits, state = model(X, model.begin_state(X.shape[0]))
            loss = d2lrnn.cross_entropy(logits, Y)
        loss.backward()
        found[name] = [logits, state[0]]
    found["scratch"].append(d2lrnn.named_parameters(twins["scratch"])["W_hh"].grad.T)
    found["gluon"].append(twins["gluon"].rnn.l0_h2h_weight.grad())
    print("largest difference between scratch and Gluon, beside the largest number itself")
    for what, a, b in zip(["logits", "state", "gradient of W_hh"], found["scratch"], found["gluon"]):
        print(f"{what:18} {common.difference(a, b):.1e}   {float(abs(a).max()):.1e}")


# %% [markdown]
# A trap: unless told otherwise, `gluon.rnn.RNN` applies relu in place of tanh. `d2lrnn.rnn_layer` asks for tanh.


# %%
def relu_trap(lesson):
    """Try to copy the book's parameters into Gluon's default layer."""
    common.section("4. A trap: Gluon's default is relu")
    scratch = common.new_twins(lesson)["scratch"]
    model = RNNModel(gluon.rnn.RNN(lesson.model.num_hiddens), lesson.corpus.vocab_size)
    model.initialize()
    try:
        copy_parameters(scratch, model)
    except ValueError as error:
        print(error)


# %% [markdown]
# ## What the fused operator saves


# %%
def speed(lesson):
    """Time the forward pass of both models over one batch."""
    from d2l import mxnet as d2l

    common.section("5. Time for one batch, without gradients")
    X, _ = common.first_batch(lesson)
    average = {}
    for name, model in common.new_twins(lesson).items():
        state = model.begin_state(X.shape[0])
        model(X, state)[0].wait_to_read()  # the first call compiles
        timer = d2l.Timer()
        for _ in range(10):
            timer.start()
            model(X, state)[0].wait_to_read()  # MXNet works in the background: wait for the result
            timer.stop()
        average[name] = timer.avg()
        print(f"{name:8} {1000 * timer.avg():6.1f} ms")
    print(f"Gluon takes {average['gluon'] / average['scratch']:.0%} of the time")


# %% [markdown]
# ## Training, with the model from scratch beside it
#
# Same start, same batches: the two curves lie on one another for many epochs. Rounding differs in the last digit,
# though, and every update builds on the one before, so in a long training the runs drift apart in the end. Both are
# equally right.


# %%
def training(lesson):
    """Train both models and show them side by side."""
    common.section("6. Training")
    common.train_and_show(common.new_twins(lesson), lesson, "rnn_concise", "RNN on Gluon and from scratch")


# %% [markdown]
# ## Exercises
#
# 1. Train the model with relu. Which learning rate does it bear, and what does that have to do with the range of tanh?
# 2. The speed-up depends on the sizes. Vary `--num-hiddens` and `--batch-size`: where is the fused layer worth most,
#    and why?
# 3. `RNNModel(..., embed_size=128)` looks ids up in a learnt table in place of one-hot vectors. What does that
#    change in the number of parameters and in speed, for the lyrics and for the Penn Treebank?
# 4. `model.hybridize(False)` runs the model operator by operator. Measure again: how much of the gain is the fused
#    layer's, how much comes from compiling the rest?


# %%
def main(argv=None):
    """Run the lesson."""
    lesson = common.parse_args(
        __doc__,
        argv,
        model=d2lrnn.ModelConfig(cell="rnn"),
        training=common.BOOK_RNN,
        fixed=["cell", "num_layers"],
    )
    common.opening("A recurrent network on Gluon", lesson)
    the_layer(lesson)
    the_model(lesson)
    same_numbers(lesson)
    relu_trap(lesson)
    speed(lesson)
    training(lesson)


# %%
if __name__ == "__main__":
    main()
