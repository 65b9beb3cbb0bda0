# %% [markdown]
# # From nd to np
#
# (for readers of d2l-zh v1, chapter 6, and of notes that were written after it)
#
# The book's first edition writes `mxnet.nd`. Its later editions and this module write `mxnet.np`, whose functions have
# NumPy's names. Code in `nd` still runs beside d2lrnn. This lesson shows what an `nd` array and an `np` array have in
# common, gives ten lines in both forms, and trains the GRU of the notes in both: the numbers are the same.

# %%
"""From mxnet.nd to mxnet.np: one array with two names, ten lines in both, and a GRU trained by hand in both."""

import common
from mxnet import autograd, gluon, nd, np, npx

import d2lrnn
from d2lrnn import cross_entropy, data_iter_consecutive, get_gru_params, grad_clipping, gru, init_gru_state, to_onehot
from d2lrnn.plotting import draw_curves, new_figure, save_figure

# %% [markdown]
# ## One array with two names
#
# `as_np_ndarray()` gives the `np` form of an `nd` array, and `as_nd_ndarray()` goes back. Neither copies a number: both
# forms share their memory and their gradient. Inside `autograd.record()` the change is recorded, so gradients flow
# through it. To mix the two forms in one expression is an error: `nd` functions want `nd` arrays, `np` functions `np`
# arrays.


# %%
def one_array():
    """Change one form of an array and read the other; compute in one form and read the gradient of the other."""
    common.section("1. One array with two names")
    a = nd.array([1, 2, 3])
    a.attach_grad()
    b = a.as_np_ndarray()
    b[0] = 7
    print(f"after b[0] = 7, a is                      {a.asnumpy()}")
    with autograd.record():
        loss = (b * b).sum()
    loss.backward()
    print(f"after (b * b).sum().backward(), a.grad is {a.grad.asnumpy()}")
    try:
        np.tanh(a)
    except TypeError as error:
        print(f"np.tanh(a) is a {type(error).__name__}: {str(error).split('. ')[1]}")


# %% [markdown]
# ## Ten lines in both
#
# In the table, `H`, `W` and `ids` are `nd` arrays on the left and `np` arrays with the same numbers on the right. The
# lesson runs both sides of each line and compares the results.
#
# The last line is the one that the notes have to change. d2lrnn switches `np` mode on, and in `np` mode Gluon's own
# losses and layers want `np` arrays. `d2lrnn.cross_entropy` takes both forms.


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


def ten_lines(lesson):
    """Run both sides of the table and print how far they are apart."""
    common.section("2. Ten lines in both")
    numbers = {"H": np.array([[0.5, -1, 2], [3, 0.1, -0.7]]), "W": np.ones((3, 4)), "ids": np.array([0, 2])}
    names = {"nd": nd, "np": np, "npx": npx, "ctx": lesson.ctx, "loss": gluon.loss.SoftmaxCrossEntropyLoss()}
    print(f"{'mxnet.nd':46}{'mxnet.np':34}difference")
    for old, new in TABLE:
        in_nd = eval(old, {**names, **{name: array.as_nd_ndarray() for name, array in numbers.items()}})
        in_np = eval(new, {**names, **numbers})
        print(f"{old:46}{new:34}{gap(in_nd, in_np):.0e}")


def gap(in_nd, in_np):
    """Return the largest difference of two results, arrays or numbers."""
    in_nd = in_nd.as_np_ndarray() if isinstance(in_nd, nd.NDArray) else in_nd
    return float(abs(in_nd - in_np).max())


# %% [markdown]
# ## The functions with the book's names
#
# `to_onehot`, `rnn`, `gru`, `lstm`, `grad_clipping`, `sgd`, `cross_entropy` and the models take both forms. A function
# that gets an `nd` array, alone or among `np` arrays, returns `nd` arrays. So your own parameters may be `nd` arrays
# while the samplers' batches and the first state are `np` arrays, and `nd.concat(*outputs, dim=0)` goes on as in the
# notes. Where your own code needs a batch in `nd`, write `X.as_nd_ndarray()`.


# %%
def the_functions(lesson):
    """Hand np batches and nd parameters to the book's functions, and look at what comes back."""
    common.section("3. The functions with the book's names")
    vocab_size, num_hiddens = lesson.corpus.vocab_size, lesson.model.num_hiddens
    X, _ = common.first_batch(lesson)
    params = [param.as_nd_ndarray() for param in get_gru_params(vocab_size, num_hiddens, lesson.ctx)]
    inputs, state = to_onehot(X, vocab_size), init_gru_state(len(X), num_hiddens, lesson.ctx)
    outputs, new_state = gru(inputs, state, params)
    for name, array in {"X": X, "inputs[0]": inputs[0], "state[0]": state[0], "params[0]": params[0],
                        "outputs[0]": outputs[0], "new state[0]": new_state[0]}.items():  # fmt: skip
        print(f"{name:13} {'np' if isinstance(array, np.ndarray) else 'nd'} {array.shape}")


# %% [markdown]
# ## The training loop of the notes
#
# First in `nd`, then in `np`. Both loops begin with the same parameters. In both, the state is detached by
# `state = tuple(s.detach() for s in state)`. The book's line `for s in state: s.detach()` throws its result away.


# %%
def train_in_nd(lesson, params):
    """Train a GRU by hand, as the notes do, and return the perplexity of each epoch."""
    corpus, config, perplexities = lesson.corpus, lesson.training, []
    for _ in range(config.num_epochs):
        state, loss_sum, n = init_gru_state(config.batch_size, lesson.model.num_hiddens, lesson.ctx), 0.0, 0
        for X, Y in data_iter_consecutive(corpus.train, config.batch_size, config.num_steps, lesson.ctx):
            state = tuple(s.detach() for s in state)
            with autograd.record():
                outputs, state = gru(to_onehot(X, corpus.vocab_size), state, params)
                loss = cross_entropy(nd.concat(*outputs, dim=0), Y)
            loss.backward()
            grad_clipping(params, config.theta, lesson.ctx)
            d2lrnn.sgd(params, config.lr, 1)
            loss_sum, n = loss_sum + loss.asscalar() * Y.size, n + Y.size
        perplexities.append(d2lrnn.perplexity(loss_sum, n))
    return perplexities


def train_in_np(lesson, params):
    """Do the same in mxnet.np."""
    corpus, config, perplexities = lesson.corpus, lesson.training, []
    for _ in range(config.num_epochs):
        state, loss_sum, n = init_gru_state(config.batch_size, lesson.model.num_hiddens, lesson.ctx), 0.0, 0
        for X, Y in data_iter_consecutive(corpus.train, config.batch_size, config.num_steps, lesson.ctx):
            state = tuple(s.detach() for s in state)
            with autograd.record():
                outputs, state = gru(to_onehot(X, corpus.vocab_size), state, params)
                loss = cross_entropy(np.concatenate(outputs, axis=0), Y)
            loss.backward()
            grad_clipping(params, config.theta)
            d2lrnn.sgd(params, config.lr, 1)
            loss_sum, n = loss_sum + loss.item() * Y.size, n + Y.size
        perplexities.append(d2lrnn.perplexity(loss_sum, n))
    return perplexities


# %%
def training(lesson):
    """Train in both forms from the same parameters; print and draw the perplexities."""
    common.section("4. The training loop of the notes, in both")
    print(common.describe(lesson.training))
    perplexities, ends = {}, []
    for name, train in (("mxnet.nd", train_in_nd), ("mxnet.np", train_in_np)):
        d2lrnn.set_seed(lesson.training.seed)
        params = get_gru_params(lesson.corpus.vocab_size, lesson.model.num_hiddens, lesson.ctx)
        params = [param.as_nd_ndarray() for param in params] if train is train_in_nd else params
        perplexities[name] = train(lesson, params)
        ends.append(params)
        print(f"{name}   perplexity of the last epoch {perplexities[name][-1]:.4f}")
    print(f"largest difference of a parameter at the end: {max(map(gap, *ends)):.0e}")
    figure, (panel,) = new_figure(lesson.title("A GRU trained by hand in nd and in np"))
    draw_curves(panel, perplexities, ("epoch", "training perplexity"), log=True)
    save_figure(figure, lesson.out / "from_nd_to_np.png")
    common.saved(lesson.out / "from_nd_to_np.png")


# %% [markdown]
# ## Other names of the book
#
# d2lrnn calls `train_and_predict_rnn` and some other functions of the book by another name. The error says which.


# %%
def other_names():
    """Ask for names that only the book has."""
    common.section("5. Other names of the book")
    for name in ("predict_rnn", "train_ch8"):
        try:
            getattr(d2lrnn, name)
        except AttributeError as error:
            print(error)


# %% [markdown]
# ## Exercises
#
# 1. Write `lstm` of the notes with `nd.dot` and `nd.sigmoid`, and hand it to `d2lrnn.RNNModelScratch` with a
#    `get_params` that returns `nd` arrays. Does it train?
# 2. Which left sides of the table fail where `H`, `W` and `ids` are `np` arrays, and what does MXNet say?
# 3. What is `nd.ones((2, 3)).sum().shape`, and what is it in `np`? Which of your own lines rely on it?


# %%
def main(argv=None):
    """Run the lesson."""
    lesson = common.parse_args(
        __doc__,
        argv,
        model=d2lrnn.ModelConfig(cell="gru", num_hiddens=64),
        training=d2lrnn.TrainConfig(num_epochs=10),
        fixed=["cell", "num_layers", "optimizer", "use_random_iter", "pred_period", "pred_len"],
    )
    common.opening("From nd to np", lesson)
    one_array()
    ten_lines(lesson)
    the_functions(lesson)
    training(lesson)
    other_names()


# %%
if __name__ == "__main__":
    main()
