# %% [markdown]
# # From nd to np
#
# (for readers of d2l-zh v1, chapter 6, and of notes that were written after it)
#
# The book's first edition writes `mxnet.nd`. Its later editions and this module write `mxnet.np`, whose functions have
# NumPy's names. Code in `nd` still runs beside d2lrnn. This lesson shows what an `nd` array and an `np` array have in
# common, gives ten lines in both forms, and trains the GRU of the notes in both: the numbers are the same.

# %%
import common
from mxnet import autograd, gluon, nd, np, npx

import d2lrnn
from d2lrnn.plotting import draw_curves, new_figure

lesson = common.begin(
    model=d2lrnn.ModelConfig(cell="gru", num_hiddens=64),
    training=d2lrnn.TrainConfig(num_epochs=10),
    fixed=["cell", "num_layers", "optimizer", "use_random_iter", "pred_period", "pred_len"],
    quick={"num_epochs": 5, "optimizer": "sgd", "lr": 100.0, "theta": 0.01},
)

# %% [markdown]
# ## One array with two names
#
# `as_np_ndarray()` gives the `np` form of an `nd` array, and `as_nd_ndarray()` goes back. Neither copies a number: both
# forms share their memory and their gradient. So a number that is written into `b` below is read in `a`.

# %%
a = nd.array([1, 2, 3])
a.attach_grad()
b = a.as_np_ndarray()
b[0] = 7
print(f"after b[0] = 7, a is {a.asnumpy()}")

# %% [markdown]
# Inside `autograd.record()` the change of form is recorded, so gradients flow through it. The gradient of
# $\sum_i b_i^2$ is $2 b_i$, and it arrives in `a.grad`.

# %%
with autograd.record():
    total = (b * b).sum()
total.backward()
print(f"after (b * b).sum().backward(), a.grad is {a.grad.asnumpy()}")

# %% [markdown]
# To mix the two forms in one expression is an error: `nd` functions want `nd` arrays, `np` functions want `np` arrays.

# %%
try:
    np.tanh(a)
except TypeError as error:
    print(f"np.tanh(a) is a {type(error).__name__}: {str(error).split('. ')[1]}")

# %% [markdown]
# ## Ten lines in both
#
# In the table, `H`, `W` and `ids` are `nd` arrays on the left and `np` arrays with the same numbers on the right. The
# cell runs both sides of each line and prints the largest difference of the results.

# %%
TABLE = [
    ("nd.array([[0, 1], [2, 3]])", "np.array([[0, 1], [2, 3]])"),
    ("nd.zeros((2, 3), ctx=ctx)", "np.zeros((2, 3), ctx=ctx)"),
    ("nd.dot(H, W) + nd.ones(4)", "np.dot(H, W) + np.ones(4)"),
    ("nd.sigmoid(H) * nd.tanh(H)", "npx.sigmoid(H) * np.tanh(H)"),
    ("nd.one_hot(ids, 5)", "npx.one_hot(ids, 5)"),
    ("nd.concat(H, H, dim=0)", "np.concatenate([H, H], axis=0)"),
    ("H.reshape((-1, 2))", "H.reshape(-1, 2)"),
    ("(H ** 2).sum().sqrt().asscalar()", "np.sqrt((H ** 2).sum()).item()"),
    ("H.as_in_context(ctx)", "H.as_in_ctx(ctx)"),
    ("loss(H.as_np_ndarray(), ids.as_np_ndarray())", "loss(H, ids)"),
]
numbers = {"H": np.array([[0.5, -1, 2], [3, 0.1, -0.7]]), "W": np.ones((3, 4)), "ids": np.array([0, 2])}
known = {"nd": nd, "np": np, "npx": npx, "ctx": lesson.ctx, "loss": gluon.loss.SoftmaxCrossEntropyLoss()}


def gap(in_nd, in_np):
    """Return the largest difference of two results, arrays or numbers."""
    in_nd = in_nd.as_np_ndarray() if isinstance(in_nd, nd.NDArray) else in_nd
    return float(abs(in_nd - in_np).max())


print(f"{'mxnet.nd':46}{'mxnet.np':34}difference")
for old, new in TABLE:
    in_nd = eval(old, {**known, **{name: array.as_nd_ndarray() for name, array in numbers.items()}})
    in_np = eval(new, {**known, **numbers})
    print(f"{old:46}{new:34}{gap(in_nd, in_np):.0e}")

# %% [markdown]
# The last line is the one that the notes have to change. d2lrnn switches `np` mode on, and in `np` mode Gluon's own
# losses and layers want `np` arrays. `d2lrnn.cross_entropy` takes both forms.
#
# ## The functions with the book's names
#
# `to_onehot`, `rnn`, `gru`, `lstm`, `grad_clipping`, `sgd`, `cross_entropy` and the models take both forms. A function
# that gets an `nd` array, alone or among `np` arrays, returns `nd` arrays. So your own parameters may be `nd` arrays
# while the samplers' batches and the first state are `np` arrays, and `nd.concat(*outputs, dim=0)` goes on as in the
# notes. Where your own code needs a batch in `nd`, write `X.as_nd_ndarray()`.

# %%
vocab_size, num_hiddens, ctx = lesson.corpus.vocab_size, lesson.model.num_hiddens, lesson.ctx
X, Y = common.first_batch(lesson)
params = [param.as_nd_ndarray() for param in d2lrnn.get_gru_params(vocab_size, num_hiddens, ctx)]
inputs, state = d2lrnn.to_onehot(X, vocab_size), d2lrnn.init_gru_state(len(X), num_hiddens, ctx)
outputs, new_state = d2lrnn.gru(inputs, state, params)
arrays = {"X": X, "inputs[0]": inputs[0], "state[0]": state[0]}
arrays |= {"params[0]": params[0], "outputs[0]": outputs[0], "new_state[0]": new_state[0]}
for name, array in arrays.items():
    print(f"{name:13} {'np' if isinstance(array, np.ndarray) else 'nd'} {array.shape}")

# %% [markdown]
# ## The training loop of the notes
#
# First in `nd`. The state is detached by `state = tuple(s.detach() for s in state)`. The book's line
# `for s in state: s.detach()` throws its result away; the lesson `rnn_scratch.py` measures what that changes.

# %%
config, perplexities = lesson.training, {"mxnet.nd": [], "mxnet.np": []}
print(common.describe(config))
d2lrnn.set_seed(config.seed)
nd_params = [param.as_nd_ndarray() for param in d2lrnn.get_gru_params(vocab_size, num_hiddens, ctx)]
for _ in range(config.num_epochs):
    state, loss_sum, n = d2lrnn.init_gru_state(config.batch_size, num_hiddens, ctx), 0.0, 0
    for X, Y in d2lrnn.data_iter_consecutive(lesson.corpus.train, config.batch_size, config.num_steps, ctx):
        state = tuple(s.detach() for s in state)
        with autograd.record():
            outputs, state = d2lrnn.gru(d2lrnn.to_onehot(X, vocab_size), state, nd_params)
            loss = d2lrnn.cross_entropy(nd.concat(*outputs, dim=0), Y)
        loss.backward()
        d2lrnn.grad_clipping(nd_params, config.theta, ctx)
        d2lrnn.sgd(nd_params, config.lr, 1)
        loss_sum, n = loss_sum + loss.asscalar() * Y.size, n + Y.size
    perplexities["mxnet.nd"].append(d2lrnn.perplexity(loss_sum, n))
print(f"mxnet.nd   perplexity of the last epoch {perplexities['mxnet.nd'][-1]:.4f}")

# %% [markdown]
# Then in `np`, from the same parameters. Three lines differ: how the parameters are made, how the outputs are joined,
# and how the loss becomes a number.

# %%
d2lrnn.set_seed(config.seed)
np_params = d2lrnn.get_gru_params(vocab_size, num_hiddens, ctx)
for _ in range(config.num_epochs):
    state, loss_sum, n = d2lrnn.init_gru_state(config.batch_size, num_hiddens, ctx), 0.0, 0
    for X, Y in d2lrnn.data_iter_consecutive(lesson.corpus.train, config.batch_size, config.num_steps, ctx):
        state = tuple(s.detach() for s in state)
        with autograd.record():
            outputs, state = d2lrnn.gru(d2lrnn.to_onehot(X, vocab_size), state, np_params)
            loss = d2lrnn.cross_entropy(np.concatenate(outputs, axis=0), Y)
        loss.backward()
        d2lrnn.grad_clipping(np_params, config.theta, ctx)
        d2lrnn.sgd(np_params, config.lr, 1)
        loss_sum, n = loss_sum + loss.item() * Y.size, n + Y.size
    perplexities["mxnet.np"].append(d2lrnn.perplexity(loss_sum, n))
print(f"mxnet.np   perplexity of the last epoch {perplexities['mxnet.np'][-1]:.4f}")
print(f"largest difference of a parameter at the end: {max(map(gap, nd_params, np_params)):.0e}")

# %% [markdown]
# The two curves lie one on the other. The second is dashed, so that the first shows in its gaps.

# %%
figure, (panel,) = new_figure(lesson.title("A GRU trained by hand in nd and in np"))
draw_curves(panel, perplexities, ("epoch", "training perplexity"), log=True)
common.save_figure(figure, lesson.picture("from_nd_to_np"))

# %% [markdown]
# ## Other names of the book
#
# d2lrnn calls `train_and_predict_rnn` and some other functions of the book by another name. The error says which.

# %%
for name in ("predict_rnn", "train_ch8"):
    try:
        getattr(d2lrnn, name)
    except AttributeError as error:
        print(error)

# %% [markdown]
# ## Summary
#
# * An `nd` array and its `np` form are one array with two names. They share numbers and gradient.
# * One expression takes one form. The functions with the book's names take both, and return `nd` where they get `nd`.
# * Gluon's own losses and layers take `np` arrays only, since d2lrnn switches `np` mode on.
# * The same training in both forms gives the same numbers.
#
# ## Exercises
#
# 1. Write `lstm` of the notes with `nd.dot` and `nd.sigmoid`, and hand it to `d2lrnn.RNNModelScratch` with a
#    `get_params` that returns `nd` arrays. Does it train?
#
# <details><summary>Solution 1</summary>
#
# It does. `RNNModelScratch` sees that `get_params` returns `nd` arrays and hands `nd` arrays to the function.
# `train_and_predict` then trains the model as any other. Its parameters are called `params.0`, `params.1` and so on.
#
# </details>
#
# 2. Which left sides of the table fail where `H`, `W` and `ids` are `np` arrays, and what does MXNet say?
#
# <details><summary>Solution 2</summary>
#
# All that hand one of them to a function of `nd` fail with a `TypeError`, as `np.tanh(a)` above with the forms
# exchanged. The line with `sqrt` and `asscalar` fails with an `AttributeError`: an `np` array has neither.
# `H.reshape((-1, 2))` and `H.as_in_context(ctx)` work for both forms.
#
# </details>
#
# 3. What is `nd.ones((2, 3)).sum().shape`, and what is it in `np`? Which of your own lines rely on it?
#
# <details><summary>Solution 3</summary>
#
# `(1,)` in `nd` and `()` in `np`. Lines such as `loss.sum()[0]` rely on the first. `float(...)` works for both.
#
# </details>
