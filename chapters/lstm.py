# %% [markdown]
# # Long short-term memory
#
# (d2l-zh v1, section 6.8; d2l 1.0, section 10.1; Hochreiter and Schmidhuber 1997)
#
# The state of a plain recurrent network passes through a matrix and a tanh at every step. After thirty steps little is
# left in it of what stood at the beginning, and little of the gradient finds its way back. The LSTM keeps a second
# array beside the state, the *memory cell*. The memory changes by sums and by factors between 0 and 1, and no matrix
# stands in its way. This lesson builds the LSTM gate by gate, measures how long its memory lasts, trains it until it
# writes lyrics, and sets Gluon's layer beside it.

# %%
import common
from mxnet import autograd, np, npx
from mxnet.gluon import rnn

import d2lrnn
from d2lrnn.plotting import draw_curves, new_figure

lesson = common.begin(
    model=d2lrnn.ModelConfig(cell="lstm"),
    training=common.BOOK_GATED,
    fixed=["cell", "num_layers"],
    quick={"batch_size": 20, "lr": 0.02},
)

# %% [markdown]
# ## Input gate, forget gate and output gate
#
# The inputs of a step are the minibatch $\mathbf{X}_t$ of shape (batch_size, vocab_size) and the state
# $\mathbf{H}_{t-1}$ of shape (batch_size, num_hiddens). Three gates read both:
#
# $$\begin{aligned}
# \mathbf{I}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{xi} + \mathbf{H}_{t-1} \mathbf{W}_{hi} + \mathbf{b}_i), \\
# \mathbf{F}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{xf} + \mathbf{H}_{t-1} \mathbf{W}_{hf} + \mathbf{b}_f), \\
# \mathbf{O}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{xo} + \mathbf{H}_{t-1} \mathbf{W}_{ho} + \mathbf{b}_o).
# \end{aligned}$$
#
# The sigmoid $\sigma$ gives numbers between 0, a gate that is shut, and 1, a gate that is open. The *input gate*
# $\mathbf{I}_t$ says how much of the new is written into the memory, the *forget gate* $\mathbf{F}_t$ how much of the
# old stays there, and the *output gate* $\mathbf{O}_t$ how much of the memory the rest of the network sees.
#
# ![The three gates of the LSTM, each a fully connected layer over the input and the state](img/lstm_gates.svg)

# %%
X, Y = common.first_batch(lesson)
num_inputs = num_outputs = lesson.corpus.vocab_size
num_hiddens, ctx = lesson.model.num_hiddens, lesson.ctx


def gate_params():
    """Return new weights and a new bias for one gate, or for the candidate memory."""
    W_x = np.random.normal(0, 0.01, (num_inputs, num_hiddens), ctx=ctx)
    W_h = np.random.normal(0, 0.01, (num_hiddens, num_hiddens), ctx=ctx)
    return W_x, W_h, np.zeros(num_hiddens, ctx=ctx)


W_xi, W_hi, b_i = gate_params()
W_xf, W_hf, b_f = gate_params()
W_xo, W_ho, b_o = gate_params()

inputs = d2lrnn.to_onehot(X, num_inputs)
H = np.zeros((len(X), num_hiddens), ctx=ctx)
I = npx.sigmoid(np.dot(inputs[0], W_xi) + np.dot(H, W_hi) + b_i)
F = npx.sigmoid(np.dot(inputs[0], W_xf) + np.dot(H, W_hf) + b_f)
O = npx.sigmoid(np.dot(inputs[0], W_xo) + np.dot(H, W_ho) + b_o)
print(f"X_1 {inputs[0].shape}, H_0 {H.shape}, I_1 {I.shape}")
print(f"the input gate of the first row: {I[0, :4]}: half open, since new weights are near 0")

# %% [markdown]
# ## Candidate memory
#
# What could be written into the memory is computed like the state of a plain recurrent network. Its numbers lie
# between -1 and 1:
#
# $$\tilde{\mathbf{C}}_t = \tanh(\mathbf{X}_t \mathbf{W}_{xc} + \mathbf{H}_{t-1} \mathbf{W}_{hc} + \mathbf{b}_c).$$
#
# ![The candidate memory beside the three gates](img/lstm_candidate.svg)

# %%
W_xc, W_hc, b_c = gate_params()
C_tilda = np.tanh(np.dot(inputs[0], W_xc) + np.dot(H, W_hc) + b_c)
print(f"C_tilda_1 {C_tilda.shape}, from {float(C_tilda.min()):.3f} to {float(C_tilda.max()):.3f}")

# %% [markdown]
# ## Memory cell and hidden state
#
# The forget gate fades the old memory, element by element, and the input gate lets the candidate in. The output gate
# shows the memory, squashed by tanh, to the output layer and to the next step:
#
# $$\mathbf{C}_t = \mathbf{F}_t \odot \mathbf{C}_{t-1} + \mathbf{I}_t \odot \tilde{\mathbf{C}}_t, \qquad
# \mathbf{H}_t = \mathbf{O}_t \odot \tanh(\mathbf{C}_t).$$
#
# ![The memory cell: the old memory times the forget gate, plus the candidate times the input gate](img/lstm_memory.svg)
#
# ![The hidden state: the squashed memory times the output gate](img/lstm_state.svg)
#
# If the forget gate is 1 and the input gate 0, the memory stays as it is, however many steps go by.

# %%
C = np.zeros((len(X), num_hiddens), ctx=ctx)
C = F * C + I * C_tilda
H = O * np.tanh(C)
print(f"C_1 {C.shape}, the largest number {float(abs(C).max()):.4f}")
print(f"H_1 {H.shape}, the largest number {float(abs(H).max()):.4f}")

# %% [markdown]
# ## The LSTM over a minibatch
#
# The same six lines at every step, and an output layer on top. The initial state is a pair, $\mathbf{H}_0$ and
# $\mathbf{C}_0$, both zero.


# %%
def lstm(inputs, state, params):
    """Run the LSTM over num_steps matrices (batch_size, vocab_size)."""
    W_xi, W_hi, b_i, W_xf, W_hf, b_f, W_xo, W_ho, b_o, W_xc, W_hc, b_c, W_hq, b_q = params
    H, C = state
    outputs = []
    for X in inputs:
        I = npx.sigmoid(np.dot(X, W_xi) + np.dot(H, W_hi) + b_i)
        F = npx.sigmoid(np.dot(X, W_xf) + np.dot(H, W_hf) + b_f)
        O = npx.sigmoid(np.dot(X, W_xo) + np.dot(H, W_ho) + b_o)
        C_tilda = np.tanh(np.dot(X, W_xc) + np.dot(H, W_hc) + b_c)
        C = F * C + I * C_tilda
        H = O * np.tanh(C)
        outputs.append(np.dot(H, W_hq) + b_q)
    return outputs, (H, C)


W_hq = np.random.normal(0, 0.01, (num_hiddens, num_outputs), ctx=ctx)
b_q = np.zeros(num_outputs, ctx=ctx)
params = [W_xi, W_hi, b_i, W_xf, W_hf, b_f, W_xo, W_ho, b_o, W_xc, W_hc, b_c, W_hq, b_q]
state = d2lrnn.init_lstm_state(len(X), num_hiddens, ctx)
outputs, (H, C) = lstm(inputs, state, params)
print(f"{len(outputs)} outputs {outputs[0].shape}, H {H.shape}, C {C.shape}")
print(f"{len(params)} parameters with {sum(param.size for param in params):,} numbers")

# %% [markdown]
# The function `d2lrnn.lstm` is the same. Its states equal those from above in every digit. Its outputs may differ in
# the last digit: `d2lrnn.lstm` multiplies the states of all steps with $\mathbf{W}_{hq}$ in one product, which adds up
# the same numbers in another order.

# %%
expected, (expected_H, expected_C) = d2lrnn.lstm(inputs, state, params)
print(f"this is d2lrnn.lstm: H differs by {common.difference(H, expected_H):g}", end=", ")
print(f"C by {common.difference(C, expected_C):g}", end=", ")
print(f"the outputs by {max(common.difference(a, b) for a, b in zip(outputs, expected)):.0e}")

# %% [markdown]
# ## How long the memory lasts
#
# Shut the input gate, and the memory can only fade. Each step multiplies it by the forget gate, so after $T$ steps
# $\sigma(b_f)^T$ of it is left. The derivative of $\mathbf{C}_T$ with respect to $\mathbf{C}_0$ is the same number, so
# just as much of the gradient is left. A gate that is half open, as the book's start has it, forgets nearly all within
# ten steps. A gate near 1 keeps it.

# %%
num_steps = lesson.training.num_steps
for bias in (0, 2, 5, 10):
    shut = [np.zeros_like(param) for param in d2lrnn.get_lstm_params(4, 3, ctx)]
    shut[2][:] = -30  # b_i: nothing new is written
    shut[5][:] = bias  # b_f
    memory = np.ones((1, 3), ctx=ctx)
    memory.attach_grad()
    with autograd.record():
        _, (_, left) = lstm([np.zeros((1, 4), ctx=ctx)] * num_steps, (np.zeros((1, 3), ctx=ctx), memory), shut)
        total = left.sum()
    total.backward()
    gate = float(npx.sigmoid(np.array(float(bias))))
    print(f"b_f = {bias:2}: the gate is {gate:.4f}; after {num_steps} steps {float(left.max()):.2e} is left", end=" ")
    print(f"and {float(memory.grad.max()):.2e} of the gradient; by the formula {gate**num_steps:.2e}")

# %% [markdown]
# In the network that will be trained, the gates depend on the text, and new things are written. How far does the
# gradient reach there before training? The code below lets autograd compute the gradient of the sum of $\mathbf{H}_T$
# with respect to what the network remembered $T$ steps before: the memory $\mathbf{C}_0$ of the LSTM, and the state
# $\mathbf{H}_0$ of a plain recurrent network. It prints the norms for several $T$ and first biases of the forget gate.

# %%
distances = [1, 2, 5, 10, 20, 35]
ids = np.random.randint(0, num_inputs, (1, distances[-1]), ctx=ctx).astype("int32")
norms = {}
for name, forward, new_params, new_state, bias in (
    ("plain RNN", d2lrnn.rnn, d2lrnn.get_rnn_params, d2lrnn.init_rnn_state, None),
    ("LSTM, b_f = 0", lstm, d2lrnn.get_lstm_params, d2lrnn.init_lstm_state, 0),
    ("LSTM, b_f = 2", lstm, d2lrnn.get_lstm_params, d2lrnn.init_lstm_state, 2),
    ("LSTM, b_f = 5", lstm, d2lrnn.get_lstm_params, d2lrnn.init_lstm_state, 5),
):
    first_params, norms[name] = new_params(num_inputs, num_hiddens, ctx), {}
    if bias is not None:
        first_params[5][:] = bias  # b_f
    for T in distances:
        remembered = new_state(1, num_hiddens, ctx)
        remembered[-1].attach_grad()  # C_0; in the plain network H_0
        with autograd.record():
            _, (H_T, *_) = forward(d2lrnn.to_onehot(ids[:, :T], num_inputs), remembered, first_params)
            total = H_T.sum()
        total.backward()
        norms[name][T] = float(np.linalg.norm(remembered[-1].grad))
print(f"{'steps back':14}" + "".join(f"{T:>9}" for T in distances))
for name, by_distance in norms.items():
    print(f"{name:14}" + "".join(f"{norm:9.0e}" for norm in by_distance.values()))

figure, (panel,) = new_figure("How far the gradient reaches before training", size=(6.5, 3.6))
draw_curves(panel, norms, ("steps back", "norm of the gradient"), log=True)
panel.set_ylim(bottom=1e-9)
common.save_figure(figure, lesson.picture("lstm_gradient"))

# %% [markdown]
# With a bias of 0 half of the gradient is lost at every step, yet far less than in the plain network, whose curve soon
# leaves the picture. With a larger bias the gradient reaches over all the steps of a minibatch. Such a first bias helps
# where the distant past matters (Jozefowicz, Zaremba and Sutskever 2015).
#
# ## The concise twin
#
# `RNNModelScratch` puts the parts together: `get_lstm_params` makes the parameters, `init_lstm_state` the state, and
# the function `d2lrnn.lstm` computes. Its twin on Gluon is `gluon.rnn.LSTM`, which computes all steps in one
# operator. Gluon's layer stores the gates in one matrix, in the order input, forget, candidate, output, where the book
# has the candidate last. `copy_parameters` knows both orders. With the same parameters the two models compute the same
# numbers, up to the rounding of float32.

# %%
model = d2lrnn.RNNModelScratch(
    num_inputs, num_hiddens, ctx, d2lrnn.get_lstm_params, d2lrnn.init_lstm_state, d2lrnn.lstm
)
twin = d2lrnn.RNNModel(rnn.LSTM(num_hiddens), num_inputs)
twin.initialize(ctx=ctx)
d2lrnn.copy_parameters(model, twin)
(logits, (H, C)), (twin_logits, (twin_H, twin_C)) = (m(X, m.begin_state(len(X), ctx)) for m in (model, twin))
for name, a, b in (("logits", logits, twin_logits), ("H", H, twin_H), ("C", C, twin_C)):
    print(f"{name:8} largest difference {common.difference(a, b):.1e}, largest number {float(abs(a).max()):.1e}")

# %% [markdown]
# ## Training
#
# The book trains for 160 epochs with SGD on consecutive minibatches. Every few epochs the model writes. The samples
# show what it has learnt: at first a few common characters or phrases, again and again, later longer and longer pieces
# of the text. The start is slow. The state is the product of two gates that are half open, so its first signals are
# small.

# %%
print(common.describe(lesson.training))
history = common.checked(d2lrnn.train_and_predict(model, lesson.corpus, lesson.training))

# %% [markdown]
# Now the twin, from the same parameters and on the same batches.

# %%
twin_history = common.checked(d2lrnn.train_and_predict(twin, lesson.corpus, lesson.training))

# %%
histories = {"scratch": history, "gluon": twin_history}
common.compare(histories, lesson, "lstm", "LSTM from scratch and on Gluon")

# %% [markdown]
# Both fall side by side. With the same parameters they compute the same numbers up to rounding, and so do their
# gradients, but training can enlarge a difference in the last digit from step to step. A large learning rate does so
# most. We measured that on the Penn Treebank with `--max-tokens 5000`, with 64 hidden units, a compiled model beside
# Gluon's, and seed 1. With the book's learning rate of 100 the training perplexities differed by less than one part in
# a million in the second epoch and by 0.004 % in the tenth. Those in validation, on 5,000 other words, differed by
# 0.6 % then. With a learning rate of 10 they agreed to seven digits even then, but the models had learnt much less.
# Such a difference says nothing about which of the two is right.
#
# ## Summary
#
# * The LSTM carries a hidden state and a memory cell. Only the hidden state enters the output layer.
# * The input gate writes, the forget gate keeps, the output gate shows.
# * The memory changes by products with a gate and by sums. With the forget gate near 1 a signal, and its gradient, last
#   over many steps.
# * `gluon.rnn.LSTM` computes the same in one operator.
#
# ## Exercises
#
# `lstm`, `params`, `X`, `model`, `twin` and `lesson` are at hand for all of them.
#
# 1. Let a new model begin with a bias of 2 for the forget gate: make `model` anew, and set
#    `d2lrnn.named_parameters(model)["b_f"][:] = 2` before it is trained. Does training then need fewer epochs?
#
# <details><summary>Solution 1</summary>
#
# Not here. With `--quick` a perplexity below 10 came in epochs 17, 18 and 18 in place of 16, 16 and 14 (seeds 1 to 3).
# A memory that mostly stays learns its first words later, and the next characters of a song depend on the last few.
#
# </details>
#
# 2. The candidate memory lies between -1 and 1 already. Why does the hidden state need a tanh of the memory?
#
# <details><summary>Solution 2</summary>
#
# The candidate is bounded, but the memory, a sum of candidates, is not. Each step can add 1 to its absolute value, so
# after $t$ steps it may be $t$. With a forget gate of at most $f$ it stays below $1 / (1 - f)$. The tanh brings the
# hidden state back between -1 and 1.
#
# </details>
#
# 3. Couple two gates: $\mathbf{I}_t = 1 - \mathbf{F}_t$. What does the smaller model lose? Which other cell does it
#    resemble?
#
# <details><summary>Solution 3</summary>
#
# Copy `lstm`, take `params[3:]` and write `(1 - F) * C_tilda`. The memory then is a mixture of old and new, as the
# state of the GRU is. A fifth of the parameters is saved. With `--quick --lr 0.01 --num-epochs 40` a perplexity below
# 10 came two epochs later than with the three gates (epochs 33, 32 and 28 against 31, 30 and 26 for seeds 1 to 3).
#
# </details>
#
# 4. Compare the plain network, the GRU and the LSTM at equal numbers of parameters, and their times at equal numbers of
#    hidden units.
#
# <details><summary>Solution 4</summary>
#
# On the 1,000 characters of `--quick` the LSTM with 64 hidden units has 118,718 parameters. A plain network with 150
# and a GRU with 78 hidden units have as many. With `--lr 0.01 --num-epochs 40` they reached a perplexity below 10 in
# epochs 16, 14 and 16 (plain, seeds 1 to 3), 17, 17 and 18 (GRU), 31, 30 and 26 (LSTM): a short text needs no long
# memory. With the book's settings on `sample`, the loss and the gradients of a minibatch took 48, 108 and 130 ms from
# scratch, and 38, 65 and 77 ms with Gluon's layers (the shortest of 24, on one core of an Intel Xeon, while other
# programs ran).
#
# </details>
