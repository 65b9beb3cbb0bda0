# %% [markdown]
# # A recurrent network from scratch
#
# (d2l-zh v1, section 6.4; d2l 1.0, section 9.5)
#
# This lesson builds a language model of characters from arrays alone: the inputs, the parameters, the network, the
# writing of text, the clipping of gradients, the training loop. Then it trains the model on lyrics until the model
# writes lines of its own. The lesson `recurrent_networks.py` explains the equations.
#
# ![From a text to ids, minibatches, the model, the loss, the gradient, clipping and new parameters](img/pipeline.svg)

# %%
import itertools
import math
from dataclasses import replace

import common
from mxnet import autograd, np, npx

import d2lrnn

lesson = common.begin(
    model=d2lrnn.ModelConfig(cell="rnn"),
    training=common.BOOK_RNN,
    fixed=["cell", "num_layers", "use_random_iter"],
    quick={"num_epochs": 20, "pred_period": 5},
)

# %% [markdown]
# ## One-hot vectors
#
# An id is a name, not a quantity: token 4 is not twice token 2. So an id enters the network as a vector with a single
# 1, at the place that the id names, and zeros elsewhere. The product of such a vector with a matrix is a row of the
# matrix. Each token thus has a row of weights of its own.
#
# ![The one-hot vector of id 2 times the matrix W_xh is row 2 of the matrix](img/one_hot.svg)

# %%
print("ids 0 and 2 of 5 tokens:")
print(npx.one_hot(np.array([0, 2]), 5))

# %% [markdown]
# A minibatch `X` of shape (batch_size, num_steps) becomes num_steps matrices $\mathbf{X}_1, \mathbf{X}_2, \ldots$ of
# shape (batch_size, vocab_size), one for each time step.


# %%
def to_onehot(X, size):
    """Turn ids (batch_size, num_steps) into num_steps one-hot matrices."""
    return [npx.one_hot(x, size) for x in X.T]


X, Y = common.first_batch(lesson)
batch_size, num_steps = X.shape
vocab_size = lesson.corpus.vocab_size
inputs = to_onehot(X, vocab_size)
print(f"X {X.shape}, inputs: {len(inputs)} matrices {inputs[0].shape}")
gap = common.difference(np.stack(inputs), np.stack(d2lrnn.to_onehot(X, vocab_size)))
print(f"this is d2lrnn.to_onehot: difference {gap:g}")

# %% [markdown]
# ## Parameters
#
# The weights start as small random numbers, the biases as zeros. `attach_grad` makes room for the gradients. The number
# of hidden units is a hyperparameter. The numbers of inputs and of outputs are the size of the vocabulary.

# %%
num_hiddens, ctx = lesson.model.num_hiddens, lesson.ctx


def get_params(vocab_size, num_hiddens, ctx=None):
    """Return new parameters with gradients."""
    W_xh = np.random.normal(0, 0.01, (vocab_size, num_hiddens), ctx=ctx)
    W_hh = np.random.normal(0, 0.01, (num_hiddens, num_hiddens), ctx=ctx)
    b_h = np.zeros(num_hiddens, ctx=ctx)
    W_hq = np.random.normal(0, 0.01, (num_hiddens, vocab_size), ctx=ctx)
    b_q = np.zeros(vocab_size, ctx=ctx)
    params = [W_xh, W_hh, b_h, W_hq, b_q]
    for param in params:
        param.attach_grad()
    return params


d2lrnn.set_seed(lesson.training.seed)
params = get_params(vocab_size, num_hiddens, ctx)
for name, param in zip(["W_xh", "W_hh", "b_h", "W_hq", "b_q"], params):
    print(f"{name:5} {param.shape}")
d2lrnn.set_seed(lesson.training.seed)
expected = d2lrnn.get_rnn_params(vocab_size, num_hiddens, ctx)
gap = max(common.difference(a, b) for a, b in zip(params, expected))
print(f"these are d2lrnn.get_rnn_params, from the same seed: difference {gap:g}")

# %% [markdown]
# ## The network
#
# The first state is zero. It is a tuple, since other networks of this chapter have a state of several arrays. At each
# time step a new state is computed from the input and the old state, and the outputs from the new state:
#
# $$\mathbf{H}_t = \tanh(\mathbf{X}_t \mathbf{W}_{xh} + \mathbf{H}_{t-1} \mathbf{W}_{hh} + \mathbf{b}_h),
# \qquad \mathbf{O}_t = \mathbf{H}_t \mathbf{W}_{hq} + \mathbf{b}_q.$$
#
# The outputs $\mathbf{O}_t$ hold a number for each token of the vocabulary. The larger the number, the likelier the
# token is to come next.


# %%
def init_rnn_state(batch_size, num_hiddens, ctx=None):
    """Return the state before the first step."""
    return (np.zeros((batch_size, num_hiddens), ctx=ctx),)


def rnn(inputs, state, params):
    """Run the network over num_steps matrices (batch_size, vocab_size)."""
    W_xh, W_hh, b_h, W_hq, b_q = params
    (H,) = state
    outputs = []
    for X in inputs:
        H = np.tanh(np.dot(X, W_xh) + np.dot(H, W_hh) + b_h)
        outputs.append(np.dot(H, W_hq) + b_q)
    return outputs, (H,)


state = init_rnn_state(batch_size, num_hiddens, ctx)
outputs, new_state = rnn(inputs, state, params)
print(f"outputs: {len(outputs)} matrices {outputs[0].shape}, new state {new_state[0].shape}")

# %% [markdown]
# The function `d2lrnn.rnn` computes the same. It multiplies the states of all steps with $\mathbf{W}_{hq}$ in one
# product, which adds up the same numbers in another order. So its outputs may differ in the last digit.

# %%
expected, (expected_H,) = d2lrnn.rnn(inputs, state, params)
print(f"this is d2lrnn.rnn: the state differs by {common.difference(new_state[0], expected_H):g}", end=", ")
print(f"the outputs by {common.difference(np.stack(outputs), np.stack(expected)):.0e}")

# %% [markdown]
# ## Writing
#
# To write, the model first reads a prefix. Each character of the prefix changes the state; the outputs do not matter
# yet. After the last character of the prefix, the likeliest token is chosen. It is written down and is the next input,
# and so on. A new model has learnt nothing and writes at random.


# %%
def predict(prefix, num_preds, params):
    """Continue a prefix, always with the likeliest next token."""
    ids = lesson.corpus.vocab.encode(prefix).tolist()
    state = init_rnn_state(1, num_hiddens, ctx)
    for t in range(len(ids) + num_preds - 1):
        X = np.array([[ids[t]]], dtype="int32", ctx=ctx)
        (O,), state = rnn(to_onehot(X, vocab_size), state, params)
        if t == len(ids) - 1:  # all that is there has been read
            ids.append(int(O.argmax(axis=1)))
    return lesson.corpus.vocab.decode(ids)


model = d2lrnn.RNNModelScratch(vocab_size, num_hiddens, ctx, get_params, init_rnn_state, rnn)
for prefix in lesson.training.prefixes:
    written = predict(prefix, 10, model.params)
    same = written == d2lrnn.predict(prefix, 10, model, lesson.corpus.vocab)
    print(f"{written!r}, {'the same text' if same else 'another text'} as by d2lrnn.predict")

# %% [markdown]
# `RNNModelScratch` ties the functions together, as a class of this name does in d2l 1.0. The module's functions for
# training and writing take such a model.
#
# ## Perplexity
#
# The loss is the cross-entropy: the mean of $-\log$ of the probability that the model gives to the token that does come
# next. The exponential of the loss is the *perplexity*. For a text of $T$ tokens it is
#
# $$\exp\left(-\frac{1}{T} \sum_{t=1}^{T} \log P(w_t \mid w_1, \ldots, w_{t-1})\right).$$
#
# A model that is always certain and right has a perplexity of 1. A model that takes all tokens for equally likely has
# the size of the vocabulary. A model that is certain of what is wrong may have any number above that.
#
# The outputs of all steps are put into one matrix of shape (num_steps * batch_size, vocab_size), the first step of all
# rows first. The labels are put into the same order.

# %%
logits = np.concatenate(outputs, axis=0)
labels = Y.T.reshape(-1)
right = npx.one_hot(labels, vocab_size)
for name, O in (
    ("certain and right", 20 * right),
    ("all tokens equally likely", 0 * right),
    ("certain and wrong", -5 * right),
    ("the new model", logits),
):
    loss = float(-npx.pick(npx.log_softmax(O, axis=1), labels).mean())
    gap = abs(loss - float(d2lrnn.cross_entropy(O, Y)))
    print(f"{name:25} perplexity {math.exp(loss):14,.2f}, loss {loss:7.4f}, d2lrnn.cross_entropy: {gap:.0e} apart")
print(f"the vocabulary has {vocab_size:,} tokens")

# %% [markdown]
# ## Clipping the gradients
#
# Over many steps a gradient can grow beyond all bounds; the lesson `bptt.py` shows why. Take the gradients of all
# parameters as one long vector $\mathbf{g}$. Where it is longer than a threshold $\theta$, it is made as long as
# $\theta$. Its direction stays:
#
# $$\mathbf{g} \leftarrow \min\left(\frac{\theta}{\|\mathbf{g}\|}, 1\right) \mathbf{g}.$$
#
# ![A gradient longer than theta is shortened to the circle of radius theta, a shorter one stays](img/clipping.svg)


# %%
def grad_clipping(params, theta):
    """Scale the gradients so that their norm is at most theta; return the norm that they had."""
    grads = [param.grad.reshape(-1) for param in params]
    norm = float(np.sqrt(sum(np.dot(g, g) for g in grads)))
    if norm > theta:
        for param in params:
            param.grad[:] *= theta / norm
    return norm


theta, clipped = 0.01, []
for clip in (grad_clipping, d2lrnn.grad_clipping):
    with autograd.record():
        outputs, _ = rnn(inputs, state, params)
        loss = d2lrnn.cross_entropy(np.concatenate(outputs, axis=0), Y)
    loss.backward()
    before = float(clip(params, theta))
    clipped.append(np.concatenate([param.grad.reshape(-1) for param in params]))
    print(f"norm {before:.6f}, clipped to {float(np.sqrt((clipped[-1] ** 2).sum())):.6f}")
gap = common.difference(*clipped) / float(abs(clipped[0]).max())
print(f"this is d2lrnn.grad_clipping: of the largest gradient, the difference is {gap:.0e}")

# %% [markdown]
# ## The training loop
#
# The loop differs from those of earlier chapters in three ways. It is judged by the perplexity. It clips the gradients
# before each update. And it carries the state: with consecutive sampling a minibatch goes on where the last one ended,
# so it begins with the state that the last one has left. `detach` returns the numbers of that state without the graph
# that has computed them. So the gradient ends at the border of the minibatch.
#
# ![The state goes on from minibatch to minibatch, the gradient ends at the border](img/truncation.svg)
#
# Here is the loop for three epochs, with half of the book's learning rate, and the book's threshold. For random
# sampling, two lines change: the minibatches come from `data_iter_random`, and each begins with `init_rnn_state`.

# %%
lr, theta, num_epochs = 50, 0.01, 3
d2lrnn.set_seed(lesson.training.seed)
params = get_params(vocab_size, num_hiddens, ctx)
perplexities = []
for epoch in range(1, num_epochs + 1):
    state = init_rnn_state(batch_size, num_hiddens, ctx)
    loss_sum = num_tokens = 0
    for X, Y in d2lrnn.data_iter_consecutive(lesson.corpus.train, batch_size, num_steps, ctx):
        state = tuple(s.detach() for s in state)
        with autograd.record():
            outputs, state = rnn(to_onehot(X, vocab_size), state, params)
            loss = d2lrnn.cross_entropy(np.concatenate(outputs, axis=0), Y)
        loss.backward()
        grad_clipping(params, theta)
        d2lrnn.sgd(params, lr, 1)  # the loss is a mean already, so there is no batch size to divide by
        loss_sum += float(loss) * Y.size
        num_tokens += Y.size
    perplexities.append(math.exp(loss_sum / num_tokens))
    print(f"epoch {epoch}, perplexity {perplexities[-1]:.4f}")

# %% [markdown]
# `train_and_predict` runs the same loop, and begins with the same parameters. It gives the same perplexities, up to the
# rounding of float32: it multiplies by the factor of the clipping within the update, not before it. The difference
# grows from update to update, the faster the larger the learning rate. With the book's 100 it can reach a hundredth in
# the third epoch of the full run.

# %%
d2lrnn.set_seed(lesson.training.seed)
model = d2lrnn.RNNModelScratch(vocab_size, num_hiddens, ctx, get_params, init_rnn_state, rnn)
config = replace(
    lesson.training, optimizer="sgd", lr=lr, theta=theta, num_epochs=num_epochs, prefixes=(), verbose=False
)
history = common.checked(d2lrnn.train_and_predict(model, lesson.corpus, config))
for epoch, found in enumerate(history["perplexity"], 1):
    print(f"epoch {epoch}, perplexity {found:.4f} by train_and_predict")
gap = max(abs(a / b - 1) for a, b in zip(perplexities, history["perplexity"]))
print(f"largest relative difference {gap:.0e}")

# %% [markdown]
# ## What detach does
#
# The book detaches the state by `for s in state: s.detach()`. But `detach` returns a new array and leaves the old one
# as it is, so this line does nothing. The next cell measures what follows from that. It takes two minibatches in a row
# and compares the gradients of the second: with the state detached as above, by the book's line, and not at all.


# %%
def rebound(state):
    """Detach as the loop above does."""
    return tuple(s.detach() for s in state)


def unassigned(state):
    """Detach as the book does."""
    for s in state:
        s.detach()
    return state


def second_gradients(detach, retain_graph=False):
    """Return all gradients of the second of two minibatches in a row."""
    state = init_rnn_state(batch_size, num_hiddens, ctx)
    batches = d2lrnn.data_iter_consecutive(lesson.corpus.train, batch_size, num_steps, ctx)
    for X, Y in itertools.islice(batches, 2):
        state = detach(state)
        with autograd.record():
            outputs, state = rnn(to_onehot(X, vocab_size), state, params)
            loss = d2lrnn.cross_entropy(np.concatenate(outputs, axis=0), Y)
        loss.backward(retain_graph=retain_graph)
    return np.concatenate([param.grad.reshape(-1) for param in params])


def not_at_all(state):
    """Leave the state as it is."""
    return state


for retain_graph in (False, True):
    expected = second_gradients(rebound, retain_graph)
    print(f"backward(retain_graph={retain_graph}), largest gradient {float(abs(expected).max()):.1e}")
    for detach in (rebound, unassigned, not_at_all):
        gap = common.difference(second_gradients(detach, retain_graph), expected)
        print(f"  {detach.__name__:10}  difference {gap:.1e}")

# %% [markdown]
# In MXNet all three give the same gradients, to the last digit. `backward` drops the graph that it has gone through.
# After it the state is an array without a graph, detached or not. Only `backward(retain_graph=True)` keeps the graph of
# the first minibatch. Then the gradient of the second minibatch goes on into the first, unless the state was detached.
#
# `detach` is worth its line all the same. It says where the gradient ends, and other frameworks need it: PyTorch
# refuses to go through a graph twice. MXNet needs it in one case. `backward` drops only the part of the graph that the
# loss depends on. In the next cell the state is carried one step further than the loss reads it. The graph of that step
# stays, the graph below it is gone, and the second `backward` fails.

# %%
W = np.full((3, 3), 0.5)
W.attach_grad()
for detach in (rebound, not_at_all):
    H = np.ones((1, 3))
    try:
        for _ in range(2):
            (H,) = detach((H,))
            with autograd.record():
                H = np.tanh(np.dot(H, W))
                loss = (H**2).sum()
                H = np.tanh(np.dot(H, W))  # the loss does not depend on this step
            loss.backward()
        print(f"{detach.__name__:10}  a gradient of {float(W.grad[0, 0]):.4f}")
    except Exception as error:
        reason = str(error).split("nullptr: ")[-1].split(" requested")[0]
        print(f"{detach.__name__:10}  {type(error).__name__}: {reason}")

# %% [markdown]
# ## Training with random sampling
#
# Random minibatches do not follow one another, so each begins with the zero state. From here on the model consists of
# the module's functions, which compute the same as ours in less time: they look up the rows of $\mathbf{W}_{xh}$ and
# save the product with one-hot vectors. Watch how the writing changes while the perplexity falls: at first few
# characters again and again, then words, then pieces of lines from the lyrics.

# %%
models, histories = {}, {}
config = replace(lesson.training, batches="random")
print(common.describe(config), "in random order")
d2lrnn.set_seed(config.seed)
models["random"] = d2lrnn.RNNModelScratch(
    vocab_size, num_hiddens, ctx, d2lrnn.get_rnn_params, d2lrnn.init_rnn_state, d2lrnn.rnn
)
histories["random"] = common.checked(d2lrnn.train_and_predict(models["random"], lesson.corpus, config))

# %% [markdown]
# ## Training with consecutive sampling
#
# Now each minibatch goes on where the last one ended, as in our loop. The parameters begin with the same numbers.

# %%
print(common.describe(lesson.training), "in a row")
d2lrnn.set_seed(lesson.training.seed)
models["consecutive"] = d2lrnn.RNNModelScratch(
    vocab_size, num_hiddens, ctx, d2lrnn.get_rnn_params, d2lrnn.init_rnn_state, d2lrnn.rnn
)
histories["consecutive"] = common.checked(
    d2lrnn.train_and_predict(models["consecutive"], lesson.corpus, lesson.training)
)

# %% [markdown]
# ## Gluon beside it
#
# The lesson `rnn_concise.py` builds the same network on `gluon.rnn.RNN`. Its twin begins with the same parameters and
# reads the same minibatches.

# %%
models["gluon"] = common.new_twins(lesson)["gluon"]
histories["gluon"] = common.checked(d2lrnn.train_and_predict(models["gluon"], lesson.corpus, lesson.training))

# %%
common.compare(histories, lesson, "rnn_scratch", "RNN from scratch and on Gluon")

# %% [markdown]
# `consecutive` and `gluon` are the same model on the same minibatches. Their curves lie on one another until the
# rounding of many updates drives them apart. A perplexity close to 1 says that the model knows its training text by
# heart. It says nothing about other texts.
#
# ## Summary
#
# * A language model of characters is a recurrent network with one input and one output for each token.
# * The state carries what was read from step to step, and from minibatch to minibatch with consecutive sampling.
# * To write, the model reads the prefix, then its own likeliest token, again and again.
# * Clipping keeps the direction of the gradient and bounds its length.
# * The perplexity is the exponential of the cross-entropy: 1 is perfect, the size of the vocabulary is guessing.
# * In MXNet `backward` drops the graph. So a state that the loss depends on need not be detached.
#
# ## Exercises
#
# `models`, `params`, `X`, `Y` and `lesson` are at hand, and so are all functions above.
#
# 1. Train without clipping: `replace(lesson.training, theta=math.inf, optimizer="sgd", lr=1)`. How large may the
#    learning rate be?
#
# <details><summary>Solution 1</summary>
#
# On the lyrics that ship, with the book's other settings and seed 0, the training is lost in the first epoch at a
# learning rate of 100, and in the second at 1. At 0.1 it goes well, but slowly: after 20 epochs the perplexity is 295,
# and with clipping and a learning rate of 100 it is 224. With clipping no update is longer than the learning rate times
# $\theta$, which is 1 in the book.
#
# </details>
#
# 2. Vary `--num-hiddens` and `--num-steps`. What does each cost in time, and what does it gain in perplexity?
#
# <details><summary>Solution 2</summary>
#
# On the settings of `--quick`, 20 epochs end at a perplexity of 44 with 16 hidden units and at 2.2 with 64. With 256
# the training is lost: Adam's learning rate of 0.01 is too large for them. With 64 hidden units, windows of 5, of 10
# and of 30 steps end at 1.2, 2.2 and 60. An epoch of short windows has more updates, and here that counts for more than
# the length of the gradient's way. The time of an epoch hardly changes, since all tokens are read once in any case.
#
# </details>
#
# 3. The perplexity of the training text falls towards 1. Find out what of its writing the model has copied.
#
# <details><summary>Solution 3</summary>
#
# `text = d2lrnn.predict("分开", 50, models["random"], lesson.corpus.vocab)` writes a text, and
# `found = d2lrnn.novelty(text, lesson.corpus)` finds the pieces of 8 characters or more that stand in the lyrics too.
# `print(d2lrnn.marked(text, found.spans))` marks them. What the model knows of other texts is told by the perplexity on
# a part of the lyrics that it has not read: train on `d2lrnn.load_corpus("sample", held_out=0.1)`.
#
# </details>
#
# 4. Leave the line with `detach` out of the training loop. Do the perplexities change, and the time of a minibatch?
#    Then write `loss.backward(retain_graph=True)` too.
#
# <details><summary>Solution 4</summary>
#
# Without `detach` nothing changes, neither numbers nor time. With `retain_graph=True` each minibatch goes back through
# all earlier ones of the epoch. On the settings of `--quick` the first minibatch of an epoch takes 9 ms and the ninth
# takes 43 (one core of a shared machine).
#
# </details>
#
# 5. Replace tanh by relu in `rnn` and train with the book's settings. What changes?
#
# <details><summary>Solution 5</summary>
#
# Write `npx.relu` for `np.tanh` and pass your function to `RNNModelScratch`. With clipping the training goes about as
# fast: on the lyrics that ship, seed 0, the perplexity after 20 epochs is 198 with relu and 224 with tanh. The state no
# longer lies between -1 and 1, and without clipping it soon grows beyond all bounds.
#
# </details>
#
# 6. Let the model write after every epoch: `replace(lesson.training, pred_period=1)`. What does it learn first?
#
# <details><summary>Solution 6</summary>
#
# The space is the commonest character of the lyrics, so the first texts consist of it. Then come the commonest pairs of
# characters, in circles: the likeliest token leads back to a token that was there before. The circles grow longer as
# the state tells more pasts apart.
#
# </details>
