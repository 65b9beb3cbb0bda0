# %% [markdown]
# # Deep recurrent networks
#
# (d2l-zh v1, section 6.9; d2l 1.0, section 10.3; Zaremba et al. 2014, arXiv 1409.2329)
#
# A single recurrent layer computes its hidden state from a token in one step: a matrix and a tanh, or the gates of a
# GRU. A deep recurrent network has several layers. The hidden states of one layer are the inputs of the layer above.
# This lesson builds two layers by hand, then any number of layers of any cell, sets Gluon's layers beside them, puts
# dropout between the layers, and measures whether depth pays.

# %%
import math
from dataclasses import replace

import common
from mxnet import autograd, init, np, npx
from mxnet.gluon import rnn

import d2lrnn

lesson = common.begin(
    model=d2lrnn.ModelConfig(cell="gru", num_layers=2),
    training=common.BOOK_GATED,
    fixed=["num_projections"],
    quick={"num_epochs": 20, "lr": 0.02},
)

# %% [markdown]
# ## Two layers by hand
#
# Every layer has a hidden state of its own. With $\mathbf{H}^{(0)}_t = \mathbf{X}_t$, the layers
# $\ell = 1, \ldots, L$ of the simple cell compute
#
# $$\mathbf{H}_t^{(\ell)} = \tanh(\mathbf{H}_t^{(\ell-1)} \mathbf{W}_{xh}^{(\ell)} + \mathbf{H}_{t-1}^{(\ell)}
# \mathbf{W}_{hh}^{(\ell)} + \mathbf{b}_h^{(\ell)}).$$
#
# The output layer sees the state of the last layer only:
#
# $$\mathbf{O}_t = \mathbf{H}_t^{(L)} \mathbf{W}_{hq} + \mathbf{b}_q.$$
#
# ![States go to the next step of their own layer, and up to the layer above](img/deep_rnn.svg)
#
# The first layer has vocab_size inputs. The second has num_hiddens inputs, so its
# $\mathbf{W}_{xh}^{(2)}$ is a square matrix.

# %%
X, Y = common.first_batch(lesson)
vocab_size, num_hiddens, ctx = lesson.corpus.vocab_size, lesson.model.num_hiddens, lesson.ctx
inputs = d2lrnn.to_onehot(X, vocab_size)


def two_layers(inputs, state, params):
    """Run two layers of the simple cell over num_steps matrices (batch_size, vocab_size)."""
    W_xh1, W_hh1, b_h1, W_xh2, W_hh2, b_h2, W_hq, b_q = params
    H1, H2 = state
    outputs = []
    for X in inputs:
        H1 = np.tanh(np.dot(X, W_xh1) + np.dot(H1, W_hh1) + b_h1)
        H2 = np.tanh(np.dot(H1, W_xh2) + np.dot(H2, W_hh2) + b_h2)
        outputs.append(np.dot(H2, W_hq) + b_q)
    return outputs, (H1, H2)


stack = d2lrnn.Stack("rnn", num_layers=2)
params = stack.get_params(vocab_size, num_hiddens, ctx)
for name, param in zip(stack.param_names, params):
    print(f"{name:8} {param.shape}")
state = stack.init_state(len(X), num_hiddens, ctx)
outputs, (H1, H2) = two_layers(inputs, state, params)
print(f"{len(outputs)} outputs {outputs[0].shape}, H1 {H1.shape}, H2 {H2.shape}")

# %% [markdown]
# `d2lrnn.Stack` is the module's deep network. It makes the parameters and the state, and it is called as the function
# above is. It counts layers from 0, so `l0.W_xh` is $\mathbf{W}_{xh}^{(1)}$. Its states equal those from above in every
# digit. Its outputs may differ in the last digit, since it multiplies the states of all steps with $\mathbf{W}_{hq}$ in
# one product.

# %%
expected, (expected_H1, expected_H2) = stack(inputs, state, params)
print(f"this is d2lrnn.Stack: H1 differs by {common.difference(H1, expected_H1):g}", end=", ")
print(f"H2 by {common.difference(H2, expected_H2):g}", end=", ")
print(f"the outputs by {max(common.difference(a, b) for a, b in zip(outputs, expected)):.0e}")

# %% [markdown]
# ## Any cell, any depth
#
# A GRU or an LSTM puts its own equations in place of the tanh. `d2lrnn.CELLS` has the equations of one step of each
# cell. The options `--cell` and `--num-layers` choose the network that is built here. The time steps of one layer can
# all be computed before the layer above begins: only states of the same layer, or of the layer below, are needed.


# %%
def deep(inputs, state, params):
    """Run layer over layer of the lesson's cell; state and params are flat, layer by layer."""
    cell, new_state = d2lrnn.CELLS[lesson.model.cell], []
    *params, W_hq, b_q = params
    for layer in range(lesson.model.num_layers):
        own = params[layer * len(cell.param_names) : (layer + 1) * len(cell.param_names)]
        H_C = state[layer * cell.num_states : (layer + 1) * cell.num_states]
        outputs = []
        for X in inputs:
            H, H_C = cell.step(X, H_C, own)
            outputs.append(H)
        new_state += H_C
        inputs = outputs  # of the layer above
    return [np.dot(H, W_hq) + b_q for H in outputs], tuple(new_state)


stack = d2lrnn.Stack(lesson.model.cell, lesson.model.num_layers)
params = stack.get_params(vocab_size, num_hiddens, ctx)
print(f"{stack.num_layers} layers of the cell {stack.cell}")
for i, prefix in enumerate(stack.prefixes):
    sizes = [p.size for name, p in zip(stack.param_names, params) if name.startswith(prefix) and name[-1] != "q"]
    print(f"layer {i + 1}: {len(sizes)} parameters with {sum(sizes):,} numbers")
state = stack.init_state(len(X), num_hiddens, ctx)
outputs, new_state = deep(inputs, state, params)
expected, expected_state = stack(inputs, state, params)
print(f"the state: {len(new_state)} arrays {new_state[0].shape}")
gaps = [common.difference(a, b) for a, b in zip(new_state, expected_state)]
print(f"this is d2lrnn.Stack: the states differ by {max(gaps):g}", end=", ")
print(f"the outputs by {max(common.difference(a, b) for a, b in zip(outputs, expected)):.0e}")

# %% [markdown]
# ## Gluon's deep layer
#
# The layers of `gluon.rnn` can be deep by themselves: `num_layers=2` is all that is needed. The state of such a layer
# is one array for all layers, of shape (num_layers, batch_size, num_hiddens); `RNNModel` hands it on as it is. With the
# parameters of the stack from scratch, the layer computes the same numbers, up to the rounding of float32.

# %%
simple = d2lrnn.Stack("rnn", num_layers=2)
scratch = d2lrnn.RNNModelScratch(vocab_size, num_hiddens, ctx, simple.get_params, simple.init_state, simple)
twin = d2lrnn.RNNModel(rnn.RNN(num_hiddens, num_layers=2, activation="tanh", input_size=vocab_size), vocab_size)
twin.initialize(ctx=ctx)
d2lrnn.copy_parameters(scratch, twin)
logits, (H1, H2) = scratch(X, scratch.begin_state(len(X), ctx))
twin_logits, (twin_H,) = twin(X, twin.begin_state(len(X), ctx))
print(f"the layer's state: {twin_H.shape}")
for name, a, b in (("logits", logits, twin_logits), ("H1", H1, twin_H[0]), ("H2", H2, twin_H[1])):
    print(f"{name:8} largest difference {common.difference(a, b):.1e}, largest number {float(abs(a).max()):.1e}")

# %% [markdown]
# ## Dropout between the layers
#
# Deep models overfit more easily. Dropout sets a random share of the numbers to 0 and enlarges the others, so that
# their mean stays as it is. It acts in training only. In a deep recurrent network it stands where states go from one
# layer up to the next. It must not stand where states go from one time step to the next: after $t$ steps only a share
# of $(1 - p)^t$ of a memory would be left untouched.

# %%
H = np.ones((200, 50))
with autograd.record():
    dropped = npx.dropout(H, p=0.5)
print(f"in training: {float((dropped == 0).mean()):.2f} of the numbers are 0", end=", ")
print(f"the others {float(dropped.max()):g}, the mean {float(dropped.mean()):.2f}")
print(f"otherwise:   {float((npx.dropout(H, p=0.5) == 0).mean()):.2f} of the numbers are 0")

# %% [markdown]
# Gluon's layers have an option for this, `dropout=0.5`. On the CPU, MXNet 1.9.1 ignores it and gives no warning. The
# test for it is simple: a layer whose dropout works gives other numbers in training than in prediction.
# `d2lrnn.RecurrentStack` puts one-layer layers of `gluon.rnn` on one another, with a dropout of its own between them.
# `RNNModel` refuses the layer whose dropout would be ignored.

# %%
fused = rnn.GRU(8, num_layers=2, dropout=0.5, input_size=8)
steps = np.random.normal(size=(6, 4, 8))  # (num_steps, batch_size, num_inputs), on the CPU
print("largest difference between the outputs in training and in prediction")
for name, layer in (("gluon.rnn", fused), ("RecurrentStack", d2lrnn.RecurrentStack("gru", 8, 2, dropout=0.5))):
    layer.initialize(init.Normal(0.5))
    begin = layer.begin_state(batch_size=4)
    with autograd.record():
        in_training, _ = layer(steps, begin)
    in_prediction, _ = layer(steps, begin)
    print(f"{name:15} {common.difference(in_training, in_prediction):.2f}")
try:
    d2lrnn.RNNModel(fused, vocab_size=8)
except d2lrnn.FusedLayerError as error:
    print(f"RNNModel says: {error}")

# %% [markdown]
# ## What reaches the upper layers at the start
#
# The book draws its weights from $N(0, 0.01^2)$. Each layer multiplies by such weights, so the states of a layer are
# smaller than those of the layer below. The gradient shrinks in the same manner on its way down, as the biases
# $\mathbf{b}_h^{(\ell)}$ show. With weights ten times as large both keep their size.

# %%
three = d2lrnn.Stack("rnn", num_layers=3)
print("root of the mean square, for the first batch")
print(f"{'weights':16}{'':16}" + "".join(f"   layer {layer}" for layer in (1, 2, 3)))
for scale in (1, 10):
    larger = [param * scale for param in three.get_params(vocab_size, num_hiddens, ctx)]
    biases = [param for name, param in zip(three.param_names, larger) if name.endswith("b_h")]
    for param in larger:
        param.attach_grad()
    with autograd.record():
        outputs, states = three(inputs, three.init_state(len(X), num_hiddens, ctx), larger)
        loss = d2lrnn.cross_entropy(np.concatenate(outputs), Y)
    loss.backward()
    for what, arrays in (("states", states), ("gradients of b_h", [bias.grad for bias in biases])):
        sizes = "".join(f"{math.sqrt(float((array**2).mean())):10.1e}" for array in arrays)
        print(f"N(0, {0.01 * scale:g}²)".ljust(16) + f"{what:16}{sizes}")

# %% [markdown]
# ## Training
#
# Three models are trained on the same batches with the same settings: the stack from scratch, compiled; its twin on
# Gluon, with the same first parameters; and on Gluon a single layer of the same cell. The single layer is ahead at
# first, since the signal of the deep models has to grow before they learn much. Each model writes while it learns.

# %%
scratch, on_gluon = common.new_twins(lesson).values()
compiled = d2lrnn.FastRNNModel(vocab_size, num_hiddens, ctx, scratch.stack)
d2lrnn.copy_parameters(scratch, compiled)
one_layer = d2lrnn.build_model(replace(lesson.model, kind="gluon", num_layers=1), vocab_size, ctx)
models = {"compiled": compiled, "gluon": on_gluon, "one layer": one_layer}
histories = common.train_each(models, lesson)

# %%
gap = d2lrnn.largest_difference(histories["compiled"], histories["gluon"])
print(f"largest relative difference in perplexity, compiled and gluon: {gap:.1e}")
common.compare(histories, lesson, "deep_rnn", f"{lesson.model.num_layers} layers of {lesson.model.cell}, and one,")

# %% [markdown]
# With the GRU, the two deep models fall side by side. Several layers of the simple cell may stay for long at what the
# frequencies of the tokens tell. The gradients of the lower layers are then tiny, and Adam enlarges them together with
# their rounding, so the two models may part.
#
# ## Does depth pay?
#
# In training the deep network has more parameters than the single layer, so the comparison is not a fair one. A fair
# comparison gives each depth about as many numbers, hence fewer hidden units to a deeper network, and measures the
# perplexity on text that no model was trained on. Here the end of the corpus is held out. All models start with weights
# between -0.1 and 0.1, so that no layer is held back by its start, and all are trained by Adam. A small text is soon
# learnt by heart, and then the perplexity on held-out text rises; the table has its lowest value, and the epoch of it.

# %%
held_out = replace(lesson.corpus, valid=None, test=None).hold_out(0.1)
config = replace(lesson.training, num_epochs=min(lesson.training.num_epochs, 12 if lesson.quick else 30), prefixes=())
config = replace(config, optimizer="adam", lr=0.01, theta=1.0, verbose=False)


def count_numbers(num_layers, num_hiddens):
    """Return how many numbers the parameters of a network have."""
    shapes = replace(scratch.stack, num_layers=num_layers).param_shapes(vocab_size, num_hiddens)
    return sum(map(math.prod, shapes))


print(f"{len(held_out.train):,} tokens to learn from, {len(held_out.valid):,} held out; {common.describe(config)}")
print("layers  hidden units    numbers  perplexity in training  held out  epoch")
allowed = count_numbers(1, num_hiddens)
for num_layers in range(1, max(lesson.model.num_layers, 2) + 1):
    width = max(h for h in range(1, num_hiddens + 1) if count_numbers(num_layers, h) <= allowed)
    settings = replace(lesson.model, kind="gluon", num_layers=num_layers, num_hiddens=width, init_scale=0.1)
    d2lrnn.set_seed(config.seed)
    model = d2lrnn.build_model(settings, vocab_size, ctx)
    history = common.checked(d2lrnn.train_and_predict(model, held_out, config))
    best = min(history.valid)
    print(f"{num_layers:<6}  {width:12}  {count_numbers(num_layers, width):9,}", end="  ")
    print(f"{history.trained[-1]:22.2f}  {best:8.1f}  {history.valid.index(best) + 1:5}")

# %% [markdown]
# On the lyrics one layer is ahead on the held-out text: depth costs more than it gains. A text of a few thousand
# characters is little to learn from, and with `--quick` it is so little that no model says much about held-out text.
# Depth pays on much larger texts. The networks of Zaremba et al. for the Penn Treebank, 929,589 words, have two layers
# with dropout between them.
#
# ## Summary
#
# * In a deep recurrent network the hidden states of a layer go to the next time step of the layer, and up to the layer
#   above. The output layer sees the last layer.
# * Each layer has its own parameters and its own state, so a GRU or an LSTM can be stacked as the simple cell is.
# * Dropout acts between layers, not between time steps. On the CPU the option of Gluon's own layers does nothing.
# * With small first weights the upper layers get little signal, so a deep network starts more slowly.
# * On a small text one layer is enough.
#
# ## Exercises
#
# `models`, `stack`, `params`, `X`, `deep` and `lesson` are at hand for all of them.
#
# 1. Run the lesson with `--cell rnn --num-layers 3`. What does the network of three simple layers write?
#
# <details><summary>Solution 1</summary>
#
# Hardly anything but the commonest token: the signal through three layers of small weights is too small to learn from.
# With `--quick` the perplexity of the three layers is far above that of the single layer.
#
# </details>
#
# 2. Start the weights of the deep model on Gluon larger: `models["gluon"].initialize(init.Normal(0.1), ctx=ctx,
#    force_reinit=True)`. Does it still lag behind the single layer?
#
# <details><summary>Solution 2</summary>
#
# Train it with `common.train_each({"gluon": models["gluon"]}, lesson)`. With `--quick` it falls faster than the single
# layer did, which had small weights at its start: weights of this size carry the signal through all layers.
#
# </details>
#
# 3. Dropout of 0.5 at every time step would wipe a memory out. Which share of it is left untouched after 35 steps?
#
# <details><summary>Solution 3</summary>
#
# Each number is kept with probability 0.5 at each step, so with probability $0.5^{35}$, about $3 \cdot 10^{-11}$, at
# all of them. Between two layers a state passes a single dropout, however long the text is.
#
# </details>
#
# 4. Why can the function `deep` go layer by layer, where `two_layers` goes step by step?
#
# <details><summary>Solution 4</summary>
#
# The state $\mathbf{H}_t^{(\ell)}$ needs $\mathbf{H}_t^{(\ell-1)}$ and $\mathbf{H}_{t-1}^{(\ell)}$. Both orders
# compute these two before it. When a model writes, the order has to be step by step, since each token that it writes is
# the input of the next step.
#
# </details>
