# %% [markdown]
# # Bidirectional recurrent networks
#
# (d2l-zh v1, section 6.10; d2l 1.0, section 10.4; Schuster and Paliwal 1997)
#
# So far a hidden state knew only what came before it. Often what comes after says as much. In "I am ___ hungry" the
# words on the right of the gap help as much as those on the left. A bidirectional network reads a sequence from both
# ends and has two hidden states at every step. This lesson computes one by hand, shows why it cannot write a text from
# left to right, and gives it a task that it is made for: to restore what is missing in the middle of a text.

# %%
from dataclasses import replace

import common
import numpy
from mxnet import np
from mxnet.gluon import rnn

import d2lrnn
from d2lrnn.plotting import draw_curves, new_figure

lesson = common.begin(
    model=d2lrnn.ModelConfig(cell="gru", num_hiddens=128, embed_size=32, init_scale=0.4),
    training=d2lrnn.TrainConfig(num_epochs=15, optimizer="adam", lr=5e-3, theta=1.0, batches="random", batch_size=8),
    fixed=["num_layers", "prefix", "use_random_iter", "pred_period"],
    quick={"max_tokens": 5000, "num_epochs": 10, "batch_size": 16, "num_steps": 36, "lr": 0.02},
)

# %% [markdown]
# ## Two hidden states at every step
#
# With $n$ rows in a minibatch, $d$ inputs and $h$ hidden units in each direction, the forward state
# $\overrightarrow{\mathbf{H}}_t$ of shape $n \times h$ is computed from the first step to the last, the backward state
# $\overleftarrow{\mathbf{H}}_t$ from the last to the first:
#
# $$\begin{aligned}
# \overrightarrow{\mathbf{H}}_t &= \phi(\mathbf{X}_t \mathbf{W}_{xh}^{(f)}
# + \overrightarrow{\mathbf{H}}_{t-1} \mathbf{W}_{hh}^{(f)} + \mathbf{b}_h^{(f)}), \\
# \overleftarrow{\mathbf{H}}_t &= \phi(\mathbf{X}_t \mathbf{W}_{xh}^{(b)}
# + \overleftarrow{\mathbf{H}}_{t+1} \mathbf{W}_{hh}^{(b)} + \mathbf{b}_h^{(b)}).
# \end{aligned}$$
#
# Each direction has parameters of its own. The two states side by side, of shape $n \times 2h$, are the hidden state
# $\mathbf{H}_t$, and the output layer reads both:
#
# $$\mathbf{O}_t = \mathbf{H}_t \mathbf{W}_{hq} + \mathbf{b}_q.$$
#
# ![A bidirectional network: one row of states reads forward, one backward, the outputs read both](img/bi_rnn.svg)


# %%
def bi_rnn(inputs, state, params):
    """Run a bidirectional network over num_steps matrices (batch_size, vocab_size)."""
    W_xh_f, W_hh_f, b_h_f, W_xh_b, W_hh_b, b_h_b, W_hq, b_q = params
    H_f, H_b = state
    forward, backward = [], []
    for X in inputs:
        H_f = np.tanh(np.dot(X, W_xh_f) + np.dot(H_f, W_hh_f) + b_h_f)
        forward.append(H_f)
    for X in reversed(inputs):
        H_b = np.tanh(np.dot(X, W_xh_b) + np.dot(H_b, W_hh_b) + b_h_b)
        backward.append(H_b)
    backward.reverse()  # so that backward[t] belongs to inputs[t]
    hiddens = [np.concatenate(pair, axis=1) for pair in zip(forward, backward)]
    return [np.dot(H, W_hq) + b_q for H in hiddens], (H_f, H_b)


X, Y = common.first_batch(lesson)
X, Y = X[:, :10], Y[:, :10]
vocab_size, num_hiddens, ctx = lesson.corpus.vocab_size, lesson.model.num_hiddens, lesson.ctx
stack = d2lrnn.Stack("rnn", bidirectional=True)
params = stack.get_params(vocab_size, num_hiddens, ctx)
state = stack.init_state(len(X), num_hiddens, ctx)
inputs = d2lrnn.to_onehot(X, vocab_size)
outputs, (H_f, H_b) = bi_rnn(inputs, state, params)
print(f"{len(inputs)} inputs {inputs[0].shape}, states {H_f.shape} and {H_b.shape}, outputs {outputs[0].shape}")
for name, param in zip(stack.param_names, params):
    print(f"{name:14} {param.shape}")

# %% [markdown]
# The module's `Stack` computes the same for every cell; for the GRU or the LSTM the equations of that cell take the
# place of $\phi$. Gluon's layers have an option `bidirectional=True`. With the same parameters, all three give the same
# numbers. (The module computes the outputs of all steps in one product, and Gluon the whole layer in one operator;
# both add up the same numbers in another order, so the last digit may differ.)

# %%
expected, (expected_f, expected_b) = stack(inputs, state, params)
print(f"this is d2lrnn.Stack: the forward state differs by {common.difference(H_f, expected_f):g}", end=", ")
print(f"the backward state by {common.difference(H_b, expected_b):g}", end=", ")
print(f"the outputs by {max(common.difference(a, b) for a, b in zip(outputs, expected)):.0e}")

scratch = d2lrnn.RNNModelScratch(vocab_size, num_hiddens, ctx, lambda *_: params, stack.init_state, stack)
twin = d2lrnn.RNNModel(rnn.RNN(num_hiddens, activation="tanh", bidirectional=True), vocab_size)
twin.initialize(ctx=ctx)
d2lrnn.copy_parameters(scratch, twin)
logits, (H,) = twin(X, twin.begin_state(len(X), ctx))
print(f"Gluon's layer: the state has shape {H.shape}, (directions, rows, hidden units)")
print(
    f"Gluon's layer: the states differ by {max(common.difference(*pair) for pair in zip(H, (H_f, H_b))):.0e}", end=", "
)
print(f"the outputs by {common.difference(np.concatenate(outputs), logits):.0e}")

# %% [markdown]
# ## Not a language model
#
# A language model predicts token $t + 1$ from the tokens up to $t$. The backward state of step $t$ has read token
# $t + 1$ already. To see it, change the last token of a window, and look at the outputs of all the steps before.

# %%
other = X.copy()
other[:, -1] = (X[:, -1] + 1) % vocab_size
one_way = d2lrnn.build_model(replace(lesson.model, cell="rnn"), vocab_size, ctx)
for name, model in (("one direction", one_way), ("two directions", twin)):
    before, after = (model(tokens, model.begin_state(len(X), ctx))[0][: -len(X)] for tokens in (X, other))
    print(f"{name:15} largest change of the outputs before the last step: {common.difference(before, after):.1e}")

# %% [markdown]
# In two directions the earlier outputs change, so they have looked ahead. What happens if such a network is trained as
# a language model all the same? The loop is not told, the loss falls, and nothing is learnt: the network copies the
# next token from its backward state. Only at the last step of a window, where there is no next token to read, it has
# to predict. `d2lrnn.train` takes any model and any batches. It is used here and in all that follows. The text is read
# as bytes (the next section says why), so guessing at random has a perplexity of 256.

# %%
text = lesson.corpus.vocab.decode(lesson.corpus.train)
cut = len(text) * 9 // 10
train_data, test_data = (
    numpy.frombuffer(part.encode("utf-8"), dtype=numpy.uint8).astype("int32") for part in (text[:cut], text[cut:])
)
config = replace(lesson.training, prefixes=(), verbose=False)


def windows(ids, batch_size):
    """Return the windows of a text in random order."""
    return d2lrnn.data_iter_random(ids, batch_size, config.num_steps, ctx)


print(f"{'perplexity':15}{'in training':>13}{'held out':>13}{'last step':>13}")
for name, bidirectional in (("one direction", False), ("two directions", True)):
    d2lrnn.set_seed(config.seed)
    model = d2lrnn.build_model(replace(lesson.model, bidirectional=bidirectional), 256, ctx)
    history = common.checked(
        d2lrnn.train(model, lambda: windows(train_data, config.batch_size), replace(config, num_epochs=4))
    )
    before, after = next(windows(test_data, (len(test_data) - 1) // config.num_steps))  # all windows in one batch
    logits, _ = model(before, model.begin_state(len(before), ctx))
    losses = [d2lrnn.cross_entropy(logits, after), d2lrnn.cross_entropy(logits[-len(before) :], after[:, -1:])]
    numbers = [history.perplexity[-1], *(float(np.exp(loss)) for loss in losses)]
    print(f"{name:15}" + "".join(f"{number:13.2f}" for number in numbers))

# %% [markdown]
# Two directions have by far the better perplexity, in training and on held-out text. At the last step, the only honest
# one, nothing of that is left. So a perplexity that is too good to be true deserves the test above. The module makes
# it where it knows that a language model is to be trained: `train_and_predict` refuses.

# %%
try:
    d2lrnn.train_and_predict(twin, lesson.corpus, replace(config, batches="consecutive"))
except d2lrnn.LooksAheadError as error:
    print(error)

# %% [markdown]
# ## A task where it is right: a damaged text
#
# A file was damaged, and some of its bytes are lost. The whole of what is left is there to be read, so both sides of a
# gap may be used. In UTF-8 a Chinese character is three bytes and a Latin letter one. So in an English text a lost byte
# is a missing letter, and in a Chinese one a third of a character. Bytes suit a short text: there are at most 256
# different ones, and a few thousand bytes show all of them often, while most Chinese characters occur once or twice.
#
# A batch has three arrays: the damaged bytes, where 256 stands for a lost one; the true bytes; and 1 where the loss
# counts, which is at the lost ones alone. One byte in seven or so is lost, others each time. In print, _ stands for a
# character that cannot be read.

# %%
LOST = 256


def damage(X, rng):
    """Return a damaged copy of an array of bytes, and where bytes were lost."""
    lost = rng.random(X.shape) < 0.15
    lost[..., 0] |= ~lost.any(axis=-1)  # at least one in every row
    return numpy.where(lost, LOST, X), lost


def batches(ids, step):
    """Yield damaged windows, the true ones, and what counts; step -1 turns all three round."""
    for X, _ in windows(ids, config.batch_size):
        damaged, lost = damage(X.asnumpy(), numpy.random)
        yield tuple(np.array(array[:, ::step], dtype="int32", ctx=ctx) for array in (damaged, X.asnumpy(), lost))


def show(ids):
    """Return the first characters of the held-out text as they are in ids."""
    first_bytes = numpy.flatnonzero(test_data & 0xC0 != 0x80)  # a byte 10xxxxxx goes on with a character
    letters = [bytes(numpy.minimum(piece, 255).tolist()) for piece in numpy.split(ids, first_bytes[1:41])[:40]]
    decoded = [letter.decode("utf-8", errors="replace") for letter in letters]
    return "".join(letter if len(letter) == 1 and letter != "\ufffd" else "_" for letter in decoded)


true = numpy.tile(test_data, (4, 1))  # damaged in four ways, so that chance matters less
damaged, lost = damage(true, numpy.random.RandomState(0))
print(f"{len(train_data):,} bytes to train on, {len(test_data):,} held out, {lost.mean():.1%} of those lost")
print(f"true     {show(test_data)}")
print(f"damaged  {show(damaged[0])}")

# %% [markdown]
# ## Three readers
#
# We train three networks with the same cell: one reads from the left, one from the right, one from both ends. A network
# in one direction reads from the right if the text is turned round. Each is tested on the held-out text, the last tenth
# that no network has been trained on: which share of the lost bytes does it restore? To put the most frequent byte into
# every gap is what no reading at all would give.


# %%
def restore(model, step):
    """Return the damaged texts, each lost byte replaced by the one that the model holds most likely."""
    X = np.array(damaged[:, ::step], dtype="int32", ctx=ctx)
    outputs, _ = model(X, model.begin_state(len(X), ctx))
    likeliest = outputs.asnumpy().argmax(axis=1).reshape(-1, len(X)).T  # (batch_size, num_steps)
    return numpy.where(lost, likeliest[:, ::step], damaged)


def share(restored):
    """Return the share of the lost bytes that were restored."""
    return (restored == true)[lost].mean()


def train_reader(bidirectional, step, num_hiddens=lesson.model.num_hiddens):
    """Train a network; return it, its perplexities, and the shares that it restores after each epoch."""
    d2lrnn.set_seed(config.seed)
    settings = replace(lesson.model, num_hiddens=num_hiddens, bidirectional=bidirectional, num_outputs=256)
    model, shares = d2lrnn.build_model(settings, LOST + 1, ctx), []
    history = d2lrnn.train(
        model,
        lambda: batches(train_data, step),
        config,
        on_epoch=lambda *_: shares.append(share(restore(model, step))),
    )
    return model, common.checked(history).perplexity, shares


readers = {"from the left": (False, 1), "from the right": (False, -1), "from both ends": (True, 1)}
print(common.describe(config))
print(f"{'':16}parameters  perplexity  restored")
frequent = numpy.bincount(train_data).argmax()
print(f"{'most frequent':16}{'':22}{share(numpy.where(lost, frequent, damaged)):10.1%}")
models, perplexities, shares = {}, {}, {}
for name, (bidirectional, step) in readers.items():
    models[name], perplexities[name], shares[name] = train_reader(bidirectional, step)
    size = sum(param.data().size for param in d2lrnn.named_parameters(models[name]).values())
    print(f"{name:16}{size:10,}{perplexities[name][-1]:12.2f}{shares[name][-1]:10.1%}")

# %%
figure, panels = new_figure(lesson.title("Lost bytes restored"), 2, size=(9.8, 4.2))
draw_curves(panels[0], perplexities, ("epoch", "perplexity of a lost byte in training"), log=True)
draw_curves(panels[1], shares, ("epoch", "share of the lost held-out bytes restored"))
panels[1].set_ylim(0, 1)
panels[1].yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
for panel in panels:
    panel.get_legend().remove()
figure.legend(panels[0].lines, shares, loc="outside lower center", ncols=3, frameon=False)
common.save_figure(figure, lesson.picture("bi_rnn"))

# %% [markdown]
# Each side alone gives something, and both together clearly more than either. The network in both directions has almost
# twice the parameters too, but that is not the reason: more hidden units do not help a network in one direction
# (exercise 2). What stands on the other side of the gap is not in its state.
#
# Here is what each of them makes of the beginning of the held-out text.

# %%
print(f"{'true':16}{show(test_data)}")
print(f"{'damaged':16}{show(damaged[0])}")
for name, (_, step) in readers.items():
    print(f"{name:16}{show(restore(models[name], step)[0])}")

# %% [markdown]
# ## Summary
#
# * A bidirectional layer has a forward and a backward state at every step, with parameters of their own.
# * The output layer reads both, so every output depends on the whole sequence.
# * So it is no language model: its low perplexity is that of a network that has seen the answer.
# * It is right where the whole input is there before the first output is asked for: to fill gaps, to tag words, to
#   recognise speech, to read a sentence that is to be translated.
#
# ## Exercises
#
# `models`, `readers`, `train_reader`, `restore`, `show` and `lesson` are at hand for all of them.
#
# 1. What is the shape of $\mathbf{H}_t$ if the two directions have different numbers of hidden units?
#
# <details><summary>Solution 1</summary>
#
# With $h_f$ and $h_b$ units it is $n \times (h_f + h_b)$, and $\mathbf{W}_{hq}$ has $h_f + h_b$ rows. In `bi_rnn` above
# nothing else changes.
#
# </details>
#
# 2. Give the network from the left as many parameters as the one in both directions. Does it catch up?
#
# <details><summary>Solution 2</summary>
#
# `train_reader(False, 1, num_hiddens=...)` with about one and a half times the units has as many parameters. The share
# that it restores does not rise to that of both ends. It has room to remember more of the left, and none to see the
# right.
#
# </details>
#
# 3. Design a bidirectional network with two layers. What does the second layer read, and in which order can the states
#    be computed?
#
# <details><summary>Solution 3</summary>
#
# Both directions of the second layer read the two states of the first side by side, of shape $n \times 2h$. So the
# first layer must be complete, in both directions, before the second begins. `d2lrnn.Stack("rnn", num_layers=2,
# bidirectional=True)` does this, and its `param_shapes(d, h)` shows the $2h$ rows.
#
# </details>
#
# 4. Sort the lost bytes of a Chinese text by their place in the character: first, second or third byte, or a space.
#    Which of them are easy to restore from one side, and which need both?
#
# <details><summary>Solution 4</summary>
#
# The full run on the sample (seed 0) restored, of the first, second and third bytes and of the spaces, 25%, 18%, 41%
# and 33% from the left; 77%, 31%, 5% and 84% from the right; 78%, 46%, 39% and 98% from both ends. So the first byte
# is told by the two bytes that follow it, and the third byte by the two before it. The second byte has one neighbour
# in its character on each side, and gains most from both ends.
#
# </details>
