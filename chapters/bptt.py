# %% [markdown]
# # Backpropagation through time
#
# (d2l-zh v1, section 6.6; d2l 1.0, section 9.7)
#
# A recurrent network uses the same weights at every time step. What the loss of step $T$ says about them reaches step
# $t$ through all the hidden states between. If each of these steps shrinks the gradient a little, nothing is left of
# it after fifty of them; if each enlarges it a little, training breaks. This lesson derives the gradients by the chain
# rule, computes each one by hand and compares it with autograd, measures how they vanish and explode, and watches what
# clipping does in training, batch by batch.

# %%
import math
from dataclasses import replace

import common
import numpy
from mxnet import autograd, np, npx

import d2lrnn
from d2lrnn.plotting import COLOURS, draw_curves, new_figure

lesson = common.begin(
    model=d2lrnn.ModelConfig(cell="rnn"),
    training=d2lrnn.TrainConfig(num_epochs=8),
    fixed=["cell", "num_layers", "prefix", "pred_period", "pred_len", "optimizer", "use_random_iter"],
    quick={
        "max_tokens": 2000,
        "num_epochs": 8,
        "batch_size": 8,
        "num_steps": 35,
        "optimizer": "sgd",
        "lr": 1e2,
        "theta": 1e-2,
    },
)

# %% [markdown]
# ## The model
#
# The book makes the network as simple as it can be: no biases, no tanh, one sequence in place of a minibatch. Vectors
# are columns, so the weights stand on the left. With inputs $\mathbf{x}_t \in \mathbb{R}^d$, states
# $\mathbf{h}_t \in \mathbb{R}^h$ and outputs $\mathbf{o}_t \in \mathbb{R}^q$:
#
# $$\begin{aligned}
# \mathbf{h}_t &= \mathbf{W}_{hx} \mathbf{x}_t + \mathbf{W}_{hh} \mathbf{h}_{t-1}, \\
# \mathbf{o}_t &= \mathbf{W}_{qh} \mathbf{h}_t, \\
# L &= \frac{1}{T} \sum_{t=1}^T \ell(\mathbf{o}_t, y_t).
# \end{aligned}$$
#
# Here $\mathbf{x}_t$ is the one-hot vector of a token, $y_t$ the next token, and $\ell$ the cross-entropy. The sequence
# is the beginning of the corpus.
#
# Autograd keeps the gradients of the arrays that we name, not those of intermediate results such as $\mathbf{h}_t$. So
# an array of zeros is added to every $\mathbf{h}_t$ and $\mathbf{o}_t$. It changes nothing, and its gradient is the one
# we look for. Element 0 of each list is there so that `h[t]` is $\mathbf{h}_t$.

# %%
T, num_hiddens, ctx = lesson.training.num_steps, lesson.model.num_hiddens, lesson.ctx
d = q = lesson.corpus.vocab_size
ids = np.array(lesson.corpus.train[: T + 1], dtype="int32", ctx=ctx)
x, y = [None, *npx.one_hot(ids[:-1], d)], ids[1:]

W_hx = np.random.normal(0, 0.1, (num_hiddens, d), ctx=ctx)
W_hh = np.random.normal(0, 1 / math.sqrt(num_hiddens), (num_hiddens, num_hiddens), ctx=ctx)
W_qh = np.random.normal(0, 0.1, (q, num_hiddens), ctx=ctx)
at_h = [np.zeros(num_hiddens, ctx=ctx) for _ in range(T + 1)]
at_o = [np.zeros(q, ctx=ctx) for _ in range(T + 1)]
for array in (W_hx, W_hh, W_qh, *at_h, *at_o):
    array.attach_grad()

h, o = [np.zeros(num_hiddens, ctx=ctx)], [None]
with autograd.record():
    for t in range(1, T + 1):
        h.append(np.dot(W_hx, x[t]) + np.dot(W_hh, h[t - 1]) + at_h[t])
        o.append(np.dot(W_qh, h[t]) + at_o[t])
    L = d2lrnn.cross_entropy(np.stack(o[1:]), y.reshape(1, T))
L.backward()
print(f"{T} time steps, x_t {x[1].shape}, h_t {h[1].shape}, o_t {o[1].shape}")
print(f"W_hx {W_hx.shape}, W_hh {W_hh.shape}, W_qh {W_qh.shape}")
print(f"L = {L.item():.3f}; to guess at random costs ln {q} = {math.log(q):.3f}")

# %% [markdown]
# ## Which value depends on which
#
# The picture shows the computation of three steps. Values flow along the black arrows, gradients come back along the
# dashed ones. Each parameter enters at every step, so its gradient is a sum over the steps. A state is read twice, by
# its own output and by the next state; its gradient has two parts. (The picture has the letters of minibatches, where
# a state is a row: its $\mathbf{W}_{xh}$ and $\mathbf{W}_{hq}$ are our $\mathbf{W}_{hx}$ and $\mathbf{W}_{qh}$ with
# rows and columns exchanged.)
#
# ![Three steps of a recurrent network: each state is read by its output and by the next state](img/bptt.svg)
#
# Backpropagation follows the dashed arrows from the last step to the first. It computes each gradient once and keeps
# it for those that need it. It reads the values of the forward pass too, so these are kept in memory: the longer the
# sequence, the more of it.
#
# ## The gradients of the outputs and of the output layer
#
# The loss reads the outputs directly. For the cross-entropy, with the one-hot vector $\mathbf{e}(y_t)$ of the label,
#
# $$\frac{\partial L}{\partial \mathbf{o}_t}
# = \frac{1}{T} \frac{\partial \ell(\mathbf{o}_t, y_t)}{\partial \mathbf{o}_t}
# = \frac{1}{T} (\mathrm{softmax}(\mathbf{o}_t) - \mathbf{e}(y_t)).$$
#
# The loss depends on $\mathbf{W}_{qh}$ through all outputs:
#
# $$\frac{\partial L}{\partial \mathbf{W}_{qh}}
# = \sum_{t=1}^T \frac{\partial L}{\partial \mathbf{o}_t} \mathbf{h}_t^\top.$$


# %%
def relative(by_hand, found):
    """Return the largest difference of two gradients, relative to the largest number in them."""
    return common.difference(by_hand, found) / float(abs(found).max())


labels = npx.one_hot(y, q)
dL_do = [None] + [(npx.softmax(o[t]) - labels[t - 1]) / T for t in range(1, T + 1)]
dL_dW_qh = sum(np.outer(dL_do[t], h[t]) for t in range(1, T + 1))
print("largest relative difference between the gradient by hand and autograd's")
print(f"dL/do_t   {max(relative(dL_do[t], at_o[t].grad) for t in range(1, T + 1)):.1e}")
print(f"dL/dW_qh  {relative(dL_dW_qh, W_qh.grad):.1e}")

# %% [markdown]
# The numbers are float32, which rounds at about $10^{-7}$. So a relative difference near $10^{-7}$ or $10^{-6}$ is
# rounding, and the formulas are right.
#
# ## The gradients of the states
#
# The last state is read by the last output alone:
#
# $$\frac{\partial L}{\partial \mathbf{h}_T} = \mathbf{W}_{qh}^\top \frac{\partial L}{\partial \mathbf{o}_T}.$$
#
# Every other state is read by its output and by the next state. The two parts add up, from the last step to the first:
#
# $$\frac{\partial L}{\partial \mathbf{h}_t} = \mathbf{W}_{hh}^\top \frac{\partial L}{\partial \mathbf{h}_{t+1}}
# + \mathbf{W}_{qh}^\top \frac{\partial L}{\partial \mathbf{o}_t}, \qquad t = T - 1, \ldots, 1.$$

# %%
dL_dh = [None] * (T + 1)
dL_dh[T] = np.dot(W_qh.T, dL_do[T])
for t in range(T - 1, 0, -1):
    dL_dh[t] = np.dot(W_hh.T, dL_dh[t + 1]) + np.dot(W_qh.T, dL_do[t])
print(f"dL/dh_T   {relative(dL_dh[T], at_h[T].grad):.1e}")
print(f"dL/dh_t   {max(relative(dL_dh[t], at_h[t].grad) for t in range(1, T)):.1e}, the largest for t < T")

# %% [markdown]
# Put the equation into itself again and again, and the gradient of $\mathbf{h}_t$ becomes a sum over all the outputs
# from $t$ on. What an output $T + t - i$ says comes back through $T - i$ products with $\mathbf{W}_{hh}^\top$:
#
# $$\frac{\partial L}{\partial \mathbf{h}_t} = \sum_{i=t}^T (\mathbf{W}_{hh}^\top)^{T-i} \mathbf{W}_{qh}^\top
# \frac{\partial L}{\partial \mathbf{o}_{T+t-i}}.$$

# %%
powers = [np.eye(num_hiddens, ctx=ctx)]  # powers[k] is the k-th power of the transposed W_hh
for _ in range(T):
    powers.append(np.dot(powers[-1], W_hh.T))
for t in (1, T // 2, T):
    by_sum = sum(np.dot(powers[T - i], np.dot(W_qh.T, dL_do[T + t - i])) for i in range(t, T + 1))
    print(f"dL/dh_t at t = {t:2}: the sum has {T - t + 1:2} terms, difference {relative(by_sum, at_h[t].grad):.1e}")

# %% [markdown]
# ## The gradients of the weights that all steps share
#
# The loss depends on $\mathbf{W}_{hx}$ and $\mathbf{W}_{hh}$ through all the states. The gradients of the states are
# there, so each term is one more product:
#
# $$\frac{\partial L}{\partial \mathbf{W}_{hx}}
# = \sum_{t=1}^T \frac{\partial L}{\partial \mathbf{h}_t} \mathbf{x}_t^\top, \qquad
# \frac{\partial L}{\partial \mathbf{W}_{hh}}
# = \sum_{t=1}^T \frac{\partial L}{\partial \mathbf{h}_t} \mathbf{h}_{t-1}^\top.$$

# %%
dL_dW_hx = sum(np.outer(dL_dh[t], x[t]) for t in range(1, T + 1))
dL_dW_hh = sum(np.outer(dL_dh[t], h[t - 1]) for t in range(1, T + 1))
print(f"dL/dW_hx  {relative(dL_dW_hx, W_hx.grad):.1e}")
print(f"dL/dW_hh  {relative(dL_dW_hh, W_hh.grad):.1e}")

# %% [markdown]
# ## Vanishing and exploding
#
# The sum holds powers of $\mathbf{W}_{hh}^\top$. What a power does to a vector depends on the eigenvalues. Let
# $\rho$ be the largest modulus among them. After many products the vector's length changes by about the factor $\rho$
# at each step: it *vanishes* if $\rho$ is below 1, and *explodes* if $\rho$ is above 1. The book's start,
# $\mathcal{N}(0, 0.01^2)$, has a $\rho$ of about $0.01 \sqrt{h}$, far below 1.
#
# We follow what the last step alone says, $(\mathbf{W}_{hh}^\top)^{T-t} \mathbf{W}_{qh}^\top \partial L / \partial
# \mathbf{o}_T$, back to the first step, with $\mathbf{W}_{hh}$ scaled to several $\rho$. The factor in the table is the
# mean over the first half of the steps, where $t$ is small and many products have been taken.


# %%
def spectral_radius(W):
    """Return the largest modulus of a matrix's eigenvalues."""
    W = W.asnumpy()
    return float(abs(numpy.linalg.eigvals(W)).max()) if numpy.isfinite(W).all() else math.inf


scales = (0.5, 0.9, 1.0, 1.1, 1.5)
book = d2lrnn.get_rnn_params(d, num_hiddens, ctx)[1]  # a new W_hh
print(
    f"the book's start: rho = {spectral_radius(book):.3f}, 0.01 times the root of h = {0.01 * num_hiddens**0.5:.3f}\n"
)
linear = {}
print(f"{'rho':>5}  {'norm at t = ' + str(T):>14}  {'norm at t = 1':>14}  {'factor a step':>14}")
for rho in scales:
    W = rho / spectral_radius(W_hh) * W_hh
    g = dL_dh[T]
    norms = [np.linalg.norm(g).item()]
    for _ in range(T - 1):
        g = np.dot(W.T, g)
        norms.insert(0, np.linalg.norm(g).item())  # so that norms[0] is at t = 1
    linear[f"rho = {rho}"] = norms
    half = (T - 1) // 2
    factor = (norms[0] / norms[half]) ** (1 / half)
    print(f"{rho:5.1f}  {norms[-1]:14.1e}  {norms[0]:14.1e}  {factor:14.2f}")

# %% [markdown]
# ## With tanh
#
# The chapter's networks have a tanh. Its derivative is $1 - \tanh^2$, a number between 0 and 1 for each unit, and it
# enters at every step. With $\odot$ for the product number by number:
#
# $$\frac{\partial L}{\partial \mathbf{h}_t} = \mathbf{W}_{hh}^\top
# \Bigl((1 - \mathbf{h}_{t+1}^2) \odot \frac{\partial L}{\partial \mathbf{h}_{t+1}}\Bigr)
# + \mathbf{W}_{qh}^\top \frac{\partial L}{\partial \mathbf{o}_t}.$$
#
# So a $\rho$ of 1 is not enough to keep the gradient: the tanh takes its part. And a large $\rho$ makes the states
# large; then their tanh lies nearer to 1 or -1, the derivative is smaller, and the gradient grows less than it does
# without the tanh. The code goes back by hand as above, and autograd checks it. The loss is again that of the last step
# alone, so the second term counts at $T$ only.

# %%
squashed, gaps = {}, []
for rho in scales:
    W = rho / spectral_radius(W_hh) * W_hh
    zeros = [np.zeros(num_hiddens, ctx=ctx) for _ in range(T + 1)]
    for array in zeros:
        array.attach_grad()
    s = [zeros[0]]
    with autograd.record():
        for t in range(1, T + 1):
            s.append(np.tanh(np.dot(W_hx, x[t]) + np.dot(W, s[t - 1])) + zeros[t])
        last = d2lrnn.cross_entropy(np.dot(W_qh, s[T]).reshape(1, q), y[-1:].reshape(1, 1))
    last.backward()
    g = zeros[T].grad  # from here on by hand
    norms = [np.linalg.norm(g).item()]
    for t in range(T - 1, 0, -1):
        g = np.dot(W.T, (1 - s[t + 1] ** 2) * g)
        gaps.append(relative(g, zeros[t].grad))
        norms.insert(0, np.linalg.norm(g).item())
    squashed[f"rho = {rho}"] = norms
    print(f"rho = {rho}: from {norms[-1]:.1e} at t = {T} to {norms[0]:.1e} at t = 1", end=", ")
    print(f"mean of 1 - tanh^2 {np.mean(np.stack([1 - state**2 for state in s[1:]])).item():.2f}")
print(f"largest relative difference from autograd {max(gaps):.1e}")

# %%
figure, panels = new_figure("What the last step says, on its way back to the first", 2)
for panel, curves, name in zip(panels, (linear, squashed), ("without tanh", "with tanh")):
    draw_curves(panel, curves, ("time step t", f"norm of the gradient of h_t, {name}"), log=True)
    panel.get_legend().remove()
figure.legend(panels[0].lines, linear, loc="outside right center", frameon=False)
common.save_figure(figure, lesson.picture("bptt_states"))

# %% [markdown]
# Read the curves from right to left: time goes back from the last step. On a logarithmic axis a constant factor a step
# is a straight line.
#
# ## Truncated backpropagation
#
# A text has no end where the gradient could start, so training cuts it into minibatches of `num_steps`. The state is
# handed on from one to the next, the gradient is not: `detach()` cuts it. What a loss says about the steps before its
# own minibatch is lost.
#
# ![Two minibatches: the state goes on, the gradient stops at the border](img/truncation.svg)
#
# How much is lost? We cut the sequence into pieces of $k$ steps and compare the gradient of $\mathbf{W}_{hh}$ with the
# full one: the length of the difference relative to the full gradient, and the cosine of the angle between the two (1
# means the same direction).

# %%
print("pieces of k steps: the error of the gradient of W_hh, relative to the full one, and its cosine with that")
pieces = [k for k in (1, 2, 5, 10, 20, T) if k <= T]
print(f"{'rho':>5}" + "".join(f"{'k = ' + str(k):>14}" for k in pieces))
for rho in (0.5, 0.9, 1.1):
    W = rho / spectral_radius(W_hh) * W_hh
    W.attach_grad()
    grads = []
    for k in pieces:
        state, total = np.zeros(num_hiddens, ctx=ctx), 0
        with autograd.record():
            for t in range(1, T + 1):
                state = np.tanh(np.dot(W_hx, x[t]) + np.dot(W, state))
                total = total + d2lrnn.cross_entropy(np.dot(W_qh, state).reshape(1, q), y[t - 1 : t].reshape(1, 1)) / T
                if t % k == 0:
                    state = state.detach()
        total.backward()
        grads.append(W.grad.copy())
    full = grads[-1]
    row = ""
    for grad in grads:
        error = (np.linalg.norm(grad - full) / np.linalg.norm(full)).item()
        cosine = (np.sum(grad * full) / np.linalg.norm(grad) / np.linalg.norm(full)).item()
        row += f"{error:8.3f} {cosine:5.2f}"
    print(f"{rho:5.1f}{row}")

# %% [markdown]
# At every border, what the later losses say about the steps before the border is lost, so an error remains in all but
# the last column. The error falls with the length of the pieces. It grows with $\rho$: the longer the network holds on
# to its gradient, the more there is to lose. Truncation is no remedy against explosion within a piece, and a dependence
# longer than a piece is never learnt from.
#
# ## Clipping, batch by batch
#
# Training changes $\mathbf{W}_{hh}$: its $\rho$ grows, and one day the gradient explodes. Clipping keeps each update
# short. Where the norm of all gradients together, $\|\mathbf{g}\|$, exceeds $\theta$, they are scaled down to it:
#
# $$\mathbf{g} \leftarrow \min\left(\frac{\theta}{\|\mathbf{g}\|}, 1\right) \mathbf{g}.$$
#
# With the book's settings an update is at most lr times theta $= 100 \cdot 0.01 = 1$ long. We train four times from
# the same parameters on the same minibatches, and write down the norm before clipping, and the loss, of every batch.
# A `theta` of infinity never clips.


# %%
def train_by_batch(lr, theta):
    """Train a new model; return the loss and the gradient's norm of every batch, and the model."""
    config, losses, norms = lesson.training, [], []
    d2lrnn.set_seed(config.seed)
    model = d2lrnn.build_model(lesson.model, lesson.corpus.vocab_size, ctx)
    params = d2lrnn.named_parameters(model)
    for _ in range(config.num_epochs):
        state = model.begin_state(config.batch_size, ctx)
        for X, Y in d2lrnn.data_iter_consecutive(lesson.corpus.train, config.batch_size, config.num_steps, ctx):
            state = tuple(H.detach() for H in state)
            with autograd.record():
                outputs, state = model(X, state)
                loss = d2lrnn.cross_entropy(outputs, Y)
            loss.backward()
            norms.append(d2lrnn.grad_clipping(params, theta).item())
            losses.append(loss.item())
            if not (math.isfinite(norms[-1]) and math.isfinite(losses[-1])):
                return losses, norms, model  # from here on nothing is a number
            d2lrnn.sgd(params.values(), lr, 1)
    return losses, norms, model


config = lesson.training
settings = [
    (config.lr / divisor, theta)
    for divisor, theta in ((1, config.theta), (1, math.inf), (10, math.inf), (100, math.inf))
]
runs = {f"lr {lr:g}, theta {theta:g}": train_by_batch(lr, theta) for lr, theta in settings}
num_batches = max(len(norms) for _, norms, _ in runs.values())
shown = [i for i in (1, 2, 3, 4, 5, 7, 10, 20, 30) if i < num_batches] + [num_batches]
for what, column in (("norm of the gradient before clipping", 1), ("loss in nats", 0)):
    print(f"{what}\n{'batch':22}" + "".join(f"{i:8}" for i in shown))
    for name, run in runs.items():
        print(f"{name:22}" + "".join(f"{run[column][i - 1]:8.2g}" if i <= len(run[column]) else 8 * " " for i in shown))
    print()
print(f"to guess at random costs ln {q:,} = {math.log(q):.2f} nats")

# %%
figure, panels = new_figure(lesson.title("A recurrent network with and without clipping"), 2, size=(9.8, 4.2))
for panel, column, label in zip(panels, (1, 0), ("norm of the gradient before clipping", "loss in nats")):
    draw_curves(panel, {name: run[column] for name, run in runs.items()}, ("batch", label), log=True)
    for colour, run in zip(COLOURS, runs.values()):
        ends = [i for i, value in enumerate(run[column], 1) if math.isfinite(value)]
        if len(ends) < num_batches:  # the run ended early: a cross marks its last number
            panel.plot(ends[-1:], [run[column][ends[-1] - 1]], "x", color=colour, markersize=9, markeredgewidth=2)
    panel.get_legend().remove()
panels[1].axhline(math.log(q), color="black", linewidth=0.8, linestyle=":")
figure.legend(panels[0].lines[: len(runs)], runs, loc="outside lower center", ncols=2, frameon=False)
common.save_figure(figure, lesson.picture("bptt_training"))

# %% [markdown]
# The dotted line is the loss of guessing at random. A run that ends because a number became infinite or no number has a
# cross at its last number.
#
# All runs begin with the same norm: parameters and first batch are the same. Without clipping and with the book's
# learning rate the norm jumps to more than a hundred times its first value within a few batches, and the loss to many
# times that of guessing. A learning rate of a tenth only puts this off. After the jump the norm does *not* stay high
# and the loss does not become infinite: the weights are now so large that the states are all near 1 or -1, where tanh
# is flat. Hardly any gradient passes through the states any more; the output layer alone goes on swinging. Such a
# network has not diverged to infinity, but it is lost all the same.
#
# With clipping the norm is far above theta at every batch, so every update is scaled down, and the loss falls below all
# the others. A hundredth of the learning rate without clipping either learns more slowly or breaks too.

# %%
X, _ = common.first_batch(lesson)
untrained = d2lrnn.build_model(lesson.model, lesson.corpus.vocab_size, ctx)
print(f"{'':22}{'rho of W_hh':>12}{'|H| > 0.99':>12}")
for name, model in {"before training": untrained, **{name: run[2] for name, run in runs.items()}}.items():
    radius = spectral_radius(np.array(d2lrnn.read_parameters(model)["W_hh"]))
    _, (H,) = model(X, model.begin_state(len(X), ctx))
    print(f"{name:22}{radius:12.1f}{float((abs(H) > 0.99).mean()):12.0%}")

# %% [markdown]
# The module's loop takes the same steps: its mean norm of the first epoch is that of the batches above. It notices a
# lost run by itself and says what to do.

# %%
epoch = replace(config, prefixes=(), verbose=False, num_epochs=1)
d2lrnn.set_seed(config.seed)
model = d2lrnn.build_model(lesson.model, lesson.corpus.vocab_size, ctx)
history = common.checked(d2lrnn.train_and_predict(model, lesson.corpus, epoch))
count = d2lrnn.data_iter_consecutive(lesson.corpus.train, config.batch_size, config.num_steps).num_batches
_, norms, _ = next(iter(runs.values()))
print(
    f"mean norm of epoch 1: {sum(norms[:count]) / count:.6f} by hand, {history.grad_norm[0]:.6f} by the module's loop"
)
try:
    d2lrnn.train_and_predict(model, lesson.corpus, replace(epoch, theta=math.inf, num_epochs=3))
except d2lrnn.TrainingDivergedError as error:
    print(error)

# %% [markdown]
# ## Summary
#
# * Backpropagation through time is the chain rule on the unrolled network, from the last step to the first.
# * The gradient of a parameter that all steps share is a sum over the steps.
# * The gradient of an early state holds high powers of $\mathbf{W}_{hh}^\top$. By the largest eigenvalue it vanishes or
#   explodes.
# * Truncation ends the way back at the border of a minibatch. Clipping bounds the length of an update.
# * Neither brings back a gradient that has vanished. The gates of the next lessons do.
#
# ## Exercises
#
# The arrays of the derivation, `runs`, `model` and `lesson` are at hand for all of them.
#
# 1. Beside clipping, what else can be done against a gradient that explodes?
#
# <details><summary>Solution 1</summary>
#
# Shorter sequences (fewer factors), a smaller learning rate (which keeps $\rho$ small for longer, see the runs above),
# weights that begin or are held with a $\rho$ near 1 (orthogonal matrices, weight decay), and gates: the GRU and the
# LSTM change their state by sums, not by a product with a matrix.
#
# </details>
#
# 2. The matrix $\mathbf{W}_{hh}$ has the eigenvector $\mathbf{v}$ with the eigenvalue 0.9. By how much does a gradient
#    along the matching eigenvector of $\mathbf{W}_{hh}^\top$ shrink in 35 steps, and in 100?
#
# <details><summary>Solution 2</summary>
#
# $\mathbf{W}_{hh}^\top$ has the same eigenvalues. The factor is $0.9^{35} = 0.025$ in 35 steps and
# $0.9^{100} = 2.7 \cdot 10^{-5}$ in 100.
#
# </details>
#
# 3. The table of truncation compares one cut. A cut at a random place in each piece gives a gradient that is right on
#    average if the terms behind it are weighted up (d2l 1.0, section 9.7). Why is that rarely done?
#
# <details><summary>Solution 3</summary>
#
# The weighted terms vary strongly from one draw to the next, and that costs more than the small error of a fixed cut.
# Besides, the short view is often welcome: it makes the model rely on what is near.
#
# </details>
#
# 4. Find the largest learning rate that trains without clipping for all batches: `train_by_batch(3, math.inf)` and so
#    on. How does its last loss compare with that of the clipped run?
#
# <details><summary>Solution 4</summary>
#
# Try 3, 2, 1, 0.5. The largest one that does not break is about a hundredth of the book's, and its loss stays
# above that of the clipped run. Clipping allows large steps as long as the gradient is small, and shortens those alone
# that would go too far.
#
# </details>
