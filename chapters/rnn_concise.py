# %% [markdown]
# # The concise recurrent network
#
# (d2l-zh v1, section 6.5; d2l 1.0, section 9.6)
#
# The network from scratch runs one small operator after another: for each time step two products, two sums and a tanh.
# Gluon's layer `rnn.RNN` computes all time steps in one operator. This lesson looks at what the layer takes and
# returns, builds the language model around it, trains it, and shows that it computes the numbers of the model from
# scratch in a part of the time.

# %%
from dataclasses import replace

import common
from d2l import mxnet as d2l
from mxnet import autograd, gluon, init, np, npx
from mxnet.gluon import nn, rnn

import d2lrnn

lesson = common.begin(model=d2lrnn.ModelConfig(cell="rnn"), training=common.BOOK_RNN, fixed=["cell", "num_layers"])

# %% [markdown]
# ## The layer
#
# The layer is told the number of hidden units and the activation function. It works on all time steps at once, so its
# input is one array of shape (num_steps, batch_size, vocab_size): time comes first. Its state is a list, here of one
# array of shape (1, batch_size, num_hiddens). The first axis of the state is for layers and directions, of which this
# network has one.

# %%
num_hiddens, ctx = lesson.model.num_hiddens, lesson.ctx
vocab_size, num_steps = lesson.corpus.vocab_size, lesson.training.num_steps
rnn_layer = rnn.RNN(num_hiddens, activation="tanh")
rnn_layer.initialize(init.Normal(0.01), ctx=ctx)
state = rnn_layer.begin_state(batch_size=2, ctx=ctx)
print(f"the state is a list of {len(state)} array of shape {state[0].shape}")

# %% [markdown]
# The layer returns the hidden states of all time steps, and the state after the last one. The book calls the first of
# the two `Y`, but no output layer has touched it: its last axis is as long as there are hidden units. The second begins
# the next minibatch. For one layer it equals the last of the hidden states.

# %%
X = np.random.uniform(size=(num_steps, 2, vocab_size), ctx=ctx)
Y, state_new = rnn_layer(X, state)
print(f"X {X.shape} gives Y {Y.shape} and a state of {len(state_new)} array of shape {state_new[0].shape}")
print(f"the last of Y and the state: difference {common.difference(Y[-1], state_new[0]):g}")

# %% [markdown]
# One argument is a trap. The book's equation has tanh, and `rnn.RNN(num_hiddens)` without `activation` takes relu.
# With relu the hidden state has no upper bound.

# %%
default = rnn.RNN(num_hiddens)
default.initialize(init.Normal(0.01), ctx=ctx)
relu, _ = default(X, default.begin_state(batch_size=2, ctx=ctx))
print(f"without activation: the smallest hidden state is {float(relu.min()):g}, as relu has it")
print(f"with tanh:          the smallest hidden state is {float(Y.min()):.3f}")

# %% [markdown]
# ## The model
#
# The model puts one-hot vectors before the layer and a dense output layer behind it. It takes ids of shape
# (batch_size, num_steps) and returns logits of shape (num_steps * batch_size, vocab_size), those of the first step
# first.


# %%
class RNNModel(nn.Block):
    """A language model around one of Gluon's recurrent layers."""

    def __init__(self, rnn_layer, vocab_size):
        super().__init__()
        self.rnn, self.vocab_size = rnn_layer, vocab_size
        self.dense = nn.Dense(vocab_size)

    def forward(self, inputs, state):
        """Return the logits for ids, and the new state."""
        X = npx.one_hot(inputs.T, self.vocab_size)
        Y, state = self.rnn(X, state)
        return self.dense(Y.reshape(-1, Y.shape[-1])), state

    def begin_state(self, *args, **kwargs):
        """Return the zero state."""
        return self.rnn.begin_state(*args, **kwargs)


by_hand = RNNModel(rnn_layer, vocab_size)
by_hand.dense.initialize(init.Normal(0.01), ctx=ctx)
X, Y = common.first_batch(lesson)
logits, (H,) = by_hand(X, by_hand.begin_state(batch_size=len(X), ctx=ctx))
print(f"ids {X.shape} give logits {logits.shape} and a state of shape {H.shape}")

# %% [markdown]
# `d2lrnn.RNNModel` is this class, with checks of what it is given, and compiled. Around the same parameters it computes
# the same logits.

# %%
model = d2lrnn.RNNModel(rnn.RNN(num_hiddens, activation="tanh"), vocab_size)
model.initialize(ctx=ctx)
for name in ("l0_i2h_weight", "l0_h2h_weight", "l0_i2h_bias", "l0_h2h_bias"):
    getattr(model.rnn, name).set_data(getattr(rnn_layer, name).data())
model.dense.weight.set_data(by_hand.dense.weight.data())
model.dense.bias.set_data(by_hand.dense.bias.data())
its_logits, (its_H,) = model(X, model.begin_state(len(X), ctx))
print(f"this is d2lrnn.RNNModel: the logits differ by {common.difference(logits, its_logits):g}", end=", ")
print(f"the state by {common.difference(H, its_H):g}")

# %% [markdown]
# A new model has learnt nothing, and writes accordingly. `predict` is the function of the lesson `rnn_scratch.py`; it
# takes every model that is called like this one.

# %%
print(d2lrnn.predict(lesson.training.prefixes[0], 10, model, lesson.corpus.vocab))

# %% [markdown]
# ## Training by hand
#
# The training loop is the one of the lesson `rnn_scratch.py`, but Gluon's `Trainer` updates the parameters. The loss is
# a mean already, so `step` divides by 1.

# %%
settings, loss_function = lesson.training, gluon.loss.SoftmaxCrossEntropyLoss()
trainer = gluon.Trainer(by_hand.collect_params(), settings.optimizer, {"learning_rate": settings.lr})
perplexities = []
for epoch in range(3):
    state, total, num_tokens = by_hand.begin_state(batch_size=settings.batch_size, ctx=ctx), 0.0, 0
    for X, Y in d2lrnn.data_iter_consecutive(lesson.corpus.train, settings.batch_size, num_steps, ctx):
        state = [s.detach() for s in state]
        with autograd.record():
            logits, state = by_hand(X, state)
            y = Y.T.reshape(-1)
            loss = loss_function(logits, y).mean()
        loss.backward()
        d2lrnn.grad_clipping(by_hand.collect_params(), settings.theta)
        trainer.step(1)
        total, num_tokens = total + float(loss) * y.size, num_tokens + y.size
    perplexities.append(d2lrnn.perplexity(total, num_tokens))
    print(f"epoch {epoch + 1}, perplexity {perplexities[-1]:.4f}")

# %% [markdown]
# `train_and_predict` is this loop for every model. `model` still has the parameters that `by_hand` started from, so
# both trainings go the same way.

# %%
history = d2lrnn.train_and_predict(model, lesson.corpus, replace(settings, num_epochs=3, pred_period=1, prefixes=()))
gap = max(abs(a / b - 1) for a, b in zip(perplexities, history.perplexity))
print(f"largest relative difference to the loop by hand: {gap:.1e}")

# %% [markdown]
# ## The numbers of the model from scratch
#
# Gluon stores each weight transposed, and gives a step two biases, one beside the input and one beside the state. Only
# the sum of the two counts, but two biases would move twice as far in training. So `copy_parameters`, which gives one
# model the parameters of another, sets the second bias to zero and freezes it. Then logits, state and gradients of the
# two models are the same, up to the rounding of float32.

# %%
scratch = d2lrnn.RNNModelScratch(vocab_size, num_hiddens, ctx, d2lrnn.get_rnn_params, d2lrnn.init_rnn_state, d2lrnn.rnn)
model = d2lrnn.RNNModel(rnn.RNN(num_hiddens, activation="tanh"), vocab_size)
model.initialize(ctx=ctx)
d2lrnn.copy_parameters(scratch, model)
X, Y = common.first_batch(lesson)
found = []
for each in (scratch, model):
    with autograd.record():
        logits, (H,) = each(X, each.begin_state(len(X), ctx))
        loss = d2lrnn.cross_entropy(logits, Y)
    loss.backward()
    found.append([logits, H])
found[0].append(d2lrnn.named_parameters(scratch)["W_hh"].grad.T)
found[1].append(model.rnn.l0_h2h_weight.grad())
for name, a, b in zip(("logits", "H", "gradient of W_hh"), *found):
    print(f"{name:17} largest difference {common.difference(a, b):.1e}, largest number {float(abs(a).max()):.1e}")

# %% [markdown]
# ## What the fused operator saves
#
# The timer is the book's. MXNet computes in the background, so the measurement waits for the result. The first call
# compiles and is not counted.

# %%
for name, each in (("scratch", scratch), ("gluon", model)):
    state = each.begin_state(len(X), ctx)
    each(X, state)[0].wait_to_read()
    timer = d2l.Timer()
    for _ in range(10):
        timer.start()
        each(X, state)[0].wait_to_read()
        timer.stop()
    print(f"{name:8} {1000 * timer.avg():6.2f} ms for the forward pass of one minibatch")

# %% [markdown]
# ## Training
#
# The book's settings are 250 epochs of SGD. Gluon's model comes first, the model from scratch beside it from the same
# parameters and on the same minibatches. The two write the same at first. Rounding differs in the last digit, and each
# update builds on the one before, so in a long training the two drift apart. Both are equally right.

# %%
histories = common.train_each({"gluon": model, "scratch": scratch}, lesson)

# %%
common.compare(histories, lesson, "rnn_concise", "RNN on Gluon and from scratch")

# %% [markdown]
# Compare the speed of the two with the forward pass above: the training also computes gradients, clips them and
# updates.
#
# ## Summary
#
# * `rnn.RNN` computes the hidden states of all time steps, in one operator and without an output layer.
# * The layer's input is (num_steps, batch_size, vocab_size). Its state is a list, whose arrays have an axis for layers
#   and directions.
# * Its activation function is relu unless you say `activation="tanh"`.
# * With the same parameters it computes the same numbers as the network from scratch, in less time.
#
# ## Exercises
#
# `model`, `scratch`, `by_hand`, `X` and `lesson` are at hand.
#
# 1. Train a model with relu, `d2lrnn.RNNModel(rnn.RNN(num_hiddens), vocab_size)`. Which learning rate does the model
#    bear, and what has that to do with the range of tanh?
#
# <details><summary>Solution 1</summary>
#
# The state of relu has no upper bound. Where a product with $\mathbf{W}_{hh}$ makes the state longer, the next product
# makes it longer again. So the loss may jump, or become nan, at rates that tanh bears well. Then divide `lr` by 10 and
# try again: `replace(settings, lr=settings.lr / 10)`.
#
# </details>
#
# 2. The gain depends on the sizes. Vary `--num-hiddens` and `--batch-size`. Where is the fused operator worth most, and
#    why?
#
# <details><summary>Solution 2</summary>
#
# It is worth most where the products are small: there each small operator costs more time to start than to compute.
# With 1,024 hidden units nearly all time goes into the products, which both models have to compute.
#
# </details>
#
# 3. `d2lrnn.RNNModel(rnn.RNN(num_hiddens, activation="tanh"), vocab_size, embed_size=128)` looks up a learnt vector for
#    each id in place of the one-hot vector. What does that change in the number of parameters?
#
# <details><summary>Solution 3</summary>
#
# The table has vocab_size × 128 numbers, and the weight of the input 128 × num_hiddens in place of
# vocab_size × num_hiddens. For 256 hidden units and 10,000 words, 2,560,000 numbers become 1,280,000 + 32,768.
#
# </details>
#
# 4. `model.hybridize(False)` runs the model operator by operator. Measure again. How much of the gain is the fused
#    layer's, and how much comes from compiling the rest?
#
# <details><summary>Solution 4</summary>
#
# Run the cell with the timer again after `model.hybridize(False)`. What remains ahead of the model from scratch is the
# gain of the fused layer: the rest of the model has only two operators, the one-hot vectors and the dense layer.
#
# </details>
