# %% [markdown]
# # Data parallelism
#
# (d2l-zh v1, sections 8.4 and 8.5; d2l 1.0, sections 13.5 and 13.6; Dean et al. 2012, *Large Scale Distributed Deep
# Networks*; MXNet's KVStore)
#
# A model that is trained on one device waits for that device. With two devices, each can compute the gradient of half
# of a batch's rows, at the same time. The two gradients are added up, and both devices take the same step. This lesson
# does it by hand, with two copies of the parameters, and shows that the numbers are those of one device, up to
# rounding. Then it shows where they would be wrong: when each part is clipped by itself, or when rows of different
# lengths count alike. In the end it asks what the exchange of gradients costs.
#
# MXNet has several contexts for one CPU, `cpu(0)`, `cpu(1)` and so on. They stand for two devices here, so the lesson
# runs on every machine, and `--ctx` does not matter. With two GPUs, `gpu(0)` and `gpu(1)` would take their places.

# %%
import time
from dataclasses import replace
from functools import partial

import common
import numpy
from mxnet import autograd, cpu, kv, np

import d2lrnn
from d2lrnn import ModelConfig, NextToken, Training
from d2lrnn.plotting import draw_curves, new_figure
from d2lrnn.training import Devices

lesson = common.begin(
    model=ModelConfig(cell="rnn"),
    training=replace(common.BOOK_RNN, batch_size=33, lr=10.0, theta=0.05, verbose=False),
    fixed=[
        *("cell", "num_layers", "num_projections", "prefix", "num_epochs", "optimizer"),
        *("use_random_iter", "pred_period", "pred_len"),
    ],
    quick={"batch_size": 9, "optimizer": "sgd", "lr": 10.0, "theta": 0.05},
)

# %% [markdown]
# ## A batch in two parts
#
# Let a batch have $n$ tokens. Device $k$ gets some of the rows, with $n_k$ tokens, and computes their mean loss $L_k$.
# The mean loss of the batch, and so its gradient by the parameters $\mathbf{w}$, is a weighted sum:
#
# $$L = \frac{1}{n} \sum_{i=1}^{n} l_i = \sum_k \frac{n_k}{n} L_k, \qquad
# \frac{\partial L}{\partial \mathbf{w}} = \sum_k \frac{n_k}{n} \frac{\partial L_k}{\partial \mathbf{w}}.$$
#
# By default the batch of this lesson has an odd number of rows, so the two devices do not get the same number of them.

# %%
devices, vocab_size = [cpu(0), cpu(1)], lesson.corpus.vocab_size
config = lesson.training


def batches():
    """Return the consecutive batches of an epoch, on the first device."""
    return d2lrnn.data_iter_consecutive(lesson.corpus.train, config.batch_size, config.num_steps, devices[0])


def split(array, devices):
    """Divide the rows of an array among devices, in order."""
    bounds = [len(array) * k // len(devices) for k in range(len(devices) + 1)]
    return [array[begin:end].as_in_ctx(ctx) for ctx, begin, end in zip(devices, bounds, bounds[1:])]


X, Y = next(batches())
if len(X) < len(devices):
    raise d2lrnn.D2lrnnError(f"a batch of {len(X)} row cannot be divided: expected --batch-size 2 or more")
parts = list(zip(split(X, devices), split(Y, devices)))
weights = [len(X_k) / len(X) for X_k, _ in parts]
print(f"a batch of {len(X)} rows of {X.shape[1]} tokens")
for (X_k, _), weight in zip(parts, weights):
    print(f"on {X_k.ctx}: {len(X_k)} rows, the weight {weight:.4f}")

# %% [markdown]
# ## Two copies of the parameters
#
# Each device needs the parameters. The model is the book's plain recurrent network. A copy shares no memory with the
# first one and has gradients of its own.


# %%
def copy_to(params, ctx):
    """Return a copy of parameters on a device, with gradients."""
    copies = [param.copyto(ctx) for param in params]
    for param in copies:
        param.attach_grad()
    return copies


def mean_loss(params, X, Y, H, counted=None):
    """Return the mean loss of some rows, and the state after them."""
    outputs, (H,) = d2lrnn.rnn(d2lrnn.to_onehot(X, vocab_size), (H,), params)
    return d2lrnn.cross_entropy(np.concatenate(outputs), Y, counted), H


def zero_states(X, devices):
    """Return the state before the first batch, divided as the rows of X are."""
    return split(np.zeros((len(X), lesson.model.num_hiddens), ctx=devices[0]), devices)


def gradients(params):
    """Return copies of the gradients."""
    return [param.grad.copy() for param in params]


params = d2lrnn.get_rnn_params(vocab_size, lesson.model.num_hiddens, devices[0])
with autograd.record():
    loss, _ = mean_loss(params, X, Y, *zero_states(X, devices[:1]))
loss.backward()
whole = gradients(params)

copies, part_losses = [copy_to(params, ctx) for ctx in devices], []
for copy, (X_k, Y_k), H in zip(copies, parts, zero_states(X, devices)):
    with autograd.record():
        part_loss, _ = mean_loss(copy, X_k, Y_k, H)
    part_loss.backward()
    part_losses.append(float(part_loss))
on_each = [gradients(copy) for copy in copies]
added = [sum(w * g.as_in_ctx(devices[0]) for w, g in zip(weights, grads)) for grads in zip(*on_each)]


def show(name, grads):
    """Print the first numbers of the gradient of the last parameter, the output layer's bias."""
    print(f"{name:24}", " ".join(f"{value:11.8f}" for value in grads[-1][:5].asnumpy()))


print(f"the loss on each device: {part_losses[0]:.6f} and {part_losses[1]:.6f}", end="; ")
print(f"their weighted sum {numpy.dot(weights, part_losses):.6f}, of the whole batch {float(loss):.6f}")
print("the gradient of b_q, its first numbers:")
for grads, ctx in zip(on_each, devices):
    show(f"on {ctx}", grads)
show("weighted sum", added)
show("of the whole batch", whole)
gap = max(common.difference(a, b) for a, b in zip(added, whole))
largest = max(float(abs(g).max()) for g in whole)
print(f"largest difference over all parameters {gap:.0e}; the largest number is {largest:.3f}")

# %% [markdown]
# The gradients on the two devices differ, since they are of different rows. Their weighted sum is the gradient of the
# whole batch. What is left is rounding: float32 keeps seven digits, and the sums were taken in another order.
#
# ## The sum by a KVStore
#
# MXNet adds arrays of several devices by a KVStore, a store of arrays by keys. `push` hands it one array from each
# device, and it keeps their sum. `pull` writes the sum wherever it is wanted. A store of the type `local` adds on the
# CPU, `device` on the GPUs, and `dist_sync` on servers, for several machines. The KVStore takes MXNet's older arrays,
# as which `as_nd_ndarray` shows the same memory. It knows no weights, so the weights come first.
#
# Every push of a key has to bring the same number of arrays. MXNet 1.9.1 crashes if there were two at first and are
# three later. So each training below gets a store of its own.


# %%
def new_store(params):
    """Return a KVStore with a key for each parameter."""
    store = kv.create("local")
    for key, param in enumerate(params):
        store.init(key, param.as_nd_ndarray())
    return store


store = new_store(params)
pulled = [np.zeros_like(param) for param in params]
for key, grads in enumerate(zip(*on_each)):
    store.push(key, [(w * g).as_nd_ndarray() for w, g in zip(weights, grads)])
    store.pull(key, pulled[key].as_nd_ndarray())
gap = max(common.difference(a, b) for a, b in zip(pulled, added))
print(f"KVStore of the type {store.type}, {len(params)} keys")
show("pushed and pulled", pulled)
print(f"this is the sum by hand: difference {gap:g}")

# %% [markdown]
# ## One clip
#
# The gradient of a recurrent network is clipped by its norm as a whole:
#
# $$\mathbf{g} \leftarrow \min\left(\frac{\theta}{\|\mathbf{g}\|}, 1\right) \mathbf{g},$$
#
# where $\mathbf{g}$ has the numbers of all parameters. With several devices, $\mathbf{g}$ is the sum. Clipping each
# part before the sum is something else: a device whose gradient is long then counts for less than its share.


# %%
def norm(grads):
    """Return the norm of all gradients as one vector."""
    return float(numpy.sqrt(sum(float((g * g).sum()) for g in grads)))


def clipped(grads, theta):
    """Return gradients whose norm is at most theta."""
    scale = min(theta / norm(grads), 1)
    return [scale * g for g in grads]


theta = config.theta
once = clipped(added, theta)
each = [
    sum(w * g.as_in_ctx(devices[0]) for w, g in zip(weights, grads))
    for grads in zip(*(clipped(grads, theta) for grads in on_each))
]
cosine = sum(float((a * b).sum()) for a, b in zip(once, each)) / (norm(once) * norm(each))
print(
    f"norms: {norm(on_each[0]):.4f} and {norm(on_each[1]):.4f} on the devices, of the sum {norm(added):.4f}; ", end=""
)
print(f"theta is {theta:g}")
show("clipped once", once)
show("each part by itself", each)
print(f"norms after clipping: once {norm(once):.6f}, each part by itself {norm(each):.6f}", end="; ")
print(f"the cosine of the angle between the two is {cosine:.6f}")

# %% [markdown]
# As long as $\theta$ is below both norms, the clipped parts have the norm $\theta$ each. Their weighted sum is shorter,
# because they do not point the same way.
#
# ## Fifty steps
#
# A step of training on several devices divides the rows, computes the losses, adds up the gradients, clips once,
# updates the first copy of the parameters, and copies it to the others. Each loss is multiplied by its weight before
# `backward`, so that the gradients have their weights already. One call of `backward` with all losses lets the devices
# work at the same time.
#
# With consecutive batches a row goes on where the same row of the batch before it ended. So the state $\mathbf{H}$ is
# divided among the devices as the rows are, and each part stays on its device.


# %%
def train_batch(store, copies, X, Y, states):
    """Take a step on the devices of the copies; return the mean loss of the batch, and the states of the next one."""
    devices = [copy[0].ctx for copy in copies]
    parts = list(zip(copies, split(X, devices), split(Y, devices), states))
    with autograd.record():
        found = [mean_loss(copy, X_k, Y_k, H) for copy, X_k, Y_k, H in parts]
        losses = [loss * (len(part[1]) / len(X)) for (loss, _), part in zip(found, parts)]
    autograd.backward(losses)
    grads = [param.grad for param in copies[0]]
    for key, same in enumerate(zip(*copies)):  # one parameter on all devices
        store.push(key, [param.grad.as_nd_ndarray() for param in same])
        store.pull(key, grads[key].as_nd_ndarray())
    for param, grad in zip(copies[0], clipped(grads, config.theta)):
        param[:] = param - config.lr * grad
    for copy in copies[1:]:
        for source, target in zip(copies[0], copy):
            source.copyto(target)
    return sum(float(loss) for loss in losses), [H.detach() for _, H in found]


def fifty_steps(step, first_state):
    """Return the losses of fifty steps, and the last state; ``step`` takes X, Y and the state, as it returns it."""
    losses = []
    while True:
        state = first_state
        for X, Y in batches():
            loss, state = step(X, Y, state)
            losses.append(loss)
            if len(losses) == 50:
                return numpy.array(losses), state


losses, copies_of, last_states = {}, {}, {}
for count in (1, 2):
    copies = copies_of[count] = [copy_to(params, ctx) for ctx in devices[:count]]
    step = partial(train_batch, new_store(params), copies)
    losses[count], last_states[count] = fifty_steps(step, zero_states(X, devices[:count]))
print("step  one device  two devices  relative difference")
gaps = abs(losses[2] - losses[1]) / losses[1]
for i in (1, 2, 10, 30, 50):
    print(f"{i:4}  {losses[1][i - 1]:10.7f}  {losses[2][i - 1]:11.7f}  {gaps[i - 1]:19.0e}")
print(f"largest relative difference in 50 steps: {gaps.max():.0e}")
same = max(common.difference(a, b.as_in_ctx(a.ctx)) for a, b in zip(*copies_of[2]))
print(f"the two copies after 50 steps: difference {same:g}")
joined = np.concatenate([H.as_in_ctx(devices[0]) for H in last_states[2]])
print(f"states {' and '.join(str(H.shape) for H in last_states[2])}, one below the other as on one device:", end=" ")
print(f"difference {common.difference(joined, last_states[1][0]):.0e}")

# %% [markdown]
# The losses of fifty steps are those of one device, to the last digit or nearly so. So a batch that is divided is no
# other training: the learning rate, $\theta$ and the size of the batch mean what they mean on one device.
#
# ## The module
#
# `Devices` has the copies, the KVStore and the weights, and `Training` takes it. On the command line it is
# `d2lrnn train --ctx cpu:0,cpu:1`. The model below begins with the parameters that the copies above began with.

# %%
model = d2lrnn.build_model(replace(lesson.model, kind="scratch"), vocab_size, devices[0])
for source, target in zip(params, model.params):
    source.copyto(target)
training = Training(model, config, NextToken(vocab_size), devices=Devices(model, devices))


def step(X, Y, state):
    """Take a step of the module's training."""
    done = training.step((X, Y), state)
    return float(done.loss), done.state


found, _ = fifty_steps(step, None)
print(f"losses {found[0]:.7f}, ..., {found[-1]:.7f}")
print("this is Training(..., devices=Devices(model, [cpu(0), cpu(1)])): ", end="")
print(f"largest relative difference {(abs(found - losses[2]) / losses[2]).max():.0e}", end=", ")
gap = max(common.difference(a, b) for a, b in zip(copies_of[2][0], model.params))
print(f"of the parameters after 50 steps {gap:.0e}")

# %% [markdown]
# The module computes the norm and the step by other operations than the lines above, and rounds in other places. Its
# norm is the root of a scalar product in float32. With a million parameters it can be off by a millionth, and each step
# is then longer or shorter by as much.
#
# ## Rows of different lengths
#
# Sentences and lines have different lengths, and a batch of them is padded. The loss is a mean over the tokens that
# count. A device whose rows are short then has few tokens, and $n_k$ is the number of its counted tokens, not of its
# rows. Below the rows become longer from the first to the last, so the first device has fewer tokens.

# %%
num_steps = X.shape[1]
lengths = numpy.linspace(1, num_steps, len(X)).astype(int)
counted = np.array(numpy.arange(num_steps) < lengths[:, None], dtype="float32", ctx=devices[0])
with autograd.record():
    loss, _ = mean_loss(params, X, Y, *zero_states(X, devices[:1]), counted)
loss.backward()
whole, found = gradients(params), []
arguments = [split(array, devices) for array in (X, Y)] + [zero_states(X, devices), split(counted, devices)]
for ctx, *part in zip(devices, *arguments):
    copy = copy_to(params, ctx)
    with autograd.record():
        part_loss, _ = mean_loss(copy, *part)
    part_loss.backward()
    found.append([g.as_in_ctx(devices[0]) for g in gradients(copy)])
tokens = [int(part.sum()) for part in split(counted, devices)]
print(f"counted tokens: {tokens[0]} and {tokens[1]} of {X.size}")
ways = {"by rows": weights, "by counted tokens": [n_k / sum(tokens) for n_k in tokens]}
off = {}
for name, shares in ways.items():
    summed = [sum(w * g for w, g in zip(shares, grads)) for grads in zip(*found)]
    off[name] = norm([a - b for a, b in zip(summed, whole)]) / norm(whole)
    print(f"weights {name:18} {shares[0]:.4f} and {shares[1]:.4f}: off by {off[name]:.1e} of the gradient's norm")
model_devices = Devices(model, devices)
for source, target in zip(params, model.params):
    source.copyto(target)
model_devices.share()
model_devices.backward(NextToken(vocab_size), (X, Y, counted), None)
off["Devices"] = norm([a.grad - b for a, b in zip(model.params, whole)]) / norm(whole)
print(f"this is what Devices does: off by {off['Devices']:.1e}")

# %% [markdown]
# With weights by rows, the tokens of short rows count for more than those of long ones. No error tells of it, and the
# model learns all the same, only something else.
#
# ## Layers on devices
#
# There is another way to use two devices. A model that is too large for one can have its layers on several, in turn.
# Each array then goes to the device of the layer that reads it. Nothing is added up in another order, so the numbers
# are those of one device, bit for bit. In the module this is `model.place`, and `--layers-on` on the command line. It
# saves memory and no time, since a layer waits for the one below it.

# %%
deep = replace(lesson.model, kind="gluon", cell="lstm", num_layers=2)
plan = replace(config, lr=1.0, theta=1.0)
trained, placed_losses = {}, {}
for name in ("one device", "two devices"):
    d2lrnn.set_seed(config.seed)
    stack = trained[name] = d2lrnn.build_model(deep, vocab_size, devices[0])
    if name == "two devices":
        stack.place(devices)
    run, state, placed_losses[name] = Training(stack, plan, NextToken(vocab_size)), None, []
    for _, batch in zip(range(5), batches()):
        done = run.step(batch, state)
        state = done.state
        placed_losses[name].append(float(done.loss))
for i, layer in enumerate([*stack.layers, stack.dense], 1):
    used = {str(param.list_ctx()[0]) for param in layer.collect_params().values()}
    print(f"layer {i}, {type(layer).__name__}: on {', '.join(used)}")
gap = max(abs(a - b) for a, b in zip(*placed_losses.values()))
print(f"the losses of five steps: difference {gap:g}", end="; ")
both = [[param.data() for param in d2lrnn.named_parameters(stack).values()] for stack in trained.values()]
print(f"the parameters after them: {max(common.difference(a, b.as_in_ctx(a.ctx)) for a, b in zip(*both)):g}")

# %% [markdown]
# ## What it costs
#
# With every step, each device sends the gradient of every parameter and gets the new numbers back. In float32 that is 4
# bytes, or 32 bits, a parameter each way. The number of tokens in the batch does not matter for it. Let $P$ be the
# number of parameters, $b$ the bits that a device can send or receive in a second, and $T$ the time of a step on one
# device. At best, $N$ devices take for the same batch
#
# $$T_N = \frac{T}{N} + \frac{2 \cdot 32 P}{b}, \qquad S_N = \frac{T}{T_N}.$$
#
# However many devices there are, the speed-up $S_N$ stays below $T b / (64 P)$. It is large where a device computes a
# lot for each parameter, as with long rows and large batches.
#
# The step time is that of the stack of two layers above, on one device, with batches of 32 rows of 35 tokens. It is the
# shortest of three. The formula also takes for granted that half of the rows take half of the time. The next lines show
# how far that is true on this machine.

# %%
draw = numpy.random.default_rng(config.seed)
stack = trained["one device"]
P = sum(param.data().size for param in d2lrnn.named_parameters(stack).values())
ids = draw.integers(0, vocab_size, (32, 36))
timed = Training(stack, replace(plan, batches="random"), NextToken(vocab_size))
times = {}
for num_rows in (32, 16, 8):
    batch = tuple(np.array(part[:num_rows], dtype="int32", ctx=devices[0]) for part in (ids[:, :-1], ids[:, 1:]))
    lasted = []
    for _ in range(4):  # the first time is not counted
        begin = time.perf_counter()
        timed.step(batch, None)
        lasted.append(time.perf_counter() - begin)
    times[num_rows] = min(lasted[1:])
    print(f"a step on {num_rows:2} rows takes {1000 * times[num_rows]:.1f} ms")
T = times[32]
print(f"P = {P:,} parameters: {4 * P / 1e6:.2f} MB each way")


def speed_up(N, bandwidth):
    """Return the speed-up of N devices by the formula; one device sends nothing."""
    return 1.0 if N == 1 else T / (T / N + 2 * 32 * P / bandwidth)


print("Gbit/s  exchange ms  2 devices  4 devices  8 devices  never above")
speed_ups = {"ideal": {N: float(N) for N in range(1, 17)}}
for gigabits in (100, 10, 1):
    bandwidth = 1e9 * gigabits
    curve = speed_ups[f"{gigabits} Gbit/s"] = {N: speed_up(N, bandwidth) for N in range(1, 17)}
    print(f"{gigabits:6}  {64e3 * P / bandwidth:11.2f}", end="")
    print("".join(f"{curve[N]:11.2f}" for N in (2, 4, 8)), f"{T * bandwidth / (64 * P):12.1f}")

# %%
figure, (panel,) = new_figure("The speed-up of data parallelism, on paper", size=(6.5, 4.2))
draw_curves(panel, speed_ups, ("devices", "speed-up"))
common.save_figure(figure, lesson.picture("data_parallelism"))

# %% [markdown]
# Where a speed-up is below 1, several devices are slower than one. The larger the model is beside the work of a step,
# the faster the exchange has to be.
#
# These are figures on paper. They leave out that the gradient of the last layer can be on its way while that of the
# first one is computed, which makes the exchange cheaper. They also leave out that a server for many devices has to
# receive from all of them, which makes it dearer. A device that computes faster has a smaller $T$ and gains less from
# others.
#
# Two contexts of one CPU share its cores, so they are not meant to be faster than one. They show that the numbers are
# right, and no more.
#
# For several machines, `d2lrnn launch` starts the processes, and the KVStore adds up on servers. Dean et al. let each
# worker push and pull in its own time, without waiting for the others. A gradient is then of parameters that others
# have changed since. d2lrnn waits for all of them, so that the numbers are those of one process.
#
# ## Summary
#
# * The gradient of a batch is the sum of the gradients of its parts, each weighted by its share of the counted tokens.
# * A KVStore adds up: push from each device, pull the sum.
# * The sum is clipped once. Clipped parts have another sum.
# * The state of a row stays on the device of the row.
# * Several devices compute what one computes, up to rounding. Layers on several devices do so bit for bit.
# * Each step carries 4 bytes a parameter each way. The speed-up is bounded by the time of a step and the bandwidth.
#
# ## Exercises
#
# `params`, `copy_to`, `zero_states`, `new_store`, `train_batch`, `fifty_steps`, `losses`, `once`, `each`, `speed_up`
# and `lesson` are at hand for all of them.
#
# 1. Train fifty steps on three contexts. How far are the losses from those of one?
#
# <details><summary>Solution 1</summary>
#
# Let `three = [cpu(0), cpu(1), cpu(2)]`, `copies = [copy_to(params, ctx) for ctx in three]` and `step =
# partial(train_batch, new_store(params), copies)`. Then `fifty_steps(step, zero_states(X, three))` returns the losses.
# They are those of one device up to rounding, as with two.
#
# </details>
#
# 2. Let each device take its own step with its own clipped gradient, and then let the parameters be averaged with the
#    weights $n_k / n$. When is this the step of one device?
#
# <details><summary>Solution 2</summary>
#
# With plain SGD and no clipping it is the same: $\sum_k \frac{n_k}{n} (\mathbf{w} - \eta \mathbf{g}_k) = \mathbf{w} -
# \eta \sum_k \frac{n_k}{n} \mathbf{g}_k$. With clipping it is the step by `each` above in place of `once`. With Adam it
# is another one too, since Adam divides by the root of a mean of squares, and is not linear in the gradient.
#
# </details>
#
# 3. The exchange can go on while the gradients of other parameters are computed. Suppose that it overlaps with the
#    computation altogether. What is $S_N$ then, and from which $N$ on do more devices gain nothing?
#
# <details><summary>Solution 3</summary>
#
# The longer of the two counts: $S_N = T / \max(T / N, 64 P / b)$. So it is $N$, until $N$ reaches $T b / (64 P)$, the
# bound in the last column of the table, and then it stays there.
#
# </details>
#
# 4. Gradients can be sent in 2 bits a number, while the sum comes back in 32. What does the formula say for 1 Gbit/s?
#
# <details><summary>Solution 4</summary>
#
# $32 + 2 = 34$ bits a parameter in place of 64: `T / (T / N + 34 * P / 1e9)`. The bound grows by $64 / 34$, less than
# two times, because of the way back. The numbers are then no longer those of one device: what a number loses in 2 bits
# is kept and added to the next gradient. `d2lrnn launch ... -- train --compression T` does it.
#
# </details>
