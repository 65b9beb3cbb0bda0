# %% [markdown]
# # The same numbers, faster
#
# (d2l-zh v1, section 6.8; d2l 1.0, section 10.1; how MXNet computes: d2l-zh v1, chapter 8)
#
# The LSTM's equations ask for eight products at every time step, two for each gate. Written as in the book, they are
# easy to read, and slow: the processor multiplies by zeros, waits for many small operators, and looks for memory again
# and again. This lesson climbs from the book's LSTM to a compiled one. Each rung changes a few lines and computes the
# same loss and the same gradients. What a rung gains, your own machine says.

# %%
import statistics
import time

import common
import mxnet as mx
from mxnet import autograd, gluon, np, npx
from mxnet.gluon import rnn

import d2lrnn
from d2lrnn.plotting import COLOURS, new_figure

lesson = common.begin(
    model=d2lrnn.ModelConfig(),
    training=common.BOOK_GATED,
    fixed=["cell", "num_layers", "prefix", "num_epochs", "use_random_iter", "pred_period", "pred_len", "lr", "theta"],
    quick={"max_tokens": 3000, "num_hiddens": 128, "batch_size": 32, "num_steps": 16},
)

# %% [markdown]
# ## Rung 1: the book's LSTM
#
# All rungs get the same parameters and the same batch. A rung is a function of ids `X`, a state and parameters. It
# returns the logits of all steps and the new state. The first rung is the LSTM as the book writes it.
#
# What is measured is the main part of a training step: forward to the loss, and back to the gradients. The update is
# the same for all rungs and is left out. So the parameters stay as they are, and every rung must give the same numbers.


# %%
def book(X, state, params):
    """Rung 1: compute each product in its place."""
    W_xi, W_hi, b_i, W_xf, W_hf, b_f, W_xo, W_ho, b_o, W_xc, W_hc, b_c, W_hq, b_q = params
    H, C = state
    outputs = []
    for X_t in d2lrnn.to_onehot(X, vocab_size):
        I = npx.sigmoid(np.dot(X_t, W_xi) + np.dot(H, W_hi) + b_i)
        F = npx.sigmoid(np.dot(X_t, W_xf) + np.dot(H, W_hf) + b_f)
        O = npx.sigmoid(np.dot(X_t, W_xo) + np.dot(H, W_ho) + b_o)
        C_tilda = np.tanh(np.dot(X_t, W_xc) + np.dot(H, W_hc) + b_c)
        C = F * C + I * C_tilda
        H = O * np.tanh(C)
        outputs.append(np.dot(H, W_hq) + b_q)
    return np.concatenate(outputs, axis=0), (H, C)


def step(forward):
    """Compute the loss of the batch and all gradients."""
    with autograd.record():
        logits, _ = forward(X, state, params)
        loss = d2lrnn.cross_entropy(logits, Y)
    loss.backward()
    return loss


X, Y = common.first_batch(lesson)
batch_size, num_steps = X.shape
vocab_size, n = lesson.corpus.vocab_size, lesson.model.num_hiddens
params = d2lrnn.get_lstm_params(vocab_size, n, lesson.ctx)
state = d2lrnn.init_lstm_state(batch_size, n, lesson.ctx)
print(f"{batch_size} x {num_steps} tokens, {vocab_size:,} different ones, {n} hidden units")
print(f"loss {float(step(book)):.6f}, the largest gradient of W_hq {float(abs(params[-2].grad).max()):.6f}")

# %% [markdown]
# ## The clock
#
# MXNet works in the background. A call returns when its operators stand in a queue, long before their results are
# there. So a clock has to wait for the results, by `npx.waitall()`. The first number below is what a clock says that
# does not wait.
#
# Computers have slow moments, too. So rungs that are to be compared take turns, and the median counts. The first round
# is left out: in it MXNet looks for memory and compiles graphs.


# %%
def in_turns(forwards, rounds):
    """Return the median time of a step in milliseconds, for each of several forward functions by name."""
    times = {name: [] for name in forwards}
    for _ in range(rounds + 1):
        for name, forward in forwards.items():
            start = time.perf_counter()
            step(forward)
            npx.waitall()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(found[1:]) for name, found in times.items()}


rounds = 3 if lesson.quick else 10
start = time.perf_counter()
step(book)
called = time.perf_counter()
npx.waitall()
done = time.perf_counter()
print(f"the call took {1000 * (called - start):.1f} ms, the work {1000 * (done - start):.1f} ms")

# %% [markdown]
# The function `climb` compares a new rung with rung 1, number by number, and with the rung before, by the clock.

# %%
model = d2lrnn.RNNModelScratch(vocab_size, n, lesson.ctx, lambda *_: params, d2lrnn.init_lstm_state, d2lrnn.lstm)


def numbers(forward, model):
    """Return the loss, and the gradients of all parameters of a model."""
    loss, gradients = step(forward), d2lrnn.read_parameters(model, gradients=True)
    return [loss.asnumpy(), *(gradients[name] for name in d2lrnn.Stack("lstm").param_names)]


def gap(found, expected):
    """Return the largest difference of numbers from the expected ones, divided by the largest number."""
    return max(abs(a - b).max() / abs(b).max() for a, b in zip(found, expected))


def climb(name, forward, model=model):
    """Print by how much a rung's numbers differ from rung 1's, and what it gains over the rung before."""
    before = list(rungs)[-1]
    rungs[name], gaps[name] = forward, gap(numbers(forward, model), expected)
    ms = in_turns({before: rungs[before], name: forward}, rounds)
    print(f"{name}: loss and gradients differ from rung 1's by {gaps[name]:.0e}")
    print(f"{ms[before]:.1f} ms before, {ms[name]:.1f} ms now: {ms[before] / ms[name]:.2f} times as fast")


expected = numbers(book, model)
rungs, gaps = {"1 book": book}, {"1 book": 0}
print(f"to compare: the loss and {len(expected) - 1} gradients, {sum(a.size for a in expected) - 1:,} numbers")

# %% [markdown]
# ## Rung 2: all steps at once
#
# The product $\mathbf{X}_t \mathbf{W}_{xi}$ does not depend on the state. So the inputs of all steps can stand below
# one another in one matrix of shape (num_steps · batch_size, vocab_size), which is multiplied by $\mathbf{W}_{xi}$
# once. The same holds at the end, for all $\mathbf{H}_t \mathbf{W}_{hq}$. Going back, the gradient of
# $\mathbf{W}_{xi}$ is one product too, where it was a sum of as many matrices as there are steps. The bias is added
# once.
#
# `SliceChannel` cuts an array into equal parts. `np.split` and indexing do the same in this version of MXNet, but their
# gradients take far longer.


# %%
def cut(array, count, axis):
    """Cut an array into equal parts along an axis; along the first axis, the parts lose this axis."""
    parts = mx.nd.SliceChannel(array.as_nd_ndarray(), num_outputs=count, axis=axis, squeeze_axis=axis == 0)
    return [part.as_np_ndarray() for part in parts]


def all_at_once(X, state, params):
    """Rung 2: multiply the inputs of all steps by a weight at once, and the hidden states likewise."""
    W_xi, W_hi, b_i, W_xf, W_hf, b_f, W_xo, W_ho, b_o, W_xc, W_hc, b_c, W_hq, b_q = params
    inputs = np.concatenate(d2lrnn.to_onehot(X, vocab_size), axis=0)  # (num_steps * batch_size, vocab_size)
    products = (np.dot(inputs, W) + b for W, b in ((W_xi, b_i), (W_xf, b_f), (W_xo, b_o), (W_xc, b_c)))
    X_i, X_f, X_o, X_c = (cut(product.reshape(num_steps, -1, n), num_steps, axis=0) for product in products)
    H, C = state
    hidden = []
    for t in range(num_steps):
        I = npx.sigmoid(X_i[t] + np.dot(H, W_hi))
        F = npx.sigmoid(X_f[t] + np.dot(H, W_hf))
        O = npx.sigmoid(X_o[t] + np.dot(H, W_ho))
        C_tilda = np.tanh(X_c[t] + np.dot(H, W_hc))
        C = F * C + I * C_tilda
        H = O * np.tanh(C)
        hidden.append(H)
    return np.dot(np.concatenate(hidden, axis=0), W_hq) + b_q, (H, C)


climb("2 all steps at once", all_at_once)

# %% [markdown]
# ## Rung 3: look-up
#
# A one-hot vector times a matrix is a row of the matrix. `npx.embedding` looks the rows up by their ids. No product is
# left on the way in, and no one-hot matrix is made. The gradient goes to these rows alone. Only the lines change
# that make `X_i` to `X_c`.


# %%
def look_up(X, state, params):
    """Rung 3: look the rows of the input weights up."""
    W_xi, W_hi, b_i, W_xf, W_hf, b_f, W_xo, W_ho, b_o, W_xc, W_hc, b_c, W_hq, b_q = params
    weights = ((W_xi, b_i), (W_xf, b_f), (W_xo, b_o), (W_xc, b_c))
    products = (npx.embedding(X.T, W, input_dim=vocab_size, output_dim=n) + b for W, b in weights)
    X_i, X_f, X_o, X_c = (cut(product, num_steps, axis=0) for product in products)
    H, C = state
    hidden = []
    for t in range(num_steps):
        I = npx.sigmoid(X_i[t] + np.dot(H, W_hi))
        F = npx.sigmoid(X_f[t] + np.dot(H, W_hf))
        O = npx.sigmoid(X_o[t] + np.dot(H, W_ho))
        C_tilda = np.tanh(X_c[t] + np.dot(H, W_hc))
        C = F * C + I * C_tilda
        H = O * np.tanh(C)
        hidden.append(H)
    return np.dot(np.concatenate(hidden, axis=0), W_hq) + b_q, (H, C)


climb("3 look-up", look_up)

# %% [markdown]
# The module's `lstm` stands on this rung, with the equations of rung 1: its inputs know how to multiply all at once. A
# model with these equations, `RNNModelScratch`, takes its products from rung 5.

# %%
found = numbers(lambda X, state, _: model(X, state), model)
print(f"this is d2lrnn.lstm: difference {gap(found, numbers(look_up, model)):.0e}")

# %% [markdown]
# ## Rung 4: four products in one
#
# All gates multiply the same state. Put their weights side by side, multiply once, and cut the result in four:
#
# $$\mathbf{H} \, [\mathbf{W}_{hi} \; \mathbf{W}_{hf} \; \mathbf{W}_{ho} \; \mathbf{W}_{hc}]
# = [\mathbf{H} \, \mathbf{W}_{hi} \; \mathbf{H} \, \mathbf{W}_{hf} \; \mathbf{H} \, \mathbf{W}_{ho} \;
# \mathbf{H} \, \mathbf{W}_{hc}].$$
#
# The arithmetic is the same to the last multiplication. But there are fewer operators, $\mathbf{H}$ is read once, and a
# wide product can keep more cores busy than four narrow ones. The weights are joined once for the whole batch, which
# costs something too. On one or two cores the gain may be small.


# %%
def side_by_side(*weights):
    """Join the weights of four gates: (rows, 4 * num_hiddens)."""
    return np.stack(weights, axis=1).reshape(-1, 4 * n)  # np.concatenate(weights, axis=1) does the same, but slowly


def four_in_one(X, state, params):
    """Rung 4: multiply once a step for all gates."""
    W_xi, W_hi, b_i, W_xf, W_hf, b_f, W_xo, W_ho, b_o, W_xc, W_hc, b_c, W_hq, b_q = params
    W_x, W_h = side_by_side(W_xi, W_xf, W_xo, W_xc), side_by_side(W_hi, W_hf, W_ho, W_hc)
    products = npx.embedding(X.T, W_x, input_dim=vocab_size, output_dim=4 * n) + np.concatenate([b_i, b_f, b_o, b_c])
    H, C = state
    hidden = []
    for X_t in cut(products, num_steps, axis=0):
        I, F, O, C_tilda = cut(X_t + np.dot(H, W_h), 4, axis=1)
        C = npx.sigmoid(F) * C + npx.sigmoid(I) * np.tanh(C_tilda)
        H = npx.sigmoid(O) * np.tanh(C)
        hidden.append(H)
    return np.dot(np.concatenate(hidden, axis=0), W_hq) + b_q, (H, C)


climb("4 four products in one", four_in_one)

# %% [markdown]
# ## Rung 5: other operators
#
# MXNet has several operators for the same thing. `npx.fully_connected` multiplies as `np.dot` does (by a weight that is
# transposed) and adds the bias. `npx.activation` has tanh and sigmoid. On the CPU both come from Intel's library
# oneDNN, which knows the processor better than the code behind `np.dot` and `np.tanh`.
#
# The function takes one more argument, `F`. With `F = mx` the operators compute arrays at once. What else `F` can be,
# the next rung shows.


# %%
def other_operators(F, X, state, params):
    """Rung 5: compute the same by operators of oneDNN."""
    W_xi, W_hi, b_i, W_xf, W_hf, b_f, W_xo, W_ho, b_o, W_xc, W_hc, b_c, W_hq, b_q = params
    W_x = F.np.reshape(F.np.stack([W_xi, W_xf, W_xo, W_xc], axis=1), (-1, 4 * n))
    W_h = F.np.concatenate([F.np.transpose(W) for W in (W_hi, W_hf, W_ho, W_hc)], axis=0)  # transposed
    b = F.np.concatenate([b_i, b_f, b_o, b_c], axis=0)
    products = F.npx.embedding(F.np.transpose(X), W_x, input_dim=vocab_size, output_dim=4 * n)
    H, C = state
    hidden = []
    for t in range(num_steps):
        X_t = F.np.squeeze(F.npx.slice(products, begin=(t,), end=(t + 1,)), axis=0)
        gates = X_t + F.npx.fully_connected(H, W_h, b, num_hidden=4 * n)
        I, F_, O, C_tilda = (F.npx.slice(gates, begin=(None, k * n), end=(None, (k + 1) * n)) for k in range(4))
        I, F_, O = (F.npx.activation(gate, act_type="sigmoid") for gate in (I, F_, O))
        C = F_ * C + I * F.npx.activation(C_tilda, act_type="tanh")
        H = O * F.npx.activation(C, act_type="tanh")
        hidden.append(H)
    hidden = F.np.concatenate(hidden, axis=0)
    return F.npx.fully_connected(hidden, F.np.transpose(W_hq), b_q, num_hidden=vocab_size), (H, C)


climb("5 other operators", lambda X, state, params: other_operators(mx, X, state, params))

# %% [markdown]
# ## Rung 6: compiled
#
# So far Python calls each operator, autograd notes it down, and MXNet finds memory for its result, anew for every
# batch. A `HybridBlock` that is hybridised calls its function once with symbols in place of arrays: `F` is then the
# module of symbols, and what comes out is a graph. MXNet keeps the graph and plans its memory once. From then on a
# batch is one call forward and one back. The function is that of rung 5.


# %%
class Compiled(gluon.HybridBlock):
    """Rung 6: one graph for all steps."""

    def hybrid_forward(self, F, X, state, params):
        """Compute the logits and the new state."""
        return other_operators(F, X, state, params)


graph = Compiled()
graph.hybridize(static_alloc=True, static_shape=True)
climb("6 compiled", lambda X, state, params: graph(X, list(state), params))

# %% [markdown]
# `d2lrnn.FastRNNModel` is this graph, for any cell, any number of layers and both directions. `build_model` makes one
# of `kind="fast"`.

# %%
fast = d2lrnn.FastRNNModel(vocab_size, n, lesson.ctx, d2lrnn.Stack("lstm"))
d2lrnn.copy_parameters(model, fast)
found = numbers(lambda X, state, _: fast(X, state), fast)
print(f"this is FastRNNModel: difference {gap(found, numbers(rungs['6 compiled'], model)):.0e}")

# %% [markdown]
# ## Gluon's layer
#
# Beside the ladder stands `gluon.rnn.LSTM`. It is one operator for all steps, written in C++. `RNNModel` puts one-hot
# vectors before it, as the book does, so it multiplies where rung 3 looks up.

# %%
twin = d2lrnn.RNNModel(rnn.LSTM(n), vocab_size)
twin.initialize(ctx=lesson.ctx)
d2lrnn.copy_parameters(model, twin)
climb("gluon", lambda X, *_: twin(X, twin.begin_state(batch_size)), twin)

# %% [markdown]
# ## All rungs
#
# Once more, all rungs in turns. The first column is the largest difference of loss and gradients from rung 1's: every
# rung rounds in another order, so float32 differs in the last digits and no more.

# %%
ms = in_turns(rungs, rounds)
first = before = ms["1 book"]
print(f"{'rung':24}{'difference':>12}{'ms a step':>11}{'times as fast as the one before':>33}{'as 1':>7}")
for name in rungs:
    print(f"{name:24}{gaps[name]:12.0e}{ms[name]:11.2f}{before / ms[name]:33.2f}{first / ms[name]:7.2f}")
    before = ms[name]

# %%
figure, (panel,) = new_figure(lesson.title("Loss and gradients of the LSTM"), size=(6.5, 3.6))
bars = panel.barh(list(ms), list(ms.values()), color=[COLOURS[0]] * 6 + [COLOURS[5]], zorder=2)
panel.bar_label(bars, [f"{first / value:.1f} x" for value in ms.values()], padding=4)
panel.set(xlabel="milliseconds a step, and how many times as fast as rung 1", xlim=(0, 1.12 * max(ms.values())))
panel.invert_yaxis()  # rung 1 on top, as in the table
common.save_figure(figure, lesson.picture("the_same_numbers_faster"))

# %% [markdown]
# Look for the rung that gains most. That depends on the sizes, and on the machine. The look-up gains the more, the
# larger the vocabulary is. The compiled graph gains the more, the smaller the model is: then the work between the
# operators takes longer than the operators.
#
# ## The floor
#
# How fast could it be? A product $(m \times k)(k \times n)$ has $2mkn$ floating-point operations, and as many for each
# of its two gradients. (One-hot inputs want no gradient, so there it is one.) At the speed of one large product all of
# that would take the time of the last line, the *floor*.
#
# Three things lie above the floor. A product with the state is never large: $\mathbf{H}_{t+1}$ waits for
# $\mathbf{H}_t$, so a weight that is read from memory serves only the rows of one batch. What is no product, such as
# the gates and the softmax, computes little, but reads and writes much. And in each small operator the cores wait for
# one another.

# %%
size, tokens = 1024, batch_size * num_steps
A, bias = np.random.normal(size=(size, size), ctx=lesson.ctx), np.zeros(size, ctx=lesson.ctx)
times = []
for _ in range(5):
    npx.waitall()
    start = time.perf_counter()
    npx.fully_connected(A, A, bias, num_hidden=size)
    npx.waitall()
    times.append(1000 * (time.perf_counter() - start))
speed = 2 * size**3 / min(times)  # operations a millisecond
onehot, states, output = 16 * tokens * vocab_size * n, 24 * tokens * n * n, 6 * tokens * n * vocab_size
print(f"speed               {speed / 1e6:12,.1f} thousand million operations a second")
for what, count in {
    "inputs, one-hot": onehot,
    "inputs, looked up": 0,
    "states": states,
    "output layer": output,
    "floor from rung 3 on": states + output,
}.items():
    print(f"{what:20}{count / 1e6:12,.1f} million operations{count / speed:9.2f} ms")
compiled = ms["6 compiled"]
print(f"The compiled step takes {compiled:.2f} ms; {(states + output) / speed / compiled:.1%} of that is the floor.")

# %% [markdown]
# ## Summary
#
# * A clock has to wait for MXNet, which works in the background.
# * What does not depend on the state is computed for all steps at once.
# * A one-hot vector times a matrix is a row of the matrix. Look it up.
# * Four products with the same state are one product with a wide matrix.
# * A compiled graph saves the work between the operators: Python's, autograd's, and the search for memory.
# * At every rung the loss and the gradients stay the same, up to rounding. A rung that changes the numbers is no gain.
#
# ## Exercises
#
# `rungs`, `climb`, `in_turns`, `params`, `X`, `Y` and `lesson` are at hand for all of them.
#
# 1. Run the script again with the environment variable `OMP_NUM_THREADS` set to 1, and then to the number of cores.
#    Which rungs gain from the second core?
#
# <details><summary>Solution 1</summary>
#
# Compare the columns "ms a step" of both runs. Large operators can share their work: those of rungs 1 and 2 with
# one-hot inputs, and the output layer. In the small products of a time step the cores spend much of their time waiting
# for one another.
#
# </details>
#
# 2. Run with `--quick --max-tokens 6000` and a `--batch-size` of 4, then of 256. Which of rungs 5 and 6 gains more
#    with few rows, and which with many?
#
# <details><summary>Solution 2</summary>
#
# With few rows the time goes by between the operators, and rung 6 saves that. With many rows the time goes into the
# products, and rung 5 multiplies faster. On one core of an Intel Xeon, rung 5 was 0.9 times as fast as rung 4 with 4
# rows and 2.0 times with 256, and rung 6 was 3.5 and 1.8 times as fast as rung 5.
#
# </details>
#
# 3. The Penn Treebank has 10,000 words. Say from the table of the floor which rungs gain most there. Then try
#    `--corpus ptb --max-tokens 20000`.
#
# <details><summary>Solution 3</summary>
#
# The count of the one-hot inputs grows with the vocabulary, so rung 3 gains most. From then on the output layer has
# most of the operations, and no rung makes that cheaper.
#
# </details>
#
# 4. Write rung 4½: rung 4 with `npx.activation` in place of `np.tanh` and `npx.sigmoid`. How much of rung 5's gain is
#    that of the product?
#
# <details><summary>Solution 4</summary>
#
# Copy `four_in_one`, replace the functions, and call `in_turns` with rungs 4, 4½ and 5. What rung 5 gains over 4½ is
# the gain of `npx.fully_connected`.
#
# </details>
#
# 5. How many products with the state does a GRU need at each step, in the book's form and in Gluon's?
#
# <details><summary>Solution 5</summary>
#
# In the book's form two: one for the gates Z and R, side by side, and one with $\mathbf{R} \odot \mathbf{H}$, which has
# to wait for R. In Gluon's form the reset gate comes after the product, so one product serves all three.
#
# </details>
