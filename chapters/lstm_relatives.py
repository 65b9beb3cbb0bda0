# %% [markdown]
# # Peepholes, projections and an identity
#
# (d2l-zh v1, section 6.8, and beyond it: Gers and Schmidhuber 2000; Sak, Senior and Beaufays 2014, arXiv 1402.1128;
# Le, Jaitly and Hinton 2015, arXiv 1504.00941)
#
# The LSTM has relatives that speech recognisers and language models have used. *Peepholes* let its gates see the
# memory. A *projection* makes its hidden state narrower than its memory and so saves parameters. A third relative does
# without gates: a plain recurrent network with relu whose recurrent weights begin as the identity. This lesson writes
# the three by hand, compares the LSTM's relatives at equal size on a text, and tests on a task of pure memory what
# counts: the gates, their first biases, the identity or the relu.

# %%
from dataclasses import replace

import common
import numpy
from mxnet import np, npx

import d2lrnn
from d2lrnn import CELLS, ModelConfig, Stack, TrainConfig, build_model, copy_parameters, named_parameters
from d2lrnn.config import KINDS
from d2lrnn.evaluation import format_perplexity

lesson = common.begin(
    model=ModelConfig(cell="lstm"),
    training=TrainConfig(num_epochs=40, optimizer="adam", lr=5e-3, theta=1.0),
    fixed=["cell", "num_layers", "prefix", "pred_period", "pred_len"],
    quick={"batch_size": 20, "num_epochs": 15},
)

# %% [markdown]
# ## Peepholes
#
# The gates of the LSTM read the input and the hidden state. They do not see the memory that they guard: where the
# output gate is shut, the hidden state is 0 and says nothing of it. With peepholes each gate of a unit also sees the
# memory of this unit, so $\mathbf{w}_{ci}, \mathbf{w}_{cf}, \mathbf{w}_{co}$ are vectors. The output gate sees the new
# memory:
#
# $$\begin{aligned}
# \mathbf{I}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{xi} + \mathbf{H}_{t-1} \mathbf{W}_{hi} +
# \mathbf{C}_{t-1} \odot \mathbf{w}_{ci} + \mathbf{b}_i), \\
# \mathbf{F}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{xf} + \mathbf{H}_{t-1} \mathbf{W}_{hf} +
# \mathbf{C}_{t-1} \odot \mathbf{w}_{cf} + \mathbf{b}_f), \\
# \mathbf{C}_t &= \mathbf{F}_t \odot \mathbf{C}_{t-1} + \mathbf{I}_t \odot
# \tanh(\mathbf{X}_t \mathbf{W}_{xc} + \mathbf{H}_{t-1} \mathbf{W}_{hc} + \mathbf{b}_c), \\
# \mathbf{O}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{xo} + \mathbf{H}_{t-1} \mathbf{W}_{ho} +
# \mathbf{C}_t \odot \mathbf{w}_{co} + \mathbf{b}_o), \\
# \mathbf{H}_t &= \mathbf{O}_t \odot \tanh(\mathbf{C}_t).
# \end{aligned}$$
#
# In `CELLS` this cell is called `lstm_peephole`. `Stack(cell)` makes parameters and states for every cell in `CELLS`
# and computes its outputs; functions like `d2lrnn.lstm` are for the book's cells alone.


# %%
def peephole_step(X, H, C, params):
    """Take one step of the LSTM with peepholes."""
    W_xi, W_hi, w_ci, b_i, W_xf, W_hf, w_cf, b_f, W_xo, W_ho, w_co, b_o, W_xc, W_hc, b_c = params
    I = npx.sigmoid(np.dot(X, W_xi) + np.dot(H, W_hi) + C * w_ci + b_i)
    F = npx.sigmoid(np.dot(X, W_xf) + np.dot(H, W_hf) + C * w_cf + b_f)
    C_tilda = np.tanh(np.dot(X, W_xc) + np.dot(H, W_hc) + b_c)
    C = F * C + I * C_tilda
    O = npx.sigmoid(np.dot(X, W_xo) + np.dot(H, W_ho) + C * w_co + b_o)
    return O * np.tanh(C), C


X, Y = common.first_batch(lesson)
vocab_size, num_hiddens, ctx = lesson.corpus.vocab_size, lesson.model.num_hiddens, lesson.ctx
inputs = d2lrnn.to_onehot(X, vocab_size)

peephole = Stack("lstm_peephole")
params = peephole.get_params(vocab_size, num_hiddens, ctx)
for name, param in zip(peephole.param_names[:4], params):
    print(f"{name:4} {param.shape}")
state = peephole.init_state(len(X), num_hiddens, ctx)
H, C = state
for X_t in inputs:
    H, C = peephole_step(X_t, H, C, params[:-2])
_, (expected_H, expected_C) = peephole(inputs, state, params)
print(f"this is lstm_peephole: H differs by {common.difference(H, expected_H):g}", end=", ")
print(f"C by {common.difference(C, expected_C):g}")

# %% [markdown]
# Do the gates see the memory? Below, the hidden state is 0, as after a shut output gate, and the memory is one of two.
# The input gate of the LSTM is the same in both cases. With peepholes it differs.

# %%
W_xi, W_hi, w_ci, b_i = params[:4]
hidden, memory, other_memory = np.random.normal(size=(3, *C.shape), ctx=ctx)
hidden[:] = 0
for name, w in (("without peepholes", np.zeros_like(w_ci)), ("with peepholes", w_ci)):
    gates = [npx.sigmoid(np.dot(inputs[0], W_xi) + np.dot(hidden, W_hi) + c * w + b_i) for c in (memory, other_memory)]
    print(f"{name:17}: after two different memories the input gates differ by {common.difference(*gates):.3g}")

# %% [markdown]
# ## Projections
#
# A projection makes the hidden state narrower than the memory, $r$ numbers in place of $n$:
#
# $$\mathbf{H}_t = (\mathbf{O}_t \odot \tanh(\mathbf{C}_t)) \mathbf{W}_{mr}.$$
#
# All that reads the hidden state becomes smaller: four matrices $(r \times n)$ in place of $(n \times n)$, and the
# output layer. What is saved can buy more memory. `CELLS` has `lstm_projected`, which PyTorch calls
# `nn.LSTM(proj_size=...)`, and `lstm_peephole_projected`, which is the LSTMP of Sak and his colleagues without its
# second projection to the output layer alone. The step by hand is the one from above and one product more.

# %%
projected = Stack("lstm_peephole_projected", num_projections=num_hiddens // 2)
params = projected.get_params(vocab_size, num_hiddens, ctx)
*step_params, W_mr, W_hq, b_q = params
state = projected.init_state(len(X), num_hiddens, ctx)
H, C = state
for X_t in inputs:
    M, C = peephole_step(X_t, H, C, step_params)
    H = np.dot(M, W_mr)
outputs, (expected_H, expected_C) = projected(inputs, state, params)
print(f"W_hi {step_params[1].shape}, W_mr {W_mr.shape}, W_hq {W_hq.shape}")
print(f"H {H.shape}, C {C.shape}, outputs {len(outputs)} times {outputs[0].shape}")
print(f"this is lstm_peephole_projected: H differs by {common.difference(H, expected_H):g}", end=", ")
print(f"C by {common.difference(C, expected_C):g}")

# %% [markdown]
# ## How large is each?
#
# Sak and his colleagues count, without biases, for $n_i$ inputs, $n_o$ outputs, $n_c$ memory cells and a projection to
# $n_r$ numbers:
#
# $$\begin{aligned}
# n_c n_c 4 + n_i n_c 4 + n_c n_o + n_c 3 & \quad\text{with peepholes}, \\
# n_c n_r 4 + n_i n_c 4 + n_r n_o + n_c n_r + n_c 3 & \quad\text{with a projection too}.
# \end{aligned}$$
#
# Here the inputs are one-hot, so $n_i n_c 4$ is the largest part, and no projection touches it. A projection therefore
# saves less than in the paper, whose inputs are forty numbers. The table shows all four with equal hidden units, and
# how many hidden units each may have if none is to have more parameters than the LSTM. We always project to half of
# the hidden units.

# %%
cells = ("lstm", "lstm_peephole", "lstm_projected", "lstm_peephole_projected")


def with_hiddens(cell, num_hiddens):
    """Return the settings of a model of a cell, compiled from scratch; a projected cell halves the hidden units."""
    return ModelConfig("fast", cell, num_hiddens, num_projections=num_hiddens // 2 if CELLS[cell].projected else None)


def size(config):
    """Return how many numbers a model's parameters are, without making the model."""
    stack = Stack(config.cell, num_projections=config.num_projections)
    return sum(int(numpy.prod(shape)) for shape in stack.param_shapes(vocab_size, config.num_hiddens))


whole, equal_size = size(with_hiddens("lstm", num_hiddens)), {}
print(f"{'':24}{f'{num_hiddens} hidden units':>18}      at most {whole:,} parameters")
print(f"{'cell':24}{'parameters':>18}{'hidden units':>18}{'parameters':>14}")
for cell in cells:
    most = next(n for n in range(2 * num_hiddens, 2, -1) if size(with_hiddens(cell, n)) <= whole)
    equal_size[cell] = with_hiddens(cell, most)
    print(f"{cell:24}{size(with_hiddens(cell, num_hiddens)):18,}{most:18}{size(equal_size[cell]):14,}")

# %% [markdown]
# ## On Gluon
#
# `gluon.rnn` has no peepholes, and its `projection_size` cannot be trained on the CPU. `UnrolledLayer` is a Gluon layer
# for every cell: it takes the cell's compiled step through all time steps and becomes part of the model's graph.
# `build_model` with `kind="gluon"` chooses it where Gluon has nothing. With the same parameters the models from
# scratch, compiled and on Gluon compute the same numbers. The table shows the largest differences, relative to the
# largest number.

# %%
print(f"{'difference, relative':34}{'logits':>10}{'H':>10}{'C':>10}")
for cell in cells[1:]:
    config, found = with_hiddens(cell, num_hiddens), {}
    models = {kind: build_model(replace(config, kind=kind), vocab_size, ctx) for kind in KINDS}
    for param in models["scratch"].params:
        param *= 5  # so that every gate is at work
    for kind, model in models.items():
        copy_parameters(models["scratch"], model)
        logits, new_state = model(X, model.begin_state(len(X), ctx))
        found[kind] = [logits, *new_state]
    for kind in KINDS[1:]:
        gaps = [common.difference(a, b) / float(abs(a).max()) for a, b in zip(found["scratch"], found[kind])]
        print(f"{f'{cell}, {kind}':34}" + "".join(f"{gap:10.0e}" for gap in gaps))

# %% [markdown]
# ## Training at equal size
#
# Three of them, none with more parameters than the LSTM, see the same minibatches. Adam takes the steps. The
# first weights are the book's, N(0, 0.01²), and these are small. A projected state meets two such matrices from step to
# step, where the LSTM's meets one, so its signals are much fainter in the beginning. The fourth model therefore begins
# with $\mathbf{W}_{mr}$ from N(0, 1/n), which neither enlarges nor shrinks what it multiplies.

# %%
models = {}
for name in ("lstm", "lstm_peephole", "lstm_projected", "lstm_projected, W_mr wide"):
    d2lrnn.set_seed(lesson.training.seed)
    models[name] = build_model(equal_size[name.split(",")[0]], vocab_size, ctx)
W_mr = named_parameters(models["lstm_projected, W_mr wide"])["W_mr"]
W_mr *= len(W_mr) ** -0.5 / 0.01

silent = replace(lesson, training=replace(lesson.training, verbose=False))
histories = common.train_each(models, silent)
common.compare(histories, lesson, "lstm_relatives", "The LSTM's relatives at equal size")

# %% [markdown]
# The projected model from the book's first weights learns last. With wider first weights it keeps up with the others.
# Gers and Schmidhuber made peepholes for another task than text: to measure the time between two events exactly.
#
# ## A state that begins by keeping all
#
# Why does the plain recurrent network forget? Each step multiplies the state by $\mathbf{W}_{hh}$, which begins near 0.
# Le, Jaitly and Hinton let $\mathbf{W}_{hh}$ begin as the identity matrix, and take relu, which does not squash:
#
# $$\mathbf{H}_t = \mathrm{relu}(\mathbf{X}_t \mathbf{W}_{xh} + \mathbf{H}_{t-1} \mathbf{W}_{hh} + \mathbf{b}_h).$$
#
# Before this network has learnt anything, it keeps its state, and with it the gradient, over any number of steps. In
# `CELLS` it is called `rnn_relu`. Below, three networks read nothing for 35 steps and begin with a state of 0.5.

# %%
small_W_hh = np.random.normal(0, 0.01, (32, 32), ctx=ctx)
for name, function, W_hh in (
    ("tanh, N(0, 0.01²)", np.tanh, small_W_hh),
    ("tanh, the identity", np.tanh, np.eye(32, ctx=ctx)),
    ("relu, the identity", npx.relu, np.eye(32, ctx=ctx)),
):
    H = np.full((1, 32), 0.5, ctx=ctx)
    for _ in range(35):
        H = function(np.dot(H, W_hh))
    print(f"{name:20} of 0.5 there is left {float(abs(H).max()):.2g}")

# %% [markdown]
# ## Remember a letter
#
# A task that needs nothing but memory: of eight letters one is shown, then nothing, and at each of 35 steps the answer
# is that letter. Whoever guesses has a perplexity of 8. Here are the networks from above, and LSTMs whose forget gates
# begin with a bias of 0 and of 5.


# %%
def first_letters():
    """Make the minibatches of an epoch: one of eight letters, then nothing (8); the answers."""
    for _ in range(25):
        letters = numpy.random.randint(0, 8, (32, 1))
        X = numpy.hstack([letters, numpy.full((32, 34), 8)])
        Y = numpy.repeat(letters, 35, axis=1)
        yield np.array(X, dtype="int32", ctx=ctx), np.array(Y, dtype="int32", ctx=ctx)


def remember(name, cell, param, values, lr):
    """Train a network that begins with these values of one of its parameters; print its perplexities, return them."""
    d2lrnn.set_seed(lesson.training.seed)
    start = build_model(ModelConfig("scratch", cell, 32), 9, ctx)
    named_parameters(start)[param][:] = values
    model = build_model(ModelConfig("gluon", cell, 32), 9, ctx)
    copy_parameters(start, model)
    config, outcome = TrainConfig(3, optimizer="adam", lr=lr, batches="random", theta=0.1, verbose=False), ""
    try:
        history = common.checked(d2lrnn.train(model, first_letters, config))
    except d2lrnn.TrainingDivergedError as error:
        history, outcome = error.history, f"   {str(error).split(',')[0].split(':')[0]}"
    print(f"{name:24}" + "".join(f"{format_perplexity(p):>8}" for p in history.perplexity) + outcome)
    return history.perplexity


print(f"Adam with lr 0.01, epoch {1:7}{2:8}{3:8}")
identity = np.eye(32, ctx=ctx)
letters = {
    name: remember(name, cell, param, values, 0.01)
    for name, cell, param, values in (
        ("tanh, N(0, 0.01²)", "rnn", "W_hh", small_W_hh),
        ("tanh, the identity", "rnn", "W_hh", identity),
        ("relu, the identity", "rnn_relu", "W_hh", identity),
        ("LSTM, b_f = 0", "lstm", "b_f", 0),
        ("LSTM, b_f = 5", "lstm", "b_f", 5),
    )
}

# %% [markdown]
# From small random weights the network with tanh learns nothing, and neither does the LSTM whose forget gate is half
# open. From the identity the network with tanh remembers, and so does the LSTM whose forget gate begins near 1. What
# counts here is whether the state lasts before training. Relu keeps the state best, but nothing bounds it. Where
# $\mathbf{W}_{hh}$ enlarges some direction of the state, each of the 35 steps enlarges it again, and with most seeds
# the perplexity explodes. With smaller steps of Adam, relu learns sooner than tanh:

# %%
print(f"Adam with lr 0.001, epoch {1:6}{2:8}{3:8}")
slowly = {
    name: remember(name, cell, "W_hh", identity, 0.001)
    for name, cell in (("tanh, the identity", "rnn"), ("relu, the identity", "rnn_relu"))
}

# %% [markdown]
# ## Summary
#
# * Peepholes let the gates of a unit see the memory of this unit, also where the output gate hides it.
# * A projection makes the hidden state narrower than the memory. What it saves depends on the size of the inputs and
#   outputs. Its first weights have to be wide enough.
# * What a network can learn to remember depends on its beginning. A forget gate near 1, or recurrent weights that are
#   the identity, keep a state and its gradient over many steps.
# * Tanh bounds the state, relu does not. From the identity relu learns sooner, and may explode.
#
# ## Exercises
#
# `models`, `equal_size`, `size`, `remember`, `X` and `lesson` are at hand for all of them.
#
# 1. Make the projection narrower: a quarter, an eighth of the hidden units, still at equal size. Does that pay?
#
# <details><summary>Solution 1</summary>
#
# Not here. With `--quick --num-epochs 30` and a wide $\mathbf{W}_{mr}$, 73 hidden units projected to 36 reach a
# perplexity of 5.9, 81 projected to 20 reach 11.1, and 86 projected to 10 reach 18.4 (seed 1; with seed 2 it is 7.0,
# 10.0 and 29.9). The inputs are one-hot, so even a narrow projection buys few hidden units.
#
# </details>
#
# 2. Is it fair that one model alone begins with wider weights? Give the others wider first weights too:
#    `init_scale=0.1` in their settings.
#
# <details><summary>Solution 2</summary>
#
# It is not. From uniform weights between -0.1 and 0.1 the LSTM reaches a perplexity of 2.2 in place of 10.5, and the
# projected model, all of whose weights are then wider, 4.8 (`--quick --num-epochs 30`, seed 1). The first weights
# matter more here than the cell.
#
# </details>
#
# 3. The Penn Treebank has 10,000 words. Which share of its parameters does an LSTM with 256 hidden units save by a
#    projection to 128? And with an embedding of 128 numbers in place of one-hot inputs?
#
# <details><summary>Solution 3</summary>
#
# By the formulas, without peepholes, $4 n_c n_c + 4 n_i n_c + n_c n_o$ is 13.1 million, and the projection saves 1.4
# million of them, 11 %. With the embedding $n_i$ is 128, the embedding itself has 1.3 million numbers, and of 4.2
# million in all a third is saved: `python -m d2lrnn train --corpus ptb --kind gluon --cell lstm_projected
# --num-projections 128 --embed-size 128`.
#
# </details>
#
# 4. What do the peepholes learn? Look at `w_ci`, `w_cf` and `w_co` among the `read_parameters` of the model
#    `models["lstm_peephole"]`.
#
# <details><summary>Solution 4</summary>
#
# About half of them become positive and half negative, so no gate follows a common rule. The weights of the output
# gate become the largest: after `--quick --num-epochs 30` their mean absolute value is 0.27, against 0.18 for the input
# gate and 0.09 for the forget gate (seed 1).
#
# </details>
#
# 5. Let relu from the identity go on: train it for 12 epochs with a learning rate of 0.001, and print the largest
#    modulus of the eigenvalues of its $\mathbf{W}_{hh}$ (`numpy.linalg.eigvals`) after each epoch.
#
# <details><summary>Solution 5</summary>
#
# The perplexity falls to about 3 and then explodes, in epoch 8, 6 and 7 for seeds 0, 1 and 2. The largest modulus
# grows from 1.1 after the first epoch to 1.4 or more before the explosion. In one direction 35 steps then enlarge the
# state by $1.4^{35}$, which is over 100,000.
#
# </details>
#
# 6. Show random other letters in place of nothing, which the network has to ignore. Who remembers the first letter now?
#
# <details><summary>Solution 6</summary>
#
# Draw 8 to 15 in place of 8 in `first_letters`, and make the models for 16 letters in place of 9. After 8 epochs with a
# learning rate of 0.01 the LSTM that begins with a bias of 5 has a perplexity between 1.0 and 1.2, tanh from the
# identity between 1.3 and 1.8, and the LSTM that begins with 0 between 3.2 and 8.1 (seeds 0 to 2).
#
# </details>
