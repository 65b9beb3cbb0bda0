# %% [markdown]
# # Backpropagation through time
#
# (d2l-zh v1, section 6.6; d2l 1.0, section 9.7)
#
# A recurrent network uses the same weights at every time step. What a loss at step $T$ says about them reaches step
# $t$ through all the hidden states between. The chain rule gives
#
# $$\frac{\partial L}{\partial \mathbf{H}_t} =
# \Bigl(\frac{\partial L}{\partial \mathbf{H}_{t+1}} \odot (1 - \mathbf{H}_{t+1}^2)\Bigr) \mathbf{W}_{hh}^\top,
# \qquad t = T - 1, \ldots, 1,$$
#
# one product with $\mathbf{W}_{hh}^\top$ for every step back. After many steps the result depends on the largest
# eigenvalue $\rho$ of $\mathbf{W}_{hh}$ (its modulus): below 1 the gradient *vanishes*, well above 1 it *explodes*.
# This lesson measures that, and what clipping does about it in training.

# %%
"""Backpropagation through time: how gradients vanish and explode on their way back, and what clipping does."""

import math
from dataclasses import replace

import common
import numpy
from mxnet import autograd, np

import d2lrnn
from d2lrnn.plotting import draw_curves, new_figure, save_figure

# %% [markdown]
# ## The gradient with respect to every hidden state
#
# Autograd reports gradients of the arrays we attach them to, not of intermediate results such as $\mathbf{H}_t$. So
# we add an array of zeros to every $\mathbf{H}_t$: it changes nothing, and its gradient is that of $\mathbf{H}_t$.


# %%
def state_gradients(lesson, rho):
    """Return H_t and the gradient of the last step's loss with respect to it, for every t, and W_hh.

    ``rho`` is the largest modulus of the eigenvalues that W_hh is given; None leaves it as the book draws it.
    """
    num_hiddens = lesson.model.num_hiddens
    d2lrnn.set_seed(lesson.training.seed)
    params = d2lrnn.get_rnn_params(lesson.corpus.vocab_size, num_hiddens, lesson.ctx)
    W_xh, W_hh, b_h, W_hq, b_q = params
    if rho is not None:
        W_hh *= rho / largest_eigenvalue(W_hh)
    X, Y = common.first_batch(lesson)
    nudges = [np.zeros((X.shape[0], num_hiddens), ctx=lesson.ctx) for _ in range(X.shape[1])]
    for nudge in nudges:
        nudge.attach_grad()
    states, (H,) = [], d2lrnn.init_rnn_state(X.shape[0], num_hiddens, lesson.ctx)
    with autograd.record():
        for X_t, nudge in zip(d2lrnn.to_onehot(X, lesson.corpus.vocab_size), nudges):
            H, _ = d2lrnn.CELLS["rnn"].step(X_t, (H,), (W_xh, W_hh, b_h))
            H = H + nudge
            states.append(H)
        loss = d2lrnn.cross_entropy(np.dot(H, W_hq) + b_q, Y[:, -1:])
    loss.backward()
    return states, [nudge.grad for nudge in nudges], W_hh


def largest_eigenvalue(W):
    """Return the largest modulus of a matrix's eigenvalues."""
    return float(abs(numpy.linalg.eigvals(W.asnumpy())).max())


# %% [markdown]
# First, does autograd agree with the equation above? Take its gradient at the last step and go back by hand.


# %%
def by_hand(lesson):
    """Compute the gradients by the recursion and compare them with autograd's."""
    common.section("1. The chain rule by hand")
    states, found, W_hh = state_gradients(lesson, rho=1.0)
    states, found, W_hh = ([H.asnumpy() for H in states], [g.asnumpy() for g in found], W_hh.asnumpy())
    gradient, gaps = found[-1].astype(float), []
    for t in range(len(states) - 2, -1, -1):  # counted from 0, so that states[-1] is H_T
        gradient = gradient * (1 - states[t + 1] ** 2) @ W_hh.T
        gaps.append(common.difference(gradient, found[t]) / abs(gradient).max())
    print(f"{len(gaps)} steps back from H_{len(states)} to H_1: largest relative difference {max(gaps):.0e}")


# %% [markdown]
# ## Vanishing, critical, exploding
#
# All weights are drawn as the book draws them; then $\mathbf{W}_{hh}$ is scaled to a given $\rho$. The book's own start
# has a $\rho$ of about $0.01 \sqrt{h}$, so at first almost nothing of the past reaches the weights.


# %%
def vanishing_and_exploding(lesson):
    """Print and draw the norm of the gradient with respect to H_t over t, for several W_hh."""
    common.section("2. The norm of the gradient with respect to H_t, on its way back from the last step")
    curves = {}
    for name, rho in {"book's start": None, "small": 0.5, "critical": 1.0, "large": 2.0}.items():
        _, gradients, W_hh = state_gradients(lesson, rho)
        norms = [float(np.linalg.norm(gradient)) for gradient in gradients]
        curves[f"{name}, rho = {largest_eigenvalue(W_hh):.2f}"] = norms
    steps = sorted({*range(len(norms), 0, -5), 1}, reverse=True)
    print(f"{'t':26}" + "".join(f"{t:9}" for t in steps))
    for name, norms in curves.items():
        print(f"{name:26}" + "".join(f"{norms[t - 1]:9.0e}" for t in steps))
    print("Read a line from left to right: each column lies further in the past.")
    figure, panels = new_figure("The gradient on its way back through time")
    curves = dict(list(curves.items())[1:])  # the book's start is so far below that it would flatten the rest
    draw_curves(panels[0], curves, ("time step t", "norm of the gradient with respect to H_t"), log=True)
    save_figure(figure, lesson.out / "bptt_states.png")
    common.saved(lesson.out / "bptt_states.png")


# %% [markdown]
# ## Two remedies
#
# *Truncation* keeps the way back short: the gradient ends where the batch begins, after `num_steps` steps. *Clipping*
# keeps the update short: where the norm of all gradients together exceeds $\theta$, they are scaled down to it. With
# the book's settings an update is at most lr times theta $= 100 \cdot 0.01 = 1$ long.
#
# Training changes $\mathbf{W}_{hh}$, so the gradient may explode although it vanished at the start. And neither remedy
# brings back a gradient that has vanished; the gates of the next lessons do. Twenty epochs are enough to see all this;
# the lesson on the recurrent network from scratch trains to the book's end, and lets the model write.


# %%
def train_runs(lesson):
    """Train with and without clipping; return the histories by name."""
    common.section("3. Training with clipping and without")
    config = replace(lesson.training, prefixes=())
    twins = common.new_twins(lesson)
    runs = {
        f"scratch, theta {config.theta:g}": (twins["scratch"], config),
        f"gluon, theta {config.theta:g}": (twins["gluon"], config),
        "gluon, not clipped": (common.new_twins(lesson)["gluon"], replace(config, theta=math.inf)),
        f"gluon, not clipped, lr {config.lr / 10:g}": (
            common.new_twins(lesson)["gluon"],
            replace(config, theta=math.inf, lr=config.lr / 10),
        ),
    }
    print(common.describe(config))
    histories = {}
    for name, (model, run_config) in runs.items():
        try:
            histories[name] = d2lrnn.train_and_predict(model, lesson.corpus, replace(run_config, verbose=False))
            if histories[name].stopped:  # Ctrl-C
                raise SystemExit(130)
        except d2lrnn.TrainingDivergedError as error:  # the loop stops and says so
            print(f"{name}: {error}")
            histories[name] = error.history
    return histories


def show_runs(histories, lesson):
    """Print perplexity and gradient norm of the runs over the epochs, and draw the norms."""
    num_epochs = max(len(history.perplexity) for history in histories.values())
    epochs = sorted({1, 2, 5, 10, num_epochs} & set(range(1, num_epochs + 1)))
    for what, name in (("perplexity", "perplexity"), ("mean gradient norm before clipping", "grad_norm")):
        print(f"\n{what}\n{'epoch':26}" + "".join(f"{epoch:>11}" for epoch in epochs))
        for run, history in histories.items():
            values = getattr(history, name)
            print(f"{run:26}" + "".join(f"{values[e - 1]:11.3g}" if e <= len(values) else " " * 11 for e in epochs))
    seconds = (f"{run}: {sum(history.seconds):.1f}" for run, history in histories.items())
    print(f"\nseconds\n{'; '.join(seconds)}")
    print(f"\nTo guess at random among {lesson.corpus.vocab_size:,} tokens is a perplexity of as many.")
    figure, panels = new_figure(lesson.title("RNN with and without clipping"))
    norms = {run: history.grad_norm for run, history in histories.items() if history.grad_norm}  # of finished epochs
    draw_curves(panels[0], norms, ("epoch", "mean gradient norm before clipping"), log=True)
    save_figure(figure, lesson.out / "bptt_training.png")
    common.saved(lesson.out / "bptt_training.png")


# %% [markdown]
# ## Exercises
#
# 1. For which $\rho$ does the norm stay about the same over all steps? Why is it not exactly 1? (Think of the factor
#    $1 - \mathbf{H}^2$.)
# 2. Scale $\mathbf{W}_{xh}$ up by a hundred and measure again with $\rho = 2$. Why does the gradient grow less?
# 3. Replace the cell by the LSTM of `d2lrnn.CELLS`. How do the gradients with respect to $\mathbf{H}_t$ and to
#    $\mathbf{C}_t$ fall off?
# 4. Find the largest learning rate that trains without clipping. How does its perplexity compare after ten epochs?


# %%
def main(argv=None):
    """Run the lesson."""
    lesson = common.parse_args(
        __doc__,
        argv,
        model=d2lrnn.ModelConfig(cell="rnn"),
        training=d2lrnn.TrainConfig(num_epochs=20),
        fixed=["cell", "num_layers", "prefix", "pred_period", "pred_len"],
    )
    common.opening("Backpropagation through time", lesson)
    by_hand(lesson)
    vanishing_and_exploding(lesson)
    show_runs(train_runs(lesson), lesson)


# %%
if __name__ == "__main__":
    main()
