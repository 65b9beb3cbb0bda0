# %% [markdown]
# # The gated recurrent unit
#
# (d2l-zh v1, section 6.7; d2l 1.0, section 10.2; Cho et al. 2014, arXiv 1406.1078)
#
# A simple recurrent network works its whole state over at every step, so what it knew fades, and with it the gradient
# (lesson `bptt.py`). The GRU lets the network decide, unit by unit, what to keep. Two gates between 0 and 1 do that:
# the *reset gate* $\mathbf{R}_t$ says how much of the old state enters the new candidate, the *update gate*
# $\mathbf{Z}_t$ how much of the old state stays as it is.
#
# $$\begin{aligned}
# \mathbf{R}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{xr} + \mathbf{H}_{t-1} \mathbf{W}_{hr} + \mathbf{b}_r), \qquad
# \mathbf{Z}_t = \sigma(\mathbf{X}_t \mathbf{W}_{xz} + \mathbf{H}_{t-1} \mathbf{W}_{hz} + \mathbf{b}_z), \\
# \tilde{\mathbf{H}}_t &= \tanh(\mathbf{X}_t \mathbf{W}_{xh} + (\mathbf{R}_t \odot \mathbf{H}_{t-1}) \mathbf{W}_{hh} +
# \mathbf{b}_h), \\
# \mathbf{H}_t &= \mathbf{Z}_t \odot \mathbf{H}_{t-1} + (1 - \mathbf{Z}_t) \odot \tilde{\mathbf{H}}_t.
# \end{aligned}$$

# %%
"""The gated recurrent unit: what its gates do, its two forms, and both of them trained beside Gluon's."""

from dataclasses import replace

import common
from mxnet import np

import d2lrnn
from d2lrnn import build_model, copy_parameters, named_parameters

# %% [markdown]
# ## Parameters and shapes
#
# Three times the parameters of the simple network, one set for each gate and one for the candidate.


# %%
def shapes(lesson):
    """List the parameters and run the GRU over one batch."""
    common.section("1. Parameters and shapes")
    vocab_size, num_hiddens = lesson.corpus.vocab_size, lesson.model.num_hiddens
    params = d2lrnn.get_gru_params(vocab_size, num_hiddens, lesson.ctx)
    for name, param in zip(d2lrnn.Stack("gru").param_names, params):
        print(f"{name:10} {param.shape}")
    X, _ = common.first_batch(lesson)
    state = d2lrnn.init_gru_state(X.shape[0], num_hiddens, lesson.ctx)
    outputs, (H,) = d2lrnn.gru(d2lrnn.to_onehot(X, vocab_size), state, params)
    print(f"outputs    {len(outputs)} matrices {outputs[0].shape} = (batch_size, vocab_size)")
    print(f"state      {H.shape} = (batch_size, num_hiddens)")


# %% [markdown]
# ## What the gates do
#
# A large bias forces a gate open, a very negative one forces it shut. We take one step with each combination and see
# where the new state comes from.


# %%
def gates():
    """Force the gates of a small GRU and see how much the old state counts in the new one."""
    common.section("2. What the gates do")
    params = dict(zip(d2lrnn.Stack("gru").param_names, d2lrnn.get_gru_params(4, 3)))
    for name in ("W_xz", "W_xr", "W_xh", "W_hh"):
        params[name][:] = np.random.normal(size=params[name].shape)
    X, H = np.random.normal(size=(1, 4)), np.array([[0.9, 0.1, -0.5]])
    step = d2lrnn.CELLS["gru"].step
    print(f"{'H before the step':31}" + "".join(f"{h:7.3f}" for h in H[0].tolist()))
    for what, b_z, b_r in [
        ("update 1: keeps H", 30, 0),
        ("update 0, reset 1: a simple RNN", -30, 30),
        ("update 0, reset 0: forgets H", -30, -30),
    ]:
        params["b_z"][:], params["b_r"][:] = b_z, b_r
        after, moved = (step(X, (old,), list(params.values())[:-2])[0] for old in (H, H + 0.1))
        print(f"{what:31}" + "".join(f"{h:7.3f}" for h in after[0].tolist()), end="")
        print(f"   moves by {common.difference(after, moved):.3f} when H moves by 0.1")


# %% [markdown]
# ## Two forms
#
# The book resets before the product, Gluon (like cuDNN and PyTorch) after it:
#
# $$(\mathbf{R}_t \odot \mathbf{H}_{t-1}) \mathbf{W}_{hh} \qquad \text{against} \qquad
# \mathbf{R}_t \odot (\mathbf{H}_{t-1} \mathbf{W}_{hh} + \mathbf{c}_h).$$
#
# The second needs one product for all three gates, which is faster. But it is another function: with the same weights
# the two do not compute the same. `gru` is the book's form, `gru_reset_after` Gluon's. (On Gluon, too, the book's form
# can be had: `d2lrnn.UnrolledLayer("gru", num_hiddens)`.)


# %%
def new_models(lesson):
    """Return the book's form, Gluon's form from scratch and Gluon's layer, all with the same weights."""
    twins = common.new_twins(lesson)
    config = replace(lesson.model, kind="scratch", cell="gru")
    book = build_model(config, lesson.corpus.vocab_size, lesson.ctx)
    share_weights(twins["scratch"], book)
    return {"scratch, book's form": book, "scratch, reset after": twins["scratch"], "gluon": twins["gluon"]}


def share_weights(source, target):
    """Set each parameter of one scratch model to that of the same name of another; others stay as they are."""
    values = named_parameters(source)
    for name, param in named_parameters(target).items():
        if name in values:
            param[:] = values[name]


def two_forms(lesson):
    """Print how far apart the two forms are, with the book's small first weights and with larger ones."""
    common.section("3. Two forms with the same weights")
    models = new_models(lesson)
    book, after, gluon = models.values()
    print("largest difference of the state, whose numbers lie between -1 and 1")
    print(f"{'':32}book's form and reset after   reset after and Gluon")
    for what, scale in (("weights drawn from N(0, 0.01²)", 1), ("the same, 10 times as large", 10)):
        for param in after.params:
            param *= scale
        share_weights(after, book)
        copy_parameters(after, gluon)
        X, _ = common.first_batch(lesson)
        H = [model(X, model.begin_state(X.shape[0]))[1][0] for model in (book, after, gluon)]
        print(f"{what:32}{common.difference(*H[:2]):27.1e}{common.difference(*H[1:]):24.1e}")


# %% [markdown]
# ## Training
#
# All three start from the same weights. The last two are one function, so their numbers agree; the first goes its own
# way, here a little more slowly.


# %%
def training(lesson):
    """Train the three models and show them side by side; return them."""
    common.section("4. Training")
    models = new_models(lesson)
    common.train_and_show(models, lesson, "gru", "GRU in two forms")
    return models


# %% [markdown]
# What if trained weights land in the wrong form? That happens when a model moves from one framework to another. Every
# shape fits and nothing complains.


# %%
def wrong_form(lesson, models):
    """Run the trained book's form's weights in the other form and compare perplexities."""
    common.section("5. Trained weights in the wrong form")
    book, after = models["scratch, book's form"], models["scratch, reset after"]
    for name in ("c_z", "c_r", "c_h"):
        named_parameters(after)[name][:] = 0
    share_weights(book, after)
    X, Y = common.first_batch(lesson)
    print("the first batch, read with the weights that the book's form has learnt")
    for name, model in (("in the book's form", book), ("in the other form", after)):
        logits, _ = model(X, model.begin_state(X.shape[0]))
        loss = float(d2lrnn.cross_entropy(logits, Y))
        print(f"{name:20} perplexity {d2lrnn.perplexity(loss * Y.size, Y.size):10.3f}")


# %% [markdown]
# ## Exercises
#
# 1. With which gates is the GRU the simple recurrent network, exactly? Check with `rnn_step` and the same weights.
# 2. Gluon has two biases for every gate. Which of them could be left out without making the model poorer, and why does
#    `c_h` have to stay?
# 3. For which weights do the two forms compute the same? Try $\mathbf{W}_{hh}$ diagonal.
# 4. Start with `b_z` = 2. What does the gradient of a late loss with respect to an early state look like then?
# 5. Compare with `rnn_scratch.py`: how many epochs does each need to reach a perplexity of 10, and how many seconds?


# %%
def main(argv=None):
    """Run the lesson."""
    lesson = common.parse_args(
        __doc__,
        argv,
        model=d2lrnn.ModelConfig(cell="gru"),
        training=common.BOOK_GATED,
        fixed=["cell", "num_layers"],
    )
    common.opening("The gated recurrent unit", lesson)
    shapes(lesson)
    gates()
    two_forms(lesson)
    models = training(lesson)
    wrong_form(lesson, models)


# %%
if __name__ == "__main__":
    main()
