# %% [markdown]
# # The same numbers, faster
#
# (d2l-zh v1, section 6.8; d2l 1.0, section 10.1; how MXNet computes: d2l-zh v1, chapter 8)
#
# The LSTM's equations ask for eight products at every time step, two for each gate. Side by side, the four with the
# state are one, with a matrix four times as wide:
#
# $$\mathbf{H} \, [\mathbf{W}_{hi} \; \mathbf{W}_{hf} \; \mathbf{W}_{ho} \; \mathbf{W}_{hc}] = [\mathbf{H}
# \mathbf{W}_{hi} \; \mathbf{H} \mathbf{W}_{hf} \; \mathbf{H} \mathbf{W}_{ho} \; \mathbf{H} \mathbf{W}_{hc}].$$
#
# What do you gain by that? This lesson climbs from the book's LSTM to a compiled one. Each rung changes a line or two
# and computes the same loss and the same gradients; what it is worth, your own machine says.

# %%
"""The LSTM from the book's form to a compiled one: the same loss and gradients at every rung, and what each gains."""

import statistics
import time
from functools import partial

import common
import mxnet as mx
from mxnet import autograd, np, npx

import d2lrnn
from d2lrnn.cells import compiled, dot, lstm_step
from d2lrnn.models import Inputs, lstm, side_by_side, unroll
from d2lrnn.plotting import COLOURS, new_figure, save_figure

# %% [markdown]
# ## The rungs
#
# 1. **In place.** `lstm_step` is the book's six equations. Given plain one-hot matrices, it multiplies each by four
#    weights, $\mathbf{X}_t \mathbf{W}_{xi}$ and so on, at each step; so does the output layer with each $\mathbf{H}_t$.
# 2. **All steps at once.** $\mathbf{X}_t \mathbf{W}_{xi}$ does not depend on the state, so `lstm` stacks the inputs of
#    all steps and multiplies once; likewise, at the end, all $\mathbf{H}_t$. The gradient of $\mathbf{W}_{xi}$ becomes
#    one product, too, where it was a sum of as many matrices as there are steps.


# %%
def in_place(inputs, state, params):
    """Rung 1: compute the LSTM with each product in its place."""
    *cell_params, W_hq, b_q = params
    outputs, state = unroll(lstm_step, list(inputs), state, cell_params)
    return [dot(H, W_hq) + b_q for H in outputs], state


def at_once(inputs, state, params):
    """Rung 2: compute the LSTM with one product for the inputs of all steps, and one for all outputs."""
    return lstm(list(inputs), state, params)


# %% [markdown]
# 3. **Look-up.** A one-hot vector times a matrix is a row of it. What `to_onehot` returns remembers its ids (above,
#    `list` made it forget them), so `lstm` looks the rows up: no product is left on the way in.
# 4. **Four in one.** The equation at the top: `side_by_side` joins the weights once a batch, `compiled.lstm_step`
#    multiplies once a step, then cuts the gates apart. It also has other operators in place of `np.dot` and `np.tanh`:
#    `npx.fully_connected` (in `compiled.dot`) and `npx.activation`, on the CPU those of Intel's library oneDNN.
# 5. **Compiled.** So far Python calls each operator, autograd notes it down and MXNet finds memory for its result, anew
#    for every batch. `FastRNNModel` takes `compiled.lstm_step` through all time steps once, with symbols for arrays,
#    and keeps the graph: its memory is planned once, and a batch is one call forward and one back.
#
# Beside the ladder stands **Gluon**: `gluon.rnn.LSTM` is one operator for all steps, written in C++. `RNNModel` puts
# one-hot vectors before it, as the book does, so it multiplies where rung 3 looks up.


# %%
def four_in_one(inputs, state, params):
    """Rung 4: compute the LSTM with its gates side by side, still operator by operator."""
    outputs, n = [], state[0].shape[1]
    (W_x, *rest), (W_hq, b_q) = side_by_side(mx, d2lrnn.Stack("lstm"), params, n)
    weights = compiled.Weights(mx, d2lrnn.CELLS["lstm"], n, None, rest)
    for X in Inputs(inputs):
        H, state = compiled.lstm_step(mx, dot(X, W_x), state, weights)
        outputs.append(H)
    return [compiled.dot(mx, np.concatenate(outputs), W_hq, b_q, len(b_q))], state


def new_models(lesson):
    """Return a model for each rung by its name, all with the same parameters."""
    sizes, models = (lesson.corpus.vocab_size, lesson.model.num_hiddens, lesson.ctx), {}
    forms = {"1 in place": in_place, "2 all steps at once": at_once, "3 look-up": lstm, "4 four in one": four_in_one}
    for name, form in forms.items():
        d2lrnn.set_seed(lesson.training.seed)  # so that all draw the same numbers
        models[name] = d2lrnn.RNNModelScratch(*sizes, d2lrnn.get_lstm_params, d2lrnn.init_lstm_state, form)
    models["5 compiled"] = d2lrnn.FastRNNModel(*sizes, d2lrnn.Stack("lstm"))
    d2lrnn.copy_parameters(models["3 look-up"], models["5 compiled"])
    models["gluon"] = common.new_twins(lesson)["gluon"]  # copied from a model with the same seed
    return models


# %% [markdown]
# ## What each rung gains
#
# `Training.step` is the whole training step, from forward to update; only the model differs. To compute something else
# is no gain, so loss and gradients of a first step are compared with rung 1's: what differs is rounding. MXNet works in
# the background: a clock has to wait for it (`npx.waitall`). Computers have slow moments: the rungs take turns.


# %%
def differences(steps, models, batch):
    """Take a step with each model; return the largest relative difference of loss and gradients from the first's."""
    gaps, names, expected = {}, d2lrnn.Stack("lstm").param_names, None
    for rung, step in steps.items():
        loss, gradients = step(batch, None).loss, d2lrnn.read_parameters(models[rung], gradients=True)
        found = [loss.asnumpy(), *([gradients[name] for name in names if name in gradients] or gradients.values())]
        expected = expected or found
        gaps[rung] = max(common.difference(a, b) / abs(a).max() for a, b in zip(expected, found))
    return gaps


def in_turns(calls, rounds):
    """Return the median time of each call in milliseconds, by its name."""
    names, times = list(calls), {name: [] for name in calls}
    for i in range(rounds * len(names)):
        name = names[(i + i // len(names)) % len(names)]
        for _ in range(2):  # the first call brings the numbers back into the caches, the second counts
            start = time.perf_counter()
            calls[name]()
            npx.waitall()
        times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(found) for name, found in times.items()}


def ladder(lesson):
    """Compare and time a training step of each model, print the table and draw it; return the times."""
    batch, models = common.first_batch(lesson), new_models(lesson)
    common.section("1. One training step on {} x {} tokens".format(*batch[0].shape))
    objective = d2lrnn.NextToken(lesson.corpus.vocab_size)
    steps = {rung: d2lrnn.Training(model, lesson.training, objective).step for rung, model in models.items()}
    gaps = differences(steps, models, batch)
    times = in_turns({rung: partial(step, batch, None) for rung, step in steps.items()}, rounds=12)
    first = before = times["1 in place"]
    print(f"{'rung':20}{'difference':>12}{'ms a step':>11}{'times as fast as the one before':>33}{'as 1':>7}")
    for rung, ms in times.items():
        print(f"{rung:20}{gaps[rung]:12.0e}{ms:11.2f}{before / ms:33.2f}{first / ms:7.2f}")
        before = ms
    figure, (panel,) = new_figure(lesson.title("One training step of the LSTM"))
    bars = panel.barh(list(times), list(times.values()), color=[COLOURS[0]] * 5 + [COLOURS[5]], zorder=2)
    panel.bar_label(bars, [f"{first / ms:.1f} x" for ms in times.values()], padding=4)
    panel.set(xlabel="milliseconds, and how many times as fast as rung 1", xlim=(0, 1.12 * max(times.values())))
    panel.invert_yaxis()  # rung 1 on top, as in the table
    save_figure(figure, lesson.out / "the_same_numbers_faster.png")
    common.saved(lesson.out / "the_same_numbers_faster.png")
    return times


# %% [markdown]
# ## Four products or one
#
# Rung 4 changed products and operators together; here they stand apart. The arithmetic is the same in each case, to the
# last multiplication. What differs is how many operators are called, and how well the cores are filled: a narrow
# product leaves them less to share, and four of them read $\mathbf{H}$ four times.


# %%
def multiply(call, states, weights, gradients):
    """Multiply each state by each weight, and go back if gradients are asked for."""
    with autograd.record() if gradients else autograd.pause():
        products = [call(H, W) for H in states for W in weights]
    if gradients:
        autograd.backward(products)


def four_or_one(lesson, steps):
    """Time four products against one, at each time step, and print what that explains of the steps' times."""
    n, rows, num_steps = lesson.model.num_hiddens, lesson.training.batch_size, lesson.training.num_steps
    common.section(f"2. {num_steps} times four products ({rows} x {n}) ({n} x {n}), or one with ({n} x {4 * n})")
    states = [np.random.normal(size=(rows, n), ctx=lesson.ctx) for _ in range(num_steps)]
    four = [np.random.normal(size=(n, n), ctx=lesson.ctx) for _ in range(4)]
    bias, calls = {size: np.zeros(size, ctx=lesson.ctx) for size in (n, 4 * n)}, {}
    libraries = {"np.dot": np.dot, "compiled.dot": lambda H, W: compiled.dot(mx, H, W, bias[len(W)], len(W))}
    for library, call in libraries.items():
        for count, weights in ((4, four), (1, [np.concatenate(four, axis=int(call is np.dot))])):
            for array in states + weights:
                array.attach_grad()
            for gradients in (False, True):
                calls[library, count, gradients] = partial(multiply, call, states, weights, gradients)
    times = in_turns(calls, rounds=8)
    print(f"{'':12}{'ms forward: four':>16}{'one':>8}{'gain':>7}{'ms with gradients: four':>27}{'one':>8}{'gain':>7}")
    for library in libraries:
        (a, b), (c, d) = ([times[library, count, gradients] for count in (4, 1)] for gradients in (False, True))
        print(f"{library:12}{a:16.2f}{b:8.2f}{a / b:7.2f}{c:27.2f}{d:8.2f}{c / d:7.2f}")
    less, gain = times["np.dot", 4, True] - times["compiled.dot", 1, True], steps["3 look-up"] - steps["4 four in one"]
    print(f"From four by np.dot to one by compiled.dot: {less:.1f} ms less. Rung 4 as a whole took {gain:.1f} ms less.")


# %% [markdown]
# ## Where the rest goes
#
# How fast could it be? A product $(m \times k)(k \times n)$ has $2mkn$ operations, and as many for each of its two
# gradients (one-hot inputs want none, so there it is one). At the speed of one large product that is a *floor*.
#
# Three things lie above it. A product with the state is never large: $\mathbf{H}_{t+1}$ waits for $\mathbf{H}_t$, so
# a weight read from memory serves only the rows of one batch. What is no product, the gates, the softmax, the update,
# computes little but reads and writes much. And in each small operator the cores wait for one another (exercise 1).


# %%
def floor(lesson, steps):
    """Print the floating-point operations of a training step, and the time they would take at best."""
    n, vocab_size, ms = lesson.model.num_hiddens, lesson.corpus.vocab_size, steps["5 compiled"]
    tokens, size = lesson.training.batch_size * lesson.training.num_steps, 2048
    common.section(f"3. The floor, at the speed of one product ({size} x {size}) ({size} x {size})")
    A, bias = np.random.normal(size=(size, size), ctx=lesson.ctx), np.zeros(size, ctx=lesson.ctx)
    speed = 2 * size**3 / in_turns({"large": lambda: compiled.dot(mx, A, A, bias, size)}, rounds=5)["large"]
    print(f"speed               {speed / 1e6:12,.1f} thousand million operations a second")
    onehot, state, output = 16 * tokens * vocab_size * n, 24 * tokens * n * n, 6 * tokens * n * vocab_size
    counts = {"inputs, one-hot": onehot, "inputs, looked up": 0, "state": state, "output layer": output}
    for what, count in {**counts, "floor from rung 3 on": state + output}.items():
        print(f"{what:20}{count / 1e6:12,.1f} million operations{count / speed:9.2f} ms")
    print(f"The compiled step takes {ms:.2f} ms; {(state + output) / speed / ms:.1%} of that is the floor.")


# %% [markdown]
# ## Exercises
#
# 1. Run again with `--quick`, with `OMP_NUM_THREADS=1` or `OMP_WAIT_POLICY=active` set. Which rungs change places? Why?
# 2. At which `--batch-size` does four in one stop gaining, and why? What does a larger batch cost in training?
# 3. The Penn Treebank has 10,000 words. Say from section 3 which rungs gain most there, then try `--corpus ptb`.
# 4. Write a rung 3½: one `np.dot` and `np.tanh`. How much of rung 4's gain is the product's, how much the operators'?
# 5. How many products with the state are there in `compiled.gru_step`, how many in `gru_reset_after_step`? Time both.


# %%
def main(argv=None):
    """Run the lesson."""
    unused = ["cell", "num_layers", "prefix", "num_epochs", "use_random_iter", "pred_period", "pred_len"]
    lesson = common.parse_args(__doc__, argv, model=d2lrnn.ModelConfig(), training=common.BOOK_GATED, fixed=unused)
    common.opening("The same numbers, faster", lesson)
    steps = ladder(lesson)
    four_or_one(lesson, steps)
    floor(lesson, steps)


# %%
if __name__ == "__main__":
    main()
