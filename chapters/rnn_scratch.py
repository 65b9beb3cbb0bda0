# %% [markdown]
# # A recurrent network from scratch
#
# (d2l-zh v1, sections 6.2 and 6.4; d2l 1.0, sections 9.4 and 9.5)
#
# A table of counts cannot look far back: with $n$ tokens of context it needs an entry for each of $|V|^n$ contexts. A
# recurrent network keeps the past in a hidden state $\mathbf{H}_t$ of fixed size instead, and works it over with
# every token:
#
# $$\mathbf{H}_t = \tanh(\mathbf{X}_t \mathbf{W}_{xh} + \mathbf{H}_{t-1} \mathbf{W}_{hh} + \mathbf{b}_h),
# \qquad \mathbf{O}_t = \mathbf{H}_t \mathbf{W}_{hq} + \mathbf{b}_q.$$
#
# $\mathbf{O}_t$ scores every token of the vocabulary as the next one. This lesson builds the model from arrays alone,
# trains it until it writes, and sets Gluon's layer beside it.

# %%
"""A recurrent network from scratch: parts, training with random and with consecutive sampling, and Gluon beside it."""

from dataclasses import replace

import common
from mxnet import autograd, np

import d2lrnn
from d2lrnn import RNNModelScratch, get_rnn_params, init_rnn_state, rnn, to_onehot

# %% [markdown]
# ## One-hot vectors
#
# An id is a name, not a quantity, so it enters as a row of zeros with a single one. The product of such a row with
# $\mathbf{W}_{xh}$ picks out a row of the matrix, which is why frameworks look that row up and save the product.


# %%
def one_hot(lesson):
    """Turn a batch of ids into num_steps matrices."""
    common.section("1. One-hot vectors")
    rows = to_onehot(np.array([[0], [2]], dtype="int32"), 5)[0].astype("int32").tolist()
    print(f"ids 0 and 2 of 5 tokens: {rows[0]} and {rows[1]}")
    X, _ = common.first_batch(lesson)
    inputs = to_onehot(X, lesson.corpus.vocab_size)
    print(f"X             {X.shape} = (batch_size, num_steps)")
    print(f"inputs        {len(inputs)} matrices {inputs[0].shape} = (batch_size, vocab_size)")
    W_xh = get_rnn_params(lesson.corpus.vocab_size, lesson.model.num_hiddens, lesson.ctx)[0]
    gap = common.difference(np.dot(inputs[0], W_xh), np.take(W_xh, X[:, 0], axis=0))
    print(f"inputs[0] times W_xh, against the rows of W_xh that X[:, 0] names: difference {gap:.0e}")


# %% [markdown]
# ## Parameters, state, and the equations
#
# All weights start as small random numbers, the biases and the state $\mathbf{H}_0$ as zeros. `rnn_step` in
# `d2lrnn/cells/steps.py` is the first equation, and `rnn` in `d2lrnn/models/scratch.py` repeats it over the time steps.


# %%
def equations(lesson):
    """Run the network over one batch and look at the shapes."""
    common.section("2. Parameters, state, outputs")
    vocab_size, num_hiddens = lesson.corpus.vocab_size, lesson.model.num_hiddens
    params = get_rnn_params(vocab_size, num_hiddens, lesson.ctx)
    for name, param in zip(["W_xh", "W_hh", "b_h", "W_hq", "b_q"], params):
        print(f"{name:13} {param.shape}")
    X, _ = common.first_batch(lesson)
    state = init_rnn_state(X.shape[0], num_hiddens, lesson.ctx)
    outputs, new_state = rnn(to_onehot(X, vocab_size), state, params)
    print(f"state         {len(state)} array {state[0].shape} = (batch_size, num_hiddens)")
    print(f"outputs       {len(outputs)} matrices {outputs[0].shape} = (batch_size, vocab_size)")
    print(f"new state     {len(new_state)} array {new_state[0].shape}, for the next batch to go on from")


# %% [markdown]
# ## Perplexity, and prediction before training
#
# The loss is the mean cross-entropy of the next tokens; its exponential is the *perplexity*, the number of equally
# likely tokens that the model hesitates between:
#
# $$\exp\Bigl(-\frac{1}{T} \sum_{t=1}^{T} \log P(w_t \mid w_1, \ldots, w_{t-1})\Bigr).$$
#
# A perfect model has 1. One that knows nothing has the size of the vocabulary, and writes accordingly. To write, feed
# the prefix to get the state right, then feed back the likeliest token, again and again.


# %%
def before_training(lesson):
    """Measure a new model's perplexity and let it write."""
    common.section("3. Before training")
    corpus = lesson.corpus
    model = RNNModelScratch(
        corpus.vocab_size, lesson.model.num_hiddens, lesson.ctx, get_rnn_params, init_rnn_state, rnn
    )
    X, Y = common.first_batch(lesson)
    logits, _ = model(X, model.begin_state(X.shape[0]))
    print(f"logits        {logits.shape} = (num_steps * batch_size, vocab_size), all of the first step first")
    loss = float(d2lrnn.cross_entropy(logits, Y))
    found = d2lrnn.perplexity(loss * Y.size, Y.size)
    print(f"perplexity    {found:,.1f}, and the vocabulary has {corpus.vocab_size:,} tokens")
    print(f"it writes     {d2lrnn.predict(lesson.training.prefixes[0], 10, model, corpus.vocab)!r}")


# %% [markdown]
# ## Clipping the gradients
#
# Over many steps a gradient can grow without bound (the lesson `bptt.py` shows how). Take all gradients as one long
# vector $\mathbf{g}$ and scale it back where it is longer than $\theta$: its direction stays.
#
# $$\mathbf{g} \leftarrow \min\left(\frac{\theta}{\|\mathbf{g}\|}, 1\right) \mathbf{g}$$


# %%
def clipping(lesson):
    """Compute the gradients of one batch and clip them."""
    common.section("4. Clipping the gradients")
    model = common.new_twins(lesson)["scratch"]
    X, Y = common.first_batch(lesson)
    with autograd.record():
        logits, _ = model(X, model.begin_state(X.shape[0]))
        loss = d2lrnn.cross_entropy(logits, Y)
    loss.backward()
    theta = lesson.training.theta
    before = float(d2lrnn.grad_clipping(model.params, theta))
    after = float(d2lrnn.grad_clipping(model.params, theta))  # it returns the norm that it found
    print(f"norm of all gradients: {before:.4f}; after clipping to theta = {theta:g}: {after:.4f}")


# %% [markdown]
# ## Training with random sampling
#
# Random windows do not follow one another, so each starts from a zero state. Watch what the model writes as its
# perplexity falls: first the commonest token only, then whole lines by heart.


# %%
def train_random(lesson, models, histories):
    """Train the model from scratch on random windows, as the book does first."""
    common.section("5. Training with random sampling")
    config = replace(lesson.training, batches="random")
    print(common.describe(config))
    model = models["scratch, random"] = common.new_twins(lesson)["scratch"]
    histories["scratch, random"] = common.carry_out(d2lrnn.train_and_predict, model, lesson.corpus, config)


# %% [markdown]
# ## Training with consecutive sampling, and Gluon beside it
#
# Now each batch goes on where the last one ended, and takes over its state. The state is *detached*: its numbers go
# on, the gradient ends there, or every batch would drag the whole past behind it. Beside it runs `gluon.rnn.RNN`,
# which does the same in one fused operator (lesson `rnn_concise.py`). Both begin with the same parameters.


# %%
def train_consecutive(lesson, models, histories):
    """Train the model from scratch and its Gluon twin on consecutive batches; show all three runs."""
    common.section("6. Training with consecutive sampling, from scratch and on Gluon")
    twins = common.new_twins(lesson)
    models.update({"scratch, consecutive": twins["scratch"], "gluon, consecutive": twins["gluon"]})
    histories.update(common.train({name: models[name] for name in list(models)[1:]}, lesson))
    common.show(models, histories, lesson, "rnn_scratch", "RNN from scratch and on Gluon")


# %% [markdown]
# ## Exercises
#
# 1. Without clipping (`--theta inf`), how large may `--lr` be before the training is lost?
# 2. Vary `--num-hiddens` and `--num-steps`. What does each cost in time, and what does it gain in perplexity?
# 3. The perplexity of the training text falls towards 1. What has the model learnt then, and how would you find out
#    whether it can write anything new?
# 4. Leave out the detaching in a loop of your own and carry the state. What happens in the second batch, and why?
# 5. `tanh` keeps the state between -1 and 1. Replace it with `relu` in a copy of `rnn_step`: what changes?


# %%
def main(argv=None):
    """Run the lesson."""
    lesson = common.parse_args(
        __doc__,
        argv,
        model=d2lrnn.ModelConfig(cell="rnn"),
        training=common.BOOK_RNN,
        fixed=["cell", "num_layers", "use_random_iter"],
    )
    common.opening("A recurrent network from scratch", lesson)
    one_hot(lesson)
    equations(lesson)
    before_training(lesson)
    clipping(lesson)
    models, histories = {}, {}
    train_random(lesson, models, histories)
    train_consecutive(lesson, models, histories)


# %%
if __name__ == "__main__":
    main()
