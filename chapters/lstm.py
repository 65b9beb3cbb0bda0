# %% [markdown]
# # Long short-term memory
#
# (d2l-zh v1, section 6.8; d2l 1.0, section 10.1; Hochreiter and Schmidhuber 1997)
#
# The LSTM carries two arrays from step to step: the hidden state $\mathbf{H}_t$ that the rest of the network sees, and
# the *memory cell* $\mathbf{C}_t$ behind it. An input gate says what is written to the memory, a forget gate what
# stays there, an output gate what is shown of it:
#
# $$\begin{aligned}
# \mathbf{I}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{xi} + \mathbf{H}_{t-1} \mathbf{W}_{hi} + \mathbf{b}_i), \qquad
# \mathbf{F}_t = \sigma(\mathbf{X}_t \mathbf{W}_{xf} + \mathbf{H}_{t-1} \mathbf{W}_{hf} + \mathbf{b}_f), \\
# \mathbf{O}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{xo} + \mathbf{H}_{t-1} \mathbf{W}_{ho} + \mathbf{b}_o), \qquad
# \tilde{\mathbf{C}}_t = \tanh(\mathbf{X}_t \mathbf{W}_{xc} + \mathbf{H}_{t-1} \mathbf{W}_{hc} + \mathbf{b}_c), \\
# \mathbf{C}_t &= \mathbf{F}_t \odot \mathbf{C}_{t-1} + \mathbf{I}_t \odot \tilde{\mathbf{C}}_t, \qquad
# \mathbf{H}_t = \mathbf{O}_t \odot \tanh(\mathbf{C}_t).
# \end{aligned}$$
#
# The memory changes by sums and by factors near 1, not by a matrix at every step.

# %%
"""Long short-term memory: its gates, how long its memory lasts, and training beside Gluon's."""

import common
from mxnet import np, npx

import d2lrnn

# %% [markdown]
# ## Parameters and shapes


# %%
def shapes(lesson):
    """List the parameters and run the LSTM over one batch."""
    common.section("1. Parameters and shapes")
    vocab_size, num_hiddens = lesson.corpus.vocab_size, lesson.model.num_hiddens
    params = d2lrnn.get_lstm_params(vocab_size, num_hiddens, lesson.ctx)
    for name, param in zip(d2lrnn.Stack("lstm").param_names, params):
        print(f"{name:10} {param.shape}")
    print(f"{sum(param.size for param in params):,} numbers in all")
    X, _ = common.first_batch(lesson)
    state = d2lrnn.init_lstm_state(X.shape[0], num_hiddens, lesson.ctx)
    outputs, (H, C) = d2lrnn.lstm(d2lrnn.to_onehot(X, vocab_size), state, params)
    print(f"outputs    {len(outputs)} matrices {outputs[0].shape} = (batch_size, vocab_size)")
    print(f"state      H {H.shape} and C {C.shape} = (batch_size, num_hiddens)")


# %% [markdown]
# ## How long the memory lasts
#
# Shut the input gate, and the memory can only fade: each step multiplies it by the forget gate, so after $T$ steps
# there is $\sigma(b_f)^T$ left of it, and just as much of the gradient. That is why a larger first bias of the forget
# gate helps where the past matters (Jozefowicz et al. 2015). The book starts with 0, where the gate is half open.


# %%
def memory(lesson):
    """Run an LSTM whose input gate is shut and see what is left of its memory."""
    num_steps = lesson.training.num_steps
    common.section(f"2. What is left of the memory after {num_steps} steps")
    names = d2lrnn.Stack("lstm").param_names
    for b_f in (0, 2, 5, 10):
        params = [np.zeros_like(param) for param in d2lrnn.get_lstm_params(4, 3)]
        params[names.index("b_i")][:] = -30  # shut: nothing new is written
        params[names.index("b_f")][:] = b_f
        inputs, state = [np.zeros((1, 4))] * num_steps, (np.zeros((1, 3)), np.ones((1, 3)))
        _, (_, C) = d2lrnn.lstm(inputs, state, params)
        gate = float(npx.sigmoid(np.array(float(b_f))))
        print(f"b_f = {b_f:2}: the gate is {gate:.4f}, left {float(C.max()):.2e}, by formula {gate**num_steps:.2e}")


# %% [markdown]
# ## Gluon's layer
#
# `gluon.rnn.LSTM` stores the gates in one matrix, in the order input, forget, candidate, output, where the book's
# lists have the candidate last. `copy_parameters` knows that. How well it does shows in the numbers.


# %%
def same_numbers(lesson):
    """Compare logits and state of the two models with the same parameters."""
    common.section("3. From scratch and Gluon with the same parameters")
    X, _ = common.first_batch(lesson)
    results = []
    for model in common.new_twins(lesson).values():
        logits, state = model(X, model.begin_state(X.shape[0]))
        results.append([logits, *state])
    print("largest difference, beside the largest number itself")
    for name, a, b in zip(("logits", "H", "C"), *results):
        print(f"{name:8} {common.difference(a, b):.1e}   {float(abs(a).max()):.1e}")


# %% [markdown]
# ## Training
#
# With the book's settings the LSTM starts slowly: its state is the product of two gates that start half open, so the
# first signals are small. Give it the epochs, then compare with the GRU.


# %%
def training(lesson):
    """Train both models and show them side by side."""
    common.section("4. Training")
    common.train_and_show(common.new_twins(lesson), lesson, "lstm", "LSTM from scratch and on Gluon")


# %% [markdown]
# ## Exercises
#
# 1. Start with a bias of 1 or 2 for the forget gate (`named_parameters(model)["b_f"][:] = 2`). How many epochs does
#    that save?
# 2. The hidden state lies between -1 and 1. What bounds the memory cell?
# 3. Tie the gates, $\mathbf{I} = 1 - \mathbf{F}$, in a copy of `lstm_step`. How much does the smaller model lose? Which
#    other cell does it resemble?
# 4. Train with `--optimizer adam --lr 0.005 --theta 1`. What does that change, and what does it cost?
# 5. Compare RNN, GRU and LSTM at equal numbers of parameters in place of equal numbers of hidden units.


# %%
def main(argv=None):
    """Run the lesson."""
    lesson = common.parse_args(
        __doc__,
        argv,
        model=d2lrnn.ModelConfig(cell="lstm"),
        training=common.BOOK_GATED,
        fixed=["cell", "num_layers"],
    )
    common.opening("Long short-term memory", lesson)
    shapes(lesson)
    memory(lesson)
    same_numbers(lesson)
    training(lesson)


# %%
if __name__ == "__main__":
    main()
