# %% [markdown]
# # Another cell
#
# (d2l-zh v1, section 6.7, and beyond it: Zhou, Wu, Zhang and Zhou 2016, arXiv 1603.09420)
#
# Whoever reads of a new recurrent cell wants to see it beside the others. This lesson adds one to `d2lrnn`: three
# pieces, some twenty lines, and it trains, writes, is saved and compared as the others are. The cell is the *minimal
# gated unit*, a GRU with one gate $\mathbf{F}_t$ in place of two: it resets and it updates.
#
# $$\begin{aligned}
# \mathbf{F}_t &= \sigma(\mathbf{X}_t \mathbf{W}_{xf} + \mathbf{H}_{t-1} \mathbf{W}_{hf} + \mathbf{b}_f), \\
# \tilde{\mathbf{H}}_t &= \tanh(\mathbf{X}_t \mathbf{W}_{xh} + (\mathbf{F}_t \odot \mathbf{H}_{t-1}) \mathbf{W}_{hh} +
# \mathbf{b}_h), \\
# \mathbf{H}_t &= (1 - \mathbf{F}_t) \odot \mathbf{H}_{t-1} + \mathbf{F}_t \odot \tilde{\mathbf{H}}_t.
# \end{aligned}$$

# %%
"""How to add a recurrent cell of your own: its equations, the same compiled, and one line that makes it known."""

from dataclasses import replace

import common
from mxnet import autograd, np, npx

import d2lrnn
from d2lrnn import build_model, copy_parameters
from d2lrnn.cells import dot, sigmoid, tanh
from d2lrnn.config import KINDS

# %% [markdown]
# ## First piece: the equations
#
# One step, one line for each equation: `(X, state, params)` in, `H` and the new state out. `params` come gate by gate,
# in each gate the weight of the input, the weight of the state, the bias. A state is a tuple of arrays, $\mathbf{H}$
# first. `dot` multiplies; for `X` it must be this one, since `X` may be looked up rather than multiplied.


# %%
def mgu_step(X, state, params):
    """Take one step of the minimal gated unit."""
    W_xf, W_hf, b_f, W_xh, W_hh, b_h = params
    (H,) = state
    F = npx.sigmoid(dot(X, W_xf) + dot(H, W_hf) + b_f)
    H_tilda = np.tanh(dot(X, W_xh) + dot(F * H, W_hh) + b_h)
    H = (1 - F) * H + F * H_tilda
    return H, (H,)


# %% [markdown]
# ## Second piece: the same, compiled
#
# Of this step the compiled model and the Gluon layer are made. It is called with arrays or with symbols, so operators
# come from `F`. `X` holds $\mathbf{X}_t \mathbf{W}_x$ of all gates side by side, made for all time steps at once;
# `weights.split` cuts it apart. `weights.product(H, "f")` is $\mathbf{H} \mathbf{W}_{hf} + \mathbf{b}_f$: name several
# gates, as `"rz"` in the GRU, and theirs are made in one product; name none, and it is all gates', as in the LSTM.
#
# A cell with peepholes finds their weights in `weights.peepholes`, a projected one calls `weights.project`. `compiled`
# has `sigmoid`, `tanh` and `relu`; avoid `F.np` for what is done at every step, for much of it is slow.


# %%
def compiled_mgu_step(F, X, state, weights):
    """Take one step of the minimal gated unit; its gate stands before a product, so there are two of them."""
    (H,) = state
    X_f, X_h = weights.split(X)
    G = sigmoid(F, X_f + weights.product(H, "f"))
    H_tilda = tanh(F, X_h + weights.product(G * H, "h"))
    H = H + G * (H_tilda - H)
    return H, (H,)


# %% [markdown]
# ## Third piece: make it known
#
# `Cell` says what follows from what: `gates` are the letters of the parameters' names, in order; `products` the gates
# whose products with the state are made together, as the compiled step asks for them. What else a cell may have, and
# this one has not: more arrays in the state (`num_states`), a second bias (`num_biases`), `peepholes`, a projection
# (`projected`), weights that begin as the `identity`. Names, shapes and first values follow from it. The last of the
# `gates` is the candidate, a tanh, unless `candidate` names another: pictures of the gates leave it out.
#
# The command line learns of a cell from a file that adds it: `python -m d2lrnn train --import my_cell.py --cell mgu`.
#
# A name stands for one cell as long as Python runs: one that is taken is refused.


# %%
def make_known(lesson):
    """Add the cell, print the parameters that follow from its declaration, and try to add it again."""
    common.section("1. A cell that has a name")
    cell = d2lrnn.Cell(mgu_step, compiled_mgu_step, gates="fh", products=("f", "h"))
    if "mgu" not in d2lrnn.CELLS:  # in a notebook this may run twice
        d2lrnn.add_cell("mgu", cell)
    stack, shape = d2lrnn.Stack("mgu"), (lesson.corpus.vocab_size, lesson.model.num_hiddens)
    for name, sizes in zip(stack.param_names, stack.param_shapes(*shape)):
        print(f"{name:10} {sizes}")
    try:
        d2lrnn.add_cell("mgu", cell)
    except ValueError as error:
        print(f"a second time: {error}")


# %% [markdown]
# ## Are the three one?
#
# Two ways to write one cell are two chances to err, so hold them against each other before anything else: logits,
# states and all gradients, with weights large enough that the gate is at work. Only rounding may differ, $10^{-5}$ of
# the largest number at most. (It does not tell whether the equations are the paper's: for that, compute a step by
# hand, as `tests/test_scratch.py` does in NumPy.)


# %%
def new_models(lesson):
    """Return models of the new cell by kind, all with the parameters of the one from scratch."""
    d2lrnn.set_seed(lesson.training.seed)
    configs = {kind: replace(lesson.model, kind=kind, cell="mgu") for kind in KINDS}
    models = {kind: build_model(config, lesson.corpus.vocab_size, lesson.ctx) for kind, config in configs.items()}
    for kind in ("fast", "gluon"):
        copy_parameters(models["scratch"], models[kind])
    return models


def are_they_one(lesson):
    """Print how far the compiled model and the one on Gluon are from the one from scratch."""
    common.section("2. From scratch, compiled, on Gluon")
    models, found = new_models(lesson), {}
    X, Y = common.first_batch(lesson)
    for param in models["scratch"].params:
        param *= 5
    for kind, model in models.items():
        copy_parameters(models["scratch"], model)
        with autograd.record():
            logits, state = model(X, model.begin_state(X.shape[0]))
            loss = d2lrnn.cross_entropy(logits, Y)
        loss.backward()
        gradients = {f"gradient of {name}": g for name, g in d2lrnn.read_parameters(model, gradients=True).items()}
        found[kind] = {"logits": logits, "H": state[0], **gradients}
    print(f"{'difference, relative':22}{'compiled':>12}{'on Gluon':>12}")
    for name, expected in found["scratch"].items():
        gaps = [common.difference(found[kind][name], expected) / abs(expected).max() for kind in ("fast", "gluon")]
        print(f"{name:22}{float(gaps[0]):12.0e}{float(gaps[1]):12.0e}")


# %% [markdown]
# ## At work
#
# All else knows it by its name: `ModelConfig(cell="mgu")`, `RecurrentStack("mgu", ...)`, `compare`, checkpoints,
# `predict`. (A checkpoint holds the name, not the equations: add the cell before you load one.) How does it do beside
# the GRU, whose two gates ask for half as many weights again?


# %%
def training(lesson):
    """Train the new cell beside the book's GRU, both compiled; let each write."""
    common.section("3. Training, beside the GRU")
    models = {}
    for cell in ("mgu", "gru"):
        d2lrnn.set_seed(lesson.training.seed)
        models[cell] = build_model(replace(lesson.model, kind="fast", cell=cell), lesson.corpus.vocab_size, lesson.ctx)
        print(f"{cell}: {sum(param.size for param in models[cell].params):,} parameters")
    common.train_and_show(models, lesson, "another_cell", "The minimal gated unit beside the GRU")


# %% [markdown]
# ## Exercises
#
# 1. Put the gate behind the product, $\mathbf{F}_t \odot (\mathbf{H}_{t-1} \mathbf{W}_{hh} + \mathbf{b}_h)$. Then one
#    product serves both gates: what is `products`, and how much faster is it? Why is $\mathbf{b}_h$ inside?
# 2. Add the LSTM with coupled gates, $\mathbf{I}_t = 1 - \mathbf{F}_t$. Which letters has it, and how many arrays has
#    its state?
# 3. Write a test for your cell in the manner of `tests/test_scratch.py`: the equations in NumPy, in float64, and
#    gradients against finite differences.
# 4. Make a mistake in the compiled step, and see section 2 find it. Which mistakes would it not find?
# 5. Train with `--optimizer adam --lr 0.005 --theta 1 --num-epochs 40`. Which of the two suffers, and from what?


# %%
def main(argv=None):
    """Run the lesson."""
    lesson = common.parse_args(
        __doc__,
        argv,
        model=d2lrnn.ModelConfig(cell="gru"),
        training=common.BOOK_GATED,
        fixed=["cell"],
    )
    common.opening("Another cell", lesson)
    make_known(lesson)
    are_they_one(lesson)
    training(lesson)


# %%
if __name__ == "__main__":
    main()
