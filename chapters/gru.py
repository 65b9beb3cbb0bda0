# %% [markdown]
# # Gated recurrent units
#
# (d2l-zh v1, section 6.7; d2l 1.0, section 10.2; Cho et al. 2014, arXiv 1406.1078)
#
# A plain recurrent network computes its whole state anew at every step. What it has read thirty steps ago has hardly
# any influence on its state, and hardly any gradient comes back from there. Three abilities would help. Where a token
# matters for long, the state should keep what that token has left. Where a token says nothing, the state should stay
# as it is. Where a new part of the text begins, the state should begin anew. The gated recurrent unit (GRU) can do all
# three: two gates say, for each number of the state, what stays and what is replaced, and the network learns how to
# set them. This lesson builds the GRU gate by gate, shows what each gate is for, measures how far the gradient
# reaches, trains the GRU until it writes lyrics, and shows that the GRU of Gluon is another function than the book's.

# %%
import common
from mxnet import autograd, np, npx
from mxnet.gluon import rnn

import d2lrnn
from d2lrnn.plotting import draw_curves, new_figure

lesson = common.begin(
    model=d2lrnn.ModelConfig(cell="gru"),
    training=common.BOOK_GATED,
    fixed=["cell", "num_layers"],
    quick={"batch_size": 20, "lr": 0.02},
)

# %% [markdown]
# ## Reset gate and update gate
#
# A step has two inputs: the minibatch $\mathbf{X}_t$ of shape (batch_size, vocab_size), and the state
# $\mathbf{H}_{t-1}$ of shape (batch_size, num_hiddens) that the step before has left. Both gates read both:
#
# $$\begin{aligned}
# \mathbf{R}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{xr} + \mathbf{H}_{t-1} \mathbf{W}_{hr} + \mathbf{b}_r), \\
# \mathbf{Z}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{xz} + \mathbf{H}_{t-1} \mathbf{W}_{hz} + \mathbf{b}_z).
# \end{aligned}$$
#
# The sigmoid $\sigma$ gives numbers between 0 and 1, one for each number of the state. The *reset gate* $\mathbf{R}_t$
# says how much of the old state enters the computation of the new one. The *update gate* $\mathbf{Z}_t$ says how much
# of the old state simply stays.
#
# ![The reset gate and the update gate, each a fully connected layer over the input and the state](img/gru_gates.svg)
#
# Below, the state is a random one, as if the network had read some text before.

# %%
X, Y = common.first_batch(lesson)
num_inputs = num_outputs = lesson.corpus.vocab_size
num_hiddens, ctx = lesson.model.num_hiddens, lesson.ctx


def gate_params():
    """Return new weights and a new bias for one gate, or for the candidate."""
    W_x = np.random.normal(0, 0.01, (num_inputs, num_hiddens), ctx=ctx)
    W_h = np.random.normal(0, 0.01, (num_hiddens, num_hiddens), ctx=ctx)
    return W_x, W_h, np.zeros(num_hiddens, ctx=ctx)


W_xz, W_hz, b_z = gate_params()
W_xr, W_hr, b_r = gate_params()

inputs = d2lrnn.to_onehot(X, num_inputs)
H, other_H = np.random.uniform(-1, 1, (2, len(X), num_hiddens), ctx=ctx)
R = npx.sigmoid(np.dot(inputs[0], W_xr) + np.dot(H, W_hr) + b_r)
Z = npx.sigmoid(np.dot(inputs[0], W_xz) + np.dot(H, W_hz) + b_z)
print(f"X_1 {inputs[0].shape}, H_0 {H.shape}, R_1 {R.shape}, Z_1 {Z.shape}")
print(f"both gates lie between {min(float(R.min()), float(Z.min())):.2f}", end=" ")
print(f"and {max(float(R.max()), float(Z.max())):.2f}: half open, since new weights are near 0")

# %% [markdown]
# ## Candidate hidden state
#
# The candidate is computed as the state of a plain recurrent network is, except that the reset gate comes between the
# old state and its weights:
#
# $$\tilde{\mathbf{H}}_t = \tanh(\mathbf{X}_t \mathbf{W}_{xh} + (\mathbf{R}_t \odot \mathbf{H}_{t-1}) \mathbf{W}_{hh}
# + \mathbf{b}_h).$$
#
# ![The candidate: the state times the reset gate, and the input, enter a layer with tanh](img/gru_candidate.svg)
#
# If the reset gate is 1, the candidate is exactly the next state of the plain network. If the reset gate is 0, the
# candidate depends on the input alone, as at the first step of a sequence. The code below computes the candidate
# after two different states. With the reset gate at 0 both candidates are the same.

# %%
W_xh, W_hh, b_h = gate_params()
H_tilda = np.tanh(np.dot(inputs[0], W_xh) + np.dot(R * H, W_hh) + b_h)
print(f"H_tilda_1 {H_tilda.shape}, from {float(H_tilda.min()):.3f} to {float(H_tilda.max()):.3f}")
for name, gate in (("as computed", R), ("all 1", np.ones_like(R)), ("all 0", np.zeros_like(R))):
    first, second = (np.tanh(np.dot(inputs[0], W_xh) + np.dot(gate * old, W_hh) + b_h) for old in (H, other_H))
    print(f"reset gate {name:11}: after two different states the candidates differ by", end=" ")
    print(f"{common.difference(first, second):.3g}")

# %% [markdown]
# ## Hidden state
#
# The update gate mixes the old state and the candidate, number by number:
#
# $$\mathbf{H}_t = \mathbf{Z}_t \odot \mathbf{H}_{t-1} + (1 - \mathbf{Z}_t) \odot \tilde{\mathbf{H}}_t.$$
#
# ![The new state: the old one times the update gate, plus the candidate times what is left to 1](img/gru_state.svg)
#
# If the update gate is 1, the state stays as it is, whatever the network reads. If it is 0, the candidate takes the
# state's place. The code below reads the whole minibatch from two different states and prints how far apart they
# are at the end.

# %%
print(f"H_1 {(Z * H + (1 - Z) * H_tilda).shape}")
for name, gate in (("1", 1.0), ("0.9", 0.9), ("0.5", 0.5), ("0", 0.0)):
    first, second = H, other_H
    for X_t in inputs:
        first, second = (
            gate * old + (1 - gate) * np.tanh(np.dot(X_t, W_xh) + np.dot(old, W_hh) + b_h) for old in (first, second)
        )
    print(f"update gate {name:3}: {common.difference(H, other_H):.3g} apart before {len(inputs)} steps,", end=" ")
    print(f"{common.difference(first, second):.3g} after them; H has moved by {common.difference(first, H):.3g}")

# %% [markdown]
# ## The GRU over a minibatch
#
# The same four lines at every step, and an output layer on top. The initial state $\mathbf{H}_0$ is zero.


# %%
def gru(inputs, state, params):
    """Run the GRU over num_steps matrices (batch_size, vocab_size)."""
    W_xz, W_hz, b_z, W_xr, W_hr, b_r, W_xh, W_hh, b_h, W_hq, b_q = params
    (H,) = state
    outputs = []
    for X in inputs:
        Z = npx.sigmoid(np.dot(X, W_xz) + np.dot(H, W_hz) + b_z)
        R = npx.sigmoid(np.dot(X, W_xr) + np.dot(H, W_hr) + b_r)
        H_tilda = np.tanh(np.dot(X, W_xh) + np.dot(R * H, W_hh) + b_h)
        H = Z * H + (1 - Z) * H_tilda
        outputs.append(np.dot(H, W_hq) + b_q)
    return outputs, (H,)


W_hq = np.random.normal(0, 0.01, (num_hiddens, num_outputs), ctx=ctx)
b_q = np.zeros(num_outputs, ctx=ctx)
params = [W_xz, W_hz, b_z, W_xr, W_hr, b_r, W_xh, W_hh, b_h, W_hq, b_q]
state = d2lrnn.init_gru_state(len(X), num_hiddens, ctx)
outputs, (H,) = gru(inputs, state, params)
print(f"{len(outputs)} outputs {outputs[0].shape}, H {H.shape}")
print(f"{len(params)} parameters with {sum(param.size for param in params):,} numbers")

# %% [markdown]
# The function `d2lrnn.gru` is the same. Its state equals the one from above in every digit. Its outputs may differ in
# the last digit: `d2lrnn.gru` multiplies the states of all steps with $\mathbf{W}_{hq}$ in one product, which adds up
# the same numbers in another order.

# %%
expected, (expected_H,) = d2lrnn.gru(inputs, state, params)
print(f"this is d2lrnn.gru: H differs by {common.difference(H, expected_H):g}", end=", ")
print(f"the outputs by {max(common.difference(a, b) for a, b in zip(outputs, expected)):.0e}")

# %% [markdown]
# ## What the gates are for
#
# A small GRU shows it, with random weights and gates that are set by hand. It reads the letters a to d and two more
# characters. At `/`, where a new line begins, both gates are 0: the new state is the candidate, and the candidate
# depends on `/` alone. At `_`, which means nothing, the update gate is 1. To set a gate at one character is to change
# one row of its weights. The first two texts end alike and leave different states, since they begin differently. With
# a new line in between, what stood before it makes no difference. And gaps make no difference.

# %%
letters = {letter: index for index, letter in enumerate("abcd/_")}
small = d2lrnn.get_gru_params(len(letters), 8, ctx)
for param in small:
    param[:] = np.random.normal(size=param.shape)
small[0][letters["/"]] = small[3][letters["/"]] = -100  # W_xz, W_xr: both gates are 0
small[0][letters["_"]] = 100  # W_xz: the update gate is 1
for texts in (("abba", "cdba"), ("ab/ba", "cd/ba"), ("ab____", "ab")):
    ids = (np.array([[letters[letter] for letter in text]], dtype="int32", ctx=ctx) for text in texts)
    first, second = (gru(d2lrnn.to_onehot(X_, 6), (np.zeros((1, 8), ctx=ctx),), small)[1][0] for X_ in ids)
    print(f"{texts[0]:6} and {texts[1]:5}: the states differ by {common.difference(first, second):.3g}")

# %% [markdown]
# ## How far the gradient reaches
#
# As far as a difference in the state lasts, so far back reaches the gradient: both are carried by
# $\partial \mathbf{H}_T / \partial \mathbf{H}_0$. Where the gate is $z$ and the weights are near 0, as at the start,
# each step multiplies the gradient by about $z$, the sigmoid of $b_z$. In the plain network each step multiplies it
# by $\mathbf{W}_{hh}$, which is near 0. The code below lets autograd compute the gradient of the sum of $\mathbf{H}_T$
# with respect to $\mathbf{H}_0$ and prints its norm, for several $T$ and first biases.

# %%
distances = [1, 2, 5, 10, 20, 35]
ids = np.random.randint(0, num_inputs, (1, distances[-1]), ctx=ctx).astype("int32")
norms = {}
for name, forward, new_params, bias in (
    ("plain RNN", d2lrnn.rnn, d2lrnn.get_rnn_params, None),
    ("GRU, b_z = 0", gru, d2lrnn.get_gru_params, 0),
    ("GRU, b_z = 2", gru, d2lrnn.get_gru_params, 2),
    ("GRU, b_z = 5", gru, d2lrnn.get_gru_params, 5),
):
    first_params, norms[name] = new_params(num_inputs, num_hiddens, ctx), {}
    if bias is not None:
        first_params[2][:] = bias  # b_z
    for T in distances:
        H_0 = np.zeros((1, num_hiddens), ctx=ctx)
        H_0.attach_grad()
        with autograd.record():
            _, (H_T,) = forward(d2lrnn.to_onehot(ids[:, :T], num_inputs), (H_0,), first_params)
            total = H_T.sum()
        total.backward()
        norms[name][T] = float(np.linalg.norm(H_0.grad))
print(f"{'steps back':14}" + "".join(f"{T:>9}" for T in distances))
for name, by_distance in norms.items():
    print(f"{name:14}" + "".join(f"{norm:9.0e}" for norm in by_distance.values()))

figure, (panel,) = new_figure("How far the gradient reaches before training", size=(6.5, 3.6))
draw_curves(panel, norms, ("steps back", "norm of the gradient"), log=True)
panel.set_ylim(bottom=1e-9)
common.save_figure(figure, lesson.picture("gru_gradient"))

# %% [markdown]
# With a first bias of 0 half of the gradient is lost at every step, yet far less than in the plain network, whose
# curve soon leaves the picture. With a larger first bias the gradient reaches over all the steps of a minibatch.
# Training then moves the gates.
#
# ## The concise twin, and the two forms of the GRU
#
# The concise model takes `gluon.rnn.GRU`. But this layer, like cuDNN and PyTorch, computes another candidate than the
# book: the reset gate comes after the product, and the state has a bias $\mathbf{c}_h$ of its own there.
#
# $$\begin{aligned}
# \text{the book:} \quad \tilde{\mathbf{H}}_t &= \tanh(\mathbf{X}_t \mathbf{W}_{xh} +
# (\mathbf{R}_t \odot \mathbf{H}_{t-1}) \mathbf{W}_{hh} + \mathbf{b}_h), \\
# \text{Gluon:} \quad \tilde{\mathbf{H}}_t &= \tanh(\mathbf{X}_t \mathbf{W}_{xh} + \mathbf{b}_h +
# \mathbf{R}_t \odot (\mathbf{H}_{t-1} \mathbf{W}_{hh} + \mathbf{c}_h)).
# \end{aligned}$$
#
# Gluon's form needs one product of the state for both gates and the candidate, which is faster. With the same weights
# the two forms are two functions. `d2lrnn.gru` is the book's form, and `d2lrnn.gru_reset_after` is Gluon's. The code
# below makes a model in each form from scratch, and the concise model, all with the same weights. With the small first
# weights the two forms differ little, with larger weights they differ much more. Gluon's form from scratch and Gluon's
# layer differ by rounding alone.


# %%
def new_model(get_params, forward):
    """Return a model from scratch with new parameters."""
    return d2lrnn.RNNModelScratch(num_inputs, num_hiddens, ctx, get_params, d2lrnn.init_gru_state, forward)


def copy_weights(source, target):
    """Copy what two models from scratch both have; the biases c, which the book's form lacks, stay as they are."""
    values = d2lrnn.named_parameters(source)
    for name, param in d2lrnn.named_parameters(target).items():
        if name in values:
            param[:] = values[name]


model = new_model(d2lrnn.get_gru_params, d2lrnn.gru)
reset_after = new_model(d2lrnn.get_gru_reset_after_params, d2lrnn.gru_reset_after)
twin = d2lrnn.RNNModel(rnn.GRU(num_hiddens), num_inputs)
twin.initialize(ctx=ctx)
first_weights = [param.copy() for param in model.params]
for scale in (10, 1):
    for param, first in zip(model.params, first_weights):
        param[:] = scale * first
    copy_weights(model, reset_after)
    d2lrnn.copy_parameters(reset_after, twin)
    H, after_H, twin_H = (m(X, m.begin_state(len(X), ctx))[1][0] for m in (model, reset_after, twin))
    print(f"weights N(0, {0.01 * scale:g}²): the two forms differ by {common.difference(H, after_H):.1e}", end=", ")
    print(f"Gluon's form and Gluon by {common.difference(after_H, twin_H):.1e}; H reaches {float(abs(H).max()):.1e}")

# %% [markdown]
# ## Training
#
# The book trains for 160 epochs with SGD on consecutive minibatches. Every few epochs the model writes. The samples
# show what it has learnt: at first a few common phrases, again and again, later longer and longer pieces of the text.

# %%
print(common.describe(lesson.training))
history = common.checked(d2lrnn.train_and_predict(model, lesson.corpus, lesson.training))

# %% [markdown]
# Now Gluon's layer, from the same weights and on the same minibatches.

# %%
twin_history = common.checked(d2lrnn.train_and_predict(twin, lesson.corpus, lesson.training))

# %%
histories = {"scratch, the book's form": history, "gluon, reset after": twin_history}
common.compare(histories, lesson, "gru", "The GRU's two forms")

# %% [markdown]
# The perplexities of the first epoch are nearly the same, since small weights make small differences. Then each form
# goes its own way, and neither is ahead all the time.
#
# ## Trained weights in the wrong form
#
# A model's weights may move from one program to another. If one program has the book's form and the other has
# Gluon's, all shapes fit. `copy_parameters` refuses, since it knows which form each model has. A program without this
# knowledge computes something else and says nothing. The code below puts the weights that the book's form has
# learnt into Gluon's form, with $\mathbf{c}_h = 0$, and reads the first minibatch with both.

# %%
try:
    d2lrnn.copy_parameters(model, twin)
except d2lrnn.D2lrnnError as error:
    print(f"copy_parameters: {error}")
for name, param in d2lrnn.named_parameters(reset_after).items():
    if name.startswith("c_"):
        param[:] = 0
copy_weights(model, reset_after)
forms = {"the book's form, learnt": model, "Gluon's form, wrong": reset_after}
for name, form in forms.items():
    logits, _ = form(X, form.begin_state(len(X), ctx))
    loss = float(d2lrnn.cross_entropy(logits, Y))
    print(f"{name:24} perplexity {d2lrnn.perplexity(loss * Y.size, Y.size):.3f}")

# %% [markdown]
# Such an error is hard to find, for the text that the wrong form writes is not nonsense:

# %%
common.write_from(forms, lesson)

# %% [markdown]
# ## Summary
#
# * The GRU mixes its old state and a candidate. The update gate says how much of the old state stays.
# * The reset gate says how much of the old state enters the candidate. With both gates at 0 the state begins anew.
# * With the update gate at 1 a state, and the gradient with respect to it, lasts over any number of steps.
# * The book applies the reset gate before the product with $\mathbf{W}_{hh}$, Gluon after it. Weights learnt in one
#   form are wrong in the other.
#
# ## Exercises
#
# `gru`, `params`, `X`, `model`, `reset_after`, `twin` and `lesson` are at hand for all of them.
#
# 1. Suppose that only the token at step $t'$ matters for the output at a later step $t$. Which values should the two
#    gates have at each step?
#
# <details><summary>Solution 1</summary>
#
# At $t'$ both gates should be 0, so that the state depends on this token alone. From then on until $t$ the update gate
# should be 1. The reset gate then has no influence.
#
# </details>
#
# 2. With which gates is the GRU the plain recurrent network? Check it with `d2lrnn.rnn` and the same weights.
#
# <details><summary>Solution 2</summary>
#
# With $\mathbf{Z} = 0$ and $\mathbf{R} = 1$. The biases -100 and 100 set them so, and the difference is 0:
#
# ```python
# plain = [param.copy() for param in params]
# plain[2][:], plain[5][:] = -100, 100  # b_z, b_r
# state = d2lrnn.init_gru_state(len(X), num_hiddens, ctx)
# _, (H,) = gru(inputs, state, plain)
# _, (expected_H,) = d2lrnn.rnn(inputs, state, plain[6:])
# print(common.difference(H, expected_H))
# ```
#
# </details>
#
# 3. Gluon's layer has two biases for each gate. Which of them could be left out without making the model poorer, and
#    why does $\mathbf{c}_h$ have to stay?
#
# <details><summary>Solution 3</summary>
#
# In both gates the two biases only occur as a sum, so one of them is enough. In the candidate the reset gate stands
# between them: $\mathbf{b}_h$ is added always, and $\mathbf{c}_h$ as far as the reset gate is open.
#
# </details>
#
# 4. For which weights do the two forms compute the same?
#
# <details><summary>Solution 4</summary>
#
# For every state and every gate they do if $\mathbf{W}_{hh}$ is a diagonal matrix and $\mathbf{c}_h = 0$: then each
# number of the state is multiplied by one weight, and it does not matter whether by the gate before or after that. Set
# `W_hh[:] = np.diag(np.diag(W_hh))` in both models to see that only rounding is left.
#
# </details>
#
# 5. What does each gate contribute? Train with the reset gate alone (write `Z = 0` into a copy of `gru`), with the
#    update gate alone (`R = 1`), and with neither.
#
# <details><summary>Solution 5</summary>
#
# `d2lrnn.RNNModelScratch(num_inputs, num_hiddens, ctx, d2lrnn.get_gru_params, d2lrnn.init_gru_state, copy_of_gru)`
# makes the model, and `d2lrnn.train_and_predict` trains it. With `--quick` all of them learn the 1,000 characters by
# heart, since to do so takes little memory. A perplexity below 10 was reached in epoch 11 with both gates, 10 with the
# reset gate alone, 13 with the update gate alone and 11 or 12 with neither (seeds 1 to 3). The gates pay where the past
# counts: see the end of `lstm_relatives.py`.
#
# </details>
#
# 6. How much longer than the plain recurrent network does the GRU take?
#
# <details><summary>Solution 6</summary>
#
# Make a model with `d2lrnn.get_rnn_params`, `d2lrnn.init_rnn_state` and `d2lrnn.rnn`, train it with `lesson.training`,
# and compare `sum(history.seconds)`. The GRU has three products with the state where the plain network has one, but the
# output layer, which both have, takes time too. With the book's settings on `sample`, the loss and the gradients of a
# minibatch took 2.2 times as long from scratch and 1.7 times as long with Gluon's layers (the shortest of 24 each, on
# one core of an Intel Xeon, while other programs ran).
#
# </details>
#
# 7. Let a new model begin with a bias of 2 for the update gate: make it by `model = new_model(d2lrnn.get_gru_params,
#    d2lrnn.gru)`, and set `d2lrnn.named_parameters(model)["b_z"][:] = 2` before it is trained. Does that help here?
#
# <details><summary>Solution 7</summary>
#
# No: with `--quick` a perplexity below 10 came in epoch 14 or 15 in place of 11 (seeds 1 to 3), since a state that
# mostly stays learns its first words later. It does not help where the distant past counts either. In the task at the
# end of `lstm_relatives.py` GRUs that began with a bias of 0 had a perplexity of 2.1 to 3.3 after 100 minibatches, with
# a bias of 2 it was 3.2 to 4.2 (seeds 1 to 3), and with a bias of 5 it was 8.0 (seeds 1 and 2). An update gate that
# keeps the state keeps the candidate out. The LSTM has a gate for each.
#
# </details>
