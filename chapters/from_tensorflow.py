# %% [markdown]
# # From TensorFlow 1
#
# (for readers of the RNN notes on *Hands-On Machine Learning with Scikit-Learn and TensorFlow*, chapter 14)
#
# The notes, and much code of their time, build recurrent networks of the cells and functions of TensorFlow 1:
# `BasicLSTMCell`, `dynamic_rnn`, `MultiRNNCell`. This lesson shows what stands for each of them here: unrolling,
# states, the parameters of a cell, sequences of different lengths, several layers, two directions. Where TensorFlow's
# numbers are wanted, a few lines compute them by its equations, so TensorFlow itself is not needed. A table of old and
# new names ends the lesson.

# %%
import common
import mxnet as mx
import numpy
from mxnet import autograd, init, np, npx
from mxnet.gluon import rnn

import d2lrnn
from d2lrnn import Layers, ModelConfig, RecurrentStack, UnrolledLayer
from d2lrnn.config import KINDS

lesson = common.begin(fixed=["prefix", "held_out"], quick={"max_tokens": 2000})

# %% [markdown]
# ## Two steps by hand
#
# The notes begin with a network of five units that reads three numbers at each of two steps, four rows at a time. They
# write both steps down:
#
# $$\begin{aligned}
# \mathbf{Y}_0 &= \tanh(\mathbf{X}_0 \mathbf{W}_x + \mathbf{b}), \\
# \mathbf{Y}_1 &= \tanh(\mathbf{Y}_0 \mathbf{W}_y + \mathbf{X}_1 \mathbf{W}_x + \mathbf{b}).
# \end{aligned}$$
#
# This is the plain recurrent network of the book. $\mathbf{W}_x$ is its $\mathbf{W}_{xh}$, $\mathbf{W}_y$ its
# $\mathbf{W}_{hh}$, and $\mathbf{Y}_t$ its hidden state $\mathbf{H}_t$. The state before the first step is 0.

# %%
ctx = lesson.ctx


def normal(*shape):
    """Return random numbers, which stand for data or for trained parameters."""
    return np.random.normal(size=shape, ctx=ctx)


X0, X1 = normal(2, 4, 3)
W_x, W_y, b = normal(3, 5), normal(5, 5), normal(5)
Y0 = np.tanh(np.dot(X0, W_x) + b)
Y1 = np.tanh(np.dot(Y0, W_y) + np.dot(X1, W_x) + b)
print(f"Y0 {Y0.shape}, Y1 {Y1.shape}")

layers = Layers("rnn")
outputs, (H,) = layers([X0, X1], layers.init_state(4, 5, ctx), [W_x, W_y, b])
print(f"this is d2lrnn.Layers('rnn'): Y0 differs by {common.difference(Y0, outputs[0]):.0e}", end=", ")
print(f"Y1 by {common.difference(Y1, outputs[1]):.0e}; Y1 and the new state by {common.difference(Y1, H):.0e}")

# %% [markdown]
# `BasicRNNCell(num_units=5)` computes the same, and keeps both matrices as one. The rows for the inputs stand above the
# rows for the state:
#
# $$\mathbf{X}_t \mathbf{W}_x + \mathbf{Y}_{t-1} \mathbf{W}_y = [\mathbf{X}_t, \mathbf{Y}_{t-1}] \mathbf{K}.$$

# %%
kernel = np.concatenate([W_x, W_y])
print(f"kernel {kernel.shape}: rows 0 to 2 are W_x, rows 3 to 7 are W_y")
again = np.tanh(np.dot(np.concatenate([X1, Y0], axis=1), kernel) + b)
print(f"Y1 from the kernel differs by {common.difference(Y1, again):.0e}")

# %% [markdown]
# ## A list of steps, or a loop
#
# TensorFlow 1 builds a graph first, and computes with it later. `static_rnn` takes a list with one matrix for each
# step. It writes the cell into the graph once for each step, so the graph is as long as the sequence, and it serves
# batches of this length only. `dynamic_rnn` takes one array with all steps. It writes a while loop into the graph, so
# the cell stands there once, and the number of steps may differ from batch to batch.
#
# Gluon needs no such choice. A layer of `gluon.rnn` is one operator for all steps, however many there are. Gluon calls
# it a fused layer. Where Gluon lacks a cell, d2lrnn has `UnrolledLayer`. It writes the cell into a graph step by step,
# as `static_rnn` does. But it makes a new graph when a new number of steps arrives, and keeps it for the next time.
#
# Below, the two kinds of layer have the same parameters and read sequences of different lengths. The cell counts the
# graphs that are made.


# %%
def counting(layer_class):
    """Return a class of layers that count how many graphs were made of them."""

    class Counting(layer_class):
        graphs = 0

        def hybrid_forward(self, F, *args, **kwargs):
            self.graphs += F is mx.sym  # symbols come when a graph is made, arrays come otherwise
            return super().hybrid_forward(F, *args, **kwargs)

    return Counting


fused, unrolled = counting(rnn.LSTM)(5, input_size=3), counting(UnrolledLayer)("lstm", 5, 3)
for layer in (fused, unrolled):
    layer.initialize(init.Normal(0.5), ctx=ctx)
    layer.hybridize()
for name in ("l0_i2h_weight", "l0_h2h_weight", "l0_i2h_bias"):
    getattr(unrolled, name).set_data(getattr(fused, name).data(ctx))

print("steps  outputs       difference  graphs: fused  unrolled")
for num_steps in (2, 5, 20, 2):
    X = normal(num_steps, 4, 3)
    by_operator, _ = fused(X, fused.begin_state(batch_size=4, ctx=ctx))
    by_steps, _ = unrolled(X, unrolled.begin_state(4, ctx))
    print(f"{num_steps:<6} {str(by_steps.shape):13} {common.difference(by_operator, by_steps):10.0e}", end="  ")
    print(f"{fused.graphs:13}  {unrolled.graphs:8}")

# %% [markdown]
# The first length comes back in the last line, and no new graph is needed. Both layers compute the same, up to the
# rounding of float32. Where Gluon has a layer for a cell, d2lrnn takes that one.
#
# ## Steps first, or rows first
#
# `dynamic_rnn` reads an array (batch_size, num_steps, num_inputs). With `time_major=True` it reads (num_steps,
# batch_size, num_inputs). Recurrent layers here read the second form, as Gluon's do. The list of `static_rnn` is this
# array, cut along its first axis. `np.swapaxes` turns one form into the other.
#
# A layer cannot know which axis counts the steps. Below, an array with the rows first goes to it as it is, with a state
# that fits its shape. That is no error. The layer takes the four rows for four steps, and what it returns has the shape
# that was expected, but other numbers.

# %%
X_rows = normal(4, 2, 3)  # (batch_size, num_steps, num_inputs)
X_steps = np.swapaxes(X_rows, 0, 1)
outputs, _ = fused(X_steps, fused.begin_state(batch_size=4, ctx=ctx))
right = np.swapaxes(outputs, 0, 1)
wrong, _ = fused(X_rows, fused.begin_state(batch_size=2, ctx=ctx))
print(f"turned, computed, turned back: {right.shape}")
print(f"not turned:                    {wrong.shape}, the numbers differ by {common.difference(right, wrong):.2f}")
try:
    d2lrnn.RNNModel(rnn.LSTM(5, layout="NTC"), vocab_size=8)
except d2lrnn.FusedLayerError as error:
    print(f"RNNModel says: {error}")

# %% [markdown]
# Gluon's layers have an option for rows first, `layout="NTC"`. The models here do not take such a layer, as the last
# line says. They read ids in the form of the minibatches, (batch_size, num_steps), and turn them themselves. Their
# logits have the steps first. A model is of one of three kinds: `scratch` computes step by step in Python, `fast` is
# the same compiled, that is, unrolled, and `gluon` has a fused layer. With the same parameters they compute the same.

# %%
X, Y = common.first_batch(lesson)
vocab_size = lesson.corpus.vocab_size
print(f"X {X.shape}; as a list for static_rnn: {len(X.T)} steps, each {X.T[0].shape}")
models = {kind: d2lrnn.build_model(ModelConfig(kind, "lstm", 32, init_scale=0.5), vocab_size, ctx) for kind in KINDS}
expected, _ = models["scratch"](X, models["scratch"].begin_state(len(X), ctx))
print(f"the largest logit of the model from scratch: {float(abs(expected).max()):.1f}")
for kind, model in models.items():
    d2lrnn.copy_parameters(models["scratch"], model)
    logits, _ = model(X, model.begin_state(len(X), ctx))
    print(f"{kind:8} logits {logits.shape}, difference from scratch {common.difference(logits, expected):.0e}")

# %% [markdown]
# ## The state: a tuple, or side by side
#
# The state of an LSTM cell of TensorFlow is the tuple `LSTMStateTuple(c, h)`, the memory first. With
# `state_is_tuple=False` it is one array (batch_size, 2 * num_units), c on the left and h on the right. `MultiRNNCell`
# has a tuple with one state for each layer, or all of them side by side.
#
# Here the hidden state stands first: $\mathbf{H}$, then $\mathbf{C}$. From scratch, the state is flat, layer by layer.
# A fused layer has one array $\mathbf{H}$ for all its layers and directions, and one array $\mathbf{C}$.
# `RecurrentStack` puts layers on one another, and its state is flat again. Where TensorFlow has
# `cell.zero_state(batch_size, tf.float32)`, here is `init_state` or `begin_state`.

# %%
print("states of two layers of five units, for four rows")
print(f"Layers          {[H.shape for H in Layers('lstm', 2).init_state(4, 5, ctx)]}")
print(f"gluon.rnn.LSTM  {[H.shape for H in rnn.LSTM(5, 2).begin_state(batch_size=4, ctx=ctx)]}")
print(f"RecurrentStack  {[H.shape for H in RecurrentStack('lstm', 5, 2).begin_state(4, ctx=ctx)]}")

# %% [markdown]
# A line takes a state from one form to another.

# %%
H1, C1, H2, C2 = normal(4, 4, 5)  # from scratch
as_tuple = ((C1, H1), (C2, H2))  # TensorFlow's tuple of tuples
side_by_side = np.concatenate([C1, H1, C2, H2], axis=1)  # state_is_tuple=False
on_gluon = [np.stack([H1, H2]), np.stack([C1, C2])]  # a fused layer
print(f"side by side {side_by_side.shape}, fused {[array.shape for array in on_gluon]}")

C1, H1, C2, H2 = np.split(side_by_side, 4, axis=1)  # and back
(H1_fused, H2_fused), (C1_fused, C2_fused) = on_gluon
gaps = [common.difference(*pair) for pair in ((H1, H1_fused), (C1, C1_fused), (H2, H2_fused), (C2, C2_fused))]
print(f"there and back, the states differ by {max(gaps):g}")

# %% [markdown]
# ## The order of the gates, and a bias that is not stored
#
# `BasicLSTMCell` has two variables: a kernel (num_inputs + num_units, 4 * num_units) and a bias (4 * num_units). Their
# columns are four blocks, i, j, f and o, where j is the book's candidate memory cell. Each time the cell computes, it
# adds 1 to what the forget gate reads. This is `forget_bias=1.0`, the default, and it is no part of the variables:
#
# $$\begin{aligned}
# [\mathbf{i}, \mathbf{j}, \mathbf{f}, \mathbf{o}] &= [\mathbf{X}_t, \mathbf{H}_{t-1}] \mathbf{K} + \mathbf{b}, \\
# \mathbf{C}_t &= \sigma(\mathbf{f} + 1) \odot \mathbf{C}_{t-1} + \sigma(\mathbf{i}) \odot \tanh(\mathbf{j}), \\
# \mathbf{H}_t &= \sigma(\mathbf{o}) \odot \tanh(\mathbf{C}_t).
# \end{aligned}$$


# %%
def lstm_cell(X, state, kernel, bias):
    """Take one step as BasicLSTMCell does; the state is (c, h)."""
    C, H = state
    i, j, f, o = np.split(np.dot(np.concatenate([X, H], axis=1), kernel) + bias, 4, axis=1)
    C = npx.sigmoid(f + 1) * C + npx.sigmoid(i) * np.tanh(j)
    H = npx.sigmoid(o) * np.tanh(C)
    return H, (C, H)


kernel, bias = normal(3 + 5, 4 * 5), normal(4 * 5)
inputs, state = normal(10, 4, 3), (np.zeros((4, 5), ctx=ctx), np.zeros((4, 5), ctx=ctx))
for X_t in inputs:
    H, state = lstm_cell(X_t, state, kernel, bias)
print(f"kernel {kernel.shape}, bias {bias.shape}; after {len(inputs)} steps H is {H.shape}")

# %% [markdown]
# To convert the variables, we cut the kernel into rows and columns and add the 1 to the bias of the forget gate. From
# scratch each block is a parameter of its own, in the order i, f, o, c. Gluon's layers keep the gates in one array, in
# the order i, f, g, o, where g is the candidate. Their weights are transposed, with a row for each number of a gate.
# And they have a second bias, which stays 0.

# %%
values = {}
for i, gate in enumerate("icfo"):  # TensorFlow's order; its j is our c
    columns = slice(5 * i, 5 * (i + 1))
    values[f"W_x{gate}"], values[f"W_h{gate}"] = kernel[:3, columns], kernel[3:, columns]
    values[f"b_{gate}"] = bias[columns] + (1 if gate == "f" else 0)

layers = Layers("lstm")
print(f"from scratch: {', '.join(layers.param_names)}")
params = [values[name] for name in layers.param_names]
_, scratch_state = layers(list(inputs), layers.init_state(4, 5, ctx), params)
gaps = common.difference(H, scratch_state[0]), common.difference(state[0], scratch_state[1])
print("H differs by {:.0e}, C by {:.0e}".format(*gaps))

for kind, name in (("W_x", "l0_i2h_weight"), ("W_h", "l0_h2h_weight"), ("b_", "l0_i2h_bias")):
    getattr(fused, name).set_data(np.concatenate([values[kind + gate].T for gate in "ifco"]))
_, fused_state = fused(inputs, fused.begin_state(batch_size=4, ctx=ctx))
print(f"on Gluon: l0_i2h_weight {fused.l0_i2h_weight.shape}, l0_h2h_weight {fused.l0_h2h_weight.shape}")
gaps = common.difference(H, fused_state[0]), common.difference(state[0], fused_state[1])
print("H differs by {:.0e}, C by {:.0e}".format(*gaps))

without = [param - 1 if name == "b_f" else param for name, param in zip(layers.param_names, params)]
_, without_state = layers(list(inputs), layers.init_state(4, 5, ctx), without)
print(f"without the 1 of the forget gate: H differs by {common.difference(H, without_state[0]):.2f}")

# %% [markdown]
# The differences are those of rounding, and the last line shows what a forgotten 1 does. A new LSTM here begins with
# biases of 0, as in the book. To begin as TensorFlow does, set the bias of the forget gate to 1. The gradients are the
# same, whether the 1 is stored or added later.

# %%
layer = rnn.LSTM(5, input_size=3, i2h_bias_initializer=init.LSTMBias(1.0))
layer.initialize(ctx=ctx)
print(f"l0_i2h_bias {layer.l0_i2h_bias.data(ctx).astype(int).asnumpy()}")
model = d2lrnn.build_model(ModelConfig("scratch", "lstm", 5), vocab_size, ctx)
d2lrnn.named_parameters(model)["b_f"][:] = 1
print(f"b_f         {model.parameters()['b_f'].astype(int).asnumpy()}")

# %% [markdown]
# ## Which of the two GRUs
#
# `GRUCell` is the GRU of the book: its reset gate acts before the product, $(\mathbf{R} \odot \mathbf{H}) \mathbf{W}$.
# `CudnnGRU` and Gluon's `rnn.GRU` let it act after the product, $\mathbf{R} \odot (\mathbf{H} \mathbf{W} +
# \mathbf{b})$. In `d2lrnn.CELLS` the two are called `gru` and `gru_reset_after`. `GRUCell` has four variables, two for
# its gates r and u, and two for the candidate. Its u is the book's update gate z. The biases of both gates begin at 1.

# %%
gates, gates_bias, candidate, candidate_bias = normal(3 + 5, 2 * 5), normal(2 * 5), normal(3 + 5, 5), normal(5)
H = np.zeros((4, 5), ctx=ctx)
for X_t in inputs:
    R, U = np.split(npx.sigmoid(np.dot(np.concatenate([X_t, H], axis=1), gates) + gates_bias), 2, axis=1)
    H_tilda = np.tanh(np.dot(np.concatenate([X_t, R * H], axis=1), candidate) + candidate_bias)
    H = U * H + (1 - U) * H_tilda

weights = {"r": gates[:, :5], "z": gates[:, 5:], "h": candidate}
values = {"b_r": gates_bias[:5], "b_z": gates_bias[5:], "b_h": candidate_bias}
for gate, weight in weights.items():
    values |= {f"W_x{gate}": weight[:3], f"W_h{gate}": weight[3:]}
for cell in ("gru", "gru_reset_after"):
    layers = Layers(cell)
    params = [values.get(name, np.zeros(5, ctx=ctx)) for name in layers.param_names]  # second biases are 0
    _, (found,) = layers(list(inputs), layers.init_state(4, 5, ctx), params)
    print(f"{cell:16} differs from GRUCell by {common.difference(H, found):.0e}")

# %% [markdown]
# So the parameters of a trained `GRUCell` fit `Layers("gru")`, and on Gluon `UnrolledLayer("gru", n)`. They do not fit
# `rnn.GRU`, nor a model with `kind="gluon"` and `cell="gru"`, which has Gluon's layer. The lesson `gru.py` compares the
# two forms.
#
# ## Peepholes and projections
#
# `LSTMCell(n, use_peepholes=True)` lets the gates see the memory. Its three vectors `w_i_diag`, `w_f_diag` and
# `w_o_diag` are the $\mathbf{w}_{ci}$, $\mathbf{w}_{cf}$ and $\mathbf{w}_{co}$ of the lesson `lstm_relatives.py`. The
# input gate and the forget gate see the old memory, the output gate the new one. `num_proj` is the width of a
# projected hidden state. In `CELLS` these cells are `lstm_peephole`, `lstm_projected` and `lstm_peephole_projected`.
# Gluon has no layer with peepholes, so `UnrolledLayer` takes its place. The default of `forget_bias` is 1 here too.

# %%
w_i, w_f, w_o = normal(3, 5)
C, H = np.zeros((4, 5), ctx=ctx), np.zeros((4, 5), ctx=ctx)
for X_t in inputs:
    i, j, f, o = np.split(np.dot(np.concatenate([X_t, H], axis=1), kernel) + bias, 4, axis=1)
    C = npx.sigmoid(f + 1 + w_f * C) * C + npx.sigmoid(i + w_i * C) * np.tanh(j)
    H = npx.sigmoid(o + w_o * C) * np.tanh(C)

layer = UnrolledLayer("lstm_peephole", 5, 3)
layer.initialize(ctx=ctx)
for name in ("l0_i2h_weight", "l0_h2h_weight", "l0_i2h_bias"):
    getattr(layer, name).set_data(getattr(fused, name).data(ctx))  # from the kernel, with the 1
layer.l0_c2h_weight.set_data(np.concatenate([w_i, w_f, w_o]))
_, (layer_H, layer_C) = layer(inputs, layer.begin_state(4, ctx))
print(f"UnrolledLayer('lstm_peephole'): H differs by {common.difference(H, layer_H):.0e}", end=", ")
print(f"C by {common.difference(C, layer_C):.0e}")
print(f"without peepholes: H differs by {common.difference(H, fused_state[0]):.2f}")

# %% [markdown]
# ## Sequences of different lengths
#
# Rows of a batch may end at different steps, and are padded then. `dynamic_rnn` takes their lengths in
# `sequence_length`. After the end of a row its outputs are 0, and its state stays as it was at its last step.
#
# Here the mask `counted` tells the same: 1 for a step that counts, 0 for padding. `counted_steps` makes it from
# lengths. A mask can say more than lengths can, since padding may also stand in front. Models, `RecurrentStack`,
# `UnrolledLayer` and `Layers` take it.

# %%
lengths = [6, 2, 4, 1]
counted = np.array(d2lrnn.counted_steps(lengths), dtype="float32", ctx=ctx)
padding = np.expand_dims(1 - counted.T, 2)  # 1 at padding, (num_steps, batch_size, 1)
print(counted.astype(int))
stack = RecurrentStack("lstm", 5, input_size=3)
stack.initialize(init.Normal(0.5), ctx=ctx)
X = normal(6, 4, 3)
outputs, (H, C) = stack(X, stack.begin_state(4, ctx=ctx), counted)
print(f"outputs {outputs.shape}; the largest number at padding is {float(abs(outputs * padding).max()):g}")

# %% [markdown]
# Each row computes what it computes alone, without padding. What stands at padding changes nothing, whatever it is. In
# the last line below it has become a million.

# %%
for row, length in enumerate(lengths):
    alone, (alone_H, _) = stack(X[:length, row : row + 1], stack.begin_state(1, ctx=ctx))
    gap = common.difference(alone, outputs[:length, row]), common.difference(alone_H, H[:, row])
    last = common.difference(outputs[length - 1, row], H[:, row])
    print(f"row {row}, length {length}: alone, outputs differ by {gap[0]:.0e}, H by {gap[1]:.0e}", end="; ")
    print(f"H and the last valid output by {last:g}")
other = X * (1 - padding) + 1e6 * padding
changed, (changed_H, changed_C) = stack(other, stack.begin_state(4, ctx=ctx), counted)
gaps = [common.difference(*pair) for pair in ((outputs, changed), (H, changed_H), (C, changed_C))]
print(f"other padding: the results differ by {max(gaps):g}")

# %% [markdown]
# Gluon has an option too, `use_sequence_length=True`. On the CPU, MXNet 1.9.1 ignores it and gives no warning, so the
# layer below goes on through the padding. `RNNModel` refuses such a layer.

# %%
ignoring = rnn.LSTM(5, input_size=3, use_sequence_length=True)
ignoring.initialize(init.Normal(0.5))  # on the CPU
steps, padding = X.as_in_ctx(mx.cpu()), padding.as_in_ctx(mx.cpu())
found, _ = ignoring(steps, ignoring.begin_state(batch_size=4), np.array(lengths, dtype="float32"))
print(f"with use_sequence_length, the largest number at padding is {float(abs(found * padding).max()):.2f}")
try:
    d2lrnn.RNNModel(ignoring, vocab_size=3)
except d2lrnn.FusedLayerError as error:
    print(f"RNNModel says: {error}")

# %% [markdown]
# ## Layers on layers, and a cell in two places
#
# `MultiRNNCell` stacks the cells of a list. Older code, and the notes, write this list as `[cell] * n_layers`. It
# holds one cell several times. The first versions of TensorFlow made new variables in each place all the same. Version
# 1.1 refused the list. Later versions let a cell keep its variables. There the list means that all layers share one set
# of weights, and where the inputs have another size than the units, the shapes do not fit. So the list has to be
# `[BasicRNNCell(n) for layer in range(n_layers)]`.
#
# `RecurrentStack("rnn", n, num_layers)`, a fused layer with `num_layers`, and `Layers` have new parameters for each
# layer. The cell below shows what sharing is. Two layers have the same numbers at first, once as copies and once as
# the same arrays. The outputs are equal. But the gradient of a shared weight is the sum of what both layers ask for, so
# training cannot make the layers different.

# %%
layers = Layers("rnn", 2)
X, lower = normal(6, 4, 5), [0.5 * normal(5, 5), 0.5 * normal(5, 5), normal(5)]
upper, shared = [param.copy() for param in lower], [param.copy() for param in lower]
found = {}
for name, params in (("copies", [*lower, *upper]), ("shared", [*shared, *shared])):
    for param in params:
        param.attach_grad()
    with autograd.record():
        outputs, _ = layers(list(X), layers.init_state(4, 5, ctx), params)
        loss = (np.stack(outputs) ** 2).mean()
    loss.backward()
    size = sum(param.size for param in {id(param): param for param in params}.values())
    found[name] = outputs[-1]
    print(f"{name}: {size} numbers to learn, loss {loss.item():.4f}")
print(f"the outputs differ by {common.difference(found['copies'], found['shared']):g}")
gap = common.difference(lower[1].grad + upper[1].grad, shared[1].grad)
print(f"W_hh: the gradients of both copies add up to that of the shared weight, up to {gap:.0e}")

# %% [markdown]
# ## Two directions
#
# `bidirectional_dynamic_rnn` takes a cell for each direction and returns a pair of outputs, `(output_fw, output_bw)`,
# which code then joins. Here a layer with `bidirectional=True` returns them joined, the direction from the left
# first. A mask works in both directions: the one from the right begins at the last step that counts.

# %%
layers, one_way = Layers("rnn", bidirectional=True), Layers("rnn")
params = [normal(*shape) for shape in layers.param_shapes(5, 5)]
outputs, _ = layers(list(X), layers.init_state(4, 5, ctx), params)
output_fw, output_bw = np.split(np.stack(outputs), 2, axis=2)
print(f"joined {outputs[0].shape} at each step; output_fw {output_fw.shape}, output_bw {output_bw.shape}")
from_left, _ = one_way(list(X), one_way.init_state(4, 5, ctx), params[:3])
from_right, _ = one_way(list(X)[::-1], one_way.init_state(4, 5, ctx), params[3:])
print(f"output_fw is a layer of its own: differs by {common.difference(output_fw, np.stack(from_left)):g}")
print(f"output_bw is one that reads from the end: by {common.difference(output_bw, np.stack(from_right[::-1])):g}")

# %% [markdown]
# Several layers in two directions have two forms. A `MultiRNNCell` for each direction in `bidirectional_dynamic_rnn`
# makes two networks side by side, and only their last outputs are joined. With `stack_bidirectional_dynamic_rnn`, and
# here, the upper layer reads both directions of the lower one. So its $\mathbf{W}_{xh}$ has twice as many rows.

# %%
for layers in (Layers("rnn", 2), Layers("rnn", 2, bidirectional=True)):
    shape = dict(zip(layers.param_names, layers.param_shapes(3, 5)))["l1.W_xh"]
    print(f"two layers of five units, bidirectional={layers.bidirectional}: W_xh of the upper layer {shape}")

# %% [markdown]
# ## What is wrapped around a cell
#
# TensorFlow has wrappers for what stands before and behind a cell. `InputProjectionWrapper` applies a dense layer to
# the inputs of each step; here that is a `gluon.nn.Dense(m, flatten=False)` before the layer. `EmbeddingWrapper` looks
# up a learnt vector for each id; here that is `embed_size` in a `ModelConfig`. `OutputProjectionWrapper` applies a
# dense layer to the output of each step. The notes also write it as one dense layer between two reshapes, and the
# lesson `forecasting.py` compares both. `DropoutWrapper` does not know training from evaluation and drops in both; the
# lesson `dropout.py` shows where dropout acts here, and when.
#
# A look-up is the product of a one-hot vector and a matrix:

# %%
X, Y = common.first_batch(lesson)
vectors = normal(vocab_size, 16)
looked_up = npx.embedding(X.T, vectors, input_dim=vocab_size, output_dim=16)
multiplied = np.stack([np.dot(one_hot, vectors) for one_hot in d2lrnn.to_onehot(X, vocab_size)])
print(f"{X.shape} ids become {looked_up.shape}; look-up and product differ by", end=" ")
print(f"{common.difference(looked_up, multiplied):g}")

# %% [markdown]
# ## The norm of all gradients
#
# `clip_by_global_norm(gradients, clip_norm)` takes all gradients as one vector $\mathbf{g}$. With $\theta$ for
# `clip_norm`, it returns $\mathbf{g} \cdot \theta / \max(\|\mathbf{g}\|, \theta)$ and the norm $\|\mathbf{g}\|$. This
# is the book's clipping. `grad_clipping` changes the gradients where they lie, and returns the norm that they had
# before.

# %%
model = d2lrnn.build_model(ModelConfig("gluon", "lstm", 32, embed_size=16), vocab_size, ctx)
with autograd.record():
    logits, _ = model(X, model.begin_state(len(X), ctx))
    loss = d2lrnn.cross_entropy(logits, Y)
loss.backward()
gradients = [param.grad(ctx).asnumpy() for param in d2lrnn.named_parameters(model).values()]
norm = numpy.sqrt(sum((gradient**2).sum() for gradient in gradients))
theta = 0.5 * norm
expected = [gradient * theta / max(norm, theta) for gradient in gradients]
found = d2lrnn.grad_clipping(model, theta, ctx).item()
clipped = [param.grad(ctx).asnumpy() for param in d2lrnn.named_parameters(model).values()]
print(f"{len(gradients)} gradients, norm {norm:.4f}; grad_clipping returns {found:.4f}")
gap = max(common.difference(*pair) for pair in zip(expected, clipped)) / theta
print(f"after clipping to half the norm the gradients differ by {gap:.0e} of it")

# %% [markdown]
# ## Old names and new names
#
# On the left is TensorFlow 1, without prefixes such as `tf.nn.rnn_cell`, `tf.contrib.rnn` or `tf.nn`. On the right is
# what stands for it here; the names of d2lrnn stand alone. The cell runs each line on the right. `X` has the steps
# first, `X_rows` the rows.

# %%
TABLE = [
    ("BasicRNNCell(n)", 'rnn.RNN(n, activation="tanh")'),
    ("BasicLSTMCell(n)", "rnn.LSTM(n, i2h_bias_initializer=init.LSTMBias(1.0))"),
    ("LSTMCell(n, use_peepholes=True)", 'UnrolledLayer("lstm_peephole", n)'),
    ("LSTMCell(n, num_proj=m)", 'UnrolledLayer("lstm_projected", n, num_projections=m)'),
    ("GRUCell(n)", 'UnrolledLayer("gru", n)'),
    ("CudnnGRU(1, n)", "rnn.GRU(n)"),
    ("CudnnLSTM(num_layers, n)", "rnn.LSTM(n, num_layers)"),
    ("MultiRNNCell([GRUCell(n), GRUCell(n)])", 'Layers("gru", num_layers=2)'),
    ("DropoutWrapper(cell, input_keep_prob=0.8)", "Dropout(inputs=0.2, hidden=0.2)"),
    ("  ..., variational_recurrent=True)", "Dropout(inputs=0.2, hidden=0.2, locked=True)"),
    ("EmbeddingWrapper(cell, vocab_size, m)", "ModelConfig(embed_size=m)"),
    ("InputProjectionWrapper(cell, m)", "mx.gluon.nn.Dense(m, flatten=False)"),
    ("OutputProjectionWrapper(cell, 1)", 'ModelConfig(head="steps", num_outputs=1, input_size=3)'),
    ("cell.zero_state(batch_size, tf.float32)", "layer.begin_state(batch_size, ctx)"),
    ("LSTMStateTuple(c, h)", "(H, C)"),
    ("static_rnn(cell, steps)", 'Layers("lstm")(steps, state, params)'),
    ("dynamic_rnn(cell, X, time_major=True)", "layer(X, layer.begin_state(batch_size, ctx))"),
    ("dynamic_rnn(cell, X_rows)", "layer(np.swapaxes(X_rows, 0, 1), begin)"),
    ("  ..., sequence_length=lengths)", "layer(X, begin, counted)"),
    ("unstack(transpose(X_rows, [1, 0, 2]))", "list(np.swapaxes(X_rows, 0, 1))"),
    ("bidirectional_dynamic_rnn(fw, bw, X)", 'UnrolledLayer("lstm", n, bidirectional=True)'),
    ("stack_bidirectional_dynamic_rnn(...)", 'RecurrentStack("lstm", n, 2, bidirectional=True)'),
    ("one_hot(ids, vocab_size)", "to_onehot(ids, vocab_size)"),
    ("sequence_loss(logits, Y, weights)", "cross_entropy(logits, Y, weights)"),
    ("clip_by_global_norm(gradients, theta)", "grad_clipping(model, theta)"),
    ("AdamOptimizer(1e-3)", 'TrainConfig(optimizer="adam", lr=1e-3)'),
]
n, m, num_layers, batch_size = 5, 2, 2, 4
layer, ids, weights = UnrolledLayer("lstm", n, 3), X, np.ones_like(Y)
layer.initialize(ctx=ctx)
X, begin, state = normal(6, 4, 3), layer.begin_state(batch_size, ctx), Layers("lstm").init_state(4, n, ctx)
X_rows, steps, params = np.swapaxes(X, 0, 1), list(X), Layers("lstm").get_params(3, n, ctx)
print(f"{'TensorFlow 1':42} here")
for old, new in TABLE:
    eval(new, {**vars(d2lrnn), **globals()})
    print(f"{old:42} {new}")

# %% [markdown]
# ## Summary
#
# * `static_rnn` and `dynamic_rnn` are two ways to put a loop into a graph. A fused layer of Gluon is one operator for
#   any number of steps, and an unrolled layer makes its graph when it sees a new number. So there is nothing to choose.
# * Layers here read the steps first. An array with the rows first may give wrong numbers, and no error.
# * TensorFlow's state is (c, h). The state here is (H, C).
# * TensorFlow's kernel has the inputs above the state, and the gates in the order i, j, f, o. The 1 of the forget gate
#   is not stored and has to be added to the bias.
# * `GRUCell` is the book's GRU. Gluon's GRU is the other form.
# * The mask `counted` takes the place of `sequence_length`. Padding changes no output and no state.
# * Each layer of a stack needs a cell of its own. Layers that share one cannot become different.
#
# ## Exercises
#
# `kernel`, `bias`, `inputs`, `fused`, `layer`, `lstm_cell`, `normal` and `lesson` are at hand for all of them.
#
# 1. Go the other way: make the kernel and the bias of a `BasicLSTMCell` from the parameters of `fused`.
#
# <details><summary>Solution 1</summary>
#
# Put `fused.l0_i2h_weight.data().T` above `fused.l0_h2h_weight.data().T`, split the columns into four blocks i, f, g, o
# and join them in the order i, g, f, o. Do the same with the sum of both biases, and subtract 1 from the block of the
# forget gate. The result is `kernel` and `bias` from above, up to rounding.
#
# </details>
#
# 2. By which factor does a forget gate multiply the memory in 28 steps, if all that it reads is the 1 of TensorFlow?
#    And without the 1? (An image of a digit has 28 rows.)
#
# <details><summary>Solution 2</summary>
#
# $\sigma(1)$ is 0.731, and $0.731^{28}$ is about 0.00016. $\sigma(0)$ is 0.5, and $0.5^{28}$ is about 0.000000004. With
# the 1, about 40,000 times as much is left.
#
# </details>
#
# 3. `InputProjectionWrapper` has no activation function, unless it is given one. Can a network with it compute anything
#    that the network without it cannot? What is it good for?
#
# <details><summary>Solution 3</summary>
#
# No: $(\mathbf{X} \mathbf{P} + \mathbf{p}) \mathbf{W}_{xh} + \mathbf{b}_h = \mathbf{X} (\mathbf{P} \mathbf{W}_{xh}) +
# (\mathbf{p} \mathbf{W}_{xh} + \mathbf{b}_h)$, so the brackets on the right could be the weights and the bias. If the
# projection is narrow, it saves parameters: for 1,000 inputs, a projection to 50 and an LSTM of 200 units, the two
# matrices have 90,000 numbers in place of 800,000. An embedding saves in the same way.
#
# </details>
#
# 4. The notes classify digits by the states of all layers, joined side by side. Which arrays of the state of
#    `RecurrentStack("lstm", n, 3)` would you join?
#
# <details><summary>Solution 4</summary>
#
# The state is H, C, H, C, H, C, each (1, batch_size, n). The hidden states of the three layers are
# `np.concatenate([H[0] for H in state[::2]], axis=1)`, which is (batch_size, 3 * n).
#
# </details>
