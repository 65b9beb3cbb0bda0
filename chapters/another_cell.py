# %% [markdown]
# # A cell of your own
#
# (d2l-zh v1, section 6.7, and beyond it: Zhou, Wu, Zhang and Zhou 2016, arXiv 1603.09420)
#
# Whoever reads of a new recurrent cell wants to see it beside the others. This lesson adds a cell to `d2lrnn`: its
# equations, the same equations compiled, and a declaration. From then on the cell trains, writes, is saved and compared
# as the others are. The cell is the *minimal gated unit* (MGU). It is a GRU with a single gate, which both resets and
# updates.

# %%
from dataclasses import replace

import common
from mxnet import autograd, np, npx

import d2lrnn
from d2lrnn.cells import dot, sigmoid, tanh
from d2lrnn.config import KINDS

lesson = common.begin(
    model=d2lrnn.ModelConfig(cell="gru"),
    training=common.BOOK_GATED,
    fixed=["cell", "num_layers", "num_projections"],
    quick={"num_epochs": 20, "lr": 0.02},
)

# %% [markdown]
# ## The equations
#
# The gate $\mathbf{F}_t$ reads the minibatch $\mathbf{X}_t$ and the state $\mathbf{H}_{t-1}$:
#
# $$\mathbf{F}_t = \sigma(\mathbf{X}_t \mathbf{W}_{xf} + \mathbf{H}_{t-1} \mathbf{W}_{hf} + \mathbf{b}_f).$$
#
# The candidate state sees only as much of the old state as the gate lets through, as with the reset gate of the GRU:
#
# $$\tilde{\mathbf{H}}_t = \tanh(\mathbf{X}_t \mathbf{W}_{xh} + (\mathbf{F}_t \odot \mathbf{H}_{t-1}) \mathbf{W}_{hh} +
# \mathbf{b}_h).$$
#
# The same gate mixes the old state with the candidate, as the update gate of the GRU does:
#
# $$\mathbf{H}_t = (1 - \mathbf{F}_t) \odot \mathbf{H}_{t-1} + \mathbf{F}_t \odot \tilde{\mathbf{H}}_t.$$
#
# A gate of 0 keeps the state as it is. A gate of 1 replaces it by the candidate.

# %%
X, Y = common.first_batch(lesson)
vocab_size, num_hiddens, ctx = lesson.corpus.vocab_size, lesson.model.num_hiddens, lesson.ctx


def mgu(inputs, state, params):
    """Run the minimal gated unit over num_steps matrices (batch_size, vocab_size)."""
    W_xf, W_hf, b_f, W_xh, W_hh, b_h, W_hq, b_q = params
    (H,) = state
    outputs = []
    for X in inputs:
        F = npx.sigmoid(np.dot(X, W_xf) + np.dot(H, W_hf) + b_f)
        H_tilda = np.tanh(np.dot(X, W_xh) + np.dot(F * H, W_hh) + b_h)
        H = (1 - F) * H + F * H_tilda
        outputs.append(np.dot(H, W_hq) + b_q)
    return outputs, (H,)


def random_weight(*shape):
    """Return a new weight."""
    return np.random.normal(0, 0.01, shape, ctx=ctx)


params = []
for _ in "fh":  # of the gate, and of the candidate
    params += [random_weight(vocab_size, num_hiddens), random_weight(num_hiddens, num_hiddens), np.zeros(num_hiddens)]
params += [random_weight(num_hiddens, vocab_size), np.zeros(vocab_size)]
params = [param.as_in_ctx(ctx) for param in params]
inputs, state = d2lrnn.to_onehot(X, vocab_size), (np.zeros((len(X), num_hiddens), ctx=ctx),)
outputs, (H,) = mgu(inputs, state, params)
print(f"{len(outputs)} outputs {outputs[0].shape}, H {H.shape}")
print(f"{len(params)} parameters with {sum(param.size for param in params):,} numbers")
for gate in (-30, 30):
    extreme = [np.zeros_like(param) for param in params]
    extreme[2][:] = gate  # b_f
    _, (after,) = mgu(inputs[:1], (np.ones_like(H),), extreme)
    print(f"b_f = {gate:3}: of a state of 1 the first step leaves {float(after.mean()):g}")

# %% [markdown]
# ## First piece: one step
#
# `d2lrnn` has the loop over the time steps and the output layer already. It needs one step of the cell: `X`, the state
# and the cell's parameters in, `H` and the new state out. The parameters come gate by gate: weight of the input, weight
# of the state, bias. The state is a tuple of arrays, $\mathbf{H}$ first. The products are made by `d2lrnn.cells.dot`:
# it also takes an `X` whose rows of the weight are looked up, where `np.dot` would multiply by a one-hot vector.


# %%
def mgu_step(X, state, params):
    """Take one step of the minimal gated unit."""
    W_xf, W_hf, b_f, W_xh, W_hh, b_h = params
    (H,) = state
    F = npx.sigmoid(dot(X, W_xf) + dot(H, W_hf) + b_f)
    H_tilda = np.tanh(dot(X, W_xh) + dot(F * H, W_hh) + b_h)
    H = (1 - F) * H + F * H_tilda
    return H, (H,)


first, _ = mgu_step(inputs[0], state, params[:6])
expected, _ = mgu(inputs[:1], state, params)
print(f"one step: H {first.shape}", end=", ")
print(f"its output differs by {common.difference(np.dot(first, params[6]) + params[7], expected[0]):g}")

# %% [markdown]
# ## Second piece: the same step, compiled
#
# The fast model and the layer on Gluon are made of a second form of the step. It is called with arrays or with symbols,
# so its operators come from `F`, and the gate has another letter here, `G`. `X` holds $\mathbf{X}_t \mathbf{W}_x$ of
# all gates side by side, computed for all time steps at once. `weights.split` cuts it apart. `weights.product(H, "f")`
# is $\mathbf{H} \mathbf{W}_{hf} + \mathbf{b}_f$.
#
# A cell may ask for several gates in one product, as the GRU does with `"rz"`, or for all of them, as the LSTM does by
# naming none. In the MGU the gate has to be known before the product of the candidate, so there are two products.


# %%
def compiled_mgu_step(F, X, state, weights):
    """Take one step of the minimal gated unit, with operators of F."""
    (H,) = state
    X_f, X_h = weights.split(X)
    G = sigmoid(F, X_f + weights.product(H, "f"))
    H_tilda = tanh(F, X_h + weights.product(G * H, "h"))
    H = H + G * (H_tilda - H)
    return H, (H,)


print("the GRU's compiled step, for comparison:")
common.show_source(d2lrnn.CELLS["gru"].compiled_step)

# %% [markdown]
# ## Third piece: a declaration and a name
#
# `Cell` holds both steps and says what the parameters are. `gates` are the letters of their names, in order; the last
# one is the candidate. `products` are the gates whose products with the state are made together. Names, shapes and
# first values follow. Other cells declare more: a second array in the state (`num_states`), a second bias
# (`num_biases`), `peepholes`, a projection (`projected`).
#
# `add_cell` gives the cell a name. A name stands for one cell as long as Python runs, since compiled models remember
# cells by their names. A name that is taken is refused, so this notebook cell adds the MGU only where it is not there
# yet. Whoever changes a step in a notebook restarts the kernel, or takes another name.

# %%
cell = d2lrnn.Cell(mgu_step, compiled_mgu_step, gates="fh", products=("f", "h"))
if "mgu" not in d2lrnn.CELLS:
    d2lrnn.add_cell("mgu", cell)
stack = d2lrnn.Stack("mgu")
for name, shape in zip(stack.param_names, stack.param_shapes(vocab_size, num_hiddens)):
    print(f"{name:5} {shape}")
try:
    d2lrnn.add_cell("mgu", cell)
except d2lrnn.D2lrnnError as error:
    print(f"a second time: {error}")

# %% [markdown]
# On the command line, a file that calls `add_cell` makes the cell known:
# `python -m d2lrnn train --import my_cell.py --cell mgu`.
#
# ## Is it the same cell?
#
# Now `Stack("mgu")` has to compute what the function `mgu` computes. The states are equal in every digit. The outputs
# may differ in the last digit, since the stack makes the products with $\mathbf{W}_{hq}$ of all steps at once.

# %%
expected, (expected_H,) = stack(inputs, state, params)
print(f"this is mgu: H differs by {common.difference(H, expected_H):g}", end=", ")
print(f"the outputs by {max(common.difference(a, b) for a, b in zip(outputs, expected)):.0e}")

# %% [markdown]
# The cell was written twice, so there were two chances to make a mistake. The next table holds the compiled model and
# the one on Gluon against the one from scratch: logits, state and all gradients, with weights five times as large as at
# the start, so that the gate is at work. Only rounding may differ, by $10^{-5}$ of the largest number at most.
#
# The table cannot tell whether the equations are those of the paper. For that, one step is computed in another way; the
# project's tests compute it in NumPy.

# %%
d2lrnn.set_seed(lesson.training.seed)
settings = {kind: replace(lesson.model, kind=kind, cell="mgu") for kind in KINDS}
models = {kind: d2lrnn.build_model(settings[kind], vocab_size, ctx) for kind in KINDS}
for param in models["scratch"].params:
    param *= 5
found = {}
for kind, model in models.items():
    d2lrnn.copy_parameters(models["scratch"], model)
    with autograd.record():
        logits, (last_H, *_) = model(X, model.begin_state(len(X), ctx))
        loss = d2lrnn.cross_entropy(logits, Y)
    loss.backward()
    gradients = d2lrnn.read_parameters(model, gradients=True)
    found[kind] = {"logits": logits, "H": last_H, **{f"gradient of {name}": g for name, g in gradients.items()}}
print(f"{'difference, relative':22}{'compiled':>12}{'on Gluon':>12}")
for name, expected in found["scratch"].items():
    gaps = [common.difference(found[kind][name], expected) / abs(expected).max() for kind in ("fast", "gluon")]
    print(f"{name:22}{float(gaps[0]):12.0e}{float(gaps[1]):12.0e}")

# %% [markdown]
# ## Training beside the GRU
#
# Everything else knows the cell by its name: `ModelConfig(cell="mgu")`, `RecurrentStack("mgu", ...)`, the commands, the
# checkpoints. A checkpoint holds the name and not the equations, so add the cell before you load one.
#
# The MGU has two thirds of the weights that a GRU has, beside the output layer. Both are trained with the same
# settings, and both write while they learn.

# %%
models = {}
for name in ("mgu", "gru"):
    d2lrnn.set_seed(lesson.training.seed)
    models[name] = d2lrnn.build_model(replace(lesson.model, kind="fast", cell=name), vocab_size, ctx)
    print(f"{name}: {sum(param.size for param in models[name].params):,} numbers")
histories = common.train_each(models, lesson)

# %%
common.compare(histories, lesson, "another_cell", "The minimal gated unit beside the GRU")

# %% [markdown]
# On the lyrics both cells learn to write lines. Which of the two is ahead depends on the settings, and one run of each
# on a short text decides nothing; the lesson's options `--seed` and `--num-epochs` show how much the result moves.
#
# ## Summary
#
# * A cell needs a step in the letters of its equations, the same step compiled, and a declaration.
# * `add_cell` makes the cell known to models, training, writing, checkpoints and the command line.
# * Two forms of one step are checked against each other, gradients included; the equations are checked against a step
#   that was computed in another way.
# * The minimal gated unit is a GRU whose one gate resets and updates.
#
# ## Exercises
#
# `mgu`, `mgu_step`, `compiled_mgu_step`, `cell`, `models`, `X` and `lesson` are at hand for all of them.
#
# 1. Put the gate behind the product: $\mathbf{F}_t \odot (\mathbf{H}_{t-1} \mathbf{W}_{hh} + \mathbf{b}_h)$. What is
#    `products` now?
#
# <details><summary>Solution 1</summary>
#
# `products=("fh",)`: both products need $\mathbf{H}_{t-1}$ alone, so one product serves both gates. The bias stands
# inside, since `weights.product` adds it to the product. This is the form in which Gluon has its GRU.
#
# </details>
#
# 2. Declare an LSTM with coupled gates, $\mathbf{I}_t = 1 - \mathbf{F}_t$. Which letters has it, and how many arrays
#    has its state?
#
# <details><summary>Solution 2</summary>
#
# `Cell(step, compiled_step, gates="foc", num_states=2)`. The state is the pair of $\mathbf{H}$ and $\mathbf{C}$.
# `products` is left out: the products of all three are made as one.
#
# </details>
#
# 3. Make a mistake in the compiled step, under another name, and look at the table of differences. Which mistakes does
#    the table not find?
#
# <details><summary>Solution 3</summary>
#
# It does not find a mistake that both steps share, such as $\mathbf{F}_t$ and $1 - \mathbf{F}_t$ exchanged in the last
# equation of both. It finds every mistake that changes a number of only one of them.
#
# </details>
#
# 4. How many hidden units may the MGU have, if it is to have no more numbers than the GRU of this lesson?
#
# <details><summary>Solution 4</summary>
#
# With $h$ hidden units and $v$ tokens the MGU has $2 (v h + h^2 + h) + h v + v$ numbers and the GRU
# $3 (v h + h^2 + h) + h v + v$. Where $v$ is much larger than $h$, the weights of the inputs and of the output layer
# decide: $3 v h$ numbers beside $4 v h$, so the MGU may have almost a third more units. `Stack.param_shapes` tells the
# exact number.
#
# </details>
